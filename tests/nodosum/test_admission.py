"""
Who gets in, who does not, and what the log says of it.
"""

from __future__ import annotations

from typing import Any, cast

import attrs
from twisted.internet.protocol import Protocol
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.acl import new_secret
from mycorrizal.nodosum.admission import CHOICE_TIMEOUT_S
from mycorrizal.nodosum.tls import AutoTls, Clear
from mycorrizal.nodosum.wire.events import Send
from mycorrizal.nodosum.wire.frame import HEADER, encode_frame
from mycorrizal.nodosum.wire.handshake import Handshake
from mycorrizal.nodosum.wire.limits import (
    TLS_HANDSHAKES_MAX,
    UNAUTHENTICATED_SOCKETS_MAX,
    UNAUTHENTICATED_SOCKETS_PER_ADDRESS_MAX,
    UNAUTHENTICATED_TLS_BYTES_MAX,
    FrameType,
)
from mycorrizal.nodosum.wire.version import Role
from mycorrizal.testing import World
from mycorrizal.testing.tls import SimTls
from tests.nodosum.doors import Door, Visitor, lines
from tests.nodosum.talks import Talk, greeting
from tests.nodosum.wire.pairs import NONCE_I, Pair, side

OTHER_SECRET = new_secret(bytes([9]) * 32)
PER_ADDRESS = UNAUTHENTICATED_SOCKETS_PER_ADDRESS_MAX
TIMEOUT_S = 2.0

STRANGE = {
    "garbage": b"\xde\xad\xbe\xef" * 4,
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(190),
    "SSH": b"SSH-2.0-OpenSSH_9.9\r\n",
    "zeros": bytes(4000),
    "4 GiB": HEADER.pack(1, 1, 0xFFFFFFFF, 0),
    "AUTH first": encode_frame(FrameType.AUTH_I, bytes(32)),
    "terminal": b"\x1b[2J\nMembers [9]: a, b\r\n\x07" * 3,
}


class Swallow:
    """A TLS that never gets anywhere."""

    edition = 0

    def start(self, *args: Any, **options: Any) -> Protocol:
        return Protocol()


class Stuck:
    """A transport whose other end never answers to a close in good order."""

    def __init__(self, transport: Any) -> None:
        self.write = transport.write
        self.abortConnection = transport.abortConnection

    def loseConnection(self) -> None:
        """Nothing happens."""


class Lingers(SimTls):
    """A TLS whose sessions are not closed by the other end."""

    def start(self, *args: Any, clear: Clear, **options: Any) -> Protocol:
        def established(transport: Any, exporter: Any) -> None:
            clear.established(cast(Any, Stuck(transport)), exporter)

        stuck = attrs.evolve(clear, established=established)
        return super().start(*args, clear=stuck, **options)


class AdmissionTestCase(SynchronousTestCase):
    """A node a, and other hosts of the world."""

    def setUp(self) -> None:
        self.world = World(seed=3)
        self.world.latency_ms(1, 1)

    def check_errors(self) -> None:
        """No code raised an error that nobody expected."""
        self.assertEqual(self.world.errors(), [])


