"""
Nodes are drained and brought back, and nothing is lost on the way.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mycorrizal.errors import LastInService, NotRunning
from mycorrizal.mycel.api.outcomes import Copies
from mycorrizal.mycel.slot_messages import Drained
from mycorrizal.mycel.standing import AGAIN_S, Standing
from mycorrizal.recorder import Kind
from mycorrizal.testing import seeds
from tests.mycel.cases import ClusterTestCase
from tests.mycel.test_histories import HistoryTestCase


class DrainTestCase(ClusterTestCase):
    """A cluster of three whose bucket has no further copies."""

    replicas = 0

    def standing(self, number: int) -> Standing:
        """A node's."""
        return self.cluster[number].mycel.standing

    def held(self, number: int) -> int:
        """How many values a node holds."""
        return self.cluster[number].cache().stats("b").entries

    def drain(self, number: int) -> None:
        """Drain a node, and wait until it holds nothing."""
        self.standing(number).drain()
        self.cluster.until(lambda: self.standing(number).handed_over)
        self.settle()

    def noted(self, number: int) -> list[str]:
        """What a node has noted about it."""
        recent = self.cluster[number].nodosum.recorder.recent()
        return [event.text for event in recent if event.kind is Kind.DRAIN]


class DrainTests(DrainTestCase):
    """One node is drained."""

    def test_hands_over(self) -> None:
        """It holds nothing and is primary of nothing, and nothing is lost."""
        self.fill()
        self.assertGreater(self.held(1), 0)
        self.drain(1)
        node = self.cluster[1]
        self.assertEqual((self.held(1), node.mycel.claims.serving), (0, 0))
        self.assertTrue(node.mycel.safe_to_stop())
        self.assertEqual(self.held(0) + self.held(2), 100)
        self.check_all(1)
        self.cluster.crash(1)
        self.settle()
        self.check_all(0)

    def test_works_on(self) -> None:
        """Programs on it go on to read and write, and it stays a member."""
        self.drain(1)
        for number in range(30):
            put = self.cache(1).put("b", f"k{number}", b"%d:" % number)
            self.assertEqual(self.result_of(put), 1)
        self.check_all(1, 30)
        self.assertEqual(self.held(1), 0)
        self.assertTrue(self.cluster.formed())
        self.assertTrue(self.cluster[1].ready)

    def test_not_lost_while_it_hands_over(self) -> None:
        """Until all is handed over, it is not said to be, and it answers."""
        self.fill(60, bytes(2000))
        for other in (0, 2):
            self.cluster.slow(1, other, latency_ms=20)
        self.standing(1).drain()
        reads = 0
        while not self.standing(1).handed_over:
            self.assertFalse(self.held(1) == 0 and reads == 0)
            key = f"k{reads % 60}"
            self.assertIsNotNone(self.result_of(self.cache(0).get("b", key)))
            reads += 1
        self.assertGreater(reads, 3)
        self.settle()
        self.check_all(2, 60)

    def test_undone(self) -> None:
        """It takes its share again, and nothing is lost."""
        share = self.cluster[1].mycel.claims.serving
        self.fill()
        self.drain(1)
        self.standing(1).undo()
        self.settle()
        self.assertEqual(self.cluster[1].mycel.claims.serving, share)
        self.assertGreater(self.held(1), 0)
        self.assertFalse(self.standing(1).handed_over)
        self.check_all(2)
        self.drain(1)
        self.check_all(2)

    def test_undone_half_way(self) -> None:
        """Nor when that is asked for before it has handed over."""
        self.fill(60, bytes(5000))
        self.cluster.slow(1, 0, latency_ms=30)
        self.cluster.slow(1, 2, latency_ms=60)
        for _ in range(4):
            self.standing(1).drain()
            self.cluster.advance(0.15)
            self.standing(1).undo()
            self.cluster.advance(0.05)
        self.settle()
        self.assertGreater(self.held(1), 0)
        self.check_all(2, 60)

    def test_told(self) -> None:
        """The flight recorder tells when it began, was done, and undone; once each."""
        self.fill(10)
        for _ in range(2):
            self.drain(1)
        self.cluster.advance(3)
        for _ in range(2):
            self.standing(1).undo()
        self.assertEqual(
            self.noted(1),
            [
                "Drained: handing over all that is here",
                "All is handed over",
                "In service again",
            ],
        )

    def test_restart(self) -> None:
        """A restart ends it."""
        self.fill(10)
        self.drain(1)
        self.cluster.crash(1)
        self.cluster.restart(1)
        self.settle()
        self.assertGreater(self.cluster[1].mycel.claims.serving, 0)
        self.assertEqual(self.cluster[0].mycel.view.drained, set())

    def test_leaves_then(self) -> None:
        """It may be stopped then, and nobody is asked for anything."""
        self.fill()
        self.drain(1)
        self.cluster.stop(1)
        self.settle()
        self.check_all(0)
        self.assertEqual(self.cluster[1].left, {})

    def test_another_life(self) -> None:
        """That others took it for dead, and it has begun anew, does not end it."""
        self.fill()
        self.drain(1)
        self.cluster.pause(1)
        self.cluster.advance(8)
        self.cluster.resume(1)
        self.settle()
        self.assertEqual(self.cluster[1].mycel.claims.serving, 0)
        self.assertTrue(self.standing(1).handed_over)
        self.check_all(1)


