"""
The checker sees each fault that it is for, and no other.
"""

from __future__ import annotations

import io

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing.history import read_lines
from tests.faults.checker import KINDS, Checker
from tests.faults.journal import Journal


class CheckerTests(SynchronousTestCase):
    """Short histories of one key, one second to a step."""

    def setUp(self) -> None:
        self.now = 0.0
        self.file = io.BytesIO()
        self.journal = Journal(self.file, lambda: self.now)

    def call(
        self,
        op: str,
        value: str | None = None,
        outcome: str = "ok",
        by: str = "a",
        ttl_s: float | None = None,
        existed: bool = True,
    ) -> None:
        """An operation that begins and ends."""
        wanted, found = (None, value) if op == "get" else (value, None)
        number = self.journal.begin(by, op, "k", wanted, ttl_s=ttl_s)
        self.now += 1
        self.journal.end(number, outcome, value=found, copies=2, existed=existed)
        self.now += 1

    def found(self) -> dict[str, int]:
        """What the checker finds of each kind."""
        counts = Checker(self.journal.records).check().counts
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def test_sound(self) -> None:
        """The newest value, one that may have been written, none after a delete."""
        self.call("get", None)
        self.call("put", "1")
        self.call("get", "1")
        self.call("put", "2", "info")
        self.call("get", "1")
        self.call("get", "2")
        self.call("put", "3", "fail")
        self.call("delete")
        self.call("get", None)
        self.assertEqual(self.found(), {})

    def test_late(self) -> None:
        """A write whose end nobody knows may take effect after a later one."""
        self.call("put", "1", "info")
        self.call("put", "2")
        self.call("get", "1")
        self.assertEqual(self.found(), {})

    def test_lost(self) -> None:
        """A sweep that does not find an acknowledged write has found one loss."""
        self.call("put", "1")
        self.call("put", "2")
        for value in ("1", None):
            self.call("get", value, by="sweep-1")
        self.assertEqual(self.found(), {"lost": 1})

    def test_stale(self) -> None:
        """A client that reads an older value has read a stale one."""
        self.call("put", "1")
        self.call("put", "2")
        self.call("get", "1")
        self.assertEqual(self.found(), {"stale": 1})

    def test_partition(self) -> None:
        """A write during a partition may be overwritten by an older one."""
        for partition, excused in ((False, 0), (True, 1)):
            self.journal = Journal(io.BytesIO(), lambda: self.now)
            self.call("put", "1")
            with self.journal.window("halves", partition=partition):
                self.call("put", "2")
            self.now += 1
            self.call("get", "1", by="sweep-1")
            verdict = Checker(self.journal.records).check()
            self.assertEqual(verdict.counts["lost of a partition"], excused)
            self.assertEqual(verdict.counts["lost"], 1 - excused)
            self.assertEqual(len(verdict.findings), 1 - excused)
            self.assertEqual(len(verdict.excused), excused)

    def test_window(self) -> None:
        """What is stale in a window is counted apart; too much is useless."""
        self.call("put", "1")
        self.call("put", "2")
        with self.journal.window("death not seen", partition=False):
            self.call("get", "1")
        verdict = Checker(self.journal.records).check()
        self.assertEqual(verdict.counts["stale in a window"], 1)
        self.assertEqual(verdict.findings, ["useless: 1 of 1 reads excluded"])
        self.now += 1
        self.call("get", "2")
        self.assertEqual(Checker(self.journal.records).check().findings, [])

    def test_phantom(self) -> None:
        """A value that nobody wrote, or whose write failed, must not be read."""
        self.call("get", "never")
        self.call("put", "1", "fail")
        self.call("get", "1")
        self.assertEqual(self.found(), {"phantom": 2})

    def test_expired(self) -> None:
        """A value is not read after its time, and may be absent then."""
        self.call("put", "1", ttl_s=2)
        self.call("get", "1")
        self.now += 1
        self.call("get", None)
        self.assertEqual(self.found(), {})
        self.call("get", "1")
        self.assertEqual(self.found(), {"expired": 1})

    def test_undeleted(self) -> None:
        """A deleted value does not come back."""
        self.call("put", "1")
        self.call("delete")
        self.call("get", "1")
        self.assertEqual(self.found(), {"undeleted": 1})

    def test_nothing_to_delete(self) -> None:
        """A delete that found nothing is no word against a value."""
        self.call("put", "1")
        self.call("delete", existed=False)
        self.call("get", "1")
        self.assertEqual(self.found(), {})

    def test_conditional(self) -> None:
        """What was not to be written is not read; what was, is."""
        self.call("add", "1", existed=False)
        self.call("get", "1")
        self.call("add", "2")
        self.call("replace", "3")
        self.call("get", "3")
        self.assertEqual(self.found(), {})
        self.call("get", "2")
        self.assertEqual(self.found(), {"phantom": 1})
        self.call("get", "1")
        self.assertEqual(self.found(), {"phantom": 1, "stale": 1})

    def test_nothing_to_replace(self) -> None:
        """A replace says that nothing is there, as a read does."""
        self.call("replace", "1", existed=False)
        self.assertEqual(self.found(), {})
        self.call("put", "2")
        self.call("replace", "3", existed=False)
        self.assertEqual(self.found(), {"stale": 1})

    def test_diverged(self) -> None:
        """After the end no two nodes answer differently."""
        self.call("put", "1", "info")
        self.call("get", "1", by="sweep-last-1")
        self.call("get", None, by="sweep-last-2")
        self.assertEqual(self.found(), {"diverged": 1})

    def test_file(self) -> None:
        """The file has all that was recorded."""
        self.call("put", "1")
        self.assertEqual(
            read_lines(self.file.getvalue().splitlines()), self.journal.records
        )
