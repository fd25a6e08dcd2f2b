"""
Loads while nodes die, come and go, and the network fails.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from mycorrizal import NotRunning
from mycorrizal.mycel.operations.writing import Write
from mycorrizal.testing import seeds
from tests.mycel.loaders import LoadingTestCase


class HolderTests(LoadingTestCase):
    """The node that loads fails."""

    def test_dies(self) -> None:
        """When it dies the next one loads, and the others get what that one loads."""
        self.load(2)
        lost = self.called(1)
        waiting = [self.load(0), self.load(1)]
        self.cluster.advance(0.5)
        self.cluster.crash(2)
        self.called(2).callback(b"v")
        for result in waiting:
            self.assertEqual(self.result_of(result), b"v")
        lost.callback(b"by the dead")
        self.assertEqual(self.read(1), b"v")
        self.nothing_is_left()

    def test_silent(self) -> None:
        """When it is silent that takes until it is found dead, at most."""
        self.load(2)
        self.called(1)
        waiting = [self.load(0), self.load(1)]
        self.cluster.advance(0.5)
        self.cluster.crash(2, peers="silence")
        began_s = self.cluster.world.now_s
        self.called(2).callback(b"v")
        self.assertLess(self.cluster.world.now_s - began_s, 6)
        for result in waiting:
            self.assertEqual(self.result_of(result), b"v")
        self.nothing_is_left()

    def test_stops(self) -> None:
        """When it stops in good order the next one loads at once."""
        own = self.load(2)
        self.called(1)
        other = self.load(1)
        self.cluster.advance(0.5)
        self.cluster.stop(2)
        self.failureResultOf(own, NotRunning)
        self.called(2).callback(b"v")
        self.assertEqual(self.result_of(other), b"v")
        self.nothing_is_left()

    def test_cut_off(self) -> None:
        """A value loaded while it was cut off is given to its caller, not stored."""
        own = self.load(2, timeout_s=60)
        loaded = self.called(1)
        self.cluster.partition([0, 1], [2])
        self.cluster.advance(8)
        self.result_of(self.cache(1).delete("b", self.key))
        self.assertEqual(self.result_of(self.load(1, lambda: b"new")), b"new")
        loaded.callback(b"old")
        self.assertEqual(self.result_of(own), b"old")
        self.cluster.heal()
        self.settle()
        for number in range(3):
            self.assertEqual(self.read(number), b"new")
        self.nothing_is_left()


class MovedTests(LoadingTestCase):
    """What was loaded is being stored when its slot moves."""

    def test_deleted_meanwhile(self) -> None:
        """A delete at the new primary stays, whatever the old one was storing."""
        mycel, held = self.cluster[1].mycel, list[Write]()
        make_anew = mycel.moves._make_anew
        self.patch(mycel.moves, "_make_anew", held.append)
        # Copies take so long that some are under way when the slot moves.
        hosts = self.cluster.hosts[1], self.cluster.hosts[2]
        self.cluster.world.latency_ms(100, 100, hosts)
        mycel.drain()
        calls: list[Deferred[Any]] = []
        for key in self.keys_owned_by(1, 2, count=40):
            calls.append(self.cache(0).get_or_load("b", key, lambda: b"old"))
            self.cluster.advance(0.02)
        for call in calls:
            self.assertEqual(self.result_of(call), b"old")
        self.assertGreater(len(held), 0)
        for write in held:
            self.result_of(self.cache(2).delete("b", write.key))
            make_anew(write)
        self.cluster.advance(1)
        for write in held:
            self.assertIsNone(self.result_of(self.cache(0).get("b", write.key)))


class PrimaryFailsTests(LoadingTestCase):
    """The primary of the key fails while it is being loaded."""

    def test_dies(self) -> None:
        """When it dies who waits asks the next one; the old lease is worth nothing."""
        own, other = self.load(2), self.load(1)
        self.cluster.until(lambda: self.loader.calls)
        loaded = self.loader.calls[0]
        self.cluster.crash(0)
        self.called(2)
        self.cluster.advance(1)
        # In the meantime somebody may have written, as far as its heir knows.
        loaded.callback(b"old")
        own_value = self.result_of(own)
        again = self.called(2)
        if not again.called:
            again.callback(b"new")
        self.assertEqual(own_value, b"old")
        self.assertEqual(self.result_of(other), b"new")
        self.assertEqual(self.read(1), b"new")
        self.settle()
        self.nothing_is_left()

    def test_loads_itself(self) -> None:
        """When it dies with the load that it does itself, another one loads."""
        self.load(0)
        self.called(1)
        waiting = [self.load(1), self.load(2), self.load(1)]
        self.cluster.advance(0.5)
        self.cluster.crash(0)
        self.called(2).callback(b"v")
        for result in waiting:
            self.assertEqual(self.result_of(result), b"v")
        self.settle()
        self.nothing_is_left()

    def test_hangs(self) -> None:
        """When it is silent, loads go on as soon as it is found dead."""
        self.cluster.crash(0, peers="silence")
        waiting = [self.load(1), self.load(2)]
        began_s = self.cluster.world.now_s
        self.called(1).callback(b"v")
        self.assertLess(self.cluster.world.now_s - began_s, 7)
        for result in waiting:
            self.assertEqual(self.result_of(result), b"v")

    def test_stops(self) -> None:
        """When it stops in good order no caller gets an error."""
        own, other = self.load(2), self.load(1)
        self.cluster.until(lambda: self.loader.calls)
        self.cluster.stop(0)
        self.cluster.advance(0.5)
        for call in self.loader.calls:
            call.callback(b"v")
        for result in (own, other):
            self.assertEqual(self.result_of(result), b"v")
        self.settle()
        self.assertEqual(self.read(1), b"v")
        self.nothing_is_left()

    def test_newcomer_takes_over(self) -> None:
        """When the slot moves to a newcomer, who waits loads there; nothing is lost."""
        keys = [f"key {number}" for number in range(300)]
        loads = Counter[str]()
        calls: list[tuple[str, Deferred[Any]]] = []

        def load(number: int, key: str) -> Deferred[bytes | None]:
            def loader() -> Deferred[Any]:
                loads[key] += 1
                calls.append((key, Deferred()))
                return calls[-1][1]

            return self.cache(number).get_or_load("b", key, loader)

        waiting = [load(number % 3, key) for key in keys for number in range(3)]
        self.cluster.advance(0.5)
        self.assertEqual(set(loads.values()), {1})
        late = self.cluster.add()
        self.result_of(late.when_ready())
        self.cluster.until(self.cluster.converged)
        self.cluster.advance(0.1)
        for key, call in calls:
            call.callback(key.encode())
        self.cluster.advance(1)
        for _, call in calls:
            if not call.called:
                call.callback(b"")
        for index, result in enumerate(waiting):
            self.assertEqual(self.result_of(result), keys[index // 3].encode())
        moved = sum(count > 1 for count in loads.values())
        self.assertTrue(0 < moved < 150, moved)
        self.assertLessEqual(max(loads.values()), 2)
        self.settle()
        self.nothing_is_left()


class PartitionTests(LoadingTestCase):
    """The network is cut."""

    def test_each_side_loads_once(self) -> None:
        """Each side of a cut loads once, and the sides agree when it has healed."""
        self.cluster.partition([0], [1, 2])
        self.cluster.advance(8)
        waiting = [self.load(number % 3, timeout_s=60) for number in range(30)]
        self.called(2)
        self.loader.calls[0].callback(b"one")
        self.loader.calls[1].callback(b"two")
        for result in waiting:
            self.assertIn(self.result_of(result), (b"one", b"two"))
        self.cluster.heal()
        self.settle()
        self.assertEqual(len({self.read(number) for number in range(3)}), 1)
        self.nothing_is_left()

    def test_during_the_cut(self) -> None:
        """Who was cut off from the one that loads is served by its own side."""
        self.load(0)
        self.called(1)
        other = self.load(1, timeout_s=60)
        self.cluster.advance(0.5)
        self.cluster.partition([0], [1, 2])
        self.called(2).callback(b"two")
        self.assertEqual(self.result_of(other), b"two")
        self.loader.calls[0].callback(b"one")
        self.cluster.heal()
        self.settle()
        self.assertEqual(len({self.read(number) for number in range(3)}), 1)
        self.nothing_is_left()


class StormTests(LoadingTestCase):
    """Anything at any time."""

    def setUp(self) -> None:
        """Each seed makes its own cluster."""

    @seeds(8)
    def test_nothing_older_than_a_delete(self, seed: int) -> None:
        """While all is whole, nobody gets what is older than a delete it followed."""
        LoadingTestCase.setUp(self)
        chance = Random(seed)
        truth = [0]
        problems: list[str] = []
        pending: list[Deferred[Any]] = []

        def loader() -> Deferred[bytes]:
            loaded: Deferred[bytes] = Deferred()
            runtime = self.cluster[0].runtime
            runtime.call_later(chance.random(), loaded.callback, b"%d" % truth[0])
            return loaded

        def got(value: bytes | None, at_least: int) -> None:
            if value is None or int(value) < at_least:
                problems.append(f"{value!r}, not {at_least} or more")

        for _ in range(400):
            number = chance.randrange(3)
            self.cluster.advance(chance.random() * 0.1)
            if chance.random() < 0.05:
                truth[0] += 1
                self.result_of(self.cache(number).delete("b", self.key))
            else:
                result = self.load(number, loader)
                if chance.random() < 0.2:
                    result.addErrback(lambda failure: None)
                    self.cluster[0].runtime.call_later(chance.random(), result.cancel)
                else:
                    result.addCallback(got, truth[0])
                    pending.append(result)
        for result in pending:
            self.result_of(result)
        self.assertEqual(problems, [])
        self.assertGreater(len(pending), 200)
        self.nothing_is_left()