class HandshakeTests(AdmissionTestCase):
    """Nodes with and without the secret."""

    def test_same_secret(self) -> None:
        """Two nodes with one secret are linked, with TLS and without."""
        for tls in (None, SimTls, AutoTls):
            self.setUp()
            make: Any = tls or (lambda: None)
            a = Door(self.world, "a", tls=make())
            b = Door(self.world, "b", tls=make())
            a.dial(b)
            self.world.advance(0.1)
            (at_a,), (at_b,) = a.links, b.links
            self.assertEqual(at_a.node_key, b.local.node_key)
            self.assertEqual(at_b.node_key, a.local.node_key)
            self.assertEqual((at_a.dialled, at_b.dialled), (b.address, None))
            self.assertEqual(at_b.address[0], a.address[0])
            self.assertEqual(at_a.encrypted, tls is not None)
            at_a.ping(1, 2)
            self.world.advance(60)
            self.assertEqual([kind for kind, _ in b.received], [FrameType.PING])
            self.assertEqual((a.gone, b.gone), ([], []))
            self.check_errors()

    def test_refusals(self) -> None:
        """Each side says what it knows: the dialled one why, the other whom (F15)."""
        theirs: dict[str, Any]
        for theirs, at_b, at_a in (
            ({"secret": OTHER_SECRET}, "another secret", "another secret or cluster"),
            ({"cluster": "x"}, "another cluster name", "another secret or cluster"),
            ({"tls": SimTls()}, "its TLS is on, ours is off", "its TLS is off"),
        ):
            self.setUp()
            a, b = Door(self.world, "a", **theirs), Door(self.world, "b")
            with capturedLogs() as logs:
                protocol = a.dial(b)
                self.world.advance(0.5)
            self.assertEqual((a.links, b.links), ([], []))
            first, second = lines(logs)
            self.assertIn("Refused 10.0.0.1:", first)
            self.assertIn(at_b, first)
            self.assertIn("10.0.0.2:7000 refused us: ", second)
            self.assertIn(at_a, second)
            self.assertIn(protocol.refusal or "", second)
            self.assertEqual((len(a.gone), len(b.gone)), (1, 1))
            self.check_errors()

    def test_client(self) -> None:
        """Pulse with the right secret is let in, as a client."""
        a, b = Door(self.world, "a", role=Role.CLIENT), Door(self.world, "b")
        a.dial(b)
        self.world.advance(0.5)
        self.assertEqual([link.remote.role for link in b.links], [Role.CLIENT])

    def test_not_chosen(self) -> None:
        """A link that nobody takes is closed after 5 s."""
        a, b = Door(self.world, "a"), Door(self.world, "b")
        b.takes = False
        a.dial(b)
        self.world.advance(CHOICE_TIMEOUT_S - 0.1)
        self.assertEqual(b.gone, [])
        self.world.advance(0.2)
        self.assertEqual((len(b.gone), b.links[0].closed), (1, True))

    def test_broken_peer(self) -> None:
        """A peer that breaks the protocol is dropped, and named in the log."""
        a, b = Door(self.world, "a"), Door(self.world, "b")
        a.dial(b)
        self.world.advance(0.1)
        with capturedLogs() as logs:
            transport: Any = a.protocols[0].transport
            transport.write(b"GET / HTTP/1.1\r\n")
            self.world.advance(0.1)
        (line,) = lines(logs)
        self.assertIn("Dropped the other at 10.0.0.1:", line)
        self.assertTrue(b.links[0].closed and a.links[0].closed)
        self.check_errors()

    def test_when_closed(self) -> None:
        """Who waits for the last connection to close is told then."""
        a, b = Door(self.world, "a"), Door(self.world, "b")
        self.successResultOf(b.admission.when_closed())
        a.dial(b)
        Visitor(b, a.place)
        self.world.advance(0.1)
        closed = b.admission.when_closed()
        self.assertEqual(len(b.admission.under_way()), 1)
        for protocol in list(b.admission.connections):
            self.assertNoResult(closed)
            protocol.abort()
            self.world.advance(0.1)
        self.successResultOf(closed)
        self.assertEqual(b.admission.under_way(), [])


