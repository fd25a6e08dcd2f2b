"""
Messages and requests between applications, as their authors see them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import (
    ApplicationError,
    CallError,
    CallTimeout,
    DuplicateApplication,
    LinkLost,
    MessageTooLarge,
    NotRunning,
    PeerBusy,
    PeerUnreachable,
    RemoteFailure,
    UnknownApplication,
)
from mycorrizal.nodosum.applications import Application
from mycorrizal.nodosum.calls import CALLS_MAX
from mycorrizal.nodosum.flow import FRAME_COST_BYTES
from mycorrizal.nodosum.inbox import (
    INBOX_BYTES_MAX,
    INBOX_MESSAGES_MAX,
    SERVING_BYTES_MAX,
    SERVING_MAX,
)
from mycorrizal.nodosum.wire.limits import ErrorCode, FrameType
from tests.nodosum.ends import QUEUE_BYTES_MAX, Couple


class Ring:
    """A receive function that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, str]] = []

    def __call__(self, payload: bytes, sender: str) -> Any:
        self.got.append((payload, sender))

    @property
    def payloads(self) -> list[bytes]:
        """The messages without their senders."""
        return [payload for payload, _ in self.got]


class Slow(Ring):
    """One that takes its time for each message."""

    def __init__(self) -> None:
        super().__init__()
        self.busy: list[Deferred[None]] = []

    def __call__(self, payload: bytes, sender: str) -> Deferred[None]:
        super().__call__(payload, sender)
        self.busy.append(Deferred())
        return self.busy[-1]


class ApplicationsTestCase(SynchronousTestCase):
    """The application chat on nodes a and b."""

    def setUp(self) -> None:
        self.couple = Couple()
        self.a: Application = self.couple.a.applications.register("chat")
        self.b: Application = self.couple.b.applications.register("chat")
        self.ring = Ring()
        self.b.set_receive_func(self.ring)

    def receive(self, function: Any) -> Any:
        """Node b receives with this."""
        self.b.set_receive_func(function)
        return function


class RegistrationTests(ApplicationsTestCase):
    """Application ids."""

    def test_register_and_get(self) -> None:
        """What was registered can be got; the ids are listed in order."""
        directory = self.couple.a.applications
        self.assertIs(directory.get("chat"), self.a)
        directory.register("audit")
        self.assertEqual(directory.ids(), ("audit", "chat"))

    def test_twice(self) -> None:
        """An id can be registered once on a node."""
        with self.assertRaises(DuplicateApplication) as caught:
            self.couple.a.applications.register("chat")
        self.assertEqual(caught.exception.application_id, "chat")

    def test_unknown(self) -> None:
        """An id that was not registered is an error with a name."""
        for name in ("other", "Chat", "naïve", ""):
            with self.assertRaises(UnknownApplication):
                self.couple.a.applications.get(name)

    def test_ids(self) -> None:
        """An id has 1 to 64 letters, digits, dots, dashes or underscores (F25)."""
        directory = self.couple.a.applications
        for good in ("x", "A-z_0.9", "y" * 64):
            self.assertEqual(directory.register(good).id, good)
        for bad in ("", "z" * 65, "a b", "é", "a\n", "a/b", "\x1b[2J"):
            with self.assertRaises(ApplicationError):
                directory.register(bad)

    def test_not_an_application(self) -> None:
        """A route of our own has no application to get."""
        directory = self.couple.a.applications
        directory.add_route("route", self.a)
        self.assertIs(directory.get("route"), self.a)
        other = Couple().a
        other.applications.routes[b"raw"] = RawRoute()
        with self.assertRaises(UnknownApplication):
            other.applications.get("raw")


class RawRoute:
    """A route that is no application."""

    def received(self, payloads: list[bytes], link: Any) -> None:
        raise AssertionError

    def serve(self, call_id: int, payload: bytes, link: Any) -> None:
        raise AssertionError

    def cancelled(self, call_id: int, link: Any) -> None:
        raise AssertionError


