"""
Answers by UDP of more than 512 bytes, and servers that know nothing of that.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.names import dns

from mycorrizal.nodosum.discovery.dns_client import (
    EDNS_BYTES,
    PLAIN_S,
    DnsClient,
    DnsFailure,
)
from mycorrizal.nodosum.discovery.dns_records import Kind, Question, Reply
from mycorrizal.testing.name_server import with_code, with_opt
from tests.nodosum.discovery.dns_case import DnsCase

QUESTION = Question((b"many", b"example"), Kind.A)
HEADER_BYTES, QUESTION_BYTES, RECORD_BYTES, OPT_BYTES = 12, 18, 16, 11

Misbehave = Callable[[dns.Message, bytes], Iterable[bytes]]


def has_edns(query: dns.Message) -> bool:
    """Whether a question says that more than 512 bytes are taken."""
    return any(it.type == dns.OPT for it in query.additional)


def saying(code: int) -> Misbehave:
    """What a server does that has nothing but this to say."""
    return lambda query, right: [with_code(right, code)]


class EdnsTests(DnsCase):
    """A client, and a server whose answers are of any length."""

    def setUp(self) -> None:
        super().setUp()
        self.client = DnsClient(self.runtime, (self.server.address,))
        #: Of each question, whether it had EDNS.
        self.questions: list[bool] = []

    def ask(self, addresses: int = 2) -> Reply:
        """The answer, which has so many addresses; nothing is left open."""
        self.server.records.clear()
        ips = (f"10.1.{n >> 8}.{n & 255}" for n in range(addresses))
        self.server.add("many.example", *map(dns.Record_A, ips))
        asked = Deferred.fromCoroutine(self.client.ask(QUESTION))
        try:
            reply: Reply = self.world.result_of(asked)
        finally:
            self.check_nothing_left()
        self.assertEqual(len(reply.answers), addresses)
        return reply

    def problem(self) -> str:
        """Why there is no answer."""
        with self.assertRaises(DnsFailure) as caught:
            self.ask()
        return str(caught.exception)

    def misbehave(self, misbehave: Misbehave) -> None:
        """What the server does with a question that has EDNS."""

        def answers(query: dns.Message, right: bytes) -> Iterable[bytes]:
            self.questions.append(has_edns(query))
            return misbehave(query, right) if self.questions[-1] else [right]

        self.server.misbehave = answers

    def test_at_the_bound(self) -> None:
        """1,232 bytes come by UDP, and what is longer by TCP."""
        room = EDNS_BYTES - HEADER_BYTES - QUESTION_BYTES - OPT_BYTES
        fits = room // RECORD_BYTES
        self.ask(fits)
        self.assertEqual((len(self.server.asked), self.server.by_tcp), (1, 0))
        self.ask(fits + 1)
        self.assertEqual((len(self.server.asked), self.server.by_tcp), (3, 1))

    def test_server_that_takes_no_notice(self) -> None:
        """An old server answers as ever, and what is longer than 512 by TCP."""
        self.server.edns = False
        self.ask(30)
        self.assertEqual((len(self.server.asked), self.server.by_tcp), (1, 0))
        self.ask(31)
        self.assertEqual((len(self.server.asked), self.server.by_tcp), (3, 1))

    def check_asked_without(self, misbehave: Misbehave, within_s: float) -> None:
        """It is asked again without; so is the next question, for a while."""
        self.misbehave(misbehave)
        began_s = self.world.now_s
        self.ask()
        self.assertLess(self.world.now_s - began_s, within_s)
        self.assertEqual(self.questions, [True, False])
        self.ask()
        self.assertEqual(self.questions, [True, False, False])
        self.world.advance(PLAIN_S - 2 * within_s)
        self.ask()
        self.assertEqual(self.questions[3:], [False])
        self.world.advance(2 * within_s)
        self.ask()
        self.assertEqual(self.questions[4:], [True, False])

    def test_servers_that_say_so(self) -> None:
        """One that says that it does not know EDNS is asked without at once."""
        for code in (dns.EFORMAT, dns.ENOTIMP):
            self.setUp()
            self.check_asked_without(saying(code), 0.2)

    def test_without_the_question(self) -> None:
        """It may say so without the question, which it could not read."""

        def header_only(query: dns.Message, right: bytes) -> Iterable[bytes]:
            return [with_code(right, dns.EFORMAT)[:4] + bytes(8)]

        self.check_asked_without(header_only, 0.2)

    def test_another_version(self) -> None:
        """One that knows another version of EDNS is asked without."""

        def bad_version(query: dns.Message, right: bytes) -> Iterable[bytes]:
            return [with_opt(right[:6] + bytes(6) + right[12:30], dns.EBADVERSION >> 4)]

        self.check_asked_without(bad_version, 0.2)

    def test_silence(self) -> None:
        """Where questions with EDNS get lost, the second one is without."""
        self.check_asked_without(lambda query, right: [], 1.2)

    def test_garbage(self) -> None:
        """Where they get nonsense, too."""
        chance = random.Random(7)
        self.check_asked_without(
            lambda query, right: [chance.randbytes(chance.randrange(600))], 1.2
        )

    def test_formerr_in_any_case(self) -> None:
        """Who can't read a question without EDNS either is not to be asked."""
        self.server.misbehave = lambda query, right: [with_code(right, dns.EFORMAT)]
        self.assertIn("10.0.0.53:53 answers FORMERR, asked for A of", self.problem())
        self.assertEqual(len(self.server.asked), 2)
        self.server.misbehave = None
        self.misbehave(lambda query, right: [right])
        self.ask()
        self.assertEqual(self.questions, [True])

    def test_other_servers(self) -> None:
        """What one does not know is no reason to ask others without it."""
        self.misbehave(lambda query, right: [with_code(right, dns.ENOTIMP)])
        self.ask()
        self.client.use((self.server.address, ("10.0.0.54", 53)))
        self.ask()
        self.assertEqual(self.questions, [True, False, True, False])

    def test_extended_code(self) -> None:
        """A code that only EDNS has room for is no empty answer."""
        self.misbehave(lambda query, right: [with_opt(right, 2)])
        self.assertIn("answers code 32, asked for A of", self.problem())

    def test_damaged_options(self) -> None:
        """What EDNS adds may be damaged as all else; the true answer is heard."""
        rng = random.Random(11)

        def damaged(query: dns.Message, right: bytes) -> Iterable[bytes]:
            for _ in range(20):
                at = len(right) - 1 - rng.randrange(OPT_BYTES)
                longer = right[:at] + rng.randbytes(1) + right[at + 1 :]
                yield longer[: len(longer) - rng.randrange(1, OPT_BYTES)]
            yield right

        self.misbehave(damaged)
        self.ask()
        self.assertEqual(self.questions, [True])
