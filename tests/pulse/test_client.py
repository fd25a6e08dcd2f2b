"""
A client and real nodes, on a simulated network.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol

from mycorrizal.errors import (
    CallTimeout,
    LinkLost,
    LocalProtocolError,
    MessageTooLarge,
    NotRunning,
    RemoteFailure,
)
from mycorrizal.nodosum import new_secret
from mycorrizal.nodosum.clients import CLIENT_IDLE_S, CLIENT_YIELDS_S, CLIENTS_MAX
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.wire.limits import FrameType, RejectCode
from mycorrizal.pulse.client import (
    CannotConnect,
    NodeBusy,
    NodeRefused,
    PulseClient,
)
from mycorrizal.pulse.messages import (
    AskCreate,
    AskGet,
    AskPing,
    AskPut,
    AskStatus,
    Ok,
    Reply,
    Status,
    Value,
)
from tests.pulse.worlds import PulseTestCase, key_ring


class Greeter(Protocol):
    """Something else that listens: says a word as soon as it is dialled."""

    word = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.word)
        if not self.word:
            self.transport.loseConnection()


class HttpGreeter(Greeter):
    """Says what no node says."""

    word = b"HTTP/1.1 400 Bad Request\r\n\r\n"


class AskingTests(PulseTestCase):
    """A client that is welcome."""

    size = 2

    def test_welcome(self) -> None:
        """The node says who it is."""
        welcome = self.cluster.result_of(self.client().connect())
        self.assertEqual(welcome.node_id, "n0")

    def test_questions(self) -> None:
        """One connection takes any number of questions, also at once."""
        client = self.connected()
        created = self.cluster.result_of(client.ask(AskCreate("b")))
        self.assertEqual(created, Ok())
        puts = [client.ask(AskPut("b", f"k{n}", b"%d" % n)) for n in range(20)]
        for copied in self.cluster.result_of(_all(puts)):
            self.assertEqual(copied, Ok(copies=2))
        gets = [client.ask(AskGet("b", f"k{n}")) for n in range(20)]
        values = self.cluster.result_of(_all(gets))
        for number, value in enumerate(values):
            assert isinstance(value, Value)
            self.assertEqual(value.value, b"%d" % number)

    def test_close(self) -> None:
        """Closed in good order, it leaves nothing behind on either side."""
        client = self.connected()
        self.assertEqual(len(self.cluster[0].nodosum.mesh.clients), 1)
        self.cluster.result_of(client.close())
        self.assert_nothing_left()
        self.assertEqual(len(self.cluster[0].nodosum.mesh.clients), 0)
        self.failureResultOf(client.ask(AskStatus()), NotRunning)
        self.successResultOf(client.close())

    def test_not_connected(self) -> None:
        """Who has not connected can't ask, and closes at once."""
        client = self.client()
        self.failureResultOf(client.ask(AskStatus()), NotRunning)
        client.abort()
        self.successResultOf(client.close())

    def test_impossible_question(self) -> None:
        """What the node would drop the link for is not sent at all."""
        client = self.connected()
        key = "k" * 1024
        self.failureResultOf(client.ask(AskGet("b", key + "k")), LocalProtocolError)
        self.failureResultOf(client.ask(AskGet("b", "\udcff")), LocalProtocolError)
        self.cluster.result_of(client.ask(AskGet("b", key)))

    def test_too_large(self) -> None:
        """A question of more than 64 MiB is not sent at all."""
        client = self.connected()
        asking = client.ask(AskPut("b", "k", bytes(64 * 1024 * 1024)))
        self.failureResultOf(asking, MessageTooLarge)
        reply = self.cluster.result_of(client.ask(AskStatus()))
        self.assertIsInstance(reply, Status)

    def test_cancel(self) -> None:
        """A question that is cancelled is forgotten, and the next is answered."""
        client = self.connected()
        asking = client.ask(AskStatus())
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        reply = self.cluster.result_of(client.ask(AskStatus()))
        self.assertIsInstance(reply, Status)

    def test_silence(self) -> None:
        """A node that does not answer is not waited for longer than asked."""
        client = self.connected()
        self.cluster.pause(0)
        began_s = self.cluster.world.now_s
        with self.assertRaises(CallTimeout):
            self.cluster.result_of(client.ask(AskStatus(), 1.5))
        self.assertAlmostEqual(self.cluster.world.now_s - began_s, 1.5, places=3)

    def test_silence_at_the_end(self) -> None:
        """A node that takes no bytes any more is left after half a second."""
        client = self.connected()
        self.cluster.pause(0)
        for _ in range(2):
            client.ask(AskPut("b", "k", bytes(900_000))).addErrback(lambda _: None)
        self.cluster.advance(1)
        began_s = self.cluster.world.now_s
        self.cluster.result_of(client.close())
        self.assertAlmostEqual(self.cluster.world.now_s - began_s, 0.5, places=3)
        self.assert_nothing_left()

    def test_death(self) -> None:
        """When the node dies, what was asked fails, and so does the next."""
        client = self.connected()
        asking = client.ask(AskPing("n1"))
        self.cluster.crash(0)
        with self.assertRaises(LinkLost):
            self.cluster.result_of(asking)
        self.failureResultOf(client.ask(AskStatus()), NotRunning)
        self.assert_nothing_left()

    def test_node_stops(self) -> None:
        """When the node leaves, it closes the connection in good order."""
        client = self.connected()
        self.cluster.stop(0)
        self.cluster.advance(0.1)
        self.failureResultOf(client.ask(AskStatus()), NotRunning)
        self.assert_nothing_left()

    def link_at_node(self) -> Link:
        """The other end of the one connection."""
        (link,) = self.cluster[0].nodosum.mesh.clients
        return link

    def test_wrong_frame(self) -> None:
        """What is not for a client ends the connection."""
        client = self.connected()
        self.link_at_node().send_control(FrameType.PEERS, b"")
        self.cluster.advance(0.1)
        self.failureResultOf(client.ask(AskStatus()), NotRunning)
        self.assert_nothing_left()

    def test_no_pulse(self) -> None:
        """A node that has no Pulse says so."""
        client = self.connected()
        self.cluster[0].nodosum.applications.client_routes.clear()
        with self.assertRaises(RemoteFailure) as raised:
            self.cluster.result_of(client.ask(AskStatus()))
        self.assertIn("n0", str(raised.exception))