class HeardTests(DrainTestCase):
    """All nodes see the same."""

    def see(self, *drained: int) -> None:
        """All nodes take these for drained."""
        keys = {self.cluster[number].nodosum.me.node_key for number in drained}
        for node in self.cluster.running:
            self.assertEqual(node.mycel.view.drained, keys, node.node_id)

    def test_newcomer(self) -> None:
        """Who joins later hears of it, and of its end."""
        self.fill()
        self.drain(1)
        self.cluster.add()
        self.settle()
        self.see(1)
        self.assertEqual(self.held(1), 0)
        self.standing(1).undo()
        self.cluster.add()
        self.settle()
        self.see()
        self.check_all(4)

    def test_without_a_link(self) -> None:
        """Who has no link to it hears of it by way of others."""
        self.cluster.cut(0, 1)
        self.cluster.advance(8)
        self.standing(1).drain()
        self.cluster.advance(2)
        self.see(1)
        self.standing(1).undo()
        self.cluster.advance(2)
        self.see()

    def test_told_again(self) -> None:
        """Who has missed it, or forgotten it, hears of it within a while."""
        self.drain(1)
        view = self.cluster[0].mycel.view
        view.drained.clear()
        view._turns.clear()
        view._place()
        self.cluster.advance(AGAIN_S - 2)
        self.assertEqual(view.drained, set())
        self.cluster.advance(4)
        self.see(1)

    def test_late(self) -> None:
        """An old word of it does not undo a newer one."""
        self.drain(1)
        self.standing(1).undo()
        self.settle()
        me = self.cluster[1].nodosum.me.node_key
        self.cluster[0].mycel.moves.drains(me, True, 1)
        self.see()
        self.assertEqual(self.standing(1)._says(), Drained(2, False))


class LastTests(DrainTestCase):
    """Somebody must hold what there is."""

    def test_refused(self) -> None:
        """The last node in service is not drained, and the sentence says why."""
        self.fill()
        self.drain(0)
        self.drain(1)
        error = self.assertRaises(LastInService, self.standing(2).drain)
        self.assertEqual(error.node_id, "n2")
        self.assertIn("the only node in service", str(error))
        self.assertEqual(self.held(2), 100)
        self.check_all(0)
        self.standing(0).undo()
        self.settle()
        self.drain(2)
        self.check_all(2)

    def test_alone(self) -> None:
        """Nor is a node without others."""
        self.cluster.stop(1)
        self.cluster.stop(2)
        self.assertRaises(LastInService, self.standing(0).drain)

    def test_all_at_once(self) -> None:
        """Where all are at the same moment, the cache goes on as if none were."""
        self.fill()
        for number in range(3):
            self.standing(number).drain()
        self.settle()
        self.assertEqual(sum(self.held(number) for number in range(3)), 100)
        self.assertFalse(any(self.standing(number).handed_over for number in range(3)))
        self.check_all(1)
        self.standing(0).undo()
        self.settle()
        self.assertEqual(self.held(0), 100)
        self.check_all(1)

    def test_last_one_dies(self) -> None:
        """If only drained nodes are left, they take over, until another comes."""
        self.drain(0)
        self.drain(1)
        self.cluster.crash(2)
        self.settle()
        self.fill(40)
        self.check_all(1, 40)
        self.assertEqual(self.held(0) + self.held(1), 40)
        self.cluster.restart(2)
        self.settle()
        self.assertEqual((self.held(0), self.held(1), self.held(2)), (0, 0, 40))
        self.check_all(0, 40)

    def test_while_it_leaves(self) -> None:
        """A node that leaves is neither drained nor brought back."""
        stopped = self.cluster[1].stopService()
        self.assertRaises(NotRunning, self.standing(1).drain)
        self.assertRaises(NotRunning, self.standing(1).undo)
        self.result_of(stopped)
        self.cluster._running.discard(1)

    def test_the_others_leave(self) -> None:
        """If all others leave, what they hold goes to one that is drained."""
        self.fill()
        self.drain(1)
        stopped = [self.cluster[number].stopService() for number in (0, 2)]
        for each in stopped:
            self.result_of(each)
        self.cluster._running -= {0, 2}
        self.settle()
        self.assertEqual(self.held(1), 100)
        self.check_all(1)


