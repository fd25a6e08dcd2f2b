"""Tests for `mycorrizal.testing.tls`."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.tls import Clear
from mycorrizal.testing import Host, SimTls, World
from tests.contract.place import Recorder, Remembering

LABEL, CONTEXT = b"EXPORTER-x", b"context"


class TlsEnd(Protocol):
    """One end that begins TLS at once, and remembers what comes of it."""

    def __init__(self, host: Host, *, is_client: bool) -> None:
        self.host = host
        self.is_client = is_client
        self.received = b""
        self.chunks: list[bytes] = []
        self.exporters: list[Any] = []
        self.lost: list[Failure] = []
        self.clear_transport: Any = None
        self._tls: Any = None

    def connectionMade(self) -> None:
        assert self.transport is not None
        clear = Clear(self.established, self.take, self.lost.append)
        self._tls = SimTls().start(
            self.host.runtime, self.transport, is_client=self.is_client, clear=clear
        )

    def established(self, transport: Any, exporter: Any) -> None:
        """The handshake is over."""
        self.clear_transport = transport
        self.exporters.append(exporter)

    def take(self, data: bytes) -> None:
        """Clear bytes came."""
        self.received += data
        self.chunks.append(data)

    def dataReceived(self, data: bytes) -> None:
        self._tls.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._tls.connectionLost(reason)


class TlsTests(SynchronousTestCase):
    """Simulated TLS behaves as the real one, but for the encryption."""

    def setUp(self) -> None:
        self.world = World(1)
        self.world.latency_ms(10, 10)
        self.a, self.b = self.world.host("a"), self.world.host("b")
        server: Any = lambda: TlsEnd(self.b, is_client=False)  # noqa: E731
        self.servers = Remembering(server)
        self.b.reactor.listenTCP(7, self.servers)

    def connect(self, protocol: Any = None) -> tuple[Any, Any]:
        """Connect; no byte has arrived yet."""
        factory = Factory.forProtocol(
            protocol or (lambda: TlsEnd(self.a, is_client=True))
        )
        dialled = TCP4ClientEndpoint(self.a.reactor, self.b.address, 7).connect(factory)
        count = len(self.servers.made)
        self.world.until(lambda: len(self.servers.made) > count and dialled.called, 1)
        return self.successResultOf(dialled), self.servers.made[count]

    def established(self) -> tuple[TlsEnd, TlsEnd]:
        """A session between two ends."""
        client, server = self.connect()
        self.world.until(lambda: client.exporters and server.exporters, 1)
        return client, server

    def test_round_trip(self) -> None:
        """The handshake takes a round trip more, as TLS 1.3 does."""
        client, server = self.connect()
        began_s = self.world.now_s
        self.world.until(lambda: client.exporters, 1)
        self.assertGreaterEqual(self.world.now_s - began_s, 0.009)
        self.assertEqual(len(server.exporters), 1)
        self.assertEqual(client.received + server.received, b"")

    def test_key_material(self) -> None:
        """Both ends export the same bytes, and other labels other bytes."""
        client, server = self.established()
        (ours,), (theirs,) = client.exporters, server.exporters
        exported = ours(LABEL, 32, CONTEXT)
        self.assertEqual(exported, theirs(LABEL, 32, CONTEXT))
        self.assertEqual(len(exported), 32)
        self.assertEqual(ours(LABEL, 16, CONTEXT), exported[:16])
        others = {ours(b"EXPORTER-y", 32, CONTEXT), ours(LABEL, 32, b"")}
        self.assertEqual(len(others | {exported}), 3)

    def test_key_material_of_another_connection(self) -> None:
        """Nobody can carry a proof from one connection to another."""
        first, second = self.established(), self.established()
        self.assertNotEqual(
            first[0].exporters[0](LABEL, 32, CONTEXT),
            second[0].exporters[0](LABEL, 32, CONTEXT),
        )

    def test_clear_bytes(self) -> None:
        """After the handshake bytes pass both ways, and the end is told."""
        client, server = self.established()
        client.clear_transport.write(b"ping")
        server.clear_transport.write(b"pong")
        self.world.advance(0.1)
        self.assertEqual((client.received, server.received), (b"pong", b"ping"))
        client.clear_transport.loseConnection()
        self.world.advance(0.1)
        self.assertEqual((len(client.lost), len(server.lost)), (1, 1))

    def test_bytes_right_behind_the_greeting(self) -> None:
        """What a client writes behind its greeting is not lost."""
        client, server = self.connect(Recorder)
        client.transport.write(b"SIM TLS CLIENT\r\nmore")
        self.world.advance(0.1)
        self.assertEqual(server.received, b"more")
        self.assertEqual(client.received, b"SIM TLS SERVER\r\n")

    def test_one_byte_at_a_time(self) -> None:
        """The greeting may come in pieces."""
        client, server = self.connect(Recorder)
        for byte in b"SIM TLS CLIENT\r\nmore":
            self.assertEqual(server.received, b"")
            client.transport.write(bytes([byte]))
            self.world.advance(0.1)
            if server.exporters:
                break
        client.transport.write(b"x")
        self.world.advance(0.1)
        self.assertEqual(server.chunks, [b"x"])

    def test_garbage(self) -> None:
        """Who says anything else is cut off, and nothing was established."""
        for garbage in (
            b"GET / HTTP/1.1\r\n",
            b"SIM TLS SERVER\r\n",
            b"SIM TLS x",
            b"\0",
        ):
            client, server = self.connect(Recorder)
            client.transport.write(garbage)
            self.world.advance(0.1)
            self.assertIsNotNone(client.reason)
            self.assertEqual(len(server.lost), 1)
            self.assertEqual((server.exporters, server.received), ([], b""))

    def test_end_within_the_handshake(self) -> None:
        """An end before the handshake is over is told too."""
        client, server = self.connect(Recorder)
        client.transport.write(b"SIM TLS")
        client.transport.loseConnection()
        self.world.advance(0.1)
        self.assertEqual((len(server.lost), server.exporters), (1, []))