class RefusalTests(PulseTestCase):
    """A client that is not welcome, or has nowhere to go."""

    def refusal(self, client: PulseClient) -> NodeRefused:
        """What the node has against it."""
        with self.assertRaises(NodeRefused) as raised:
            self.cluster.result_of(client.connect())
        self.assert_nothing_left()
        refused: NodeRefused = raised.exception
        return refused

    def test_wrong_secret(self) -> None:
        """Another secret is refused, and the sentence says so."""
        keys = key_ring(new_secret(bytes(32)))
        refused = self.refusal(self.client(keys=keys))
        self.assertIs(refused.code, RejectCode.REFUSED)
        self.assertEqual(
            str(refused), "n0:6969 refused us: another secret or cluster name"
        )

    def test_wrong_cluster(self) -> None:
        """So is another cluster's name."""
        refused = self.refusal(self.client(cluster_name="other"))
        self.assertIs(refused.code, RejectCode.REFUSED)

    def test_wrong_tls(self) -> None:
        """A client in the clear is refused where TLS is on."""
        refused = self.refusal(self.client(tls=False))
        self.assertIs(refused.code, RejectCode.TLS)
        self.assertIn("its TLS is on, ours is off", str(refused))

    def problem(self, client: PulseClient, within_s: float = 2.0) -> str:
        """Why there is no node to talk to."""
        began_s = self.cluster.world.now_s
        with self.assertRaises(CannotConnect) as raised:
            self.cluster.result_of(client.connect(2.0))
        self.assertLessEqual(self.cluster.world.now_s - began_s, within_s + 0.01)
        self.assert_nothing_left()
        problem: str = raised.exception.problem
        return problem

    def test_nothing_there(self) -> None:
        """A port where nothing listens is known at once."""
        for host in ("n0", "10.0.0.1"):
            problem = self.problem(self.client((host, 7)), within_s=0.5)
            self.assertEqual(problem, "nothing listens there")

    def test_unknown_name(self) -> None:
        """So is a name that nobody has."""
        problem = self.problem(self.client(("nobody", 7)), within_s=0.1)
        self.assertEqual(problem, "nobody has that name")

    def test_no_answer(self) -> None:
        """A host that is silent is given up after the time allowed."""
        self.assertEqual(self.problem(self.client(("10.9.9.9", 7))), "no answer")

    def test_no_welcome(self) -> None:
        """So is a node that hangs."""
        self.cluster.pause(0)
        problem = self.problem(self.client())
        self.assertEqual(problem, "no answer within 2 s")

    def other(self, protocol: type[Protocol]) -> PulseClient:
        """A client of something that is no node."""
        factory = Factory.forProtocol(protocol)
        self.cluster.hosts[0].reactor.listenTCP(80, factory)
        return self.client(("n0", 80))

    def test_not_a_node(self) -> None:
        """Who dials a web server is told so."""
        problem = self.problem(self.other(HttpGreeter), within_s=0.1)
        self.assertIn("no node of ours", problem)

    def test_closes(self) -> None:
        """Who is hung up on is told so."""
        problem = self.problem(self.other(Greeter), within_s=0.1)
        self.assertEqual(problem, "it closed the connection")

    def test_too_many(self) -> None:
        """A node takes so many clients and not one more."""
        clients = [self.connected() for _ in range(CLIENTS_MAX)]
        with self.assertRaises(NodeBusy) as raised:
            self.cluster.result_of(self.client().connect())
        self.assertIn("64 connections of pulse already", raised.exception.problem)
        self.cluster.result_of(clients[0].close())
        self.connected()

    def test_idle_ones_give_way(self) -> None:
        """Those who sit there and ask nothing keep nobody out."""
        idle = [self.connected() for _ in range(CLIENTS_MAX)]
        self.cluster.advance(CLIENT_YIELDS_S)
        for client in idle[1:]:
            self.cluster.result_of(client.ask(AskStatus()))
        newcomer = self.connected()
        self.cluster.result_of(newcomer.ask(AskStatus()))
        with self.assertRaises(NotRunning):
            self.cluster.result_of(idle[0].ask(AskStatus()))
        self.cluster.result_of(idle[1].ask(AskStatus()))

    def test_idle_ones_are_sent_away(self) -> None:
        """Nor do they stay for ever where there is room."""
        client = self.connected()
        self.cluster.advance(CLIENT_IDLE_S - 1)
        self.cluster.result_of(client.ask(AskStatus()))
        self.cluster.advance(CLIENT_IDLE_S + 1)
        self.assertEqual(len(self.cluster[0].nodosum.mesh.clients), 0)
        with self.assertRaises(NotRunning):
            self.cluster.result_of(client.ask(AskStatus()))
        self.assert_nothing_left()

    def test_cancel(self) -> None:
        """Connecting can be cancelled at any moment."""
        for after_s in (0.0, 0.0005, 0.001, 0.002, 0.004):
            client = self.client()
            connecting = client.connect()
            self.cluster.advance(after_s)
            if not connecting.called:
                connecting.cancel()
                self.failureResultOf(connecting, CancelledError)
            client.abort()
            self.assert_nothing_left()


class ClearTests(PulseTestCase):
    """A cluster without TLS."""

    settings = {"tls": "off"}

    def test_clear(self) -> None:
        """A client in the clear is welcome, one with TLS is not."""
        client = self.connected(tls=False)
        self.assertIsInstance(self.cluster.result_of(client.ask(AskStatus())), Status)
        with self.assertRaises(NodeRefused):
            self.connected()


def _all(asked: Sequence[Deferred[Reply]]) -> Deferred[list[Reply]]:
    return gatherResults(asked)