class FaultTests(DrainTestCase):
    """Nodes die while one is drained."""

    replicas = 1

    def setUp(self) -> None:
        super().setUp()
        self.fill(60, bytes(5000))
        for one, other in ((0, 1), (0, 2), (1, 2)):
            self.cluster.slow(one, other, latency_ms=20)

    def check_rest(self) -> None:
        """Nothing is lost."""
        self.settle()
        for node in range(3):
            if self.cluster[node] in self.cluster.running:
                self.check_all(node, 60)

    def test_it_dies(self) -> None:
        """It dies before it has handed over; the other copies are there."""
        self.standing(1).drain()
        self.cluster.advance(0.15)
        self.assertFalse(self.standing(1).handed_over)
        self.cluster.crash(1)
        self.check_rest()

    def test_an_heir_dies(self) -> None:
        """Who takes over dies, and the rest goes to the next."""
        self.standing(1).drain()
        self.cluster.advance(0.15)
        self.cluster.crash(0)
        self.check_rest()
        self.assertTrue(self.standing(1).handed_over)

    def test_cut_off(self) -> None:
        """It is cut off half way, serves whoever is on its side, and comes back."""
        self.standing(1).drain()
        self.cluster.advance(0.15)
        self.cluster.partition([0, 2], [1])
        self.cluster.advance(8)
        self.assertIsNotNone(self.result_of(self.cache(1).get("b", "k1")))
        self.cluster.heal()
        self.check_rest()
        self.assertTrue(self.standing(1).handed_over)


class UnderLoadTests(HistoryTestCase):
    """Programs read and write all the time."""

    def drain(self, *numbers: int) -> None:
        """Drain nodes, as far apart as chance will have it."""
        for number in numbers:
            self.change_delays()
            self.cluster[number].mycel.standing.drain()
            self.load.run(self.random.uniform(0, 0.4))

    def undo(self, *numbers: int) -> None:
        """Bring nodes back."""
        for number in numbers:
            self.cluster[number].mycel.standing.undo()
            self.load.run(self.random.uniform(0, 0.4))

    @seeds(3)
    def test_one_after_the_other(self, seed: int) -> None:
        """No operation fails, and nothing is lost, where there is one copy only."""
        self.begin(seed, replicas=0)
        for number in range(4):
            self.drain(number)
            self.settle()
            self.assertTrue(self.cluster[number].mycel.standing.handed_over)
            self.undo(number)
            self.settle()
        self.check_all_went_well()

    @seeds(4)
    def test_two_at_once(self, seed: int) -> None:
        """Nor where two are drained at once, and brought back in another order."""
        self.begin(seed, replicas=seed % 2)
        self.drain(1, 2)
        self.load.run(self.random.uniform(0, 1))
        self.undo(*self.random.sample((1, 2), 2))
        self.drain(3, 0)
        self.settle()
        self.check_all_went_well()

    @seeds(4)
    def test_deaths(self, seed: int) -> None:
        """What was acknowledged is read, whoever dies meanwhile."""
        self.begin(seed, size=5)
        for _ in range(2):
            out, dies = self.random.randrange(5), self.random.randrange(5)
            self.drain(out)
            self.load.run(self.random.uniform(0, 1))
            self.cluster.crash(dies)
            self.settle()
            self.cluster.restart(dies)
            self.settle()
            self.undo(out)
        self.check()

    def test_load_is_a_load(self) -> None:
        """The load puts and reads through the drained node, too."""
        self.begin(1)
        self.drain(1)
        self.settle()
        self.load._node = lambda: self.cluster[1]  # type: ignore[method-assign]
        self.load.counts.clear()
        self.load.run(1)
        self.cluster.advance(1)
        self.assertEqual(self.load.wrong, [])
        self.assertEqual(self.load.counts.keys(), {"put", "get", "touch"})


class CopiesTests(DrainTestCase):
    """A bucket with copies keeps as many as there are nodes for them."""

    replicas = 1

    def test_copies(self) -> None:
        """Drained nodes hold none of them; where one node is left, there is one."""
        self.fill()
        self.drain(1)
        self.assertEqual((self.held(0), self.held(2)), (100, 100))
        put: Deferred[Copies] = self.cache(1).put("b", "k1", b"1:")
        self.assertEqual(self.result_of(put), 2)
        self.drain(2)
        self.assertEqual((self.held(0), self.held(1), self.held(2)), (100, 0, 0))
        self.assertEqual(self.result_of(self.cache(2).put("b", "k1", b"1:")), 1)
