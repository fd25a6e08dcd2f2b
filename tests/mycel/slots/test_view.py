"""
Every node that sees the same members agrees on who should own a slot.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.slots.placement import PAIRS_CACHED_MAX, SLOTS, outranks, rank
from mycorrizal.mycel.slots.slotset import ALL_SLOTS, NO_SLOTS, slots_of
from mycorrizal.mycel.slots.view import View
from tests.mycel.parts import ME, A, B, C, member, members, view_of


class ChangeTests(SynchronousTestCase):
    """Members come and go."""

    def test_alone(self) -> None:
        """A node alone owns everything."""
        view = View(member(ME))
        self.assertEqual(view.owners(7, 2), (ME,))
        self.assertEqual(view.shares, {ME: ALL_SLOTS})

    def test_no_change(self) -> None:
        """The same members again are no change, in whatever order."""
        view = View(member(ME))
        self.assertTrue(view.change(members(A, B)))
        epoch = view.epoch
        self.assertFalse(view.change(reversed(members(A, B))))
        self.assertEqual(view.epoch, epoch)

    def test_epoch_is_the_same_everywhere(self) -> None:
        """Nodes that see the same members have the same epoch."""
        mine, theirs = View(member(ME)), View(member(A))
        mine.change(members(A, B))
        theirs.change([member(B), member(A)])
        self.assertNotEqual(mine.epoch, theirs.epoch)
        theirs.change([member(B), member(A), member(ME)])
        self.assertEqual(mine.epoch, theirs.epoch)

    def test_epoch_of_another_life(self) -> None:
        """A restarted member, or one on another host, makes another epoch."""
        view = view_of(A)
        epochs = {view.epoch}
        for other in (member(A, 2), member(A, 2, "elsewhere")):
            view.change([member(ME), other])
            epochs.add(view.epoch)
        self.assertEqual(len(epochs), 3)

    def test_shares(self) -> None:
        """Each slot is the share of its best-ranked member."""
        view = view_of(A, B)
        shares = [slots for _, slots in sorted(view.shares.items())]
        self.assertEqual(shares[0] | shares[1] | shares[2], ALL_SLOTS)
        self.assertEqual(shares[0] & shares[1], NO_SLOTS)
        for slot in slots_of(view.shares[A]):
            self.assertEqual(view.placement.primary(slot), A)

    def test_owned(self) -> None:
        """The slots of which a node is any owner."""
        view = view_of(A, B, C)
        for count in (1, 2, 3):
            owned = view.owned(count)
            for slot in range(0, SLOTS, 97):
                owners = {key for key, slots in owned.items() if slots >> slot & 1}
                self.assertEqual(owners, set(view.owners(slot, count)))
        self.assertIs(view.owned(2), view.owned(2))
        before = view.owned(2)
        view.change(members(A, B))
        self.assertIsNot(view.owned(2), before)


class LeavingTests(SynchronousTestCase):
    """A member is about to leave."""

    def test_counts_for_no_rank(self) -> None:
        """It owns nothing from then on, and is a member still."""
        view = view_of(A, B)
        epoch = view.epoch
        self.assertTrue(view.leaves(A))
        self.assertNotIn(A, view.shares)
        self.assertNotIn(
            A, {it for slot in range(SLOTS) for it in view.owners(slot, 3)}
        )
        self.assertIn(A, view.members)
        self.assertNotEqual(view.epoch, epoch)
        self.assertFalse(view.leaves(A))

    def test_myself(self) -> None:
        """This node can leave, too; the last one leaves nobody."""
        view = view_of(A)
        self.assertTrue(view.leaves(ME))
        self.assertEqual(view.shares, {A: ALL_SLOTS})
        view.leaves(A)
        self.assertEqual(view.shares, {})
        self.assertEqual(view.owners(1, 2), ())

    def test_comes_back(self) -> None:
        """In its next life it stays; while it leaves, others may come and go."""
        view = view_of(A)
        view.leaves(A)
        view.change(members(A, B))
        self.assertNotIn(A, view.shares)
        view.change([member(ME), member(A, 2), member(B)])
        self.assertIn(A, view.shares)

    def test_no_member(self) -> None:
        """Who is no member can't leave."""
        self.assertFalse(view_of(A).leaves(B))