class SendingTests(ApplicationsTestCase):
    """post and send."""

    def test_message(self) -> None:
        """A message arrives with its sender's id."""
        self.a.post(b"hello", ["b"])
        self.successResultOf(self.a.send(b"again", ["b"]))
        self.couple.run()
        self.assertEqual(self.ring.got, [(b"hello", "a"), (b"again", "a")])

    def test_order(self) -> None:
        """However they are sent, messages arrive in order and complete."""
        sent = []
        for at in range(10_000):
            payload = b"%d" % at
            sent.append(payload)
            if at % 3:
                self.a.post(payload)
            else:
                self.a.send(payload)
            if not at % 997:
                self.couple.run()
        self.couple.run()
        self.assertEqual(self.ring.payloads, sent)

    def test_to_all(self) -> None:
        """Without names a message goes to all other members, if any."""
        side = self.couple.a
        side.link("c")
        for send in (self.a.post, self.a.send):
            send(b"hello")
        self.couple.clock.advance(0)
        for name in "bc":
            self.assertEqual(len(side.transports[name].frames()), 2)
        alone = Couple().a
        alone.applications.links.clear()
        application = alone.applications.register("chat")
        application.post(b"hello")
        self.successResultOf(application.send(b"hello"))

    def test_unreachable(self) -> None:
        """Who is not linked is named; the others get the message, once."""
        with self.assertRaises(PeerUnreachable) as caught:
            self.a.post(b"1", ["c", "b", "d"])
        self.assertEqual(caught.exception.node_ids, ("c", "d"))
        failure = self.failureResultOf(self.a.send(b"2", ["c", "b"]), PeerUnreachable)
        self.assertEqual(failure.value.node_ids, ("c",))
        self.couple.run()
        self.assertEqual(self.ring.payloads, [b"1", b"2"])

    def test_named_twice(self) -> None:
        """Who is named twice gets it twice, not more, whoever else is missing."""
        for names in (["b", "b"], ["b", "b", "c"], ["b", "c", "b"], ["c", "b", "b"]):
            if "c" in names:
                with self.assertRaises(PeerUnreachable) as caught:
                    self.a.post(b"x", names)
                self.assertEqual(caught.exception.node_ids, ("c",))
            else:
                self.a.post(b"x", names)
        self.couple.run()
        self.assertEqual(len(self.ring.got), 8)

    def fill(self, name: str = "b") -> None:
        """Let the queue to a node be full for `post`."""
        link = self.couple.a.links[name]
        link.pause()
        link.lanes.flow(self.a.app_id).queued_bytes = QUEUE_BYTES_MAX

    def test_busy(self) -> None:
        """Whose queue is full is named; the others get the message."""
        self.couple.a.link("c")
        self.fill("c")
        for names in ((), ["c", "b"]):
            with self.assertRaises(PeerBusy) as caught:
                self.a.post(b"x", names)
            self.assertEqual(caught.exception.node_ids, ("c",))
        self.couple.run()
        self.assertEqual(len(self.ring.got), 2)

    def test_busy_and_unreachable(self) -> None:
        """If some are busy and others gone, all who did not get it are named."""
        self.couple.a.link("c")
        self.fill("c")
        with self.assertRaises(PeerUnreachable) as caught:
            self.a.post(b"x", ["b", "c", "d"])
        self.assertEqual(caught.exception.node_ids, ("c", "d"))

    def test_send_waits_for_the_transport(self) -> None:
        """While the peer does not read, `send` does not fire."""
        self.couple.at_a.pause()
        sent = self.a.send(b"x")
        self.couple.run()
        self.assertNoResult(sent)
        self.couple.at_a.resume()
        self.couple.run()
        self.assertIsNone(self.successResultOf(sent))
        self.assertEqual(self.ring.payloads, [b"x"])

    def test_send_over_the_bound(self) -> None:
        """A sender who does not wait for 16 MiB of messages is told to."""
        self.couple.at_a.pause()
        sent = []
        for _ in range(16 * 64):
            sent.append(self.a.send(bytes(16 * 1024 - FRAME_COST_BYTES)))
        late = self.a.send(b"")
        self.assertEqual(self.failureResultOf(late, PeerBusy).value.node_ids, ("b",))
        self.couple.at_a.resume()
        self.couple.run()
        for one in sent:
            self.assertIsNone(self.successResultOf(one))

    def test_link_lost_while_waiting(self) -> None:
        """If the link breaks first, `send` fails and names the peer."""
        self.couple.at_a.pause()
        sent = self.a.send(b"x")
        self.couple.lose()
        error = self.failureResultOf(sent, PeerUnreachable).value
        self.assertEqual(error.node_ids, ("b",))

    def test_cancelled(self) -> None:
        """Who waits no more takes nothing back."""
        self.couple.at_a.pause()
        sent = self.a.send(b"x")
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.couple.at_a.resume()
        self.couple.run()
        self.assertEqual(self.ring.payloads, [b"x"])

    def test_too_large(self) -> None:
        """A message of more than 64 MiB is refused before anything is sent."""
        limit = self.a.message_bytes_max
        with self.assertRaises(MessageTooLarge):
            self.a.post(bytes(limit + 1))
        for deferred in (
            self.a.send(bytes(limit + 1)), self.a.request(bytes(limit + 1), "b")
        ):  # fmt: skip
            error: Any = self.failureResultOf(deferred, MessageTooLarge).value
            self.assertEqual(error.limit_bytes, limit)
        self.a.post(bytes(limit))
        self.couple.run()
        self.assertEqual([len(payload) for payload in self.ring.payloads], [limit])

    def test_not_bytes(self) -> None:
        """What is no bytes is refused, and the link goes on."""
        for wrong in ("text", None, bytearray(b"x")):
            payload: Any = wrong
            with self.assertRaises(ApplicationError) as raised:
                self.a.post(payload)
            self.assertIn(type(wrong).__name__, str(raised.exception))
            self.failureResultOf(self.a.send(payload), ApplicationError)
            self.failureResultOf(self.a.request(payload, "b"), ApplicationError)
        self.a.post(b"x")
        self.couple.run()
        self.assertEqual(self.ring.payloads, [b"x"])

    def test_one_text_is_no_list(self) -> None:
        """A text is not taken for a list of its letters."""
        for name in ("b", "bb", "", "node-2"):
            with self.assertRaises(ApplicationError) as raised:
                self.a.post(b"x", name)
            self.assertIn("a list of node ids", str(raised.exception))
            sent = self.a.send(b"x", name)
            self.failureResultOf(sent, ApplicationError)
        self.couple.run()
        self.assertEqual(self.ring.got, [])

    def test_odd_names(self) -> None:
        """What is no node's id is refused; those who have one get the message."""
        odd: list[Any] = [b"b", ["b", 5], [None]]
        for names in odd:
            with self.assertRaises(ApplicationError):
                self.a.post(b"x", names)
            self.failureResultOf(self.a.send(b"x", names), ApplicationError)
        self.couple.run()
        self.assertEqual(len(self.ring.got), 2)

    def test_not_running(self) -> None:
        """A node that was not started, or was stopped, sends nothing, and says so."""
        self.couple.a.applications.running = False
        self.couple.a.applications.links.clear()
        for deferred in (self.a.send(b"x"), self.a.request(b"x", "b")):
            self.failureResultOf(deferred, NotRunning)
        for names in ((), ["b"]):
            self.assertRaises(NotRunning, self.a.post, b"x", names)


