"""
Nodes find out by UDP who else knows the secret; strangers find out nothing.
"""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

import tests.profiles  # noqa: F401
from mycorrizal.nodosum.acl import derive_key, node_key_of
from mycorrizal.nodosum.greeting import (
    QUESTIONS_PER_NONCE,
    Address,
    Greeted,
    Reply,
    packed_ip,
)
from mycorrizal.nodosum.wire.hello import NO_TOKEN, Hello, HelloType
from tests.nodosum.talks import OTHER, A, B, C, GreetingTestCase, Talk, greeting
from tests.nodosum.wire.cases import SECRET
from tests.nodosum.wire.pairs import flip, side


class ExchangeTests(GreetingTestCase):
    """Everybody knows the secret."""

    def test_both_learn_of_each_other(self) -> None:
        """Four datagrams, and both know where the other listens."""
        talk = Talk(self.a, self.b)
        self.assertEqual(
            talk.at_a, Greeted(node_key_of("b"), 7, B, talk.at_a.ticket, asked=True)
        )
        self.assertEqual(
            talk.at_b, Greeted(node_key_of("a"), 7, A, talk.at_b.ticket, asked=False)
        )
        kinds = [self.read(data).kind.name for data in talk.data]
        self.assertEqual(kinds, ["HELLO", "RETRY", "HELLO", "HELLO_ACK"])

    def test_tickets(self) -> None:
        """Each side can dial with a ticket that the other recognises."""
        talk = Talk(self.a, self.b)
        to_b, to_a = talk.at_a.ticket, talk.at_b.ticket
        self.assertTrue(self.b.ticket_valid(to_b, A[0], node_key_of("a"), 0))
        self.assertTrue(self.a.ticket_valid(to_a, B[0], node_key_of("b"), 0))
        # Not from another address, not for another node, not the other's.
        self.assertFalse(self.b.ticket_valid(to_b, C[0], node_key_of("a"), 0))
        self.assertFalse(self.b.ticket_valid(to_b, A[0], node_key_of("c"), 0))
        self.assertFalse(self.b.ticket_valid(to_a, A[0], node_key_of("a"), 0))
        self.assertFalse(self.b.ticket_valid(NO_TOKEN, A[0], node_key_of("a"), 0))

    def test_answers_are_not_longer_than_questions(self) -> None:
        """Nobody can flood a third party through us (F29)."""
        self.assertEqual({len(data) for data in Talk(self.a, self.b).data}, {160})

    def test_listening_port_is_the_one_that_was_said(self) -> None:
        """A datagram from another port still names the port to dial."""
        talk = Talk(self.a, self.b, at=("10.0.0.1", 50_000))
        self.assertEqual(talk.at_b.address, A)

    def test_slow_answers(self) -> None:
        """
        An answer slower than the pause between questions still counts, once (F10, F7).
        """
        questions = [self.a.hello(B, sent_ms=0) for _ in range(QUESTIONS_PER_NONCE)]
        retries = [self.reply(self.b, question, A) for question in questions]
        again = [self.reply(self.a, retry, B) for retry in retries]
        at_b: list[object] = []
        at_a: list[object] = []
        for data in again:
            ack, greeted = self.b.datagram_received(data, A, 0)
            assert isinstance(ack, Reply)
            at_b.append(greeted)
            at_a += self.a.datagram_received(ack.data, B, 0)
        self.assertEqual(len(at_a), 1)
        self.assertEqual(at_b, at_b[:1] * QUESTIONS_PER_NONCE)

    def test_questions_after_an_answer(self) -> None:
        """Each round of questions, and each after an answer, has a new nonce."""

        def nonce() -> bytes:
            return self.read(self.a.hello(B, sent_ms=0)).nonce

        rounds = [{nonce() for _ in range(QUESTIONS_PER_NONCE)} for _ in range(3)]
        self.assertEqual([len(some) for some in rounds], [1, 1, 1])
        self.assertEqual(len(set.union(*rounds)), 3)
        used = self.read(Talk(self.a, self.b).data[0]).nonce
        self.assertNotEqual(nonce(), used)

    def test_ipv6(self) -> None:
        """The same by IPv6, and with the zone of a link-local address."""
        for host in ("::1", "fe80::1%eth0", "2001:db8::5"):
            talk = Talk(self.a, self.b, at=(host, 1), to=(host, 2))
            self.assertEqual(talk.at_a.address, (host, 7002))
            ticket, node_key = talk.at_a.ticket, node_key_of("a")
            self.assertTrue(self.b.ticket_valid(ticket, host, node_key, 0))
            self.assertFalse(self.b.ticket_valid(ticket, "::2", node_key, 0))

    def test_mapped_addresses(self) -> None:
        """A ticket given to an IPv4 address holds on a socket that shows it as v6."""
        talk = Talk(self.a, self.b)
        mapped, node_key = "::ffff:10.0.0.1", node_key_of("a")
        self.assertTrue(self.b.ticket_valid(talk.at_a.ticket, mapped, node_key, 0))
        self.assertEqual(packed_ip("10.0.0.1"), packed_ip(mapped))
        self.assertEqual(
            packed_ip("10.0.0.1").hex(), "00000000000000000000ffff0a000001"
        )
        self.assertEqual(packed_ip("fe80::1%eth0"), packed_ip("fe80::1"))

    def test_rotated_secrets(self) -> None:
        """The answer is signed with the secret of the question."""
        a = greeting(side("a", secrets=(SECRET, OTHER)), A)
        b = greeting(side("b", secrets=(OTHER, SECRET)), B)
        for talk in (Talk(a, b), Talk(b, a, at=B, to=A)):
            key_ids = {data[8:12] for data in talk.data}
            self.assertEqual(len(key_ids), 1)

    def test_secret_never_travels_in_clear(self) -> None:
        """No eight bytes in a row of the secret, or a key, are ever sent (F47)."""
        key = derive_key(SECRET, "demo")
        hidden = [SECRET.encode(), bytes(range(32)), key.udp, key.node, key.client]
        pieces = {text[at : at + 8] for text in hidden for at in range(len(text) - 7)}
        for data in Talk(self.a, self.b).data:
            for at in range(len(data) - 7):
                self.assertNotIn(data[at : at + 8], pieces)