class StrangerTests(AdmissionTestCase):
    """Those who prove nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.door = Door(self.world, "a")
        self.host = self.world.host("stranger")

    def test_strange_protocols(self) -> None:
        """HTTP, TLS, SSH or garbage: closed at once, without a word (F24)."""
        for name, data in STRANGE.items():
            visitor = Visitor(self.door, self.host).say(data)
            self.assertLess(visitor.closed_after_s(), 0.1, name)
            self.assertEqual(bytes(visitor.talk.received), b"", name)
        self.assertEqual((self.door.links, self.door.admission.under_way()), ([], []))
        self.check_errors()

    def test_silence(self) -> None:
        """Who says nothing is closed after 2 s (F27)."""
        visitor = Visitor(self.door, self.host)
        self.world.advance(TIMEOUT_S - 0.1)
        self.assertFalse(visitor.thrown_out)
        self.assertLess(visitor.closed_after_s(), TIMEOUT_S + 0.1)

    def test_one_byte_at_a_time(self) -> None:
        """The 2 s are for all, however slowly the bytes come (F27)."""
        opening = Pair(side("x"), side("y")).run().sent[FrameType.VERSION_I]
        visitor = Visitor(self.door, self.host)
        for at in range(len(opening)):
            if not visitor.thrown_out:
                visitor.say(opening[at : at + 1])
                self.world.advance(0.1)
        self.assertLess(visitor.closed_after_s(), TIMEOUT_S + 0.2)

    def test_stuck_after_version(self) -> None:
        """Who stops in the middle of the handshake is closed after 2 s, too (F27)."""
        opening = Pair(side("x"), side("a")).run().sent[FrameType.VERSION_I]
        visitor = Visitor(self.door, self.host).say(opening)
        self.world.advance(0.1)
        self.assertEqual(len(visitor.talk.received), 8 + 96)
        self.assertLess(visitor.closed_after_s(), TIMEOUT_S + 0.1)

    def test_pipelined_tls(self) -> None:
        """Bytes in the clear where TLS must begin end the connection (F21)."""
        door = Door(self.world, "b", tls=SimTls())
        opening = Pair(side("x", tls=True), side("b", tls=True)).run().sent
        visitor = Visitor(door, self.host)
        visitor.say(opening[FrameType.VERSION_I] + b"x")
        self.assertLess(visitor.closed_after_s(), 0.1)

    def test_bytes_within_tls(self) -> None:
        """64 KiB may come within TLS before the proof, one byte more not (F22)."""
        door = Door(self.world, "b", tls=Swallow())
        opening = Pair(side("x", tls=True), side("b", tls=True)).run().sent
        for more in (0, 1):
            visitor = Visitor(door, self.host).say(opening[FrameType.VERSION_I])
            self.world.advance(0.1)
            visitor.say(bytes(UNAUTHENTICATED_TLS_BYTES_MAX + more))
            self.world.advance(0.5)
            self.assertEqual(visitor.thrown_out, bool(more))

    def test_one_line_a_minute(self) -> None:
        """A hundred bad connections of one address are one line in a minute (F24)."""
        other = self.world.host("other")
        with capturedLogs() as logs:
            for _ in range(100):
                Visitor(self.door, self.host).say(STRANGE["HTTP"]).closed_after_s()
            Visitor(self.door, other).say(STRANGE["HTTP"]).closed_after_s()
        first, second = lines(logs)
        self.assertIn(f"Dropped {self.host.address}:", first)
        self.assertIn(f"Dropped {other.address}:", second)
        self.world.advance(61)
        with capturedLogs() as logs:
            Visitor(self.door, self.host).closed_after_s()
        (line,) = lines(logs)
        self.assertIn("no handshake within 2 s (and 99 more like it", line)

    def test_log_lines_are_harmless(self) -> None:
        """What strangers send can't forge a line of the log, or move a cursor (F58)."""
        with capturedLogs() as logs:
            for data in STRANGE.values():
                Visitor(self.door, self.host).say(data).closed_after_s()
                self.world.advance(61)
        found = lines(logs)
        self.assertEqual(len(found), len(STRANGE))
        for line in found:
            self.assertTrue(line.isprintable(), line)
            self.assertLess(len(line), 200)

    def test_sockets_of_one_address_at_the_bound(self) -> None:
        """
        32 silent sockets of an address stay, one more closes the oldest (F27, F28).
        """
        visitors = [Visitor(self.door, self.host) for _ in range(PER_ADDRESS)]
        self.world.advance(0.1)
        self.assertFalse(any(visitor.thrown_out for visitor in visitors))
        visitors.append(Visitor(self.door, self.host))
        self.world.advance(0.1)
        gone = [visitor.thrown_out for visitor in visitors]
        self.assertEqual(gone, [True] + [False] * PER_ADDRESS)

    def test_thousand_silent_connections(self) -> None:
        """A thousand connections that say nothing keep nobody else out (F27)."""
        for number in range(1000):
            if number == 990:
                other = Door(self.world, "b")
                other.dial(self.door)
            Visitor(self.door, self.host)
        self.world.advance(0.1)
        self.assertEqual(len(self.door.links), 1)
        open_now = len(self.door.admission.connections)
        self.assertLessEqual(open_now, UNAUTHENTICATED_SOCKETS_MAX + 1)
        self.world.advance(3)
        self.assertEqual(len(self.door.admission.connections), 1)
        self.assertFalse(self.door.links[0].closed)
        self.check_errors()

    def test_ticket(self) -> None:
        """A socket that shows our ticket is not closed for its address's sake."""
        opening, now = side("stranger"), self.door.place.runtime.now()
        ours = greeting(opening)
        at = (self.host.address, 5)
        ticket = Talk(ours, self.door.greeting, at, self.door.address, now).at_a.ticket
        for shown, closed in ((ticket, False), (bytes([7]) * 16, True)):
            talk = Handshake(opening, initiator=True, nonce=NONCE_I, ticket=shown)
            (send,) = talk.start()
            assert isinstance(send, Send)
            first = Visitor(self.door, self.host).say(send.data)
            self.world.advance(0.05)
            for _ in range(PER_ADDRESS):
                Visitor(self.door, self.host)
            self.world.advance(0.05)
            self.assertEqual(first.thrown_out, closed)
            self.world.advance(5)

    def stall(self, door: Door, count: int) -> list[Visitor]:
        """Visitors who begin a TLS handshake, and then say no more."""
        opening = Pair(side("x", tls=True), side("b", tls=True)).run().sent
        visitors = []
        for _ in range(count):
            visitor = Visitor(door, self.host).say(opening[FrameType.VERSION_I])
            self.world.advance(0.01)
            visitors.append(visitor)
        return visitors

    def test_tls_handshakes_at_the_bound(self) -> None:
        """
        16 TLS handshakes may be under way; for one more the oldest gives way, so that
        nobody who stalls them keeps the others out (F27).
        """
        door = Door(self.world, "b", tls=Swallow())
        visitors = self.stall(door, TLS_HANDSHAKES_MAX + 1)
        kinds = [visitor.talk.received[1] for visitor in visitors]
        self.assertEqual(kinds, [FrameType.VERSION_R] * (TLS_HANDSHAKES_MAX + 1))
        out = [visitor.thrown_out for visitor in visitors]
        self.assertEqual(out, [True] + [False] * TLS_HANDSHAKES_MAX)

    def test_tls_handshakes_with_tickets(self) -> None:
        """Those who showed a ticket give way to nobody; one more is told so."""
        door = Door(self.world, "b", tls=Swallow())
        self.patch(door.greeting, "ticket_valid", lambda *_: True)
        visitors = self.stall(door, TLS_HANDSHAKES_MAX + 1)
        kinds = [visitor.talk.received[1] for visitor in visitors]
        version, reject = FrameType.VERSION_R, FrameType.REJECT
        self.assertEqual(kinds, [version] * TLS_HANDSHAKES_MAX + [reject])
        self.world.advance(TIMEOUT_S)
        (visitor,) = self.stall(door, 1)
        self.assertEqual(visitor.talk.received[1], version)

    def test_refused_and_still_there(self) -> None:
        """Who was refused within TLS, and does not close, has no more time."""
        door = Door(self.world, "b", tls=Lingers())
        opening = Pair(side("x", tls=True), side("b", tls=True)).run().sent
        visitor = Visitor(door, self.host).say(opening[FrameType.VERSION_I])
        self.world.advance(1)
        wrong_proof = encode_frame(FrameType.AUTH_I, bytes(32))
        visitor.say(b"SIM TLS CLIENT\r\n").say(wrong_proof)
        self.world.advance(0.1)
        self.assertEqual(visitor.talk.received[-11 + 1], FrameType.REJECT)
        self.assertLess(visitor.closed_after_s(), TIMEOUT_S + 0.1)

    def test_busy_is_no_refusal(self) -> None:
        """A node that was told so does not take it for a wrong secret."""
        door = Door(self.world, "b", tls=Swallow())
        self.patch(door.greeting, "ticket_valid", lambda *_: True)
        self.stall(door, TLS_HANDSHAKES_MAX)
        other = Door(self.world, "c", tls=SimTls())
        protocol = other.dial(door)
        self.world.advance(0.1)
        self.assertIsNone(protocol.refusal)
        self.assertEqual(other.gone, [protocol])
