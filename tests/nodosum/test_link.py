"""
One link: order, bounds, one write a turn, and how it ends.
"""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import LocalProtocolError, RemoteProtocolError
from mycorrizal.nodosum.calls import ANSWERED, LINK_LOST, TIMED_OUT
from mycorrizal.nodosum.channel import Channel
from mycorrizal.nodosum.flow import FRAME_COST_BYTES, Parcel
from mycorrizal.nodosum.lanes import CONTROL_BYTES_MAX
from mycorrizal.nodosum.link import CALL_ID, CALLS_PER_FLUSH, Link
from mycorrizal.nodosum.wire.frame import HEADER_BYTES, encode_frame
from mycorrizal.nodosum.wire.limits import (
    PLAIN_BYTES_MAX,
    ErrorCode,
    FrameType,
    Goodbye,
)
from mycorrizal.nodosum.wire.signals import decode_goodbye, encode_ping
from tests.nodosum.ends import QUEUE_BYTES_MAX, FakeTransport, Side, runtime_of

APP = b"chat"


class Route:
    """An application, as a link sees it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.requests: list[tuple[int, bytes]] = []
        self.cancels: list[int] = []
        self.closes: Link | None = None

    def received(self, payloads: list[bytes], link: Link) -> None:
        self.messages += payloads
        if self.closes is not None:
            self.closes.abort()

    def serve(self, call_id: int, payload: bytes, link: Link) -> None:
        self.requests.append((call_id, payload))
        if payload == b"later":
            link.serving[call_id] = self

    def cancelled(self, call_id: int, link: Link) -> None:
        self.cancels.append(call_id)


class LinkTestCase(SynchronousTestCase):
    """A link to node b with a transport that keeps what is written."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.side = Side("a", runtime_of(self.clock))
        self.route = Route()
        self.side.applications.routes[APP] = self.route
        self.channel = Channel("chat")
        self.use(self.side.link("b"))

    def use(self, link: Link) -> None:
        """Try this link."""
        self.link, self.transport = link, self.side.transports["b"]

    def post(self, payload: bytes) -> bool:
        """Queue a message of the application."""
        flow = self.link.lanes.flow(APP)
        return flow.post(self.channel.head(len(payload)), payload)

    def turn(self) -> None:
        """The reactor's turn ends."""
        self.clock.advance(0)

    def call(self, payload: bytes = b"?", timeout_s: float = 5.0) -> tuple[int, Any]:
        """Send a request; its id, and the list that its end is put on."""
        ends: list[tuple[int, bytes]] = []
        call_id = self.channel.call(
            self.link,
            payload,
            lambda how, answer: ends.append((how, answer)),
            self.clock.seconds() + timeout_s,
        )
        return call_id, ends