class StrangerTests(GreetingTestCase):
    """Silence is the answer."""

    def test_every_flipped_bit(self) -> None:
        """A datagram with one bit changed is answered with silence, each one (F20)."""
        talk = Talk(self.a, self.b)
        question = self.a.hello(B, sent_ms=0)
        retry = self.reply(self.b, question, A)
        again = self.reply(self.a, retry, B)
        ack = self.b.datagram_received(again, A, 0)[0]
        assert isinstance(ack, Reply)
        for node, data, source in (
            (self.b, question, A),
            (self.a, retry, B),
            (self.b, again, A),
            (self.a, ack.data, B),
        ):
            for bit in range(len(data) * 8):
                self.assertEqual(node.datagram_received(flip(data, bit), source, 0), ())
        self.assertEqual(
            self.a.datagram_received(ack.data, B, 0), (talk.at_a,), "undisturbed"
        )

    def test_short_packets_do_not_panic(self) -> None:
        """Every part of every datagram is silently dropped, and so is more (F30)."""
        for data in Talk(self.a, self.b).data:
            for length in range(160):
                for node in (self.a, self.b):
                    self.assertEqual(node.datagram_received(data[:length], A, 0), ())
            self.assertEqual(self.b.datagram_received(data + b"\0", A, 0), ())

    def test_wrong_secret_and_wrong_cluster(self) -> None:
        """A node with another secret or cluster name hears nothing (F15, F16)."""
        for local in (side("a", secrets=(OTHER,)), side("a", cluster="other")):
            question = greeting(local).hello(B, sent_ms=0)
            self.assertEqual(self.b.datagram_received(question, A, 0), ())

    def test_bye_is_a_hint(self) -> None:
        """A BYE, which anybody may have recorded, changes nothing."""
        bye = self.write(self.read(self.a.hello(B, 0)), kind=HelloType.BYE)
        self.assertEqual(self.b.datagram_received(bye, A, 0), ())
        echoed = self.write(self.read(self.retry()), kind=HelloType.BYE)
        self.assertEqual(self.a.datagram_received(echoed, B, 0), ())

    @given(st.binary(max_size=200), st.sampled_from([A, B, ("::1", 0)]))
    def test_any_bytes(self, data: bytes, source: Address) -> None:
        """Whatever strangers send, there is silence, and no exception (F24, F30)."""
        self.assertEqual(self.b.datagram_received(data, source, 0), ())
        patched = b"MYCO" + data[4:128].ljust(124, b"\0") + bytes(32)
        self.assertEqual(self.b.datagram_received(patched, source, 0), ())


