"""
Slots pass from hand to hand in a whole cluster, and nothing is lost on the way.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mycorrizal.mycel.config import WriteMode
from mycorrizal.mycel.operations.asking import Waiter
from mycorrizal.mycel.operations.writing import Write
from mycorrizal.mycel.slot_messages import Claim
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.mycel.slots.repair import REPAIR_S
from mycorrizal.mycel.slots.slotset import ALL_SLOTS, from_bytes, slotset, to_bytes
from tests.mycel.cases import ClusterTestCase


class SlotsTestCase(ClusterTestCase):
    """A cluster of three."""

    def slow_down(self, one: int, other: int, latency_ms: float) -> None:
        """Bytes between two hosts take so long from now on."""
        hosts = self.cluster.hosts[one], self.cluster.hosts[other]
        self.cluster.world.latency_ms(latency_ms, latency_ms, hosts)

    def missing(self) -> int:
        """How many copies the running nodes miss."""
        return sum(node.mycel.under_replicated() for node in self.cluster.running)

    def safe(self) -> list[bool]:
        """Whether each of the running nodes may be stopped in any way."""
        return [node.mycel.safe_to_stop() for node in self.cluster.running]


class PrimaryTests(SlotsTestCase):
    """Who is primary of what."""

    def test_each_slot_has_one(self) -> None:
        """Each slot has one primary, the best-ranked node, and all know it."""
        self.check_primaries()
        self.cluster.crash(1)
        self.settle()
        self.check_primaries()

    def check_primaries(self) -> None:
        """All agree on who is primary of what, and that is who should be."""
        serving = 0
        for node in self.cluster.running:
            claims, view = node.mycel.claims, node.mycel.view
            self.assertEqual(serving & claims.serving, 0)
            serving |= claims.serving
            self.assertEqual(claims.routes.primaries, list(view.placement.primaries))
            self.assertEqual(claims.serving, view.shares[claims.me])
            self.assertEqual(claims.steady, ALL_SLOTS)
        self.assertEqual(serving, ALL_SLOTS)

    def test_no_claim_before_the_others_are_met(self) -> None:
        """A node that starts claims nothing of what others hold, at no time."""
        self.fill(30)
        late = self.cluster.add()
        while not self.cluster.converged():
            claims = late.mycel.claims
            if len(late.mycel.view.members) < 4:
                self.assertEqual(claims.serving, 0)
            self.cluster.advance(0.005)
        self.assertGreater(late.mycel.claims.serving.bit_count(), 200)
        self.check_all(3, 30)


class MadeAnewTests(SlotsTestCase):
    """Writes are under way while their slots move."""

    def setUp(self) -> None:
        super().setUp()
        self.anew: list[Write] = []
        self.keys = self.keys_owned_by(1, 2, count=40)
        for key in self.keys:
            self.result_of(self.cache(0).put("b", key, b"old"))
        # Copies take so long that some are under way when the slot moves.
        self.slow_down(1, 2, 100)
        mycel = self.cluster[1].mycel
        make_anew = mycel.moves._make_anew

        def noted(write: Write) -> None:
            self.anew.append(write)
            make_anew(write)

        self.patch(mycel.moves, "_make_anew", noted)
        self.stopped = self.cluster[1].stopService()
        self.addCleanup(self.cluster._running.discard, 1)

    def leave(self) -> None:
        """Wait until the node has left."""
        self.result_of(self.stopped)
        self.cluster._running.discard(1)
        self.assertGreater(len(self.anew), 0)
        self.settle()

    def test_puts(self) -> None:
        """What was not acknowledged by the old primary is, by the new one."""
        puts: list[Deferred[object]] = []
        for key in self.keys:
            puts.append(self.cache(0).put("b", key, b"new"))  # type: ignore[arg-type]
            self.cluster.advance(0.02)
        for put in puts:
            self.assertGreaterEqual(int(self.result_of(put)), 2)
        self.leave()
        for key in self.keys:
            self.assertEqual(self.result_of(self.cache(2).get("b", key)), b"new")

    def test_deletes(self) -> None:
        """So is a delete, which tells what it found, and does not come back."""
        deletes = []
        for key in self.keys:
            deletes.append(self.cache(0).delete("b", key))
            self.cluster.advance(0.02)
        self.assertEqual([self.result_of(it) for it in deletes], [True] * 40)
        self.leave()
        self.assertTrue(any(write.value is None for write in self.anew))
        for key in self.keys:
            self.assertIsNone(self.result_of(self.cache(2).get("b", key)))

    def test_touches(self) -> None:
        """So is a new time to live, and the value stays."""
        touches = []
        for key in self.keys:
            touches.append(self.cache(0).put_ttl("b", key, 3600))
            self.cluster.advance(0.02)
        self.assertEqual([self.result_of(it) for it in touches], [True] * 40)
        self.leave()
        for key in self.keys:
            self.assertEqual(self.result_of(self.cache(2).get("b", key)), b"old")


class UnderWayTests(SlotsTestCase):
    """What a node does with a write of a slot that is taken from it."""

    def test_told_to_the_claimant(self) -> None:
        """A slot counts as held though all that is there of it is under way."""
        self.slow_down(1, 2, 100)
        key = self.key_owned_by(1, 2)
        self.cache(0).put("b", key, b"v").addErrback(lambda _: None)
        self.cluster.advance(0.05)
        mycel = self.cluster[1].mycel
        (write,) = mycel._writes
        self.assertEqual(mycel.buckets.by_name["b"].store.held(), 0)
        mycel.moves.leaves(mycel.view.me)
        link = mycel.nodosum.link_to(self.cluster[0].nodosum.me.node_key)
        assert link is not None
        answer = mycel.moves.claimed(
            (link.node_key, link.incarnation), Claim(to_bytes(1 << write.slot), 0)
        )
        self.assertEqual(from_bytes(answer.held), 1 << write.slot)
        self.assertEqual(len(mycel._writes), 0)

    def test_newer_value(self) -> None:
        """What is made anew stays older than what was written since."""
        key = self.key_owned_by(1, 2)
        self.result_of(self.cache(0).put("b", key, b"new"))
        mycel, answers = self.cluster[0].mycel, list[object]()
        bucket, now = mycel.buckets.by_name["b"], mycel.runtime.now()
        slot = slot_of(bucket.seed, key.encode())
        write = Write(
            bucket, slot, key.encode(), b"old", 1, now + 60, now + 5, True,
            answers.append,
        )  # fmt: skip
        mycel.moves._make_anew(write)
        self.cluster.until(lambda: answers)
        self.assertEqual(self.result_of(self.cache(2).get("b", key)), b"new")
        self.cluster.advance(60)
        self.assertEqual(self.result_of(self.cache(2).get("b", key)), b"new")

    def test_nobody_waits(self) -> None:
        """What nobody waits for any more is not made a second time."""
        key = self.key_owned_by(1, 2)
        mycel, waiter = self.cluster[0].mycel, Waiter()
        bucket, now = mycel.buckets.by_name["b"], mycel.runtime.now()
        slot = slot_of(bucket.seed, key.encode())
        write = Write(
            bucket, slot, key.encode(), b"old", 1, now + 60, now + 5, True, waiter
        )
        waiter.wanted = False
        mycel.moves._make_anew(write)
        self.cluster.advance(1)
        self.assertIsNone(self.result_of(self.cache(2).get("b", key)))


class SleepTests(SlotsTestCase):
    """A node does not run for a while, and does not know it."""

    def test_serves_nothing_stale(self) -> None:
        """Whoever slept for so long that others took its slots does not serve them."""
        keys = self.keys_owned_by(1, count=10)
        for key in keys:
            self.result_of(self.cache(0).put("b", key, b"old"))
        self.cluster.pause(1)
        self.cluster.advance(8)
        for key in keys:
            self.assertEqual(self.result_of(self.cache(0).put("b", key, b"new")), 2)
        self.cluster.resume(1)
        self.cluster.advance(0.001)
        gets = [self.cache(1).get("b", key) for key in keys]
        for get in gets:
            self.assertEqual(self.result_of(get), b"new")
        self.settle()

    def test_forgets(self) -> None:
        """It is primary of nothing when it wakes up, and of its share in the end."""
        claims = self.cluster[1].mycel.claims
        share = claims.serving
        self.assertTrue(share)
        self.cluster.pause(1)
        self.cluster.advance(8)
        self.assertEqual(claims.serving, share)
        self.cluster.resume(1)
        self.cluster.advance(0.001)
        self.assertEqual(claims.serving, 0)
        self.settle()
        self.assertEqual(claims.serving, share)

    def test_a_nap(self) -> None:
        """Whoever slept for less than that goes on as before."""
        claims = self.cluster[1].mycel.claims
        share = claims.serving
        self.cluster.pause(1)
        self.cluster.advance(2)
        self.cluster.resume(1)
        self.cluster.advance(0.1)
        self.assertEqual(claims.serving, share)
        self.settle()


class SafeTests(SlotsTestCase):
    """Whether a node may be killed."""

    def test_settled(self) -> None:
        """When all copies stand, any one may."""
        self.assertEqual(self.safe(), [True] * 3)
        self.fill()
        self.assertEqual((self.missing(), self.safe()), (0, [True] * 3))

    def test_after_a_death(self) -> None:
        """Not until the copies that died are made anew, by someone else."""
        self.fill(100, bytes(5000))
        for one, other in ((0, 1), (0, 2), (1, 2)):
            self.slow_down(one, other, 30)
        self.cluster.crash(2)
        seen: list[tuple[int, list[bool]]] = []

        def settled() -> bool:
            seen.append((self.missing(), self.safe()))
            return self.cluster.converged()

        self.cluster.until(settled)
        self.assertGreater(max(missing for missing, _ in seen), 0)
        self.assertIn(False, [all(safe) for _, safe in seen])
        self.assertEqual(self.safe(), [True] * 2)
        self.assertEqual(self.missing(), 0)

    def test_alone(self) -> None:
        """The last node may only if it holds nothing."""
        self.fill(1)
        self.cluster.stop(1)
        self.cluster.stop(2)
        self.cluster.until(self.cluster.converged)
        self.assertEqual(self.safe(), [False])
        self.result_of(self.cache(0).drop_bucket("b"))
        self.cluster.advance(1)
        self.assertEqual(self.safe(), [True])

    def test_no_replicas(self) -> None:
        """Nor may whoever holds the only copy of something."""
        self.result_of(self.cache(0).create_bucket("c", replicas=0))
        self.cluster.until(self.cluster.converged)
        (key,) = self.keys_owned_by(1, count=1, bucket="c")
        self.result_of(self.cache(0).put("c", key, b"v"))
        self.assertEqual(self.safe(), [True, False, True])

    def test_acknowledged_ahead(self) -> None:
        """Nor whoever has acknowledged what is still on its way to the others."""
        write: WriteMode = "async"
        self.result_of(self.cache(0).create_bucket("c", replicas=1, write=write))
        self.cluster.until(self.cluster.converged)
        self.slow_down(0, 1, 100)
        (key,) = self.keys_owned_by(0, 1, count=1, bucket="c")
        self.result_of(self.cache(0).put("c", key, b"v"))
        self.assertEqual(self.safe(), [False, True, True])
        self.cluster.advance(1)
        self.assertEqual(self.safe(), [True] * 3)


class RepairTests(SlotsTestCase):
    """Copies are lost without a word."""

    def test_found_again(self) -> None:
        """A replica that has lost copies is given them, within the interval."""
        self.fill(30)
        store = self.cluster[1].mycel.buckets.by_name["b"].store
        followed = ALL_SLOTS & ~self.cluster[1].mycel.claims.serving
        lost = 0
        for slot in range(1024):
            if followed >> slot & 1 and store.count(slot):
                lost += store.count(slot)
                store.clear(slot, 2**62)
                store.cleared[slot] = -1
        self.assertGreater(lost, 0)
        self.cluster.advance(REPAIR_S * 1.25 + 1)
        self.cluster.check_invariants()
        total = sum(self.cache(number).stats("b").entries for number in range(3))
        self.assertEqual(total, 60)

    def test_late_write(self) -> None:
        """Who was passed over by a write has it soon after it answers again."""
        key = self.key_owned_by(0, 1)
        self.cluster.pause(1)
        self.assertEqual(self.result_of(self.cache(0).put("b", key, b"v")), 2)
        self.assertGreater(self.cluster[0].mycel.under_replicated(), 0)
        self.assertFalse(self.cluster[0].mycel.safe_to_stop())
        self.cluster.resume(1)
        self.settle()
        self.assertEqual(self.cluster[0].mycel.under_replicated(), 0)


class DrainTests(SlotsTestCase):
    """Nodes leave with the only copies there are."""

    replicas = 0

    def test_goes_on_answering(self) -> None:
        """While it hands over, what is asked of it is answered, and then passed on."""
        self.fill(60, bytes(2000))
        for other in (0, 2):
            self.slow_down(1, other, 20)
        mycel = self.cluster[1].mycel
        drained = mycel.drain()
        reads = 0
        while not drained.called:
            key = f"k{reads % 60}"
            self.assertIsNotNone(self.result_of(self.cache(0).get("b", key)))
            reads += 1
        self.assertGreater(reads, 3)
        self.assertEqual(mycel.claims.serving, 0)
        self.assertEqual(mycel.buckets.by_name["b"].store.held(), 0)
        self.result_of(self.cluster[1].stopService())
        self.cluster._running.discard(1)
        self.settle()
        self.check_all(2, 60)

    def test_alone(self) -> None:
        """Who has nobody to hand over to is done at once."""
        self.cluster.stop(1)
        self.cluster.stop(2)
        self.fill(3)
        self.successResultOf(self.cluster[0].mycel.drain())

    def test_while_others_leave(self) -> None:
        """Two that leave at once both hand over to the third."""
        self.fill()
        stopped = [self.cluster[number].stopService() for number in (0, 1)]
        for each in stopped:
            self.result_of(each)
        self.cluster._running -= {0, 1}
        self.settle()
        self.check_all(2)

    def test_one_after_the_other(self) -> None:
        """Nor does it matter if one begins when another has half done."""
        self.fill(100, bytes(2000))
        self.slow_down(0, 1, 30)
        first = self.cluster[0].stopService()
        self.cluster.advance(0.15)
        self.assertNoResult(first)
        second = self.cluster[1].stopService()
        self.result_of(second)
        self.result_of(first)
        self.cluster._running -= {0, 1}
        self.settle()
        self.check_all(2)

    def test_heir_dies(self) -> None:
        """If the heir dies, what the leaver still holds goes to the next."""
        self.fill(60, bytes(2000))
        self.slow_down(0, 1, 50)
        stopped = self.cluster[1].stopService()
        self.cluster.advance(0.05)
        self.cluster.crash(0)
        self.result_of(stopped)
        self.cluster._running.discard(1)
        self.settle()
        theirs = slotset(
            slot for slot in range(1024)
            if self.cluster[2].mycel.buckets.by_name["b"].store.count(slot)
        )  # fmt: skip
        self.assertGreater(theirs.bit_count(), 10)
