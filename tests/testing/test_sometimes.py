"""Tests for `mycorrizal.testing.sometimes`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import sometimes
from mycorrizal.testing.plans import Fault
from mycorrizal.testing.sometimes import SOMETIMES, Sometimes
from mycorrizal.testing.storm import Storm
from tests.testing.quiet import Quiet


class Door:
    """Something that can be opened."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, by: str) -> str:
        self.opened.append(by)
        return f"hello {by}"


class SometimesTests(Quiet, SynchronousTestCase):
    """Rare things are counted, from outside."""

    def setUp(self) -> None:
        super().setUp()
        self.sometimes = Sometimes()

    def test_before(self) -> None:
        """A method that is looked at does what it did."""
        door = Door()
        self.sometimes._before(
            door, "open", lambda by: sometimes.LEFT if by == "Ada" else None
        )
        self.assertEqual(
            (door.open("Ada"), door.open("Bob")), ("hello Ada", "hello Bob")
        )
        self.assertEqual(door.opened, ["Ada", "Bob"])
        self.assertEqual(dict(self.sometimes.counts), {sometimes.LEFT: 1})

    def test_no_longer_there(self) -> None:
        """A method that was renamed is missed."""
        self.sometimes._before(Door(), "shut", lambda: None)
        self.assertEqual(self.sometimes.missing, {"Door.shut"})

    def test_unknown(self) -> None:
        """Only what is in the table is counted."""
        self.assertRaises(ValueError, self.sometimes.saw, "a pig flew")

    def test_dispute(self) -> None:
        """What a node logs can be counted too."""
        self.sometimes.logged("Bucket {bucket} was created twice with other settings")
        self.sometimes.logged("Something else")
        self.assertEqual(dict(self.sometimes.counts), {sometimes.DISPUTE: 1})

    def test_a_storm(self) -> None:
        """In a storm of restarts much happens, and no method is missed."""
        faults = [
            Fault(2.0, 1.0, "restart", (0,)),
            Fault(6.0, 3.0, "crash", (1,), "silence"),
            Fault(15.0, 2.0, "pause", (0,)),
            Fault(16.0, 3.0, "stranger", (1,)),
        ]
        storm = Storm(7, "all", faults=faults)
        self.assertGreaterEqual(len(storm.arena), 2)
        report = storm.run()
        self.assertEqual(storm.sometimes.missing, set())
        self.assertEqual(len(set(SOMETIMES)), len(SOMETIMES))
        for what in (
            sometimes.FETCHED, sometimes.ENTRY_MOVED, sometimes.PASSED_ON,
            sometimes.DEAD, sometimes.LEFT, sometimes.RETURNED, sometimes.FORGAVE,
            sometimes.REFUSED, sometimes.EXPIRED,
        ):  # fmt: skip
            self.assertGreater(report.sometimes.get(what, 0), 0, what)
