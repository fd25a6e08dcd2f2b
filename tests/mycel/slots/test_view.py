"""
Every node agrees on who owns a slot, and knows when it is up to date.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.mycel.slots.view import View
from tests.mycel.parts import (
    ME,
    A,
    B,
    C,
    member,
    members,
    settled_view,
    slot_owned_by,
)


def slots_of(view: View, primary: bytes) -> list[int]:
    """The slots of a primary."""
    return [s for s in range(SLOTS) if view.placement.primaries[s] == primary]


class ChangeTests(SynchronousTestCase):
    """Members come and go."""

    def test_alone(self) -> None:
        """A node alone owns everything, and waits for nobody."""
        view = View(member(ME))
        self.assertEqual(view.placement.owners(7, 2), (ME,))
        self.assertFalse(any(view.unsettled))
        self.assertEqual(view.waiting_for, set())

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
        """A restarted member makes another epoch."""
        view = settled_view(A)
        epoch = view.epoch
        view.change([member(ME), member(A, 2)])
        self.assertNotEqual(view.epoch, epoch)

    def test_tables_stay_the_same_objects(self) -> None:
        """Who holds the list of primaries sees each change."""
        view = View(member(ME))
        primaries, unsettled = view.placement.primaries, view.unsettled
        view.change(members(A))
        view.through(A, view.epoch)
        self.assertIs(view.placement.primaries, primaries)
        self.assertIs(view.unsettled, unsettled)


class UnsettledTests(SynchronousTestCase):
    """A primary knows when others may hold what it does not."""

    def test_newcomer_asks_for_everything(self) -> None:
        """A node that has just started holds nothing: all its slots are unsettled."""
        view = View(member(ME))
        view.change(members(A))
        mine = slots_of(view, ME)
        self.assertTrue(mine)
        self.assertTrue(all(view.unsettled[slot] for slot in mine))
        self.assertFalse(any(view.unsettled[slot] for slot in slots_of(view, A)))

    def test_second_neighbour_does_not_settle(self) -> None:
        """A newcomer that meets members one by one stays unsettled till the last."""
        view = View(member(ME))
        view.change(members(A))
        view.change(members(A, B))
        self.assertFalse(view.through(A, view.epoch))
        self.assertTrue(all(view.unsettled[slot] for slot in slots_of(view, ME)))
        self.assertTrue(view.through(B, view.epoch))
        self.assertFalse(any(view.unsettled))

    def test_kept_slots_stay_settled(self) -> None:
        """When somebody joins, slots that a primary keeps are as settled as before."""
        view = settled_view(A)
        view.change(members(A, B))
        self.assertFalse(any(view.unsettled))
        self.assertEqual(view.waiting_for, {A, B})

    def test_inherited_slots_are_unsettled(self) -> None:
        """The slots of a dead member are unsettled at their new primary, no others."""
        view = settled_view(A, B)
        mine = set(slots_of(view, ME))
        view.change(members(B))
        inherited = set(slots_of(view, ME)) - mine
        self.assertTrue(inherited)
        unsettled = {slot for slot in range(SLOTS) if view.unsettled[slot]}
        self.assertEqual(unsettled, inherited)

    def test_lost_slots_are_not(self) -> None:
        """A slot that went to a better node before it settled is its business."""
        view = settled_view(A, B)
        view.change(members(B))
        view.change(members(A, B))
        self.assertFalse(any(view.unsettled))

    def test_nobody_left_to_ask(self) -> None:
        """When all others are dead there is nobody to wait for."""
        view = View(member(ME))
        view.change(members(A))
        view.change(members())
        self.assertFalse(any(view.unsettled))
        self.assertEqual(view.waiting_for, set())

    def test_stale_answers(self) -> None:
        """That a member was through with other members counts for nothing."""
        view = settled_view(A, B)
        before = view.epoch
        view.change(members(A))
        self.assertFalse(view.through(A, before))
        self.assertEqual(view.waiting_for, {A})
        self.assertFalse(view.through(B, view.epoch))
        self.assertTrue(view.through(A, view.epoch))
        self.assertFalse(view.through(A, view.epoch))

    def test_another_life_of_ours(self) -> None:
        """That this node goes on in another incarnation moves nothing."""
        view = settled_view(A)
        before = list(view.placement.primaries)
        self.assertTrue(view.change([member(ME, 2), member(A)]))
        self.assertEqual(view.placement.primaries, before)
        self.assertFalse(any(view.unsettled))


class LackingTests(SynchronousTestCase):
    """What is pushed: only what an owner may lack, but all of that."""

    def test_settled(self) -> None:
        """Between owners that have seen every write nothing moves."""
        view = settled_view(A, B)
        self.assertEqual(view.lacking(slot_owned_by(view, ME, A), 2), ())
        self.assertEqual(view.lacking(slot_owned_by(view, A, ME), 2), ())

    def test_not_an_owner(self) -> None:
        """A node that is to let a slot go takes nobody on trust."""
        view = settled_view(A, B)
        self.assertEqual(view.lacking(slot_owned_by(view, A, B), 2), (A, B))

    def test_newcomer(self) -> None:
        """A node that has joined lacks what it owns, until all was pushed."""
        view = settled_view(A)
        view.change(members(A, B))
        slot = slot_owned_by(view, B, ME)
        self.assertEqual(view.lacking(slot, 2), (B,))
        view.pushed()
        self.assertEqual(view.lacking(slot, 2), ())

    def test_replica_that_stayed_is_trusted(self) -> None:
        """A join does not make the other owner suspect."""
        view = settled_view(A, B)
        view.change(members(A, B, C))
        self.assertEqual(view.lacking(slot_owned_by(view, ME, A, C), 2), ())

    def test_restarted_member(self) -> None:
        """A member in a new life has lost everything."""
        view = settled_view(A)
        view.change([member(ME), member(A, 2)])
        self.assertEqual(view.lacking(slot_owned_by(view, ME, A), 2), (A,))

    def test_flapping_member(self) -> None:
        """A member that was away in the same life has missed writes."""
        view = settled_view(A, B)
        view.change(members(B))
        view.pushed()
        view.change(members(A, B))
        self.assertEqual(view.lacking(slot_owned_by(view, ME, A), 2), (A,))

    def test_dead_primary(self) -> None:
        """A dead primary may have sent its last write to some owners only."""
        view = settled_view(A, B)
        slot = slot_owned_by(view, A, ME, B)
        view.change(members(B))
        self.assertEqual(view.lacking(slot, 3), (B,))
        slot = slot_owned_by(settled_view(A, B), ME, A, B)
        self.assertEqual(view.lacking(slot, 3), ())

    def test_restarted_primary(self) -> None:
        """So may one that has restarted: the other owner is told as well."""
        view = settled_view(A, B)
        slot = slot_owned_by(view, A, ME, B)
        view.change([member(ME), member(A, 2), member(B)])
        self.assertEqual(view.lacking(slot, 3), (A, B))

    def test_two_changes(self) -> None:
        """An owner before and after may have been none in between."""
        view = settled_view(A)
        slot = slot_owned_by(view, ME, A)
        view.change(members(A, B))
        view.change(members(A))
        self.assertEqual(view.lacking(slot, 2), (A,))
        view.pushed()
        self.assertEqual(view.lacking(slot, 2), ())

    def test_trust_nobody(self) -> None:
        """Trust can be withdrawn, until all was pushed once."""
        view = settled_view(A)
        slot = slot_owned_by(view, ME, A)
        view.trust_nobody()
        self.assertEqual(view.lacking(slot, 2), (A,))
        view.pushed()
        self.assertEqual(view.lacking(slot, 2), ())

    def test_leaving(self) -> None:
        """Who leaves stays primary, and its heirs lack what it holds."""
        view = settled_view(A, B)
        slot = slot_owned_by(view, ME, A, B)
        view.leave()
        self.assertEqual(view.placement.primaries[slot], ME)
        self.assertEqual(view.lacking(slot, 1), (A,))
        self.assertEqual(view.lacking(slot, 2), (B,))
        self.assertEqual(view.lacking(slot, 3), ())

    def test_heirs_change(self) -> None:
        """An heir that dies is followed by the next."""
        view = settled_view(A, B)
        slot = slot_owned_by(view, ME, A, B)
        view.leave()
        view.change(members(B))
        self.assertEqual(view.lacking(slot, 1), (B,))
