"""
A primary knows who lacks what of its slots, and sees to it that nobody does.
"""

from __future__ import annotations

from mycorrizal.mycel.slot_messages import Compare, Push
from mycorrizal.mycel.slots.fetching import COMPARED_MAX
from mycorrizal.mycel.slots.leveling import Leveling
from mycorrizal.mycel.slots.repair import REPAIR_PAUSE_S, REPAIR_S, Repair
from mycorrizal.mycel.slots.slotset import ALL_SLOTS, NO_SLOTS, from_bytes, slots_of
from tests.mycel.parts import ME, A, B, C, member, members
from tests.mycel.slots.errands_case import ErrandsTestCase


class RepairTestCase(ErrandsTestCase):
    """This node, A and B; every bucket has one replica."""

    names: tuple[bytes, ...] = (A, B)

    def setUp(self) -> None:
        super().setUp()
        self.chance = 0.5
        self.repair = self.repair_of(self.leveling)
        self.doubted: list[tuple[bytes, int]] = []
        # Its first comparison of all is over.
        self.repair.owners_changed()
        self.go_on()
        self.asked.clear()
        self.owned = {
            node_key: slots & self.parts.claims.serving
            for node_key, slots in self.parts.view.owned(2).items()
        }

    def repair_of(self, leveling: Leveling) -> Repair:
        """The repair of this node."""
        parts = self.parts
        return Repair(
            parts.view,
            parts.claims,
            parts.buckets,
            leveling,
            self.errands,
            lambda: self.chance,
            parts.now,
            lambda owner, slots: self.doubted.append((owner, slots)),
        )

    def go_on(self, seconds: float = 0.0) -> None:
        """Let time pass, and repair what there is to repair."""
        self.parts.clock.advance(seconds)
        self.repair.go_on(self.parts.now())
        self.run_errands()

    def hold(self, owner: bytes, count: int = 1) -> list[bytes]:
        """Hold entries, in so many slots of ours that another owns too."""
        keys = self.keys(self.owned[owner], count)
        for key in keys:
            self.parts.store(key, b"value", 7, origin=ME)
        return keys


class MissingTests(RepairTestCase):
    """What a primary knows of the copies that others lack."""

    def test_nothing(self) -> None:
        """Of what is empty nobody lacks anything."""
        self.repair.lost(A)
        self.assertEqual(self.repair.missing(), 0)
        self.assertEqual(self.parts.ask.asked, [])

    def test_new_owner(self) -> None:
        """An owner that has begun anew lacks all, until it was compared."""
        keys = self.hold(A, 3)
        self.assertEqual(self.repair.missing(), 0)
        self.repair.lost(A)
        self.assertEqual(self.repair.missing(), 3)
        self.go_on()
        self.assertEqual(self.repair.missing(), 0)
        self.assertEqual([self.others[A].held(key) for key in keys], [b"value"] * 3)

    def test_only_that_one(self) -> None:
        """What another owner is known to hold it holds still."""
        self.hold(A)
        self.repair.lost(B)
        self.assertEqual(self.repair.missing(), 0)

    def test_behind(self) -> None:
        """An owner that has missed a write lacks that slot, until it was compared."""
        one, two = self.hold(A, 2)
        for key in (one, two):
            slot = self.others[A].store(key, b"value", 7, origin=ME)
        self.repair.behind(self.parts.bucket, A, slot)
        self.assertEqual(self.repair.missing(), 1)
        self.parts.store(two, b"newer", 8)
        self.go_on()
        self.assertEqual(self.repair.missing(), 0)
        self.assertEqual(self.others[A].held(two), b"newer")
        self.assertEqual(len(self.requests(Compare)), 1)

    def test_each_entry(self) -> None:
        """Every entry and tombstone of such a slot counts, as one is not enough."""
        (key,) = self.hold(A)
        slot = self.parts.store(key, None, 8, ttl_s=60)
        self.parts.bucket.store.merge(slot, b"other", b"", 7, ME, 60.0, 0.0)
        self.repair.behind(self.parts.bucket, A, slot)
        self.assertEqual(self.repair.missing(), 2)

    def test_unsettled(self) -> None:
        """What has not been fetched may be lacking: each slot counts as one."""
        self.unsettle(A)
        unsettled = self.parts.claims.unsettled.bit_count()
        self.assertGreater(unsettled, 300)
        self.assertEqual(self.repair.missing(), unsettled)
        self.parts.claims.fetched(A, ALL_SLOTS)
        self.assertEqual(self.repair.missing(), 0)

    def test_fetched(self) -> None:
        """What was fetched from one node, other owners lack until compared."""
        [key] = self.hold(A)
        self.assertEqual(self.repair.missing(), 0)
        self.repair.fetches(self.owned[A])
        self.assertEqual(self.repair.missing(), 1)
        self.go_on()
        self.assertEqual(self.repair.missing(), 0)
        self.assertEqual(self.others[A].held(key), b"value")

    def test_about_to_be_ours(self) -> None:
        """So does what is to be this node's and is not yet."""
        self.parts.view.change(members(A))
        self.parts.claims.nodes_changed({A: 1}, self.parts.now() + 1)
        wanted = self.parts.claims.wanted.bit_count()
        self.assertGreater(wanted, 100)
        self.assertEqual(self.repair.missing(), wanted)

    def test_owners_change(self) -> None:
        """Who becomes an owner lacks all that is here, and nothing of what is not."""
        self.hold(A, 3)
        self.parts.change(B)
        self.repair.owners_changed()
        self.assertEqual(self.repair.missing(), 3)
        self.go_on()
        self.assertEqual(self.repair.missing(), 0)

    def test_owner_again(self) -> None:
        """Who was no owner for a while is behind when it is one again."""
        keys = self.hold(A, 3)
        for key in keys:
            self.others[A].store(key, b"value", 7, origin=ME)
        self.parts.change(B)
        self.repair.owners_changed()
        self.parts.change(A, B)
        self.repair.owners_changed()
        self.assertEqual(self.repair.missing(), 3)

    def test_new_bucket(self) -> None:
        """A bucket that is new is empty, so nobody lacks anything of it."""
        self.parts.open("c")
        self.repair.owners_changed()
        self.assertEqual(self.repair.missing(), 0)

    def test_not_ours(self) -> None:
        """Copies of slots whose primary is another are that one's to count."""
        (key,) = self.keys(self.parts.view.shares[A], 1)
        self.parts.store(key, b"value", 7)
        self.repair.lost(A)
        self.repair.lost(B)
        self.assertEqual(self.repair.missing(), 0)


