"""
The frames that peers exchange about themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.clock import HybridClock
from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.control import PEERS_BYTES_MAX, Control
from mycorrizal.nodosum.effects import CloseLink, Effect, SendSystem
from mycorrizal.nodosum.farewells import LinkEnd
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.messages import (
    ClientWelcome,
    PeerEntry,
    Peers,
    Probe,
    Probed,
    Welcome,
    decode,
    encode,
)
from mycorrizal.nodosum.peer import Peer, PeerState
from mycorrizal.nodosum.wire.limits import (
    ADDRESSES_PER_PEER_MAX,
    FRAME_BYTES_MIN,
    NAME_BYTES_MAX,
    PEERS_PER_FRAME_MAX,
    FrameType,
    Goodbye,
)
from mycorrizal.nodosum.wire.signals import decode_ping, encode_goodbye, encode_ping
from mycorrizal.nodosum.wire.version import Role
from tests.nodosum.ends import Side, runtime_of
from tests.nodosum.town import CONFIG, address_of, core_of, welcome_of


class Performer:
    """Keeps what it should do."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.goodbyes: list[tuple[Link, LinkEnd | None]] = []
        self.renewals = self
        self.of_renewals: list[tuple[Link, int, bytes]] = []

    def received(self, link: Link, kind: int, payload: bytes) -> None:
        self.of_renewals.append((link, kind, payload))

    def perform(self, effects: Iterable[Effect]) -> None:
        self.effects += effects

    def said_goodbye(self, link: Link, end: LinkEnd | None) -> None:
        self.goodbyes.append((link, end))


