"""
An operation finds its primary while slots move, and stops when nobody waits.
"""

from __future__ import annotations

from mycorrizal.mycel.messages import NOT_OWNER, Copy, Done, Found, Put, Refused
from mycorrizal.mycel.operations.routing import HOPS_MAX
from mycorrizal.mycel.slots.claims import CLAIM_PAUSE_S
from mycorrizal.mycel.slots.effects import Effects
from mycorrizal.mycel.slots.routes import SETTLED, UNSETTLED
from tests.mycel.operations.test_routing import FakeLink, RouterTestCase
from tests.mycel.parts import ME, A, B, agree, key_in, let_claim, members, slot_owned_by


class MoveTests(RouterTestCase):
    """Primaries change meanwhile."""

    def claim(self) -> Effects:
        """What this node asks of the others when it alone is left with B."""
        claims, now = self.parts.claims, self.parts.now() + CLAIM_PAUSE_S
        self.parts.view.change(members(B))
        return claims.nodes_changed({B: 1}, now)

    def test_unsettled_here(self) -> None:
        """It is tried again if the slot goes elsewhere while this node asks others."""
        self.slot = slot_owned_by(self.parts.view, ME, B)
        self.key = key_in(self.parts.bucket, self.slot)
        self.unsettle(B)
        self.assertIsNotNone(self.route())
        self.parts.claims.refused(self.slot, (B, 1), self.parts.now())
        self.parts.ask.answer(Found(None), B)
        self.assertEqual((self.answers, self.asked()), ([], []))
        self.turn()
        self.assertEqual((self.answers, self.asked()), ([], [B]))

    def test_holder_dies(self) -> None:
        """Who held something and died is not waited for."""
        self.slot = slot_owned_by(self.parts.view, ME, B)
        self.key = key_in(self.parts.bucket, self.slot)
        self.unsettle(B)
        self.route()
        self.parts.change(A)
        self.parts.ask.answer(None, B)
        self.assertEqual(self.answers, [Found(None)])

    def test_while_this_node_claims(self) -> None:
        """What is to be this node's waits here until all have agreed."""
        slot = slot_owned_by(self.parts.view, A, ME)
        self.slot, self.key = slot, key_in(self.parts.bucket, slot)
        effects = self.claim()
        self.route()
        self.assertEqual((self.answers, self.asked()), ([], []))
        agree(self.parts.claims, effects, self.parts.now())
        self.assertEqual(self.parts.claims.routes.status[slot], SETTLED)
        self.router.wake()
        self.assertEqual(self.answers, [Found(None)])

    def test_woken(self) -> None:
        """When primaries have changed, what waits is tried at once, in order."""
        slot = slot_owned_by(self.parts.view, A, ME)
        self.slot, self.key = slot, key_in(self.parts.bucket, slot)
        effects = self.claim()
        for number in range(3):
            put = Put("b", self.key, b"%d" % number, 0, 0)
            self.router.route(put, slot, 5.0, self.answers.append)
        agree(self.parts.claims, effects, self.parts.now())
        self.router.wake()
        copies = [it.value for it in self.parts.ask.requests() if isinstance(it, Copy)]
        self.assertEqual(copies, [b"0", b"1", b"2"])
        self.assertEqual(self.parts.runtime.pending_timers(), 0)

    def test_woken_in_vain(self) -> None:
        """What still has no primary waits on."""
        self.links.clear()
        self.route()
        self.router.wake()
        self.assertEqual(self.answers, [])
        self.links[A] = FakeLink(A)
        self.router.wake()
        self.assertEqual(self.asked(), [A])

    def test_where_it_was_promised(self) -> None:
        """An operation goes to whom its slot was promised, not to its best node."""
        let_claim(self.parts.claims, B, 1 << self.slot)
        self.route()
        self.assertEqual(self.asked(), [A])
        self.parts.claims._promises.take(1 << self.slot, (B, 1))
        self.parts.claims._show()
        self.route()
        self.assertEqual(self.asked(), [A, B])


class CancelTests(RouterTestCase):
    """Operations whose caller has given up."""

    def test_not_begun(self) -> None:
        """A write that waits for its slot to settle is not done when cancelled."""
        self.slot = slot_owned_by(self.parts.view, ME, B)
        self.key = key_in(self.parts.bucket, self.slot)
        self.unsettle(B)
        delete = Put("b", self.key, None, 0, 0)
        operation = self.router.route(delete, self.slot, 5.0, self.answers.append)
        assert operation is not None
        operation.cancel()
        self.parts.ask.answer(Found(b"value", 7, B), B)
        self.assertEqual((self.parts.ask.asked, self.answers), ([], []))
        self.assertEqual(self.parts.held(self.key), b"value")

    def test_passed_on(self) -> None:
        """What was passed on to the primary is cancelled there."""
        put = Put("b", self.key, b"value", 0, 0)
        operation = self.router.passed_on(put, self.slot, 5.0, self.answers.append)
        assert operation is not None
        operation.cancel()
        self.assertEqual(self.links[A].cancelled, [1])


class PassedOnTests(RouterTestCase):
    """Operations that other nodes have sent here."""

    def pass_on(self, hops: int) -> None:
        """Another node sends an operation."""
        put = Put("b", self.key, b"value", 0, 0, hops)
        deadline = self.parts.now() + 5
        self.router.passed_on(put, self.slot, deadline, self.answers.append)

    def test_forwarded(self) -> None:
        """It is passed on to the primary, and counts the steps."""
        self.pass_on(HOPS_MAX - 1)
        (call,) = self.sender.calls
        assert isinstance(call.request, Put)
        self.assertEqual((call.node_key, call.request.hops), (A, HOPS_MAX))
        call.answer(Done(True, 2, 7, A))
        self.assertEqual(self.answers, [Done(True, 2, 7, A)])

    def test_too_far(self) -> None:
        """After so many steps it is sent back to where it began."""
        self.pass_on(HOPS_MAX)
        self.assertEqual(self.answers, [Refused(NOT_OWNER)])
        self.assertEqual(self.asked(), [])

    def test_arrived(self) -> None:
        """At its primary it is done, however far it came."""
        self.slot = slot_owned_by(self.parts.view, ME, A, B)
        self.key = key_in(self.parts.bucket, self.slot)
        self.pass_on(HOPS_MAX)
        self.parts.ask.answer(Done())
        (done,) = self.answers
        assert isinstance(done, Done)
        self.assertEqual(done.copies, 2)

    def test_unsettled(self) -> None:
        """What this node is primary of stays here, though others are asked first."""
        self.slot = slot_owned_by(self.parts.view, ME, B)
        self.key = key_in(self.parts.bucket, self.slot)
        self.unsettle(B)
        self.assertEqual(self.parts.claims.routes.status[self.slot], UNSETTLED)
        self.pass_on(HOPS_MAX)
        self.assertEqual(self.asked(), [])
        self.parts.ask.answer(Done(), A if self.parts.ask.requests(A) else B)
        self.assertEqual(len(self.answers), 1)