class OutranksTests(SynchronousTestCase):
    """Who wants a slot more."""

    def test_by_rank(self) -> None:
        """Of two nodes each slot has one that wants it more, by rank."""
        mine, theirs = outranks(ME, A), outranks(A, ME)
        self.assertEqual(mine ^ theirs, ALL_SLOTS)
        for slot in slots_of(mine)[:20]:
            self.assertGreater(rank(slot, ME), rank(slot, A))

    def test_myself(self) -> None:
        """Nobody outranks itself."""
        self.assertEqual(outranks(A, A), NO_SLOTS)

    def test_remembered(self) -> None:
        """What a hundred simulated nodes think of each other is worked out once."""
        self.assertGreaterEqual(PAIRS_CACHED_MAX, 100 * 99)
        self.assertEqual(outranks.cache_info().maxsize, PAIRS_CACHED_MAX)


class DrainedTests(SynchronousTestCase):
    """A member stays, and is to own nothing."""

    def test_counts_for_no_rank(self) -> None:
        """It owns nothing until it is brought back, and is a member still."""
        view = view_of(A, B)
        before, epoch = view.shares, view.epoch
        self.assertTrue(view.drains(A, True, 1))
        self.assertNotIn(A, view.shares)
        self.assertTrue(view.stands_back(A))
        self.assertNotEqual(view.epoch, epoch)
        self.assertEqual(view.in_service, sorted([ME, B]))
        self.assertFalse(view.drains(A, True, 2))
        self.assertTrue(view.drains(A, False, 3))
        self.assertEqual((view.shares, view.epoch), (before, epoch))
        self.assertFalse(view.stands_back(A))

    def test_in_any_order(self) -> None:
        """What it has said last holds, however late the rest of it comes."""
        view = view_of(A)
        self.assertTrue(view.drains(A, True, 3))
        for drained, turn in ((False, 2), (True, 1), (False, 3)):
            self.assertFalse(view.drains(A, drained, turn))
        self.assertIn(A, view.drained)

    def test_all(self) -> None:
        """Where all are drained all own what they would otherwise, until one is not."""
        view = view_of(A)
        whole = view.shares
        view.drains(A, True, 1)
        view.drains(ME, True, 1)
        self.assertEqual((view.shares, view.in_service), (whole, []))
        self.assertFalse(view.stands_back(ME))
        view.change(members(A, B))
        self.assertEqual(view.shares, {B: ALL_SLOTS})

    def test_the_others_leave(self) -> None:
        """Who is drained goes before who leaves."""
        view = view_of(A, B)
        view.drains(A, True, 1)
        view.leaves(ME)
        self.assertEqual(view.shares, {B: ALL_SLOTS})
        view.leaves(B)
        self.assertEqual(view.shares, {A: ALL_SLOTS})
        view.leaves(A)
        self.assertEqual(view.shares, {})

    def test_another_life(self) -> None:
        """It ends with the life of the member, and counts anew; not with our own."""
        view = view_of(A)
        view.drains(A, True, 5)
        view.change([member(ME), member(A, 2)])
        self.assertIn(A, view.shares)
        self.assertTrue(view.drains(A, True, 1))
        view.drains(A, False, 2)
        view.drains(ME, True, 1)
        view.change([member(ME, 2), member(A, 2)])
        self.assertTrue(view.stands_back(ME))

    def test_no_member(self) -> None:
        """Of who is no member nothing is known."""
        view = view_of(A)
        self.assertFalse(view.drains(B, True, 1))
        self.assertFalse(view.stands_back(B))
