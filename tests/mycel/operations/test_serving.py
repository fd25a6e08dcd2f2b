"""
Operations of other nodes: answered once, bounded, and given up when cancelled.
"""

from __future__ import annotations

from typing import cast

from mycorrizal.mycel.messages import (
    BUSY,
    NOT_OWNER,
    TOO_MANY,
    UNKNOWN_BUCKET,
    Answer,
    Asked,
    Done,
    Events,
    Forgo,
    Found,
    Get,
    GetMany,
    Leased,
    Load,
    Many,
    Put,
    Refused,
    Routed,
    Scan,
    Scanned,
    Watch,
    decode_answer,
)
from mycorrizal.mycel.operations import serving
from mycorrizal.mycel.operations.routing import HOPS_MAX
from mycorrizal.mycel.operations.serving import Serving, Slots
from mycorrizal.mycel.operations.watching import Outboxes
from mycorrizal.nodosum import Link
from tests.mycel.operations.test_routing import FakeLink, RouterTestCase
from tests.mycel.parts import ME, A, B, C, key_in, slot_owned_by


class CallerLink(FakeLink):
    """A link on which another node asks."""

    def __init__(self) -> None:
        super().__init__(B)
        self.serving: dict[int, object] = {}
        self.closed = False
        self.replies: list[tuple[int, bytes]] = []

    def reply(self, call_id: int, payload: bytes, app_id: bytes = b"") -> None:
        self.replies.append((call_id, payload))


