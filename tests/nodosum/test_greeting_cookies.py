"""
Cookies, tickets and bounds of the exchange of HELLOs.
"""

from __future__ import annotations

from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.greeting import (
    COOKIE_KEY_S,
    Reply,
)
from mycorrizal.nodosum.wire.limits import (
    HELLO_ANSWERS_PER_SECOND,
    STRANGER_TABLE_MAX,
)
from tests.nodosum.talks import A, B, C, GreetingTestCase, Talk, greeting
from tests.nodosum.wire.pairs import flip, side


class CookieTests(GreetingTestCase):
    """A cookie is good where it was sent to, for what it was sent for."""

    def test_before_the_cookie_nothing_is_kept(self) -> None:
        """A first HELLO, from whatever address, gives no greeting (F29)."""
        for port in range(1, 50):
            question = self.a.hello(B, sent_ms=0)
            answers = self.b.datagram_received(question, ("10.0.0.9", port), 0)
            self.assertEqual([type(answer) for answer in answers], [Reply])

    def test_bound_to_address_node_and_nonce(self) -> None:
        """Another address, port, node or nonce makes a cookie worthless (F17, F29)."""
        again = self.reply(self.a, self.retry(), B)
        hello = self.read(again)
        for data, source in (
            (again, (C[0], A[1])),
            (again, (A[0], A[1] + 1)),
            (self.write(hello, node_key=node_key_of("c")), A),
            (self.write(hello, nonce=bytes([5]) * 16), A),
            (self.write(hello, cookie=flip(hello.cookie, 0)), A),
        ):
            self.assertEqual(self.b.datagram_received(data, source, 0), ())
        self.assertEqual(len(self.b.datagram_received(again, A, 0)), 2)

    def test_another_process_gives_other_cookies(self) -> None:
        """A cookie of one node is worthless at another, or after a restart."""
        again = self.reply(self.a, self.retry(), B)
        restarted = greeting(side("b"), B, seed=3)
        self.assertEqual(restarted.datagram_received(again, A, 0), ())

    def test_two_keys_live(self) -> None:
        """Keys are renewed at 60 s; the one before is accepted, older ones not."""
        again = self.reply(self.a, self.retry(now=0), B)
        for now in (0, COOKIE_KEY_S - 0.1, COOKIE_KEY_S, 2 * COOKIE_KEY_S - 0.1):
            self.assertEqual(len(self.b.datagram_received(again, A, now)), 2, now)
        self.assertEqual(self.b.datagram_received(again, A, 2 * COOKIE_KEY_S), ())

    def test_new_cookies_from_a_new_key(self) -> None:
        """The same question gets the same cookie for 60 s, then another."""
        question = self.a.hello(B, sent_ms=0)
        cookies = [
            self.read(self.reply(self.b, question, A, now)).cookie
            for now in (0, COOKIE_KEY_S - 0.1, COOKIE_KEY_S)
        ]
        self.assertEqual(cookies[0], cookies[1])
        self.assertNotEqual(cookies[1], cookies[2])

    def test_tickets_live_60_to_120_seconds(self) -> None:
        """A ticket lives at least 60 s, and at most 120 s."""
        for given_at, last_s in ((0.0, 120.0), (30.0, 90.0), (59.0, 61.0)):
            self.setUp()
            # The first key is of the second 0.
            self.b.ticket_valid(bytes([1]) * 16, A[0], bytes(16), 0)
            ticket = Talk(self.a, self.b, now=given_at).at_a.ticket
            for age_s, valid in ((0.0, True), (last_s - 0.5, True), (last_s, False)):
                self.assertEqual(
                    self.b.ticket_valid(
                        ticket, A[0], node_key_of("a"), given_at + age_s
                    ),
                    valid,
                    (given_at, age_s),
                )

    def test_long_silence(self) -> None:
        """What was recorded before a quiet hour is not good after it (F17)."""
        for later_s in (2 * COOKIE_KEY_S, 3600.0):
            self.setUp()
            again = self.reply(self.a, self.retry(now=0), B)
            ticket = Talk(self.a, self.b).at_a.ticket
            self.assertEqual(self.b.datagram_received(again, A, later_s), ())
            self.assertFalse(
                self.b.ticket_valid(ticket, A[0], node_key_of("a"), later_s)
            )


class BoundTests(GreetingTestCase):
    """Neither work nor memory without end."""

    def test_answers_per_second(self) -> None:
        """An address gets 500 answers a second, and not one more (F29, F30)."""
        question = self.a.hello(B, sent_ms=0)
        for _ in range(HELLO_ANSWERS_PER_SECOND):
            self.assertEqual(len(self.b.datagram_received(question, A, 5.0)), 1)
        other_port = (A[0], A[1] + 1)
        for source in (A, other_port):
            self.assertEqual(self.b.datagram_received(question, source, 5.9), ())
        self.assertEqual(len(self.b.datagram_received(question, C, 5.9)), 1)
        self.assertEqual(len(self.b.datagram_received(question, A, 6.0)), 1)

    def test_strangers_use_up_nothing(self) -> None:
        """Datagrams without a right MAC don't count against an address."""
        question = self.a.hello(B, sent_ms=0)
        for _ in range(HELLO_ANSWERS_PER_SECOND + 1):
            self.b.datagram_received(flip(question, 1279), A, 0)
        self.assertEqual(len(self.b.datagram_received(question, A, 0)), 1)

    def test_addresses_answered(self) -> None:
        """In one second 4,096 addresses are answered, one more is not (F30)."""
        question = self.a.hello(B, sent_ms=0)
        for number in range(STRANGER_TABLE_MAX):
            source = (f"10.1.{number >> 8}.{number & 255}", 1)
            self.assertEqual(len(self.b.datagram_received(question, source, 0)), 1)
        self.assertEqual(self.b.datagram_received(question, A, 0), ())
        known = ("10.1.0.0", 1)
        self.assertEqual(len(self.b.datagram_received(question, known, 0)), 1)
        self.assertEqual(len(self.b.datagram_received(question, A, 1.0)), 1)

    def test_questions_outstanding(self) -> None:
        """Of 4,097 questions the oldest is forgotten, and no other."""
        first, second = ("10.1.0.0", 1), ("10.1.0.1", 1)
        retries = {}
        for number in range(STRANGER_TABLE_MAX):
            address = (f"10.1.{number >> 8}.{number & 255}", 1)
            question = self.a.hello(address, sent_ms=0)
            if address in (first, second):
                retries[address] = self.reply(self.b, question, A)
        self.assertEqual(len(self.a.datagram_received(retries[first], first, 0)), 1)
        self.a.hello(B, sent_ms=0)
        self.assertEqual(self.a.datagram_received(retries[first], first, 0), ())
        self.assertEqual(len(self.a.datagram_received(retries[second], second, 0)), 1)

    def test_asked_again(self) -> None:
        """Who is asked again is not the oldest any more."""
        first, second = ("10.1.0.0", 1), ("10.1.0.1", 1)
        self.a.hello(first, sent_ms=0)
        retry = self.reply(self.b, self.a.hello(second, sent_ms=0), A)
        for number in range(2, STRANGER_TABLE_MAX):
            self.a.hello((f"10.1.{number >> 8}.{number & 255}", 1), sent_ms=0)
        again = self.reply(self.b, self.a.hello(first, sent_ms=0), A)
        self.a.hello(B, sent_ms=0)
        self.assertEqual(self.a.datagram_received(retry, second, 0), ())
        self.assertEqual(len(self.a.datagram_received(again, first, 0)), 1)
