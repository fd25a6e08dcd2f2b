"""
An operation finds its primary, however often that changes on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.messages import (
    BUSY,
    INDETERMINATE,
    NEVER,
    NOT_OWNER,
    UNREACHED,
    Answer,
    Done,
    Found,
    Get,
    PutIf,
    Refused,
    Remake,
    Request,
    decode_request,
    encode,
)
from mycorrizal.mycel.operations.primary import Primary
from mycorrizal.mycel.operations.routing import RETRY_S, Operation, Router
from mycorrizal.mycel.slots.slotset import ALL_SLOTS
from mycorrizal.nodosum import ANSWERED, TIMED_OUT, ErrorCode, Link
from mycorrizal.nodosum.calls import LINK_LOST
from tests.mycel.parts import (
    ME,
    A,
    B,
    Parts,
    agree,
    key_in,
    slot_owned_by,
    writes_of,
)


class FakeLink:
    """A link to a node; it remembers which calls were cancelled."""

    def __init__(self, node_key: bytes) -> None:
        self.node_key = node_key
        self.cancelled: list[int] = []

    def cancel(self, call_id: int) -> None:
        self.cancelled.append(call_id)


class Call:
    """One request that was sent."""

    def __init__(
        self, link: Link, request: Request, reply: Callable[[int, bytes], None]
    ) -> None:
        self.node_key = link.node_key
        self.request = request
        self.reply = reply

    def answer(self, answer: Answer) -> None:
        """Let the node answer."""
        self.reply(ANSWERED, encode(answer))


class FakeSender:
    """
    What would send requests over links.

    :ivar full: Whether it takes nothing.
    """

    app_id = b"mycel"

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.tries = 0
        self.full = False

    def call(
        self,
        link: Link,
        payload: bytes,
        on_reply: Callable[[int, bytes], None],
        deadline: float,
    ) -> int:
        self.tries += 1
        if self.full:
            return 0
        self.calls.append(Call(link, decode_request(payload), on_reply))
        return len(self.calls)


class RouterTestCase(SynchronousTestCase):
    """This node, A and B, and a key whose primary is A, then B."""

    def setUp(self) -> None:
        self.parts = parts = Parts(A, B)
        primary = Primary(
            parts.view,
            parts.claims,
            parts.buckets,
            parts.hybrid,
            writes_of(parts),
            parts.ask,
            parts.now,
            parts.administration.perform,
        )
        self.links = {A: FakeLink(A), B: FakeLink(B)}
        self.sender = FakeSender()
        self.router = Router(
            parts.runtime,
            parts.claims,
            primary,
            self.sender,
            lambda node_key: cast("Link | None", self.links.get(node_key)),
        )
        self.slot = slot_owned_by(parts.view, A, B, ME)
        self.key = key_in(parts.bucket, self.slot)
        self.answers: list[Answer] = []
        self.addCleanup(self.check_nothing_is_left)

    def check_nothing_is_left(self) -> None:
        """What was answered or cancelled has left nothing."""
        self.router.stop()
        self.assertEqual(self.router.under_way, {})
        self.assertEqual(self.parts.runtime.pending_timers(), 0)

    def route(self) -> Operation | None:
        """Route a read that has 5 seconds."""
        deadline = self.parts.now() + 5
        return self.router.route(
            Get("b", self.key), self.slot, deadline, self.answers.append
        )

    def unsettle(self, *holders: bytes) -> None:
        """Others say that they hold something of the slots of this node."""
        for holder in holders:
            effects = self.parts.claims.link_up(holder, self.parts.now())
            agree(self.parts.claims, effects, self.parts.now(), ALL_SLOTS)

    def turn(self, seconds: float = RETRY_S) -> None:
        """Let time pass."""
        self.parts.clock.advance(seconds)

    def asked(self) -> list[bytes]:
        """Who was asked, in order."""
        return [call.node_key for call in self.sender.calls]


class RouteTests(RouterTestCase):
    """Operations of this node's own."""

    def test_to_the_primary(self) -> None:
        """The primary is asked, and its answer given."""
        self.route()
        (call,) = self.sender.calls
        self.assertEqual((call.node_key, call.request), (A, Get("b", self.key)))
        call.answer(Found(b"value", 7, A))
        self.assertEqual(self.answers, [Found(b"value", 7, A)])

    def test_here(self) -> None:
        """What this node is primary of is done at once, by itself."""
        self.slot = slot_owned_by(self.parts.view, ME, A, B)
        self.key = key_in(self.parts.bucket, self.slot)
        self.parts.store(self.key, b"value", 7)
        self.assertIsNone(self.route())
        self.assertEqual(len(self.answers), 1)
        self.assertEqual(self.asked(), [])

    def test_primary_dies(self) -> None:
        """An operation whose primary dies goes to the next one."""
        self.route()
        del self.links[A]
        self.sender.calls[0].reply(LINK_LOST, b"")
        self.turn(1)
        self.assertEqual((self.answers, self.asked()), ([], [A]))
        self.parts.change(B)
        self.turn()
        self.assertEqual(self.asked(), [A, B])
        self.sender.calls[1].answer(Found(None))
        self.assertEqual(self.answers, [Found(None)])

    def test_this_node_becomes_primary(self) -> None:
        """An operation that is left to this node is done here."""
        self.route()
        self.parts.change()
        self.sender.calls[0].reply(LINK_LOST, b"")
        self.turn()
        self.assertEqual(self.answers, [Found(None)])

    def test_not_owner(self) -> None:
        """A node that says it is not the primary is asked again a little later."""
        self.route()
        self.sender.calls[0].answer(Refused(NOT_OWNER))
        self.assertEqual(self.asked(), [A])
        self.turn()
        self.assertEqual(self.asked(), [A, A])

    def test_busy(self) -> None:
        """So is one that is too busy, or about to leave."""
        self.route()
        self.sender.calls[0].reply(int(ErrorCode.BUSY), b"")
        self.turn()
        self.assertEqual(self.asked(), [A, A])

    def test_full_queue(self) -> None:
        """A full queue is tried again."""
        self.sender.full = True
        self.route()
        self.turn()
        self.sender.full = False
        self.turn()
        self.assertEqual(self.asked(), [A])

    def test_many_and_a_full_queue(self) -> None:
        """Of many that wait for a full queue one tries it, and all go in order."""
        for _ in range(5):
            self.route()
        for operation in list(self.router.under_way):
            operation.cancel()
        self.sender.calls.clear()
        self.sender.full = True
        for _ in range(5):
            self.route()
        self.assertEqual(self.sender.tries, 6)
        self.turn()
        self.assertEqual(self.sender.tries, 7)
        self.assertEqual(self.parts.runtime.pending_timers(), 1)
        self.sender.full = False
        self.turn()
        self.assertEqual(len(self.asked()), 5)

    def test_later_one_waits_its_turn(self) -> None:
        """Who comes while others wait for a full queue does not overtake them."""
        self.sender.full = True
        self.route()
        self.sender.full = False
        self.route()
        self.assertEqual(self.asked(), [])
        self.turn()
        self.assertEqual(self.asked(), [A, A])

    def test_maybe_its_own(self) -> None:
        """What is in the way after a death may be what was written before it."""
        for if_present in (False, True):
            for lost in (False, True):
                self.answers.clear()
                self.sender.calls.clear()
                put = PutIf("b", self.key, b"value", 0, if_present, 0)
                self.router.route(put, self.slot, 5.0, self.answers.append)
                if lost:
                    self.sender.calls[0].reply(LINK_LOST, b"")
                    self.turn()
                self.sender.calls[-1].answer(Done(not if_present))
                text = "a node died that may have written it"
                maybe = Refused(INDETERMINATE, text)
                expected = maybe if lost else Done(not if_present)
                self.assertEqual(self.answers, [expected])

    def test_written_after_a_death(self) -> None:
        """What was written after a death was written."""
        put = PutIf("b", self.key, b"value", 0, False, 0)
        self.router.route(put, self.slot, 5.0, self.answers.append)
        self.sender.calls[0].reply(LINK_LOST, b"")
        self.turn()
        self.sender.calls[1].answer(Done(False, 2, 7, A))
        self.assertEqual(self.answers, [Done(False, 2, 7, A)])

    def test_no_link(self) -> None:
        """Without a link the operation waits, and in time is known not to be done."""
        self.links.clear()
        self.route()
        while self.parts.now() < 5 - 2 * RETRY_S:
            self.turn()
            self.assertEqual(self.answers, [])
        self.turn(2 * RETRY_S)
        refused = Refused(UNREACHED, "no primary was reached in time")
        self.assertEqual(self.answers, [refused])

    def test_lost_and_refused(self) -> None:
        """If a node was lost that may have done it, no other's refusal is certain."""
        for refusal in (Refused(UNREACHED), Refused(BUSY, "1")):
            self.sender.calls.clear()
            self.route()
            self.sender.calls[0].reply(LINK_LOST, b"")
            self.turn(RETRY_S)
            self.sender.calls[1].answer(refusal)
            refused = self.answers.pop()
            assert isinstance(refused, Refused)
            self.assertEqual(refused.reason, INDETERMINATE)

    def test_lost_and_not_reached(self) -> None:
        """Nor is it certain if nobody is reached after that."""
        self.route()
        self.sender.calls[0].reply(LINK_LOST, b"")
        self.links.clear()
        while self.parts.now() < 5:
            self.turn()
        (refused,) = self.answers
        assert isinstance(refused, Refused)
        self.assertEqual(refused.reason, INDETERMINATE)

    def test_begun_before(self) -> None:
        """Of a write that was begun elsewhere it is never certain that it was not."""
        self.links.clear()
        remake = Remake("b", self.key, b"value", 7, A, NEVER, False)
        self.router.route(remake, self.slot, 5.0, self.answers.append)
        while self.parts.now() < 5:
            self.turn()
        (refused,) = self.answers
        assert isinstance(refused, Refused)
        self.assertEqual(refused.reason, INDETERMINATE)

    def test_time_out(self) -> None:
        """A call that times out is indeterminate."""
        self.route()
        self.sender.calls[0].reply(TIMED_OUT, b"")
        self.assertEqual(self.answers, [Refused(INDETERMINATE, "no answer in time")])

    def test_refusal(self) -> None:
        """Any other refusal is the answer."""
        self.route()
        self.sender.calls[0].answer(Refused(INDETERMINATE, "because"))
        self.assertEqual(self.answers, [Refused(INDETERMINATE, "because")])

    def test_malformed_answer(self) -> None:
        """Nonsense ends the link, not the operation: it is tried again."""
        for nonsense in (b"\xff", encode(Done())):
            self.setUp()
            self.route()
            call = self.sender.calls[0]
            self.assertRaises(RemoteProtocolError, call.reply, ANSWERED, nonsense)
            self.assertEqual(self.answers, [])
            self.turn()
            self.assertEqual(self.asked(), [A, A])

    def test_cancel(self) -> None:
        """A cancelled operation tells the primary, and has no answer."""
        operation = self.route()
        assert operation is not None
        operation.cancel()
        self.assertEqual(self.links[A].cancelled, [1])
        self.sender.calls[0].answer(Found(None))
        self.turn(10)
        self.assertEqual((self.answers, self.asked()), ([], [A]))

    def test_cancel_between_tries(self) -> None:
        """So is one that waits for its next try."""
        operation = self.route()
        assert operation is not None
        self.sender.calls[0].answer(Refused(NOT_OWNER))
        operation.cancel()
        self.assertEqual(self.parts.runtime.pending_timers(), 0)
        self.turn(10)
        self.assertEqual((self.answers, self.asked()), ([], [A]))

    def test_stop_between_tries(self) -> None:
        """A node that stops leaves no try behind."""
        self.route()
        self.sender.calls[0].answer(Refused(NOT_OWNER))
        self.router.stop()
        self.assertEqual(len(self.answers), 1)
        self.assertEqual(self.parts.runtime.pending_timers(), 0)

    def test_stop(self) -> None:
        """When the node stops, all that waits is sent back."""
        self.route()
        self.router.stop()
        self.assertEqual(self.answers, [Refused(NOT_OWNER, "the node was stopped")])
        self.sender.calls[0].answer(Found(None))
        self.assertEqual(len(self.answers), 1)
