"""
TLS without a CA: both ends, and nobody in between, get the same bytes.
"""

from __future__ import annotations

import itertools
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.tls import AutoTls, Clear
from mycorrizal.nodosum.wire.events import Exporter
from mycorrizal.nodosum.wire.handshake import EXPORTER_LABEL
from tests.nodosum.ends import runtime_of
from tests.nodosum.wire.pairs import Pair, side


class End:
    """
    One end of a TLS session.

    :ivar exporter: What its key material comes from, once it is established.
    """

    def __init__(self, tls: AutoTls, *, is_client: bool) -> None:
        self.transport = StringTransport()
        self.exporter: Exporter | None = None
        self.clear: Any = None
        self.received = b""
        self.lost: list[Failure] = []
        self.protocol: Protocol = tls.start(
            runtime_of(Clock()),
            self.transport,
            is_client=is_client,
            clear=Clear(self.established, self.take, self.lost.append),
        )

    def established(self, transport: ITransport, exporter: Exporter) -> None:
        """The handshake is done."""
        self.clear, self.exporter = transport, exporter

    def take(self, data: bytes) -> None:
        """Clear bytes came."""
        self.received += data


class Session:
    """A session between a client and a server, in memory."""

    def __init__(self, client: AutoTls, server: AutoTls) -> None:
        self.client = End(client, is_client=True)
        self.server = End(server, is_client=False)
        self.seen = b""
        self.pump()

    def pump(self) -> None:
        """Carry bytes until nobody has any left."""
        ends = (self.client, self.server)
        for source, target in itertools.islice(itertools.cycle((ends, ends[::-1])), 20):
            data = source.transport.value()
            source.transport.clear()
            self.seen += data
            if data:
                target.protocol.dataReceived(data)

    @property
    def exporters(self) -> tuple[Exporter, Exporter]:
        """The client's and the server's."""
        assert self.client.exporter is not None
        assert self.server.exporter is not None
        return self.client.exporter, self.server.exporter


class AutoTlsTests(SynchronousTestCase):
    """Processes that never met."""

    def setUp(self) -> None:
        self.a, self.b, self.m = AutoTls(), AutoTls(), AutoTls()

    def test_same_bytes_at_both_ends(self) -> None:
        """Both ends of a session export the same bytes, two sessions never do."""
        context = bytes(range(32))
        material = []
        for _ in range(2):
            for one in Session(self.a, self.b).exporters:
                material.append(one(EXPORTER_LABEL, 32, context))
        self.assertEqual(material[0], material[1])
        self.assertEqual(material[2], material[3])
        self.assertNotEqual(material[0], material[2])
        self.assertEqual(len(material[0]), 32)

    def test_context(self) -> None:
        """Another transcript gives other bytes."""
        one, other = Session(self.a, self.b).exporters
        self.assertNotEqual(
            one(EXPORTER_LABEL, 32, bytes(32)), other(EXPORTER_LABEL, 32, b"x" * 32)
        )

    def test_clear_bytes(self) -> None:
        """Bytes arrive as they were sent, and can't be read on the way."""
        session = Session(self.a, self.b)
        session.client.clear.write(b"to the server " * 1000)
        session.server.clear.write(b"to the client")
        session.pump()
        self.assertEqual(session.server.received, b"to the server " * 1000)
        self.assertEqual(session.client.received, b"to the client")
        self.assertNotIn(b"server", session.seen)

    def test_version(self) -> None:
        """It is TLS 1.3 and nothing else."""
        session = Session(self.a, self.b)
        handle = session.client.clear.getHandle()
        self.assertEqual(handle.get_protocol_version_name(), "TLSv1.3")

    def test_older_version(self) -> None:
        """Who only speaks TLS 1.2 gets no session, dialling or dialled (F20)."""
        for pair in ((AutoTls(), self.b), (self.a, AutoTls())):
            for tls in pair:
                if tls not in (self.a, self.b):
                    tls._context.set_min_proto_version(SSL.TLS1_2_VERSION)
                    tls._context.set_max_proto_version(SSL.TLS1_2_VERSION)
            session = Session(*pair)
            self.assertIsNone(session.client.exporter)
            self.assertIsNone(session.server.exporter)

    def test_handshake(self) -> None:
        """Two nodes with the secret trust each other over a session of theirs."""
        nodes = side("a", tls=True), side("b", tls=True)
        pair = Pair(*nodes, exporters=Session(self.a, self.b).exporters).run()
        self.assertEqual(pair.authenticated, (True, True))

    def test_man_in_the_middle(self) -> None:
        """Who ends TLS on both sides and relays everything gains nothing (F19)."""
        nodes = side("a", tls=True), side("b", tls=True)
        to_a, to_b = Session(self.a, self.m), Session(self.m, self.b)
        pair = Pair(*nodes, exporters=(to_a.exporters[0], to_b.exporters[1])).run()
        self.assertEqual(pair.authenticated, (False, False))

    def test_not_tls(self) -> None:
        """Something else than TLS ends the session; nothing is established."""
        for data in (b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\xff" * 6000):
            end = End(self.a, is_client=False)
            end.protocol.dataReceived(data)
            self.assertIsNone(end.exporter)
            self.assertTrue(end.transport.disconnecting or end.transport.disconnected)
            end.protocol.connectionLost(Failure(ConnectionDone()))
            self.assertEqual(len(end.lost), 1)
            self.assertEqual(end.received, b"")
