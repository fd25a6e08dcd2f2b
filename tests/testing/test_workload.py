"""Tests for `mycorrizal.testing.workload`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import PeerUnreachable, UnknownBucket
from mycorrizal.testing.arena import Arena
from mycorrizal.testing.history import (
    FAIL,
    INFO,
    OK,
    READS,
    TELLING,
    WRITES,
    History,
    Operation,
    operations,
)
from mycorrizal.testing.postbox import Postbox
from mycorrizal.testing.workload import BRIEF, MAIN, SMALL, Workload
from tests.testing.quiet import Quiet, a_plan


class WorkloadTests(Quiet, SynchronousTestCase):
    """Clients that do one thing after the other, and what they are told."""

    def setUp(self) -> None:
        super().setUp()
        self.history, self.postbox = History(), Postbox()
        self.acknowledged: list[Operation] = []
        plan = a_plan(clients=3, rate=20.0)
        self.arena = Arena(plan, self.postbox.set_up)
        self.workload = Workload(
            self.arena, plan, self.history, self.postbox, self.acknowledged.append
        )
        for number in range(3):
            self.workload.set_up(self.arena[number])
            self.arena.start(number)
        self.arena.until(self.arena.converged)
        cache = self.arena[0].cache()
        for name in (MAIN, BRIEF, SMALL):
            self.arena.result_of(
                cache.create_bucket(name, max_entries=1000, replicas=1)
            )

    def done(self) -> list[Operation]:
        return operations(self.history.records)

    def test_all_kinds(self) -> None:
        """Clients do all that there is to do, and stop when it is over."""
        self.workload.begin()
        self.arena.advance(20)
        self.workload.over = True
        self.arena.advance(6)
        kinds = Counter(operation.op for operation in self.done())
        self.assertEqual(
            set(kinds),
            {*WRITES, *READS, *TELLING, "send", "request", "create"},
        )
        self.assertGreater(len(self.done()), 500)
        self.assertEqual(self.workload.under_way, {})
        before = len(self.history.records)
        self.arena.advance(5)
        self.assertEqual(len(self.history.records), before)

    def test_versions(self) -> None:
        """Writes and reads know their versions, also if routed elsewhere."""
        self.workload.begin()
        self.arena.advance(10)
        for operation in self.done():
            if operation.op == "put" and operation.outcome == OK:
                self.assertTrue(operation.acknowledged, operation)
                self.assertIn(operation.copies, (2, 3))
        reads = {it.found: it.version for it in self.done() if it.op == "entry"}
        puts = {it.value: it.version for it in self.acknowledged if it.op == "put"}
        touched = {it.key for it in self.acknowledged if it.op == "touch"}
        same = [puts[value] == reads[value] for value in reads if value in puts]
        self.assertGreater(sum(same), len(same) / 2)
        self.assertTrue(touched)

    def test_versions_of_many(self) -> None:
        """Also writes of many keys, and conditional ones, know theirs."""
        self.workload.begin()
        self.arena.advance(20)
        for operation in self.done():
            done = operation.outcome == OK and not operation.refrained
            if operation.op in ("put_many", "delete_many", "add", "replace") and done:
                self.assertTrue(operation.acknowledged, operation)
                self.assertIn(operation.copies, (2, 3))
            elif operation.op in ("add", "replace"):
                self.assertFalse(operation.acknowledged, operation)
        kinds = {it.op for it in self.acknowledged}
        self.assertEqual(kinds, WRITES - {"load"})

    def test_their_node_died(self) -> None:
        """Nobody knows what became of operations whose node died."""
        number = self.history.invoke(1.0, "c0", "put", MAIN, "k0", "v")
        self.workload._watch(Deferred(), number, 1, "put")
        self.workload.lost(0)
        self.assertEqual(len(self.workload.under_way), 1)
        self.workload.lost(1)
        (operation,) = self.done()
        self.assertEqual((operation.outcome, self.workload.under_way), (INFO, {}))

    def test_given_up_after_death(self) -> None:
        """What a client gives up when its node is dead has ended already."""
        done: Deferred[None] = Deferred()
        number = self.history.invoke(0.0, "c0", "get", MAIN, "k1")
        self.workload._watch(done, number, 1, "get")
        self.workload.lost(1)
        done.cancel()
        self.assertIsNone(self.successResultOf(done))
        (operation,) = self.done()
        self.assertEqual(operation.error, "the node died")

    def test_failures(self) -> None:
        """Some errors say that nothing happened; others leave it open."""
        for error, outcome in (
            (UnknownBucket("b"), FAIL),
            (PeerUnreachable(("n1",)), FAIL),
        ):
            done: Deferred[Any] = Deferred()
            number = self.history.invoke(1.0, "c0", "put", MAIN, "k0", "v")
            self.workload._watch(done, number, 0, "put")
            done.errback(error)
            self.assertEqual(self.done()[-1].outcome, outcome)
        done = Deferred()
        number = self.history.invoke(1.0, "c0", "put", MAIN, "k0", "v")
        self.workload._watch(done, number, 0, "put")
        done.cancel()
        self.assertEqual(self.done()[-1].outcome, INFO)

    def test_a_bug(self) -> None:
        """An error that no node may raise is not taken for an answer."""
        done: Deferred[Any] = Deferred()
        number = self.history.invoke(1.0, "c0", "put", MAIN, "k0", "v")
        self.workload._watch(done, number, 0, "put")
        done.errback(ZeroDivisionError())
        self.failureResultOf(done, ZeroDivisionError)