class ControlTests(SynchronousTestCase):
    """Node a, with a link to node b."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        runtime = runtime_of(self.clock)
        self.side = Side("a", runtime)
        self.core = core_of("a")
        self.performer = Performer()
        self.hybrid = HybridClock(runtime.wall)
        self.control = Control(
            runtime, CONFIG, self.core, self.hybrid, self.performer,
            host="machine", version="1.2",
        )  # fmt: skip
        self.link = self.side.link("b", frame_bytes_max=FRAME_BYTES_MIN)

    def receive(self, kind: int, payload: bytes) -> None:
        """A frame comes."""
        self.control.control_received(self.link, kind, payload)

    def frames(self) -> list[tuple[int, bytes]]:
        """What was sent."""
        self.clock.advance(0)
        sent = self.side.transports["b"].frames()
        return [(kind, payload) for kind, _, payload in sent]

    def members(self, count: int, *addresses: tuple[str, int]) -> None:
        """Let there be so many other members."""
        for number in range(count):
            key = number.to_bytes(16, "big")
            peer = Peer(key, 2**63, 0.0, addresses, state=PeerState.ALIVE)
            self.core.peers[key] = peer

    def welcomed(self) -> tuple[Welcome, list[Peers]]:
        """The WELCOME that was sent, and the PEERS behind it."""
        (kind, payload), *rest = self.frames()
        self.assertEqual(kind, FrameType.WELCOME)
        self.assertEqual(
            {kind for kind, _ in rest}, {FrameType.PEERS} if rest else set()
        )
        return decode(Welcome, payload), [decode(Peers, data) for _, data in rest]

    def test_welcome(self) -> None:
        """WELCOME says who we are, where others reach us, and whom we know."""
        self.hybrid.observe(77 << 40)
        self.members(1, address_of("c"))
        self.control.send_welcome(self.link, (address_of("a"),))
        welcome, peers = self.welcomed()
        entry = PeerEntry(bytes(16), 2**63, (address_of("c"),))
        self.assertEqual(
            welcome,
            Welcome(
                "a", "machine", {}, "1.2", (address_of("a"),), 77 << 40, False, (entry,)
            ),
        )
        self.assertEqual(peers, [])

    def test_peers_in_a_frame_at_the_bound(self) -> None:
        """512 peers go with WELCOME, one more follows in PEERS."""
        for count, expected in (
            (0, [0]), (PEERS_PER_FRAME_MAX, [512]), (PEERS_PER_FRAME_MAX + 1, [512, 1]),
            (3 * PEERS_PER_FRAME_MAX, [512, 512, 512]),
        ):  # fmt: skip
            self.setUp()
            self.members(count)
            self.control.send_welcome(self.link, ())
            welcome, peers = self.welcomed()
            parts = [welcome.peers, *(some.peers for some in peers)]
            self.assertEqual([len(part) for part in parts], expected)
            keys = [peer.node_key for part in parts for peer in part]
            self.assertEqual(keys, sorted(self.core.peers))

    def test_peers_with_many_addresses(self) -> None:
        """However long their addresses, every frame fits the smallest limit."""
        long = "h" * (NAME_BYTES_MAX - 2)
        addresses = [(f"{long}{at:02}", 65_535) for at in range(ADDRESSES_PER_PEER_MAX)]
        self.members(300, *addresses)
        self.control.send_welcome(self.link, tuple(addresses))
        welcome, peers = self.welcomed()
        sizes = [len(welcome.peers), *(len(some.peers) for some in peers)]
        self.assertEqual(sum(sizes), 300)
        for _, payload in self.frames()[1:]:
            self.assertLess(len(payload), PEERS_BYTES_MAX + 100)

    def test_news(self) -> None:
        """News of nobody is not sent; news of many in several frames."""
        self.control.send_peers(self.link, ())
        self.assertEqual(self.frames(), [])
        entries = tuple(
            PeerEntry(number.to_bytes(16, "big"), 1, ()) for number in range(600)
        )
        self.control.send_peers(self.link, entries)
        sent = [decode(Peers, payload).peers for _, payload in self.frames()]
        self.assertEqual(sent, [entries[:512], entries[512:]])

    def test_client_welcome(self) -> None:
        """A client hears who we are, and what it may do."""
        self.control.send_client_welcome(self.link)
        ((kind, payload),) = self.frames()
        self.assertEqual(kind, FrameType.WELCOME)
        expected = ClientWelcome("a", "1.2", ("*:*:*",))
        self.assertEqual(decode(ClientWelcome, payload), expected)

    def test_ping_is_answered(self) -> None:
        """A PING is answered with its token and our clock, which has heard theirs."""
        theirs = 2000 << 32
        self.receive(FrameType.PING, encode_ping(7, theirs))
        ((kind, payload),) = self.frames()
        self.assertEqual((kind, decode_ping(payload)), (FrameType.PONG, (7, theirs)))
        self.assertEqual(self.hybrid.last, theirs)

    def test_round_trip(self) -> None:
        """The time from PING to PONG is remembered, of the last one only."""
        self.core.authenticated(self.link, 0.0)
        peer = self.core.peers[self.link.node_key]
        peer.link = self.link
        self.control.send_ping(self.link, 1)
        self.clock.advance(0.5)
        self.receive(FrameType.PONG, encode_ping(9, 0))
        self.assertIsNone(peer.rtt_s)
        self.receive(FrameType.PONG, encode_ping(1, 0))
        self.assertEqual(peer.rtt_s, 0.5)
        self.control.send_ping(self.link, 2)
        self.clock.advance(0.1)
        self.receive(FrameType.PONG, encode_ping(1, 0))
        self.assertEqual(peer.rtt_s, 0.5)
        self.control.forget(self.link)
        self.control.forget(self.link)
        self.receive(FrameType.PONG, encode_ping(2, 0))
        self.assertEqual(peer.rtt_s, 0.5)

    def test_welcome_received(self) -> None:
        """A WELCOME reaches membership; here it is one that nobody waits for."""
        self.receive(FrameType.WELCOME, encode(welcome_of("b")))
        self.assertEqual(self.performer.effects, [CloseLink(self.link)])

    def test_welcome_of_somebody_else(self) -> None:
        """A node that calls itself otherwise than in the handshake is dropped."""
        with self.assertRaises(RemoteProtocolError):
            self.receive(FrameType.WELCOME, encode(welcome_of("c")))
        self.assertEqual(self.performer.effects, [])

    def test_peers_received(self) -> None:
        """PEERS are news once the link is up, and an error before."""
        news = encode(Peers((PeerEntry(bytes(16), 1, (address_of("c"),)),)))
        self.receive(FrameType.PEERS, news)
        self.assertEqual(list(self.core.peers), [bytes(16)])
        self.link.up = False
        with self.assertRaises(RemoteProtocolError):
            self.receive(FrameType.PEERS, news)

    def test_probe_received(self) -> None:
        """A question about a third is answered on its link, once that is up."""
        question = encode(Probe(7, bytes(16), 1))
        self.link.up = False
        with self.assertRaises(RemoteProtocolError):
            self.receive(FrameType.SYSTEM, question)
        self.link.up = True
        self.receive(FrameType.SYSTEM, question)
        (answer,) = self.performer.effects
        assert isinstance(answer, SendSystem)
        self.assertEqual(answer, SendSystem(self.link, Probed(7, 2)))
        self.control.send_system(self.link, answer.message)
        self.assertEqual(self.frames(), [(FrameType.SYSTEM, encode(Probed(7, 2)))])
        for wrong in (b"", b"\xc1", encode(Peers(()))):
            with self.assertRaises(RemoteProtocolError):
                self.receive(FrameType.SYSTEM, wrong)

    def test_clock_that_can_not_be(self) -> None:
        """A clock beyond all clocks is an error, and ours stays."""
        before = self.hybrid.last
        for kind in (FrameType.PING, FrameType.PONG):
            with self.assertRaises(RemoteProtocolError):
                self.receive(kind, encode_ping(1, 2**64 - 1))
        self.assertEqual(self.hybrid.last, before)

    def test_goodbye(self) -> None:
        """GOODBYE ends the link, with a reason that we know or without."""
        said = encode_goodbye(Goodbye.DUPLICATE_ID, 3, "10.0.0.9:7000")
        end = LinkEnd(Goodbye.DUPLICATE_ID, 3, "10.0.0.9:7000")
        self.receive(FrameType.GOODBYE, said)
        self.receive(FrameType.GOODBYE, b"\xc8" + bytes(8))
        goodbyes = [(self.link, end), (self.link, None)]
        self.assertEqual(self.performer.goodbyes, goodbyes)

    def test_malformed(self) -> None:
        """Anything malformed, unknown or out of place is an error with a name."""
        for kind, payload in (
            (FrameType.PING, b""), (FrameType.PONG, bytes(15)),
            (FrameType.GOODBYE, bytes(8)), (FrameType.WELCOME, b"\x90"),
            (FrameType.PEERS, b"\xc1"), (FrameType.VERSION_I, bytes(120)),
            (FrameType.AUTH_I, bytes(32)), (FrameType.SYSTEM, b""),
            (FrameType.CHUNK, b""), (0, b""), (0x7F, b""),
        ):  # fmt: skip
            with self.assertRaises(RemoteProtocolError):
                self.receive(kind, payload)
        self.assertEqual((self.performer.effects, self.frames()), ([], []))

    def test_client(self) -> None:
        """A client may ping and say goodbye; all else is for nodes."""
        remote: Any = attrs.evolve(self.link.remote, role=Role.CLIENT)
        self.link.remote = remote
        self.receive(FrameType.PING, encode_ping(1, 0))
        self.receive(FrameType.GOODBYE, encode_goodbye(Goodbye.LEAVING))
        self.assertEqual(len(self.performer.goodbyes), 1)
        for kind, payload in (
            (FrameType.PONG, encode_ping(1, 0)),
            (FrameType.WELCOME, encode(welcome_of("b"))),
            (FrameType.PEERS, encode(Peers(()))),
        ):
            with self.assertRaises(RemoteProtocolError):
                self.receive(kind, payload)
        self.assertEqual(self.performer.effects, [])
