"""Tests for `mycorrizal.testing.errands`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing.arena import Arena
from mycorrizal.testing.history import INFO, OK, History, Operation, operations
from mycorrizal.testing.postbox import Postbox
from mycorrizal.testing.workload import BRIEF, KEYS, MAIN, SMALL, Workload
from tests.testing.quiet import Quiet, a_plan


class ErrandTests(Quiet, SynchronousTestCase):
    """Calls about many keys, scans and loads, as clients of a storm make them."""

    def setUp(self) -> None:
        super().setUp()
        self.history, postbox, plan = History(), Postbox(), a_plan()
        self.arena = Arena(plan, postbox.set_up)
        self.workload = Workload(
            self.arena, plan, self.history, postbox, lambda write: None
        )
        for number in range(3):
            self.workload.set_up(self.arena[number])
            self.arena.start(number)
        self.arena.until(self.arena.converged)
        for name in (MAIN, BRIEF, SMALL):
            made = self.arena[0].cache().create_bucket(name, max_entries=1000)
            self.arena.result_of(made)
        self.errands = self.workload._errands
        self.workload.place = lambda: (MAIN, "k1")  # type: ignore[method-assign]

    def done(self, op: str) -> list[Operation]:
        found = operations(self.history.records)
        return [it for it in found if it.op == op and it.outcome == OK]

    def test_scan(self) -> None:
        """A scan says of each key whether it is there."""
        self.arena.result_of(self.arena[0].cache().put(MAIN, "k1", b"v|"))
        self.errands._scan("c0", 1)
        self.arena.advance(1)
        scans = self.done("scan")
        self.assertEqual(len(scans), KEYS)
        self.assertEqual([it.key for it in scans if it.existed], ["k1"])

    def test_unknown_bucket(self) -> None:
        """Where there is no bucket, all keys have failed."""
        self.workload.place = lambda: ("none", "k1")  # type: ignore[method-assign]
        for errand in (self.errands._scan, self.errands._put_many, self.errands._load):
            errand("c0", 0)
        self.arena.advance(1)
        ends = operations(self.history.records)
        self.assertEqual({it.outcome for it in ends}, {"fail"})
        self.assertEqual(self.workload.under_way, {})

    def test_load(self) -> None:
        """A loader is called once for all, and each gets what it gave."""
        self.workload.random = lambda: 0.5
        for node in range(3):
            self.errands._load(f"c{node}", node)
        self.arena.advance(4)
        (load,) = self.done("load")
        reads = self.done("get_or_load")
        self.assertEqual([it.found for it in reads], [load.value] * 3)
        self.assertEqual(round(load.ended - load.began, 3), 1.5)

    def test_loads_end(self) -> None:
        """Loaders that find nothing, fail, or are given up end as such."""
        for drawn, outcome in ((0.8, OK), (0.9, "fail")):
            self.workload.random = lambda drawn=drawn: drawn  # type: ignore[misc]
            self.errands._load("c0", 0)
            self.arena.advance(6)
            last = operations(self.history.records)[-2:]
            ends = [it.outcome for it in last]
            self.assertEqual(ends, [outcome, "fail"], drawn)
        self.assertEqual(self.workload.under_way, {})

    def test_node_died(self) -> None:
        """Nobody knows what becomes of a load whose node died."""
        self.workload.random = lambda: 0.5
        self.errands._load("c0", 1)
        self.arena.advance(1)
        self.arena.crash(1)
        self.workload.lost(1)
        self.arena.advance(3)
        ends = [it.outcome for it in operations(self.history.records)]
        self.assertEqual(ends, [INFO, INFO])