class SendingTests(LinkTestCase):
    """Frames out."""

    def test_one_write_a_turn(self) -> None:
        """What is sent in one turn of the reactor leaves in one write, in order."""
        for at in range(100):
            self.assertTrue(self.post(bytes([at])))
        self.assertEqual(self.transport.writes, [])
        self.turn()
        self.assertEqual(len(self.transport.writes), 1)
        sent = [(FrameType.APP, APP, bytes([at])) for at in range(100)]
        self.assertEqual(self.transport.frames(), sent)
        self.turn()
        self.assertEqual(len(self.transport.writes), 1)

    def test_one_write_for_what_was_received(self) -> None:
        """All answers to one portion of bytes leave in one write, without a turn."""
        runtime = self.side.runtime
        runtime.enter()
        for _ in range(3):
            self.post(b"answer")
        self.assertEqual(self.transport.writes, [])
        runtime.leave()
        self.assertEqual(len(self.transport.writes), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ping_overtakes_messages(self) -> None:
        """A ping does not wait behind messages."""
        self.post(b"message")
        self.link.ping(7, 8)
        self.turn()
        kinds = [kind for kind, _, _ in self.transport.frames()]
        self.assertEqual(kinds, [FrameType.PING, FrameType.APP])

    def test_pause_and_resume(self) -> None:
        """While the transport is full messages wait here; none is lost."""
        self.link.pause()
        self.post(b"1")
        self.turn()
        self.assertEqual(self.transport.writes, [])
        self.assertEqual(self.link.queued_bytes, FRAME_COST_BYTES + 1)
        self.link.resume()
        self.post(b"2")
        self.turn()
        payloads = [payload for _, _, payload in self.transport.frames()]
        self.assertEqual(payloads, [b"1", b"2"])
        self.assertEqual(self.link.queued_bytes, 0)

    @given(st.lists(st.one_of(st.integers(0, 40_000), st.none()), max_size=30))
    def test_order(self, steps: list[int | None]) -> None:
        """However the transport is paused and resumed, order is kept."""
        self.setUp()
        sent: list[bytes] = []
        for at, step in enumerate(steps):
            if step is None:
                self.transport.pause_at_bytes = None
                self.link.resume()
                self.turn()
            else:
                payload = b"%d:" % at + bytes(step)
                sent.append(payload)
                self.post(payload)
                self.transport.pause_at_bytes = 0 if step % 2 else None
                if step % 3:
                    self.turn()
        self.transport.pause_at_bytes = None
        self.link.resume()
        self.turn()
        got = [payload for _, _, payload in self.transport.frames()]
        self.assertEqual(got, sent)

    def test_peers_limit(self) -> None:
        """A control frame of more than 64 KiB is our error."""
        self.link.send_control(FrameType.PEERS, bytes(64 * 1024))
        with self.assertRaises(LocalProtocolError):
            self.link.send_control(FrameType.PEERS, bytes(64 * 1024 + 1))


class ReceivingTests(LinkTestCase):
    """Frames in."""

    def test_message(self) -> None:
        """A message goes to its application, in order, however it was cut."""
        frames = [encode_frame(FrameType.APP, bytes([at]), APP) for at in range(5)]
        for at in b"".join(frames):
            self.link.receive_data(bytes([at]))
        self.link.receive_data(b"".join(frames))
        self.assertEqual(self.route.messages, [bytes([at]) for at in range(5)] * 2)

    def test_unknown_application(self) -> None:
        """
        A message for an application that is not here, whatever its id, is
        dropped and counted (F25).
        """
        for app_id in (b"other", b"", b"\xff\xfe", bytes(0xFFFF)):
            self.link.receive_data(encode_frame(FrameType.APP, b"", app_id) * 2)
        self.assertEqual(self.link.unrouted, 8)
        self.assertEqual((self.route.messages, self.transport.writes), ([], []))

    def test_heard(self) -> None:
        """Any bytes at all show that the other side lives."""
        self.clock.advance(5)
        self.link.receive_data(b"\1")
        self.assertEqual(self.link.heard_at, 5)

    def test_before_welcome(self) -> None:
        """Before both WELCOMEs went an application's frame is an error."""
        for kind in (
            FrameType.APP, FrameType.REQUEST, FrameType.REPLY, FrameType.ERROR,
            FrameType.CANCEL,
        ):  # fmt: skip
            self.use(self.side.link("b", up=False))
            with self.assertRaises(RemoteProtocolError):
                self.link.receive_data(encode_frame(kind, bytes(8), APP))
        self.assertEqual((self.route.messages, self.route.requests), ([], []))

    def test_welcome_and_message_at_once(self) -> None:
        """What comes right behind WELCOME is received."""
        self.use(self.side.link("b", up=False))
        link = self.link

        class Welcomes:
            def control_received(self, link: Link, kind: int, payload: bytes) -> None:
                link.up = True

        link._owner = Welcomes()
        welcome = encode_frame(FrameType.WELCOME, b"")
        link.receive_data(welcome + encode_frame(FrameType.APP, b"x", APP))
        self.assertEqual(self.route.messages, [b"x"])

    def test_unknown_types(self) -> None:
        """
        An unknown frame with bit 7 is ignored; without it, it is the owner's (F50).
        """
        for up in (True, False):
            self.use(self.side.link("b", up=up))
            self.side.owner.received.clear()
            for kind in range(0x80, 0x100):
                self.link.receive_data(encode_frame(kind, b"?"))
            self.assertEqual(self.side.owner.received, [])
            self.link.receive_data(encode_frame(0x15, b"?"))
            self.assertEqual(self.side.owner.received, [(0x15, b"?")])

    def test_broken_frame(self) -> None:
        """What came before a broken frame is received, then the link is dropped."""
        good = encode_frame(FrameType.APP, b"x", APP)
        with self.assertRaises(RemoteProtocolError):
            self.link.receive_data(good + b"GET / HTTP/1.1\r\n")
        self.assertEqual(self.route.messages, [b"x"])

    def test_frame_at_the_bound(self) -> None:
        """A frame of 64 KiB is received, one that claims a byte more is an error."""
        at = encode_frame(FrameType.APP, bytes(PLAIN_BYTES_MAX - len(APP)), APP)
        self.link.receive_data(at)
        self.assertEqual(len(self.route.messages), 1)
        over = bytearray(at[:HEADER_BYTES])
        over[2] += 1
        with self.assertRaises(RemoteProtocolError):
            self.link.receive_data(bytes(over))

    def test_short_call(self) -> None:
        """A call without an id is an error."""
        kinds = FrameType.REQUEST, FrameType.REPLY, FrameType.ERROR, FrameType.CANCEL
        for kind, size in itertools.product(kinds, (0, 7)):
            self.use(self.side.link("b"))
            with self.assertRaises(RemoteProtocolError):
                self.link.receive_data(encode_frame(kind, bytes(size), APP))

    def test_closed_by_an_application(self) -> None:
        """When a message makes us close the link, the rest is ignored in silence."""
        self.route.closes = self.link
        frames = [
            encode_frame(FrameType.APP, b"x", APP),
            encode_frame(FrameType.PING, encode_ping(1, 2)),
            encode_frame(FrameType.APP, b"y", APP),
            b"not a frame at all",
        ]
        self.link.receive_data(b"".join(frames))
        self.assertEqual(self.route.messages, [b"x"])
        self.assertEqual(self.side.owner.received, [])


class CallTests(LinkTestCase):
    """Requests, theirs and ours."""

    def answer(self, kind: FrameType, call_id: int, payload: bytes = b"") -> None:
        """The other side answers."""
        frame = encode_frame(kind, CALL_ID.pack(call_id) + payload)
        self.link.receive_data(frame)

    def test_answers(self) -> None:
        """Answers go to their callers, whatever their order."""
        (one, first), (two, second) = self.call(), self.call()
        self.answer(FrameType.REPLY, two, b"2")
        self.answer(FrameType.ERROR, one, bytes([ErrorCode.BUSY]) + b"text")
        self.assertEqual(second, [(ANSWERED, b"2")])
        self.assertEqual(first, [(ErrorCode.BUSY, b"text")])

    def test_many_at_once(self) -> None:
        """The other side gets the first answers while we work on the rest."""
        ask = Channel("chat")
        sent: list[int] = []
        serve = self.route.serve

        def answer(call_id: int, payload: bytes, link: Link) -> None:
            serve(call_id, payload, link)
            link.reply(call_id, b"!", ask.app_id)
            sent.append(len(self.transport.frames()))

        self.patch(self.route, "serve", answer)
        count = CALLS_PER_FLUSH + 1
        frames = [
            encode_frame(FrameType.REQUEST, CALL_ID.pack(number) + b"?", APP)
            for number in range(1, count + 1)
        ]
        self.link.receive_data(b"".join(frames))
        self.assertEqual(sent, [0] * CALLS_PER_FLUSH + [CALLS_PER_FLUSH])

    def test_error_without_a_code(self) -> None:
        """An error that says nothing, or nothing valid, still is an error."""
        for payload in (b"", b"\0", b"\0text"):
            call_id, ends = self.call()
            self.answer(FrameType.ERROR, call_id, payload)
            self.assertEqual(ends, [(ErrorCode.FAILED, payload[1:])])

    def test_timeout(self) -> None:
        """When its time is up the other side hears that nobody waits any more."""
        call_id, ends = self.call(timeout_s=5.0)
        self.turn()
        self.clock.advance(5.0)
        self.turn()
        self.assertEqual(ends, [(TIMED_OUT, b"")])
        kind, _, payload = self.transport.frames()[-1]
        cancel = (FrameType.CANCEL, CALL_ID.pack(call_id))
        self.assertEqual((kind, payload), cancel)
        self.answer(FrameType.REPLY, call_id, b"late")
        self.assertEqual(len(ends), 1)

    def test_cancel(self) -> None:
        """Who cancels is not called, and the other side is told, once."""
        call_id, ends = self.call()
        self.turn()
        self.link.cancel(call_id)
        self.link.cancel(call_id)
        self.turn()
        kinds = [kind for kind, _, _ in self.transport.frames()]
        self.assertEqual(kinds.count(FrameType.CANCEL), 1)
        self.answer(FrameType.REPLY, call_id, b"late")
        self.assertEqual(ends, [])

    def test_link_lost(self) -> None:
        """When the link is gone every call ends, and no timer is left."""
        _, ends = self.call()
        self.link.lost()
        self.assertEqual(ends, [(LINK_LOST, b"")])
        self.assertEqual(self.call()[0], 0)
        self.assertEqual(self.side.runtime.pending_timers(), 0)

    def test_call_from_the_end_of_a_call(self) -> None:
        """Who calls again when told that the link is gone leaves nothing behind."""
        again: list[int] = []
        self.channel.call(
            self.link, b"?", lambda how, answer: again.append(self.call()[0]), 5.0
        )
        self.link.lost()
        self.assertEqual(again, [0])
        self.assertEqual(self.side.runtime.pending_timers(), 0)

    def request(self, call_id: int, payload: bytes, app_id: bytes = APP) -> None:
        """The other side asks."""
        body = CALL_ID.pack(call_id) + payload
        self.link.receive_data(encode_frame(FrameType.REQUEST, body, app_id))

    def test_serving(self) -> None:
        """A request goes to its application, and the answer back."""
        self.request(5, b"question")
        self.assertEqual(self.route.requests, [(5, b"question")])
        self.link.reply(5, b"answer")
        self.link.error(6, ErrorCode.FAILED, "é" + "x" * 2000)
        self.turn()
        reply, error = self.transport.frames()
        self.assertEqual(reply, (FrameType.REPLY, b"", CALL_ID.pack(5) + b"answer"))
        self.assertEqual(error[2][8:11], bytes([ErrorCode.FAILED]) + "é".encode())
        self.assertEqual(len(error[2]), 8 + 1 + 1024)

    def test_unknown_application(self) -> None:
        """A request for an application that is not here is told so."""
        self.request(5, b"question", b"other")
        self.turn()
        code = bytes([ErrorCode.UNKNOWN_APPLICATION])
        answer = (FrameType.ERROR, b"", CALL_ID.pack(5) + code)
        self.assertEqual(self.transport.frames(), [answer])

    def test_cancelled_by_the_other_side(self) -> None:
        """A CANCEL reaches the application; one of an unknown call nobody."""
        self.request(5, b"later")
        for call_id in (5, 5, 6):
            cancel = encode_frame(FrameType.CANCEL, CALL_ID.pack(call_id))
            self.link.receive_data(cancel)
        self.assertEqual((self.route.cancels, self.link.serving), ([5], {}))

    def test_lost_while_serving(self) -> None:
        """When the link is gone the application hears that nobody waits."""
        self.request(5, b"later")
        self.link.lost()
        self.assertEqual(self.route.cancels, [5])

    def test_one_id_twice(self) -> None:
        """A second call with the id of one under way is an error (F17)."""
        self.request(5, b"later")
        with self.assertRaises(RemoteProtocolError):
            self.request(5, b"again")

    def test_asking_without_reading(self) -> None:
        """
        A node that asks and asks, and does not read the answers, is told that we are
        busy: its answers take 8 MiB and one message of our memory (F31).
        """
        self.link.pause()
        answer = bytes(1024 * 1024 - FRAME_COST_BYTES * 17)
        for call_id in range(1, 10):
            self.request(call_id, b"question")
            self.link.reply(call_id, answer, APP)
        self.assertEqual(len(self.route.requests), 9)
        self.assertGreater(self.link.queued_bytes, QUEUE_BYTES_MAX)
        self.request(10, b"question")
        self.assertEqual(len(self.route.requests), 9)
        self.link.resume()
        self.turn()
        busy = (FrameType.ERROR, b"", CALL_ID.pack(10) + bytes([ErrorCode.BUSY]))
        self.assertEqual(self.transport.frames()[-1], busy)
        self.request(11, b"question")
        self.assertEqual(len(self.route.requests), 10)

    def test_asking_for_ever_without_reading(self) -> None:
        """
        One that goes on all the same is dropped: even its refusals are bounded (F31).
        """
        for app_id in (APP, b"other"):
            self.use(self.side.link("b"))
            self.link.pause()
            with self.assertRaises(RemoteProtocolError) as caught:
                for call_id in range(1, 200_000):
                    self.request(call_id, b"question", app_id)
                    if app_id == APP and call_id < 1000:
                        self.link.reply(call_id, bytes(10_000), APP)
            self.assertIn("does not read the answers", str(caught.exception))
            self.assertLess(self.link.queued_bytes, 2.1 * QUEUE_BYTES_MAX)

    def test_pinging_without_reading(self) -> None:
        """So is one that pings and pings, and reads nothing (F31)."""
        self.link.pause()
        for at in range(60_000):
            self.link.pong(1, 2)
            if not at % 1000:
                self.turn()
        written_bytes = sum(map(len, self.transport.writes))
        self.assertLessEqual(written_bytes, CONTROL_BYTES_MAX)
        self.assertGreater(written_bytes, CONTROL_BYTES_MAX - 30_000)
        self.assertEqual(self.transport.end, "aborted")

    def test_many_pings(self) -> None:
        """One that reads may ping as often as it likes."""
        for at in range(60_000):
            self.link.pong(1, 2)
            if not at % 1000:
                self.turn()
        self.assertFalse(self.link.closed)

    def test_request_taken_back(self) -> None:
        """
        A request that waits for the transport until its time is up is not sent
        at all, or somebody would work on it for nobody (F52).
        """
        self.link.pause()
        _, ends = self.call(timeout_s=5.0)
        self.post(b"message")
        self.clock.advance(5.0)
        self.assertEqual(ends, [(TIMED_OUT, b"")])
        self.link.resume()
        self.turn()
        kinds = [kind for kind, _, _ in self.transport.frames()]
        self.assertEqual(kinds, [FrameType.APP])

    def test_cancelled_in_the_turn_in_which_it_was_made(self) -> None:
        """One that is cancelled before its turn is over is not sent, either."""
        first, _ = self.call()
        second, _ = self.call()
        self.link.cancel(first)
        self.turn()
        ((kind, _, payload),) = self.transport.frames()
        self.assertEqual((kind, CALL_ID.unpack_from(payload)), (10, (second,)))
        self.assertEqual(self.link.queued_bytes, 0)


class MovingTests(LinkTestCase):
    """A link goes on on another connection."""

    def move(self) -> FakeTransport:
        """The link moves; what it moves to."""
        other = FakeTransport()
        other.link = self.link
        self.link.move(encode_frame(FrameType.MOVED, b"there"), other)
        return other

    def test_moves(self) -> None:
        """What was written stays, what is queued goes elsewhere, in order."""
        for at in range(3):
            self.post(bytes([at]))
            self.turn() if at == 0 else None
        other = self.move()
        self.post(b"last")
        self.turn()
        moved = (FrameType.MOVED, b"", b"there")
        self.assertEqual(self.transport.frames(), [(9, APP, b"\x00"), moved])
        sent = [payload for _, _, payload in other.frames()]
        self.assertEqual(sent, [b"\x01", b"\x02", b"last"])
        self.assertEqual((self.transport.producer, other.producer), (False, True))

    def test_moves_while_paused(self) -> None:
        """However full the old connection is, it takes the last frame."""
        self.link.pause()
        self.link.ping(1, 2)
        self.post(b"x")
        _, ends = self.call()
        other = self.move()
        self.turn()
        self.assertEqual(
            [kind for kind, *_ in self.transport.frames()],
            [FrameType.MOVED],
        )
        kinds = [kind for kind, *_ in other.frames()]
        self.assertEqual(kinds, [FrameType.PING, FrameType.APP, FrameType.REQUEST])
        # Its calls are as they were.
        self.link.receive_data(encode_frame(FrameType.REPLY, CALL_ID.pack(1) + b"!"))
        self.assertEqual(ends, [(ANSWERED, b"!")])

    def test_moves_with_half_a_message(self) -> None:
        """A message in chunks goes on where it was."""
        self.transport.pause_at_bytes = 100_000
        flow = self.link.lanes.flow(APP)
        message = bytes(range(256)) * 4000
        self.assertTrue(flow.post_parcel(Parcel(FrameType.APP, b"", message)))
        self.turn()
        before = self.transport.take()
        other = self.move()
        self.turn()
        self.assertGreater(len(other.writes), 0)
        end = len(encode_frame(FrameType.MOVED, b"there"))
        receiver = Side("b", runtime_of(self.clock))
        receiver.applications.routes[APP] = route = Route()
        there = receiver.link("a")
        there.receive_data(before)
        self.assertEqual(route.messages, [])
        self.assertEqual(len(self.transport.take()), end)
        there.receive_data(other.take())
        self.assertEqual(route.messages, [message])

    def test_ends_where_it_is(self) -> None:
        """A link that has moved says goodbye on the new connection."""
        for end, how in (("goodbye", "closed"), ("abort", "aborted")):
            self.use(self.side.link("b"))
            other = self.move()
            if end == "goodbye":
                self.link.goodbye(Goodbye.LEAVING)
            else:
                self.link.abort()
            self.assertEqual((self.transport.end, other.end), (None, how))


class EndTests(LinkTestCase):
    """How a link ends."""

    def test_goodbye(self) -> None:
        """GOODBYE goes after everything, even what waited for the transport."""
        self.link.pause()
        for at in range(3):
            self.post(bytes([at]))
        self.link.ping(1, 2)
        self.link.goodbye(Goodbye.DUPLICATE_ID, 7, "10.0.0.1:7000")
        *rest, (kind, _, payload) = self.transport.frames()
        self.assertEqual([kind for kind, *_ in rest], [FrameType.PING, *[9] * 3])
        self.assertEqual(kind, FrameType.GOODBYE)
        said = (Goodbye.DUPLICATE_ID, 7, "10.0.0.1:7000")
        self.assertEqual(decode_goodbye(payload), said)
        self.assertEqual(
            (self.transport.end, self.transport.producer), ("closed", False)
        )

    def test_after_the_end(self) -> None:
        """A closed link takes nothing more, and ends only once."""
        for end in ("goodbye", "abort", "lost"):
            self.use(self.side.link("b"))
            if end == "goodbye":
                self.link.goodbye(Goodbye.LEAVING)
            elif end == "abort":
                self.link.abort()
            else:
                self.link.lost()
            written, ended = len(self.transport.writes), self.transport.end
            self.assertFalse(self.post(b"x"))
            flow = self.link.lanes.flow(APP)
            self.assertFalse(flow.post_patiently(b"x", b"y"))
            flow.cancel(1, 0)
            self.link.ping(1, 2)
            self.link.reply(1, b"x")
            self.link.goodbye(Goodbye.SELF)
            self.link.abort()
            self.link.resume()
            self.turn()
            self.assertEqual(len(self.transport.writes), written)
            self.assertEqual(self.transport.end, ended)
            self.assertTrue(self.link.closed)
            self.assertFalse(self.link.up)