class AnswerTests(GreetingTestCase):
    """An answer counts if it was asked for, there and so."""

    def test_retry_from_elsewhere(self) -> None:
        """A RETRY counts only from the very address that was asked."""
        retry = self.retry()
        for source in (C, (B[0], B[1] + 1)):
            self.assertEqual(self.a.datagram_received(retry, source, 0), ())
        self.assertEqual(len(self.a.datagram_received(retry, B, 0)), 1)

    def test_retry_with_another_nonce(self) -> None:
        """
        A RETRY to an older round of questions, or somebody else's, is ignored (F17).
        """
        old = self.retry()
        for _ in range(QUESTIONS_PER_NONCE):
            self.a.hello(B, sent_ms=0)
        self.assertEqual(self.a.datagram_received(old, B, 0), ())
        stranger = greeting(side("c"), C, seed=3)
        self.assertEqual(stranger.datagram_received(old, B, 0), ())

    def test_ack_counts_once_and_from_there(self) -> None:
        """A HELLO_ACK counts from the address asked, and a second time never (F10)."""
        again = self.reply(self.a, self.retry(), B)
        ack = self.b.datagram_received(again, A, 0)[0]
        assert isinstance(ack, Reply)
        self.assertEqual(self.a.datagram_received(ack.data, C, 0), ())
        self.assertEqual(len(self.a.datagram_received(ack.data, B, 0)), 1)
        self.assertEqual(self.a.datagram_received(ack.data, B, 0), ())

    def test_ack_without_a_question(self) -> None:
        """Nobody is believed to be there who was not asked (F47)."""
        hello = self.read(self.a.hello(B, sent_ms=0))
        for kind in (HelloType.RETRY, HelloType.HELLO_ACK):
            for echo in (NO_TOKEN, hello.nonce):
                data = self.write(hello, kind=kind, echo=echo)
                self.assertEqual(self.b.datagram_received(data, A, 0), ())

    def test_answer_by_another_secret(self) -> None:
        """An answer is signed with the secret of the question, or is none."""
        keys = (SECRET, OTHER)
        a = greeting(side("a", secrets=keys), A)
        retry = self.reply(greeting(side("b"), B), a.hello(B, sent_ms=0), A)
        hello = Hello.decode(retry, a.local.keys, a.local.cluster_tag)
        resigned = attrs.evolve(hello, key_id=a.local.keys.keys[1].key_id)
        data = resigned.encode(a.local.keys)
        self.assertEqual(a.datagram_received(data, B, 0), ())
        self.assertEqual(len(a.datagram_received(retry, B, 0)), 1)

    def test_recorded_exchange(self) -> None:
        """
        A whole recorded exchange, sent again from elsewhere, teaches nothing (F17).
        """
        talk = Talk(self.a, self.b)
        for data in talk.data[1:]:
            for node in (self.a, self.b):
                self.assertEqual(node.datagram_received(data, C, 0), ())

    def test_reflected_exchange(self) -> None:
        """Whoever sends our own datagrams back only ever shows us ourselves (F18)."""
        learned: list[Greeted] = []
        queue = [self.a.hello(B, sent_ms=0)]
        while queue:
            for answer in self.a.datagram_received(queue.pop(), B, 0):
                if isinstance(answer, Reply):
                    queue.append(answer.data)
                else:
                    learned.append(answer)
        self.assertEqual({who.node_key for who in learned}, {node_key_of("a")})
