"""
Asking DNS servers: whom, how often, and what is taken for an answer.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.names import dns

from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.discovery.dns_client import DnsClient, DnsFailure
from mycorrizal.nodosum.discovery.dns_records import Kind, Question, Reply
from mycorrizal.testing.name_server import SimNameServer, with_code
from tests.nodosum.discovery.dns_case import DnsCase

QUESTION = Question((b"n1", b"example"), Kind.A)


class ClientCase(DnsCase):
    """A client with the server that everybody may misuse."""

    def setUp(self) -> None:
        super().setUp()
        self.node(1)
        self.client = DnsClient(self.runtime, (self.server.address,))

    def ask(self, client: DnsClient | None = None) -> Reply:
        """What comes of the question; nothing is left open."""
        asked = Deferred.fromCoroutine((client or self.client).ask(QUESTION))
        try:
            reply: Reply = self.world.result_of(asked)
        finally:
            self.check_nothing_left()
        return reply

    def problem(self, client: DnsClient | None = None) -> str:
        """Why nothing comes of it."""
        with self.assertRaises(DnsFailure) as caught:
            self.ask(client)
        return str(caught.exception)

    def check_answer(self, client: DnsClient | None = None) -> None:
        """The question is answered."""
        (record,) = self.ask(client).answers
        self.assertEqual(record.data, "10.1.0.1")


class ServerTests(ClientCase):
    """Whom it asks."""

    def test_answer(self) -> None:
        """One server, one question, one answer."""
        self.check_answer()
        self.assertEqual(self.server.asked, [("n1.example", dns.A)])

    def test_ipv6(self) -> None:
        """A server may be asked by IPv6."""
        SimNameServer(self.world.host("dns6", "10.0.0.56", "fd00::53"))
        client = DnsClient(self.runtime, (("fd00::53", 53),))
        self.assertEqual(self.ask(client).rcode, dns.ENAME)

    def second(self, *first: Address) -> DnsClient:
        """A client whose second server is the good one."""
        return DnsClient(self.runtime, (*first, self.server.address))

    def test_dead_server(self) -> None:
        """One that is silent costs a second, once: who answered is asked first."""
        self.world.host("dead", "10.0.0.99").crash("silence")
        client = self.second(("10.0.0.99", 53))
        began_s = self.world.now_s
        self.check_answer(client)
        self.assertLess(abs(self.world.now_s - began_s - 1.0), 0.1)
        self.check_answer(client)
        self.assertLess(abs(self.world.now_s - began_s - 1.0), 0.2)

    def test_server_that_is_not_there(self) -> None:
        """One whose machine says that nobody listens costs nothing."""
        self.world.host("empty", "10.0.0.98")
        client = self.second(("10.0.0.98", 53))
        began_s = self.world.now_s
        self.check_answer(client)
        self.assertLess(self.world.now_s - began_s, 0.2)
        alone = DnsClient(self.runtime, (("10.0.0.98", 53),))
        self.assertIn("10.0.0.98:53 is not there", self.problem(alone))

    def test_order_is_kept(self) -> None:
        """The same servers named again do not bring the dead one to the front."""
        first: Address = ("10.0.0.98", 53)
        self.world.host("empty", "10.0.0.98")
        client = self.second(first)
        self.check_answer(client)
        client.use((first, self.server.address))
        self.assertEqual(client.servers[0], self.server.address)
        client.use((first,))
        self.assertEqual(client.servers, (first,))

    def test_no_server(self) -> None:
        """Without any server there is nobody to ask."""
        self.assertIn("no DNS server is known", self.problem(DnsClient(self.runtime)))

    def test_three_times(self) -> None:
        """F45: one that never answers is asked three times in 7 s."""
        self.server.misbehave = lambda query, right: []
        began_s = self.world.now_s
        self.assertIn("10.0.0.53:53 does not answer, asked for A", self.problem())
        self.assertEqual(len(self.server.asked), 3)
        self.assertLess(abs(self.world.now_s - began_s - 7.0), 0.2)

    def test_lost_datagrams(self) -> None:
        """A question that is lost is asked again."""
        lost: Iterator[list[bytes]] = iter([[], []])
        self.server.misbehave = lambda query, right: next(lost, [right])
        self.check_answer()
        self.assertEqual(len(self.server.asked), 3)

    def test_refusal_is_final(self) -> None:
        """One that says that it can't is not asked again, but the next one is."""
        self.server.misbehave = lambda query, right: [with_code(right, dns.ESERVER)]
        self.assertIn("10.0.0.53:53 answers SERVFAIL", self.problem())
        self.assertEqual(len(self.server.asked), 1)


