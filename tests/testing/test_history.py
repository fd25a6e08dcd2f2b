"""Tests for `mycorrizal.testing.history`."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing.history import (
    FAIL,
    INFO,
    OK,
    History,
    operations,
    read_lines,
)

VERSION = (1_000 << 16, "ab" * 16)


class HistoryTests(SynchronousTestCase):
    """What clients asked and were told is written down, and read again."""

    def setUp(self) -> None:
        self.history = History()

    def test_one_operation(self) -> None:
        """The end of an operation gives the whole of it."""
        number = self.history.invoke(1.0, "c0", "put", "b", "k", "v", ttl_s=5.0)
        ended = self.history.end(2.0, number, OK, version=VERSION, copies=2)
        self.assertEqual((ended.began, ended.ended, ended.outcome), (1.0, 2.0, OK))
        self.assertEqual((ended.value, ended.ttl_s, ended.copies), ("v", 5.0, 2))
        self.assertTrue(ended.acknowledged)
        self.assertIn("c0 put b/k v [1.000..2.000] ok v1000.0@abab", str(ended))

    def test_never_ended(self) -> None:
        """What has not ended may have had an effect."""
        self.history.invoke(1.0, "c0", "delete", "b", "k")
        (operation,) = operations(self.history.records)
        self.assertEqual((operation.outcome, operation.ended), (INFO, float("inf")))
        self.assertFalse(operation.acknowledged)

    def test_reads(self) -> None:
        """Also a delete says that nothing is there, if nothing was."""
        for op, outcome, existed, reads in (
            ("get", OK, True, True),
            ("get", FAIL, True, False),
            ("put", OK, True, False),
            ("delete", OK, False, True),
            ("delete", OK, True, False),
            ("touch", INFO, False, False),
        ):
            number = self.history.invoke(1.0, "c0", op, "b", "k")
            ended = self.history.end(2.0, number, outcome, existed=existed)
            self.assertIs(ended.reads, reads, (op, outcome, existed))

    def test_refrained(self) -> None:
        """What was not to be done had no effect, but says what was there."""
        for op, existed, refrained, reads, met in (
            ("add", True, True, False, True),
            ("add", False, False, True, False),
            ("replace", True, False, False, True),
            ("replace", False, True, True, False),
            ("delete_many", False, True, True, False),
            ("scan", True, False, False, True),
            ("put", True, False, False, False),
            ("load", True, False, False, False),
        ):
            number = self.history.invoke(1.0, "c0", op, "b", "k", "v")
            ended = self.history.end(2.0, number, OK, existed=existed)
            facts = ended.refrained, ended.reads, ended.met
            self.assertEqual(facts, (refrained, reads, met), (op, existed))
        number = self.history.invoke(1.0, "c0", "add", "b", "k", "v")
        ended = self.history.end(2.0, number, INFO)
        self.assertFalse(ended.refrained)

    def test_ends_once(self) -> None:
        """Nothing ends twice, or without a beginning."""
        number = self.history.invoke(1.0, "c0", "get", "b", "k")
        self.history.end(2.0, number, OK)
        self.assertRaises(KeyError, self.history.end, 3.0, number, OK)
        ends = self.history.records[1:]
        self.assertRaises(KeyError, operations, ends)

    def test_lines(self) -> None:
        """A history that was written as lines is the same when read again."""
        number = self.history.invoke(1.0, "c0", "put", "b", "k", "v", timeout_s=2.0)
        self.history.end(2.0, number, OK, version=VERSION, copies=2)
        lines = list(self.history.lines())
        self.assertEqual(read_lines(lines), self.history.records)
        self.assertRaises(msgspec.DecodeError, read_lines, [b"{}"])
