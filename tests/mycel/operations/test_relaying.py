"""
How a member is asked that this node has no link to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.messages import Done, Fetch, Relay, decode_request, encode
from mycorrizal.mycel.operations.relaying import RELAY_HOPS_MAX, Relays
from mycorrizal.nodosum import ANSWERED, LINK_LOST, ErrorCode

OnReply = Callable[[int, bytes], None]
ME, NEAR, FAR, OTHER = (letter * 16 for letter in (b"m", b"n", b"f", b"o"))
QUESTION = encode(Fetch("b", b"key"))


@attrs.define(eq=False)
class FakeLink:
    """A link, and what was answered over it."""

    node_key: bytes
    closed: bool = False
    answers: list[Any] = attrs.field(factory=list)

    def reply(self, call_id: int, payload: bytes, app_id: bytes) -> None:
        self.answers.append((call_id, payload))

    def error(self, call_id: int, code: ErrorCode, text: str, app_id: bytes) -> None:
        self.answers.append((call_id, code))


class RelayCase(SynchronousTestCase):
    """A node with a link to one that hears a third."""

    def setUp(self) -> None:
        self.near: Any = FakeLink(NEAR)
        self.links: dict[bytes, Any] = {NEAR: self.near}
        self.ways: dict[bytes, Any] = {FAR: self.near}
        self.sent: list[tuple[Any, bytes, OnReply, float]] = []
        self.full = False
        self.app_id = b"mycel"
        self.relays = Relays(ME, self, self.links.get, self.ways.get, lambda: 10.0)

    def call(
        self,
        link: Any,
        payload: bytes,
        on_reply: Callable[[int, bytes], None],
        deadline: float,
    ) -> int:
        """The channel of the cache."""
        if self.full:
            return 0
        self.sent.append((link, payload, on_reply, deadline))
        return len(self.sent)


class AskingTests(RelayCase):
    """The side that has no link."""

    def test_linked(self) -> None:
        """Who has a link is asked over it."""
        self.assertTrue(self.relays.call(NEAR, QUESTION, lambda how, data: None, 2.0))
        link, payload, _, deadline = self.sent[0]
        self.assertEqual((link, payload, deadline), (self.near, QUESTION, 12.0))

    def test_by_way_of_another(self) -> None:
        """Who has none is asked by way of one that hears it (F4)."""
        answers: list[tuple[int, bytes]] = []
        sent = self.relays.call(FAR, QUESTION, lambda *told: answers.append(told), 2.0)
        self.assertTrue(sent)
        link, payload, on_reply, _ = self.sent[0]
        self.assertIs(link, self.near)
        relay = Relay(FAR, ME, 2000, QUESTION)
        self.assertEqual(decode_request(payload), relay)
        on_reply(ANSWERED, b"answer")
        self.assertEqual(answers, [(ANSWERED, b"answer")])

    def test_no_way(self) -> None:
        """Without a way, or with a queue that is full, nothing is sent."""
        self.assertFalse(self.relays.call(OTHER, QUESTION, lambda *told: None, 2.0))
        self.full = True
        self.assertFalse(self.relays.call(FAR, QUESTION, lambda *told: None, 2.0))
        self.assertEqual(
            [self.relays.reached(key) for key in (NEAR, FAR, OTHER)],
            [True, True, False],
        )


class PassingTests(RelayCase):
    """The side that is asked."""

    def setUp(self) -> None:
        super().setUp()
        self.asker: Any = FakeLink(OTHER)
        self.links[OTHER] = self.asker

    def opened(self, request: Any) -> Any:
        return self.relays.opened(request, 7, self.asker)

    def test_plain(self) -> None:
        """What is no relay is from who sent it."""
        fetch = Fetch("b", b"key")
        self.assertEqual(self.opened(fetch), (fetch, OTHER))

    def test_for_us(self) -> None:
        """What reaches who is asked is from who asked first."""
        relay = Relay(ME, FAR, 2000, QUESTION, 1)
        self.assertEqual(self.opened(relay), (Fetch("b", b"key"), FAR))

    def test_one_in_another(self) -> None:
        """A relay in a relay is refused."""
        inner = encode(Relay(ME, FAR, 2000, QUESTION))
        with self.assertRaises(RemoteProtocolError):
            self.opened(Relay(ME, FAR, 2000, inner))

    def test_passed_on(self) -> None:
        """What is for a third goes there, and its answer comes back."""
        self.assertIsNone(self.opened(Relay(NEAR, OTHER, 2000, QUESTION)))
        link, payload, on_reply, deadline = self.sent[0]
        self.assertEqual((link, deadline), (self.near, 12.0))
        relay = Relay(NEAR, OTHER, 2000, QUESTION, 1)
        self.assertEqual(decode_request(payload), relay)
        answer = encode(Done())
        on_reply(ANSWERED, answer)
        self.assertEqual(self.asker.answers, [(7, answer)])

    def test_no_answer(self) -> None:
        """If none comes, who asked may ask again."""
        self.opened(Relay(NEAR, OTHER, 2000, QUESTION))
        self.sent[0][2](LINK_LOST, b"")
        self.assertEqual(self.asker.answers, [(7, ErrorCode.BUSY)])

    def test_asker_gone(self) -> None:
        """An answer for one whose link is gone is dropped."""
        self.opened(Relay(NEAR, OTHER, 2000, QUESTION))
        self.asker.closed = True
        self.sent[0][2](ANSWERED, b"answer")
        self.assertEqual(self.asker.answers, [])

    def test_cannot_be_passed_on(self) -> None:
        """Without a way on, or after too many, who asked is told so."""
        last = RELAY_HOPS_MAX - 1
        for to, hops in ((b"x" * 16, 0), (NEAR, last), (OTHER, 0)):
            self.asker.answers.clear()
            self.opened(Relay(to, OTHER, 2000, QUESTION, hops))
            self.assertEqual(self.asker.answers, [(7, ErrorCode.BUSY)])
        self.assertEqual(self.sent, [])
        self.opened(Relay(NEAR, OTHER, 2000, QUESTION, last - 1))
        self.assertEqual(len(self.sent), 1)