class WrongAnswerTests(ClientCase):
    """F45: what is no answer."""

    def check_ignored(self, *garbage: bytes) -> None:
        """These come first, and change nothing."""
        self.server.misbehave = lambda query, right: [*garbage, right]
        self.check_answer()
        self.assertEqual(len(self.server.asked), 1)

    def test_garbage_before_the_answer(self) -> None:
        """F45: random bytes, other ids and other questions are not heard."""
        bytes_of = random.Random(1).randbytes
        self.check_ignored(b"", b"\0", *(bytes_of(n) for n in (12, 100, 512)))

        def wrong_ids(query: dns.Message, right: bytes) -> Iterable[bytes]:
            for guess in range(1, 100):
                wrong = (query.id + guess) % 65536
                yield wrong.to_bytes(2, "big") + right[2:].replace(b"\x0a", b"\x0b")
            yield right

        self.server.misbehave = wrong_ids
        self.check_answer()

    def test_nothing_but_garbage(self) -> None:
        """F45: if nothing else comes, that is said."""
        self.server.misbehave = lambda query, right: [right[:-1]]
        problem = self.problem()
        self.assertIn("sends what is no answer (it ends too early)", problem)

    def test_somebody_else_answers(self) -> None:
        """F45: only the server that was asked is heard, whatever others know."""
        other: Any = DatagramProtocol()
        self.world.host("other", "10.0.0.66").reactor.listenUDP(53, other)

        def somebody_else(query: dns.Message, right: bytes) -> list[bytes]:
            for port in self.here.udp_ports.owners():
                other.transport.write(right, ("10.0.0.1", port[0]))
            return []

        self.server.misbehave = somebody_else
        self.assertIn("does not answer", self.problem())

    def test_somebody_else_is_sooner(self) -> None:
        """F45: nor what came to the port before only the server could reach it."""
        self.assertEqual(self.heard_from(("10.0.0.66", 53)), [])
        self.assertEqual(self.heard_from(("10.0.0.53", 54)), [])
        self.assertEqual(self.heard_from(("10.0.0.53", 53)), ["10.1.0.1"])

    def heard_from(self, source: Address) -> list[object]:
        """What is made of the right answer if it comes from there."""
        answers: list[bytes] = []

        def keep(query: dns.Message, right: bytes) -> list[bytes]:
            answers.append(right)
            return []

        self.server.misbehave = keep
        asked: Any = Deferred.fromCoroutine(self.client.ask(QUESTION))
        self.world.advance(0.5)
        ((_, port),) = self.here.udp_ports.owners()
        port.protocol.datagramReceived(answers[0], source)
        found = [it.data for it in asked.result.answers] if asked.called else []
        asked.addErrback(lambda failure: None)
        asked.cancel()
        self.check_nothing_left()
        return found

    def test_ids_and_ports(self) -> None:
        """Ids come from the unpredictable source, a new one for each question."""
        ids = []

        def note(query: dns.Message, right: bytes) -> list[bytes]:
            ids.append(query.id)
            return [right]

        self.server.misbehave = note
        for _ in range(5):
            self.check_answer()
        self.assertEqual(len(set(ids)), 5)


class CancelTests(ClientCase):
    """Nobody waits for the answer any more."""

    def test_by_udp(self) -> None:
        """A question by UDP leaves nothing behind."""
        self.server.misbehave = lambda query, right: []
        asked = Deferred.fromCoroutine(self.client.ask(QUESTION))
        self.world.advance(0.5)
        self.assertEqual(len(self.here.sockets()), 1)
        asked.cancel()
        self.failureResultOf(asked)
        self.check_nothing_left()

    def test_by_tcp(self) -> None:
        """Nor does one by TCP, whether the connection is there or not."""
        self.server.add("n1.example", *(dns.Record_A(f"10.2.0.{n}") for n in range(99)))
        self.server.misbehave = lambda query, right: [right] if right[2] & 2 else []
        for pause_s in (0.0, 0.0015, 0.0025, 1.0):
            asked = Deferred.fromCoroutine(self.client.ask(QUESTION))
            self.world.advance(pause_s)
            self.assertEqual(len(self.here.sockets()), 1, pause_s)
            asked.cancel()
            self.failureResultOf(asked)
            self.check_nothing_left()


class StreamTests(ClientCase):
    """What does not fit a datagram."""

    def setUp(self) -> None:
        super().setUp()
        self.server.add("n1.example", *(dns.Record_A(f"10.2.0.{n}") for n in range(99)))

    def test_tcp(self) -> None:
        """A cut answer is fetched by TCP from the same server."""
        self.assertEqual(len(self.ask().answers), 100)

    def test_no_tcp(self) -> None:
        """F45: a server that can't do TCP is named."""
        self.server.close_tcp()
        self.assertIn("has more to say, but not by TCP", self.problem())

    def by_tcp(self, *data: bytes, end: bool = True) -> str:
        """What is said of a server that sends this by TCP."""
        self.server.close_tcp()
        self.world.advance(1)

        class Stream(Protocol):
            """Sends it."""

            transport: Any

            def dataReceived(self, received: bytes) -> None:
                for chunk in data:
                    self.transport.write(chunk)
                if end:
                    self.transport.loseConnection()

        self.world.hosts["dns"].reactor.listenTCP(53, Factory.forProtocol(Stream))
        return self.problem()

    def test_garbage_by_tcp(self) -> None:
        """F45: garbage, half an answer, or none ends the attempt with a word."""
        self.assertIn("without an answer", self.by_tcp())
        self.setUp()
        self.assertIn("without an answer", self.by_tcp(b"\xff\xff" + bytes(9000)))
        self.setUp()
        self.assertIn("no answer (it is no reply", self.by_tcp(b"\0\x0c" + bytes(12)))
        self.setUp()
        self.assertIn("no answer (it ends too early", self.by_tcp(b"\0\0"))

    def test_silence_by_tcp(self) -> None:
        """F45: a connection on which nothing comes is given up."""
        self.assertIn("does not answer", self.by_tcp(b"\0", end=False))

    def test_cut_by_tcp(self) -> None:
        """F45: an answer that is cut even there is useless."""

        def cut(query: dns.Message, right: bytes) -> list[bytes]:
            return [right[:2] + bytes([right[2] | 2]) + right[3:]]

        self.server.misbehave = cut
        self.assertIn("cuts its answer off by TCP too", self.problem())

    def test_one_byte_at_a_time(self) -> None:
        """An answer may come in any pieces."""
        self.world.segmentation = "one-byte"
        self.assertEqual(len(self.ask().answers), 100)