class ServingTests(RouterTestCase):
    """Node B asks this one."""

    def setUp(self) -> None:
        super().setUp()
        self.caller = CallerLink()
        self.outboxes = Outboxes(self.parts.runtime, self.parts.buckets)
        self.serving = Serving(
            cast(Slots, _Route(self)),
            b"mycel",
            self.parts.runtime,
            self.router,
            self.parts.buckets,
            self.outboxes,
        )
        self.here = slot_owned_by(self.parts.view, ME, A, B)
        self.ours = key_in(self.parts.bucket, self.here)

    def slot_of(self, request: Routed) -> int:
        return self.slot if request.key == self.key else self.here  # type: ignore[union-attr]

    def serve(self, call_id: int, request: Asked) -> None:
        """B asks something."""
        self.serving.serve(call_id, request, cast(Link, self.caller))

    def replies(self, request: Asked) -> list[Answer]:
        """What B was answered."""
        return [decode_answer(data, request) for _, data in self.caller.replies]

    def test_answered_at_once(self) -> None:
        """A read is answered at once, and leaves nothing."""
        get = Get("b", self.ours)
        self.serve(1, get)
        self.assertEqual(self.replies(get), [Found(None)])
        self.assertEqual((len(self.serving), self.caller.serving), (0, {}))

    def test_answered_later(self) -> None:
        """A write is answered when its copies stand."""
        put = Put("b", self.ours, b"value", 0, 0)
        self.serve(1, put)
        self.assertEqual((len(self.serving), list(self.caller.serving)), (1, [1]))
        self.parts.ask.answer(Done())
        (done,) = self.replies(put)
        assert isinstance(done, Done)
        self.assertEqual(done.copies, 2)
        self.assertEqual((len(self.serving), self.caller.serving), (0, {}))

    def test_too_late(self) -> None:
        """A write that has begun is done, though its caller gave up: unanswered."""
        self.serve(1, Put("b", self.ours, b"value", 0, 0))
        self.serving.cancelled(1, cast(Link, self.caller))
        self.parts.ask.answer(Done())
        self.assertEqual(self.caller.replies, [])
        self.assertEqual(self.parts.held(self.ours), b"value")

    def test_not_begun(self) -> None:
        """One that waits for its slot to settle is not done."""
        self.unsettle(A)
        self.serve(1, Put("b", self.ours, None, 0, 0))
        self.serving.cancelled(1, cast(Link, self.caller))
        self.parts.ask.answer(Found(None), A)
        self.assertEqual((self.parts.ask.asked, len(self.serving)), ([], 0))

    def test_passed_on(self) -> None:
        """One that was passed on is cancelled where it went."""
        self.serve(1, Put("b", self.key, b"value", 0, 0))
        self.assertEqual(self.asked(), [A])
        self.serving.cancelled(1, cast(Link, self.caller))
        self.assertEqual(self.links[A].cancelled, [1])

    def test_too_far(self) -> None:
        """One that has come too far is sent back."""
        put = Put("b", self.key, b"value", 0, 0, HOPS_MAX)
        self.serve(1, put)
        self.assertEqual(self.replies(put), [Refused(NOT_OWNER)])

    def test_link_is_gone(self) -> None:
        """Nothing is answered on a link that is gone."""
        self.serve(1, Put("b", self.ours, b"value", 0, 0))
        self.caller.closed = True
        self.parts.ask.answer(Done())
        self.assertEqual(self.caller.replies, [])

    def test_asked_again(self) -> None:
        """What is asked again on another link, while it is made, is made once."""
        put = Put("b", self.ours, b"value", 0, 7)
        self.serve(1, put)
        self.serving.cancelled(1, cast(Link, self.caller))
        self.caller = CallerLink()
        self.serve(1, put)
        self.assertEqual(len(self.parts.ask.asked), 1)
        self.parts.ask.answer(Done())
        (done,) = self.replies(put)
        assert isinstance(done, Done)
        self.assertEqual(done.copies, 2)

    def test_asked_again_later(self) -> None:
        """What was made is not made again, also if another value came since."""
        put = Put("b", self.ours, b"value", 0, 7)
        self.serve(1, put)
        self.parts.ask.answer(Done())
        self.serve(2, Put("b", self.ours, b"newer", 0, 8))
        self.parts.ask.answer(Done())
        self.serve(3, put)
        first, _, again = self.replies(put)
        self.assertEqual(again, first)
        self.assertEqual(self.parts.held(self.ours), b"newer")

    def test_asked_again_by_way_of_another(self) -> None:
        """What comes again by way of another node is known by who asked."""
        for call_id, origin in ((1, A), (2, A), (3, None), (4, B), (5, C)):
            self.serve(call_id, Put("b", self.ours, b"value", 0, 7, 1, origin))
        self.assertEqual(len(self.parts.ask.asked), 3)

    def test_passed_on_for_another(self) -> None:
        """What is passed on names who has asked."""
        for call_id, origin in ((1, None), (2, C)):
            self.serve(call_id, Put("b", self.key, b"value", 0, 7, 0, origin))
        sent = [call.request for call in self.sender.calls]
        self.assertEqual([it.origin for it in sent], [B, C])  # type: ignore[union-attr]

    def test_many(self) -> None:
        """Several operations are served and cancelled as one is."""
        many = GetMany("b", (self.ours,), 5000)
        self.serve(1, many)
        self.assertEqual(self.replies(many), [Many((Found(None),))])
        self.caller.replies.clear()
        unknown = GetMany("x", (self.ours,), 5000)
        self.serve(2, unknown)
        self.assertEqual(self.replies(unknown), [Refused(UNKNOWN_BUCKET, "x")])

    def test_watch(self) -> None:
        """Who watches waits for what happens, and is forgotten when it gives up."""
        watch = Watch("b", b"", 1, 5000)
        self.serve(1, watch)
        self.assertEqual(self.replies(watch), [Events((), 0, True)])
        self.serve(2, watch)
        self.assertEqual((len(self.caller.replies), len(self.outboxes)), (1, 1))
        self.serving.cancelled(2, cast(Link, self.caller))
        self.assertEqual(len(self.outboxes), 0)

    def test_scan(self) -> None:
        """A scan is answered at once."""
        scan = Scan("b", b"", 0, b"", bytes(128), 1)
        self.serve(1, scan)
        self.assertEqual(self.replies(scan), [Scanned((), 1024, b"")])

    def test_bound(self) -> None:
        """So many may be under way; one more is refused, and not begun."""
        self.patch(serving, "SERVED_MAX", 2)
        for call_id in (1, 2, 3):
            put = Put("b", self.ours, b"value", 0, call_id)
            self.serve(call_id, put)
        self.assertEqual(self.replies(put), [Refused(BUSY, "2")])
        self.assertEqual(len(self.parts.ask.asked), 2)
        self.parts.ask.answer(Done())
        self.serve(4, put)
        self.assertEqual(len(self.parts.ask.asked), 2)

    def test_loads_hold_up_nobody(self) -> None:
        """Those who wait for a loader do not count among the others."""
        self.patch(serving, "SERVED_MAX", 1)
        self.patch(serving, "WAITERS_MAX", 2)
        loads = [Load("b", self.ours, B, token, 1000) for token in range(1, 5)]
        self.serve(1, loads[0])
        self.assertEqual(self.replies(loads[0]), [Leased()])
        for call_id in (2, 3):
            self.serve(call_id, loads[call_id - 1])
        self.serve(4, loads[3])
        (_, refused) = self.replies(loads[3])
        assert isinstance(refused, Refused)
        self.assertEqual((refused.reason, len(self.serving)), (TOO_MANY, 2))
        self.serve(5, Put("b", self.ours, b"value", 0, 0))
        self.assertEqual(len(self.parts.ask.asked), 1)

    def test_load_given_up(self) -> None:
        """Who waited for a loader and gives up gets no answer, and loads nothing."""
        loads = [Load("b", self.ours, B, token, 1000) for token in (1, 2)]
        for call_id in (1, 2):
            self.serve(call_id, loads[call_id - 1])
        self.serving.cancelled(2, cast(Link, self.caller))
        self.serve(3, Forgo("b", self.ours, 1))
        self.assertEqual([call_id for call_id, _ in self.caller.replies], [1, 3])
        self.assertEqual(len(self.serving), 0)


class _Route:
    """The application whose calls they are."""

    def __init__(self, case: ServingTests) -> None:
        self._case = case

    def slot(self, request: Routed) -> int:
        return self._case.slot_of(request)
