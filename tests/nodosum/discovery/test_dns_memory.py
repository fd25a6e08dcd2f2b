"""
What the DNS said is good for as long as it said, and aliases are followed.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.names import dns

from mycorrizal.nodosum.discovery.dns_client import DnsClient, DnsFailure
from mycorrizal.nodosum.discovery.dns_memory import (
    ANSWERS_MAX,
    CNAMES_MAX,
    TTL_S_MAX,
    Answer,
    DnsMemory,
)
from mycorrizal.nodosum.discovery.dns_name import parse_name
from mycorrizal.nodosum.discovery.dns_records import Kind
from tests.nodosum.discovery.dns_case import DnsCase


class MemoryTests(DnsCase):
    """One memory, asked by rounds."""

    def setUp(self) -> None:
        super().setUp()
        self.client = DnsClient(self.runtime, (self.server.address,))
        self.memory = DnsMemory(self.runtime, self.client)

    def ask(self, name: str = "n1.example", *, anew: bool = False) -> Answer:
        """One round with one question."""
        self.memory.begin_round()
        asked = self.memory.ask(parse_name(name), Kind.A, anew=anew)
        answer: Answer = self.world.result_of(Deferred.fromCoroutine(asked))
        self.memory.end_round()
        return answer

    def asked_after(self, seconds: float) -> bool:
        """Whether the server is asked when so much time has passed."""
        self.world.advance(seconds)
        before = len(self.server.asked)
        self.ask()
        return len(self.server.asked) > before

    def test_half_of_its_time(self) -> None:
        """An answer serves for half of its time, and then is asked for again."""
        self.node(1, ttl_s=100)
        self.ask()
        self.assertFalse(self.asked_after(49))
        self.assertTrue(self.asked_after(1))

    def test_longest_time(self) -> None:
        """Nothing is believed for longer than five minutes."""
        self.node(1, ttl_s=86_400)
        self.ask()
        self.assertFalse(self.asked_after(TTL_S_MAX / 2 - 1))
        self.assertTrue(self.asked_after(1))

    def test_zero(self) -> None:
        """TTL 0 is for this round only."""
        self.node(1, ttl_s=0)
        self.ask()
        self.assertTrue(self.asked_after(0))

    def test_that_there_is_none(self) -> None:
        """That there is none holds for as long as the zone says (RFC 2308)."""
        self.server.ttl_s = 100
        self.assertEqual(self.ask().records, ())
        self.assertFalse(self.asked_after(49))
        self.assertTrue(self.asked_after(1))

    def test_anew(self) -> None:
        """Who asks anew gets no old answer, not even if nobody can be asked."""
        self.node(1, ttl_s=100)
        self.ask()
        self.ask(anew=True)
        self.assertEqual(len(self.server.asked), 2)
        self.server.misbehave = lambda query, right: []
        with self.assertRaises(DnsFailure):
            self.ask(anew=True)

    def test_old_answer_is_better_than_none(self) -> None:
        """F45: what is over serves on while nobody can be asked."""
        self.node(1, ttl_s=100)
        first = self.ask()
        self.server.misbehave = lambda query, right: []
        self.world.advance(1000)
        self.assertEqual(self.ask().records, first.records)

    def test_what_was_not_used_is_forgotten(self) -> None:
        """Only what the last whole round had a use for is kept."""
        self.node(1, ttl_s=300)
        self.node(2, ttl_s=300)
        self.ask("n1.example")
        self.ask("n2.example")
        self.assertTrue(self.asked_after(0))

    def test_bound(self) -> None:
        """So many answers are kept, and not one more."""
        for count, known in ((ANSWERS_MAX, True), (ANSWERS_MAX + 1, False)):
            self.setUp()
            self.server.ttl_s = 300
            self.memory.begin_round()
            for number in range(count):
                name = parse_name(f"x{number}")
                asked = Deferred.fromCoroutine(self.memory.ask(name, Kind.A))
                self.world.result_of(asked)
            self.memory.end_round()
            before = len(self.server.asked)
            self.ask(f"x{count - 1}")
            self.assertEqual(len(self.server.asked) == before, known)

    def test_aliases(self) -> None:
        """Eight aliases are followed, one by one or at once; not one more."""
        self.node(1)
        for count in range(CNAMES_MAX + 1):
            to = f"c{count - 1}.example" if count else "n1.example"
            self.server.add(f"c{count}.example", dns.Record_CNAME(to))
        self.assertEqual(len(self.ask(f"c{CNAMES_MAX - 1}.example").records), 1)

        def first_alias_only(query: dns.Message, right: bytes) -> list[bytes]:
            answer = dns.Message()
            answer.fromStr(right)
            answer.answers = answer.answers[:1]
            answer.maxSize = 0
            return [answer.toStr()]

        self.server.misbehave = first_alias_only
        self.memory = DnsMemory(self.runtime, self.client)
        self.assertEqual(len(self.ask(f"c{CNAMES_MAX - 1}.example").records), 1)
        self.memory = DnsMemory(self.runtime, self.client)
        with self.assertRaises(DnsFailure) as caught:
            self.ask(f"c{CNAMES_MAX}.example")
        self.assertIn("more than 8 aliases", str(caught.exception))

    def test_aliases_in_circles(self) -> None:
        """F45: aliases in a circle lead to nothing."""
        self.server.add("a.example", dns.Record_CNAME("b.example"))
        self.server.add("b.example", dns.Record_CNAME("a.example"))
        self.assertEqual(self.ask("a.example").records, ())

    def test_records_of_others(self) -> None:
        """F45: a record of another name in an answer is not taken for ours."""
        self.node(1)

        def smuggle(query: dns.Message, right: bytes) -> list[bytes]:
            answer = dns.Message()
            answer.fromStr(right)
            stranger = dns.Record_A("10.6.6.6")
            answer.answers.insert(0, dns.RRHeader("evil.example", payload=stranger))
            answer.maxSize = 0
            return [answer.toStr()]

        self.server.misbehave = smuggle
        self.assertEqual([it.data for it in self.ask().records], ["10.1.0.1"])