class ComparedTests(RepairTestCase):
    """All is compared from time to time, also if nothing is known to lack."""

    def test_every_so_often(self) -> None:
        """What an owner has lost without a word is found, after a while."""
        (key,) = self.hold(A)
        self.go_on(REPAIR_S - 0.01)
        self.assertIsNone(self.others[A].held(key))
        self.go_on(0.01)
        self.assertEqual(self.others[A].held(key), b"value")
        self.assertEqual(len(self.requests(Push)), 1)
        self.asked.clear()
        self.go_on(REPAIR_S - 0.01)
        self.assertEqual(self.asked, [])

    def test_jitter(self) -> None:
        """Nodes do not all compare at once: a quarter sooner or later."""
        for chance, after_s in ((0.0, REPAIR_S * 0.75), (0.999, REPAIR_S * 1.2495)):
            self.go_on(REPAIR_S * 2)
            self.chance = chance
            self.go_on(REPAIR_S * 2)
            self.asked.clear()
            self.go_on(after_s - 0.01)
            self.assertEqual(self.asked, [])
            self.go_on(0.02)
            self.assertNotEqual(self.asked, [])

    def test_all_owners(self) -> None:
        """Each owner is compared in the slots that it owns and we serve."""
        self.go_on(REPAIR_S)
        for node_key in (A, B):
            compared = [
                it for asked, it in self.asked
                if asked == node_key and isinstance(it, Compare)
            ]  # fmt: skip
            slots = NO_SLOTS
            for compare in compared:
                slots |= from_bytes(compare.slots)
            self.assertEqual(slots, self.owned[node_key])
            self.assertEqual(len(compared), -(-slots.bit_count() // COMPARED_MAX))

    def test_not_what_is_unsettled(self) -> None:
        """What is not here yet is compared when it is."""
        self.unsettle(A)
        self.go_on(REPAIR_S)
        self.assertEqual(self.requests(Compare), [])
        self.parts.claims.fetched(A, ALL_SLOTS)
        self.go_on(REPAIR_S)
        self.assertNotEqual(self.requests(Compare), [])

    def test_one_at_a_time(self) -> None:
        """However often it is told to go on, an owner is compared once at a time."""
        self.hold(A)
        self.repair.lost(A)
        for _ in range(3):
            self.repair.go_on(self.parts.now())
            self.parts.clock.advance(0)
        self.assertEqual(len(self.parts.ask.asked), 1)


class TroubleTests(RepairTestCase):
    """Things that go wrong meanwhile."""

    def test_silent(self) -> None:
        """An owner that does not answer is behind, and asked again after a pause."""
        (key,) = self.hold(A)
        self.repair.lost(A)
        self.others[A].silent = True
        self.go_on()
        self.go_on(REPAIR_PAUSE_S - 0.01)
        self.assertEqual(len(self.asked), 1)
        self.assertEqual(self.repair.missing(), 1)
        self.others[A].silent = False
        self.go_on(0.01)
        self.go_on()
        self.assertEqual(self.repair.missing(), 0)
        self.assertEqual(self.others[A].held(key), b"value")

    def test_not_all_taken(self) -> None:
        """An owner that has not taken a push lacks it still."""
        self.hold(A)
        self.repair.lost(A)
        self.repair.go_on(self.parts.now())
        self.parts.clock.advance(0)
        while not isinstance(self.parts.ask.asked[0].request, Push):
            self.step()
        self.parts.ask.answer(None, A)
        self.run_errands()
        self.assertEqual(self.repair.missing(), 1)

    def test_misses_one_meanwhile(self) -> None:
        """A write that an owner does not take while it is compared is not forgotten."""
        (key,) = self.hold(A)
        self.repair.lost(A)
        self.repair.go_on(self.parts.now())
        self.step()
        slot = self.parts.store(key, b"newer", 8)
        self.repair.behind(self.parts.bucket, A, slot)
        self.run_errands()
        self.assertEqual(self.repair.missing(), 1)
        self.go_on()
        self.assertEqual(self.repair.missing(), 0)

    def test_begins_anew_meanwhile(self) -> None:
        """Nor is what an owner has lost that began another life meanwhile."""
        self.hold(A, 2)
        self.repair.lost(A)
        self.repair.go_on(self.parts.now())
        while not isinstance(self.step(), Push):
            pass
        self.others[A].buckets.by_name["b"].store.refuse(0)
        for slot in slots_of(self.owned[A]):
            self.others[A].buckets.by_name["b"].store.clear(slot, 100)
            self.others[A].buckets.by_name["b"].store.cleared[slot] = -1
        self.repair.lost(A)
        self.run_errands()
        self.assertGreater(self.repair.missing(), 0)
        self.go_on()
        self.assertEqual(self.repair.missing(), 0)
        self.assertEqual(self.others[A].buckets.by_name["b"].store.entries, 2)

    def test_no_owner_meanwhile(self) -> None:
        """Nor is what it missed while it was no owner for a moment."""
        self.hold(A)
        self.repair.lost(A)
        self.repair.go_on(self.parts.now())
        self.step()
        for others in ((B,), (A, B)):
            self.parts.change(*others)
            self.repair.owners_changed()
        self.run_errands()
        self.assertEqual(self.repair.missing(), 1)

    def test_dropped_meanwhile(self) -> None:
        """A bucket that is dropped is nobody's to hold."""
        self.hold(A)
        self.repair.lost(A)
        self.repair.go_on(self.parts.now())
        self.step()
        del self.parts.buckets.by_name["b"]
        self.run_errands()
        self.assertEqual(self.repair.missing(), 0)


class DoubledTests(RepairTestCase):
    """Whether the death of this node would take anything with it."""

    def test_nothing_here(self) -> None:
        """Who holds nothing takes nothing with it."""
        self.assertTrue(self.repair.doubled())

    def test_ours(self) -> None:
        """Of what has replicas there is another copy, or `missing` counts it."""
        self.hold(A)
        self.assertTrue(self.repair.doubled())

    def test_no_replicas(self) -> None:
        """Of what has none there is not."""
        bucket = self.parts.open("c", replicas=0)
        slot = slots_of(self.parts.claims.serving)[0]
        self.assertTrue(self.repair.doubled())
        bucket.store.merge(slot, b"k", b"", 1, ME, float("inf"), 0.0)
        self.assertFalse(self.repair.doubled())

    def test_alone(self) -> None:
        """Nor of anything when this node is alone."""
        self.hold(A)
        self.parts.change()
        self.assertFalse(self.repair.doubled())

    def test_elsewhere(self) -> None:
        """A copy of what another is primary of is one that other has, too."""
        (key,) = self.keys(self.parts.view.shares[A], 1)
        slot = self.parts.store(key, b"value", 7)
        self.assertTrue(self.repair.doubled())
        self.parts.claims._promises.take(1 << slot, None)
        self.assertFalse(self.repair.doubled())

    def test_primary_is_another_life(self) -> None:
        """Not if that one has begun anew, and has not claimed yet."""
        (key,) = self.keys(self.parts.view.shares[A], 1)
        self.parts.store(key, b"value", 7)
        self.parts.view.change([member(ME), member(A, 2), member(B)])
        self.parts.claims.nodes_changed({A: 2, B: 1}, self.parts.now())
        self.assertFalse(self.repair.doubled())


class MoreReplicasTests(RepairTestCase):
    """A bucket with two replicas, on four nodes."""

    names = (A, B, C)
    replicas = 2

    def test_two_owners(self) -> None:
        """Each owner is counted for itself."""
        self.owned = {
            node_key: slots & self.parts.claims.serving
            for node_key, slots in self.parts.view.owned(3).items()
        }
        (key,) = self.keys(self.owned[A] & self.owned[B], 1)
        self.parts.store(key, b"value", 7)
        for node_key in (A, B, C):
            self.repair.lost(node_key)
        self.assertEqual(self.repair.missing(), 2)
        self.others[A].silent = True
        self.go_on()
        self.assertEqual(self.repair.missing(), 1)