class ReceivingTests(ApplicationsTestCase):
    """Receive functions, good and bad."""

    def test_no_function(self) -> None:
        """Without a receive function messages are dropped and counted."""
        self.receive(None)
        self.a.post(b"1")
        self.a.post(b"2")
        self.couple.run()
        self.assertEqual(self.b.dropped, 2)

    def test_coroutine_function(self) -> None:
        """A function may be `async def`; the next message waits for it."""
        gate: Deferred[None] = Deferred()
        heard: list[bytes] = []

        async def receive(payload: bytes, sender: str) -> None:
            heard.append(payload)
            await gate

        self.b.set_receive_func(receive)
        for payload in (b"one", b"two"):
            self.a.post(payload)
        self.couple.run()
        self.assertEqual(heard, [b"one"])
        gate.callback(None)
        self.assertEqual(heard, [b"one", b"two"])

        async def answer(payload: bytes, sender: str) -> bytes:
            return payload.upper()

        self.b.set_request_func(answer)
        asked = self.a.request(b"question", "b")
        self.couple.run()
        self.assertEqual(self.successResultOf(asked), b"QUESTION")

    def test_function_that_never_returns_keeps_nothing(self) -> None:
        """What waits for it goes with the link, and is counted."""
        self.b.set_receive_func(lambda *_: Deferred())
        for payload in (b"one", b"two", b"three"):
            self.a.post(payload)
        self.couple.run()
        (link,) = self.b._inboxes
        link.lost()
        self.b.link_lost(link)
        self.assertEqual((self.b.dropped, self.b._inboxes), (2, {}))

    def test_slow_function(self) -> None:
        """The next message waits for the Deferred of the one before; in order."""
        slow = self.receive(Slow())
        for at in range(5):
            self.a.post(bytes([at]))
        for at in range(5):
            self.couple.run()
            self.assertEqual(slow.payloads, [bytes([one]) for one in range(at + 1)])
            slow.busy[at].callback(None)
        self.a.post(b"later")
        self.couple.run()
        self.assertEqual((slow.payloads[-1], self.b.dropped), (b"later", 0))

    def test_chained_deferred(self) -> None:
        """A Deferred that waits for another one counts as waiting."""
        inner: Deferred[None] = Deferred()
        got: list[bytes] = []

        def receive(payload: bytes, sender: str) -> Deferred[None]:
            got.append(payload)
            return succeed(None).addCallback(lambda _: inner)

        self.receive(receive)
        self.a.post(b"1")
        self.a.post(b"2")
        self.couple.run()
        self.assertEqual(got, [b"1"])
        inner.callback(None)
        self.assertEqual(got, [b"1", b"2"])

    def test_sender_does_not_wait_for_another(self) -> None:
        """A slow message of one sender holds up no other sender."""
        slow = self.receive(Slow())
        other = self.couple.b.link("c")
        self.a.post(b"from a")
        self.a.post(b"from a again")
        self.couple.run()
        self.b.received([b"from c"], other)
        self.assertEqual(slow.got, [(b"from a", "a"), (b"from c", "c")])

    def test_waiting_messages_at_the_bound(self) -> None:
        """While one is worked on 1,024 more wait; the next is dropped."""
        slow = self.receive(Slow())
        for at in range(1 + INBOX_MESSAGES_MAX + 1):
            self.a.post(b"%d" % at)
        self.couple.run()
        self.assertEqual((len(slow.got), self.b.dropped), (1, 1))
        for busy in slow.busy:
            busy.callback(None)
        self.couple.run()
        self.assertEqual(len(slow.got), 1 + INBOX_MESSAGES_MAX)
        self.assertEqual(slow.payloads[-1], b"%d" % INBOX_MESSAGES_MAX)

    def test_waiting_bytes_at_the_bound(self) -> None:
        """While one is worked on 8 MiB more wait; the next is dropped."""
        self.receive(Slow())
        part = bytes(INBOX_BYTES_MAX // 256)
        for _ in range(257):
            self.a.post(part)
            self.couple.run()
        self.assertEqual(self.b.dropped, 0)
        self.a.post(b"x")
        self.couple.run()
        self.assertEqual(self.b.dropped, 1)

    def test_link_lost_meanwhile(self) -> None:
        """What waits when the link breaks is dropped and counted."""
        slow = self.receive(Slow())
        for _ in range(3):
            self.a.post(b"x")
        self.couple.run()
        self.couple.lose()
        slow.busy[0].callback(None)
        self.assertEqual((len(slow.got), self.b.dropped), (1, 2))

    def closing(self, payload: bytes, sender: str) -> Any:
        """Receive one message, and close the link."""
        self.ring(payload, sender)
        self.couple.at_b.lost()

    def test_nothing_comes_after_the_end(self) -> None:
        """What came in one piece with the last message is not received."""
        self.receive(self.closing)
        self.b.set_request_func(self.closing)
        for number in range(3):
            self.a.post(b"%d" % number)
        asked = [self.a.request(b"q", "b") for _ in range(2)]
        self.couple.run()
        self.assertEqual(self.ring.payloads, [b"0"])
        self.couple.lose()
        for call in asked:
            self.failureResultOf(call, LinkLost)

    def test_no_request_comes_after_the_end(self) -> None:
        """Nor is a request that came in one piece with the last one."""
        self.b.set_request_func(self.closing)
        asked = [self.a.request(b"%d" % number, "b") for number in range(3)]
        self.couple.run()
        self.assertEqual(self.ring.payloads, [b"0"])
        self.couple.lose()
        for call in asked:
            self.failureResultOf(call, LinkLost)

    def test_no_waiting_message_comes_after_the_end(self) -> None:
        """Nor what had waited for a slow function, nor what came with that."""
        slow = self.receive(Slow())
        other = self.couple.b.applications.register("other")
        self.couple.a.applications.register("other").post(b"go on")
        for number in range(3):
            self.a.post(b"%d" % number)
        self.couple.run()
        other.set_receive_func(lambda *_: slow.busy[0].callback(None))
        self.b.set_receive_func(self.closing)
        for _ in range(2):
            self.couple.a.applications.get("other").post(b"go on")
        self.couple.run()
        self.assertEqual(self.ring.payloads, [b"1"])

    def test_function_that_fails(self) -> None:
        """A function that raises, or fails later, is logged and harms nothing."""
        for bad in (
            lambda payload, sender: 1 / 0,
            lambda payload, sender: fail(ZeroDivisionError()),
        ):
            self.receive(bad)
            self.a.post(b"1")
            self.a.post(b"2")
            self.couple.run()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        slow = self.receive(Slow())
        self.a.post(b"3")
        self.a.post(b"4")
        self.couple.run()
        slow.busy[0].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(slow.payloads, [b"3", b"4"])
        self.assertFalse(self.couple.at_b.closed)

    def test_any_value(self) -> None:
        """What a receive function returns means nothing, unless it is a Deferred."""
        for value in (0, "text", [1], object()):
            self.receive(lambda payload, sender, value=value: value)
            self.a.post(b"x")
            self.couple.run()
        self.assertEqual(self.b.dropped, 0)


class RequestTests(ApplicationsTestCase):
    """request and its answer."""

    def ask(self, answer: Any, **options: Any) -> Deferred[bytes]:
        """Node a asks; node b answers with this function."""
        self.b.set_request_func(answer)
        asked = self.a.request(b"question", "b", **options)
        self.couple.run()
        return asked

    def test_answer(self) -> None:
        """The answer comes back, at once or later; None stands for no bytes."""
        for answer, expected in (
            (lambda payload, sender: payload + sender.encode(), b"questiona"),
            (lambda payload, sender: succeed(b"later"), b"later"),
            (lambda payload, sender: None, b""),
        ):
            self.assertEqual(self.successResultOf(self.ask(answer)), expected)
        later: Deferred[bytes] = Deferred()
        asked = self.ask(lambda payload, sender: later)
        self.assertNoResult(asked)
        later.callback(b"now")
        self.couple.run()
        self.assertEqual(self.successResultOf(asked), b"now")

    def test_failing_function(self) -> None:
        """An error there is a `RemoteFailure` here, and is logged there."""
        for bad in (
            lambda payload, sender: 1 / 0,
            lambda payload, sender: fail(ZeroDivisionError("division by zero")),
        ):
            failure = self.failureResultOf(self.ask(bad), RemoteFailure)
            self.assertIn("b: division by zero", str(failure.value))
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_failure_text_is_harmless(self) -> None:
        """The text of an error can't forge a line of our log."""

        def bad(payload: bytes, sender: str) -> bytes:
            raise ValueError("one\ntwo\x1b[2J é")

        failure = self.failureResultOf(self.ask(bad), RemoteFailure)
        self.assertEqual(str(failure.value), r"b: one\ntwo\x1b[2J é")
        self.flushLoggedErrors(ValueError)

    def test_not_bytes(self) -> None:
        """An answer that is not bytes, or too long, is a failure there."""
        failure = self.failureResultOf(self.ask(lambda *_: "text"), RemoteFailure)
        self.assertIn("answered str, not bytes", str(failure.value))
        limit = self.b.message_bytes_max
        longest = self.successResultOf(self.ask(lambda *_: bytes(limit)))
        self.assertEqual(len(longest), limit)
        over = self.ask(lambda *_: bytes(limit + 1))
        failure = self.failureResultOf(over, RemoteFailure)
        self.assertIn(str(limit), str(failure.value))

    def test_nobody_answers(self) -> None:
        """Without a function, or an application, the caller hears so."""
        failure = self.failureResultOf(self.ask(None), CallError)
        self.assertIn("takes no requests", str(failure.value))
        other = self.couple.a.applications.register("only-here")
        asked = other.request(b"x", "b")
        self.couple.run()
        failure = self.failureResultOf(asked, UnknownApplication)
        self.assertIn("at b", str(failure.value))

    def test_unreachable(self) -> None:
        """A node that is not linked is not asked."""
        failure = self.failureResultOf(self.a.request(b"x", "c"), PeerUnreachable)
        self.assertEqual(failure.value.node_ids, ("c",))

    def test_timeout(self) -> None:
        """
        Without an answer in time the caller is told, and whoever works on it
        is told to stop; a late answer is ignored.
        """
        stopped: list[object] = []
        never: Deferred[bytes] = Deferred(stopped.append)
        asked = self.ask(lambda *_: never, timeout_s=2.0)
        self.couple.run(1.99)
        self.assertNoResult(asked)
        self.couple.run(0.01)
        error = self.failureResultOf(asked, CallTimeout).value
        self.assertEqual((error.node_id, error.timeout_s), ("b", 2.0))
        self.couple.run()
        self.assertEqual(stopped, [never])
        self.assertEqual(self.couple.at_b.serving, {})

    def test_cancel(self) -> None:
        """Who cancels is told at once; whoever works on it is told to stop."""
        stopped: list[object] = []
        never: Deferred[bytes] = Deferred(stopped.append)
        asked = self.ask(lambda *_: never)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.couple.run()
        self.assertEqual(stopped, [never])
        self.assertEqual((self.couple.at_b.serving, self.b._serving), ({}, {}))

    def test_answer_crosses_the_cancel(self) -> None:
        """An answer that was on its way already is ignored."""
        later: Deferred[bytes] = Deferred()
        asked = self.ask(lambda *_: later)
        later.callback(b"answer")
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.couple.run()
        self.assertFalse(self.couple.at_a.closed or self.couple.at_b.closed)

    def test_link_lost(self) -> None:
        """When the link breaks the caller can't know, and the callee may stop."""
        stopped: list[object] = []
        never: Deferred[bytes] = Deferred(stopped.append)
        asked = self.ask(lambda *_: never)
        self.couple.lose()
        error = self.failureResultOf(asked, LinkLost).value
        self.assertEqual(error.node_id, "b")
        self.assertEqual((stopped, self.b._serving), ([never], {}))

    def test_canceller_fails(self) -> None:
        """A canceller that raises keeps nobody from hearing that a link is lost."""

        def fails(_: object) -> None:
            raise ValueError("in the canceller")

        asked = self.ask(lambda *_: Deferred(fails))
        self.a.set_request_func(lambda *_: Deferred())
        other_way = self.b.request(b"question", "a")
        self.couple.run()
        self.couple.lose()
        self.failureResultOf(asked, LinkLost)
        self.failureResultOf(other_way, LinkLost)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_asking_again_when_the_link_is_lost(self) -> None:
        """Who asks again at once hears that nobody is linked, not that it is busy."""
        asked = self.ask(lambda *_: Deferred())
        again = asked.addErrback(lambda _: self.a.request(b"again", "b"))
        self.couple.lose()
        self.failureResultOf(again, PeerUnreachable)

    def test_serving_at_the_bound(self) -> None:
        """A peer may have 1,024 requests worked on, one more is told busy."""
        waiting: list[Deferred[bytes]] = []

        def answer(payload: bytes, sender: str) -> Deferred[bytes]:
            waiting.append(Deferred())
            return waiting[-1]

        self.b.set_request_func(answer)
        asked = [self.a.request(b"x", "b") for _ in range(SERVING_MAX + 1)]
        self.couple.run()
        failure = self.failureResultOf(asked.pop(), PeerBusy)
        self.assertEqual(failure.value.node_ids, ("b",))
        self.assertEqual(len(waiting), SERVING_MAX)
        for deferred in waiting:
            deferred.callback(b"y")
        self.couple.run()
        for one in asked:
            self.assertEqual(self.successResultOf(one), b"y")

    def test_serving_bytes_at_the_bound(self) -> None:
        """
        Requests that are worked on may have 8 MiB, one more is told busy; alone
        it may have more.
        """
        self.b.set_request_func(lambda *_: Deferred())
        part = SERVING_BYTES_MAX // 256
        asked = [self.a.request(bytes(part), "b") for _ in range(255)]
        self.couple.run()
        asked += [self.a.request(bytes(part), "b")]
        late = self.a.request(b"x", "b")
        self.couple.run()
        self.failureResultOf(late, PeerBusy)
        for one in asked:
            self.assertNoResult(one)
        self.couple.lose()
        for one in asked:
            self.failureResultOf(one, LinkLost)
        other = Couple()
        application = other.a.applications.register("chat")
        other.b.applications.register("chat").set_request_func(lambda *_: Deferred())
        alone = application.request(bytes(SERVING_BYTES_MAX + 1), "b")
        other.run()
        self.assertNoResult(alone)

    def test_function_that_never_answers_harms_no_other(self) -> None:
        """One application that answers nobody leaves all others as they were (F33)."""
        self.b.set_request_func(lambda *_: Deferred())
        self.receive(lambda *_: Deferred())
        for _ in range(SERVING_MAX + 10):
            self.a.request(b"x", "b").addErrback(lambda _: None)
            self.a.post(b"x")
        self.couple.run()
        one = self.couple.a.applications.register("other")
        two = self.couple.b.applications.register("other")
        heard: list[bytes] = []
        two.set_receive_func(lambda payload, sender: heard.append(payload))
        two.set_request_func(lambda payload, sender: payload.upper())
        one.post(b"message")
        asked = one.request(b"question", "b")
        self.couple.run()
        self.assertEqual(heard, [b"message"])
        self.assertEqual(self.successResultOf(asked), b"QUESTION")

    def test_full_queue(self) -> None:
        """A request that can't be queued fails at once, and leaves nothing."""
        self.couple.at_a.lanes.flow(self.a.app_id).queued_bytes = QUEUE_BYTES_MAX
        self.failureResultOf(self.a.request(b"x", "b"), PeerBusy)
        self.assertEqual(len(self.couple.at_a.calls), 0)

    def test_too_many_calls(self) -> None:
        """So does one too many that waits for an answer."""
        flow = self.couple.at_a.lanes.flow(b"other")
        for _ in range(CALLS_MAX):
            self.couple.at_a.calls.begin(lambda how, answer: None, 5.0, flow, 0)
        self.failureResultOf(self.a.request(b"x", "b"), PeerBusy)

    def test_lying_answer(self) -> None:
        """An answer nobody asked for is ignored, and any error code is one."""
        asked = self.ask(lambda *_: Deferred())
        self.couple.at_b.reply(77, b"unasked")
        self.couple.at_b.error(1, ErrorCode.BUSY, "")
        self.couple.run()
        self.failureResultOf(asked, PeerBusy)
        again = self.ask(lambda *_: Deferred())
        payload = (2).to_bytes(8, "little") + bytes([99]) + b"new code"
        self.couple.at_b.send_control(FrameType.ERROR, payload)
        self.couple.run()
        failure = self.failureResultOf(again, RemoteFailure)
        self.assertEqual(str(failure.value), "b: new code")
