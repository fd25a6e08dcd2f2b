# -*- test-case-name: benchmarks.tests.test_requests -*-
"""
Tests of requests between applications, and of Twisted's own ways to ask.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import StringTransport
from twisted.spread import pb
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import ours_requests
from benchmarks.catalog import ROWS
from benchmarks.peers.twisted_calls import (
    WAYS,
    AmpLink,
    AmpServer,
    Get,
    PbLink,
    asking,
    pb_server,
)
from benchmarks.rows import Better
from benchmarks.workloads.asking import Load

VALUES = {b"one": b"1", b"two": bytes(100)}


class Wired:
    """Two protocols whose bytes go to and fro until there are no more."""

    def __init__(self, client: Any, server: Any) -> None:
        self.ends = [(client, StringTransport()), (server, StringTransport())]
        for protocol, transport in self.ends:
            protocol.makeConnection(transport)
        self.flow()

    def flow(self) -> None:
        (client, asked), (server, answered) = self.ends
        while asked.value() or answered.value():
            for written, reader in ((asked, server), (answered, client)):
                data = written.value()
                written.clear()
                if data:
                    reader.dataReceived(data)


class CallTests(SynchronousTestCase):
    """Both ends of AMP and PB, without sockets."""

    def test_amp(self) -> None:
        """A command is answered with the value of its key."""
        client = AmpLink({})
        wired = Wired(client, AmpServer(VALUES).buildProtocol(None))
        asked = [client.callRemote(Get, key=key) for key in VALUES]
        wired.flow()
        answers = [self.successResultOf(each)["value"] for each in asked]
        self.assertEqual(answers, [*VALUES.values()])

    def test_pb(self) -> None:
        """A method of the root object returns the value of its key."""
        factory = pb.PBClientFactory()
        factory.protocol = PbLink
        wired = Wired(
            factory.buildProtocol(None), pb_server(VALUES).buildProtocol(None)
        )
        root = self.successResultOf(factory.getRootObject())
        asked = [root.callRemote("get", key) for key in VALUES]
        wired.flow()
        answers = [self.successResultOf(each) for each in asked]
        self.assertEqual(answers, [*VALUES.values()])

    def test_settings(self) -> None:
        """Whoever judges the fairness is told how each was used."""
        for way in WAYS:
            peer = asking(Load(64, 1, 1), way)
            self.assertEqual(peer.name, way)
            self.assertIn("callRemote", peer.settings)
            self.assertEqual(peer.missing(), None)


class RowTests(SynchronousTestCase):
    """The rows of requests."""

    def test_bars(self) -> None:
        """What is promised of Foolscap over TLS is promised of AMP and PB."""
        bars = {
            row_id: {
                rival.peer.name: (rival.bar.must, rival.bar.aim)
                for rival in ROWS[row_id](True).rivals
            }
            for row_id in ("P2-REQUEST", "P3-REQUEST")
        }
        many, one = bars["P2-REQUEST"], bars["P3-REQUEST"]
        self.assertEqual([*many], ["floor", "AMP", "PB", "foolscap"])
        self.assertEqual([*many], [*one])
        self.assertEqual((many["AMP"], many["PB"]), ((3.0, None), (3.0, None)))
        self.assertEqual((one["AMP"], one["PB"]), ((1.0, None), (1.0, None)))
        self.assertIs(ROWS["P3-REQUEST"](True).better, Better.LOWER)

    def test_sizes(self) -> None:
        """Questions and answers have a hundred bytes, and all questions differ."""
        load = Load(64, 1, 1, key_bytes=100)
        table = load.table()
        self.assertEqual(len(table), load.keys)
        sizes = {len(each) for pair in table.items() for each in pair}
        self.assertEqual(sizes, {100})

    def test_ours(self) -> None:
        """Ours are requests of an application, with TLS or without."""
        settings = ours_requests.asking(Load(1, 1, 1), "auto").settings
        self.assertIn("Application.request, tls=auto", settings)
