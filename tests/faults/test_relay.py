"""
The relay, between real sockets.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.task import deferLater

from tests.faults.relay import DATAGRAMS_MAX, WAITING_BYTES_MAX, Node, Relay
from tests.integration.processes import free_ports

LIMIT_S = 5.0


def later(pause_s: float) -> Deferred[None]:
    """A pause."""
    from twisted.internet import reactor

    return deferLater(reactor, pause_s)


async def until(condition: Any) -> None:
    """Wait until a condition is true."""
    ends_at = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < ends_at
        await later(0.005)


class Kept(Protocol):
    """One end of a connection, which keeps what comes."""

    def __init__(self) -> None:
        self.got = b""
        self.pieces: list[bytes] = []
        self.lost: str | None = None

    def dataReceived(self, data: bytes) -> None:
        self.got += data
        self.pieces.append(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = type(reason.value).__name__


class Mail(DatagramProtocol):
    """A UDP port, which keeps what comes."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, Any]] = []

    def datagramReceived(self, data: bytes, address: Any) -> None:
        self.got.append((data, address))


class Town:
    """Two nodes, a and b, with the relay between them; a dials b."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.relay = Relay(reactor, 7, lambda _: "a")
        self.mail = {"a": Mail(), "b": Mail()}
        self.accepted: list[Kept] = []
        factory: Any = Factory()
        factory.noisy = False
        factory.buildProtocol = self._accept
        self._ports: list[Any] = []
        self.udp: dict[str, Any] = {}
        for number, (name, port) in enumerate(zip("ab", free_ports(2), strict=True), 1):
            real = f"127.77.1.{number}", port
            node = Node(name, (f"127.77.0.{number}", port), real)
            mail = self.mail[name]
            self.udp[name] = reactor.listenUDP(port, mail, interface=real[0])
            if name == "b":
                listening = reactor.listenTCP(port, factory, interface=real[0])
                self._ports.append(listening)
            self.relay.add(node)

    def _accept(self, address: Any) -> Kept:
        self.accepted.append(Kept())
        return self.accepted[-1]

    async def dial(self, count: int = 1) -> Kept:
        """Dial b's public address; `count` connections will then be at b."""
        place = self.relay.nodes["b"].public
        endpoint: Any = TCP4ClientEndpoint(self.reactor, *place)
        dialler: Kept = await endpoint.connect(Factory.forProtocol(Kept))
        await until(lambda: len(self.accepted) == count)
        return dialler

    def post(self, source: str, target: str, data: bytes) -> None:
        """Send a datagram."""
        self.udp[source].write(data, self.relay.nodes[target].public)

    async def close(self) -> None:
        """Close it all."""
        await self.relay.close()
        await until(lambda: not self.relay.pairs)
        for port in (*self._ports, *self.udp.values()):
            await port.stopListening()


@pytest.fixture
def town() -> Iterator[Town]:
    """A town of this test's own."""
    from twisted.internet import reactor

    made = Town(reactor)
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.close()))


def write(end: Kept, data: bytes) -> None:
    transport: Any = end.transport
    transport.write(data)


@pytest_twisted.ensureDeferred
async def test_straight(town: Town) -> None:
    """With no faults all arrives, and each side sees the other's public address."""
    dialler = await town.dial()
    write(dialler, b"there" * 50_000)
    write(town.accepted[0], b"back")
    await until(lambda: town.accepted[0].got == b"there" * 50_000)
    await until(lambda: dialler.got == b"back")
    seen: Any = town.accepted[0].transport
    assert seen.getPeer().host == town.relay.nodes["a"].public[0]
    town.post("a", "b", b"hello")
    await until(lambda: town.mail["b"].got)
    assert town.mail["b"].got == [(b"hello", town.relay.nodes["a"].public)]


@pytest_twisted.ensureDeferred
async def test_end_arrives(town: Town) -> None:
    """One side closes, the other learns of it after the last byte."""
    dialler = await town.dial()
    write(dialler, b"last")
    transport: Any = dialler.transport
    transport.loseConnection()
    await until(lambda: town.accepted[0].lost)
    assert (town.accepted[0].got, town.accepted[0].lost) == (b"last", "ConnectionDone")


@pytest_twisted.ensureDeferred
async def test_delay_is_for_one_direction(town: Town) -> None:
    """Bytes and datagrams are late one way, and not the other."""
    dialler = await town.dial()
    way = town.relay.way("a", "b")
    way.delay_s, way.jitter_s = 0.2, 0.05
    began_at = time.monotonic()
    write(town.accepted[0], b"quick")
    await until(lambda: dialler.got)
    assert time.monotonic() - began_at < 0.2
    began_at = time.monotonic()
    write(dialler, b"slow")
    town.post("a", "b", b"slow")
    await until(lambda: town.accepted[0].got and town.mail["b"].got)
    assert time.monotonic() - began_at >= 0.2


@pytest_twisted.ensureDeferred
async def test_jitter_keeps_order(town: Town) -> None:
    """A byte never overtakes another."""
    dialler = await town.dial()
    town.relay.way("a", "b").jitter_s = 0.03
    sent = b""
    for number in range(50):
        piece = b"%02d" % number
        sent += piece
        write(dialler, piece)
        await later(0.001)
    await until(lambda: len(town.accepted[0].got) == len(sent))
    assert town.accepted[0].got == sent


@pytest_twisted.ensureDeferred
async def test_slices(town: Town) -> None:
    """Bytes arrive in small pieces."""
    dialler = await town.dial()
    town.relay.way("a", "b").slice_bytes = 3
    write(dialler, b"0123456789" * 3)
    await until(lambda: len(town.accepted[0].got) == 30)
    assert town.accepted[0].got == b"0123456789" * 3
    assert len(town.accepted[0].pieces) >= 5


@pytest_twisted.ensureDeferred
async def test_bandwidth(town: Town) -> None:
    """20 KB at 100 KB a second take 0.2 s."""
    dialler = await town.dial()
    way = town.relay.way("a", "b")
    way.bytes_per_s, way.slice_bytes = 100_000, 1000
    began_at = time.monotonic()
    write(dialler, b"x" * 20_000)
    await until(lambda: len(town.accepted[0].got) == 20_000)
    assert 0.15 <= time.monotonic() - began_at < 1.5


@pytest_twisted.ensureDeferred
async def test_loss_is_seeded(town: Town) -> None:
    """A third of the datagrams is lost, and none of the bytes."""
    town.relay.way("a", "b").loss = 1 / 3
    for number in range(90):
        town.post("a", "b", b"%d" % number)
        await later(0.001)
    await until(lambda: len(town.mail["b"].got) + town.relay.datagrams_lost == 90)
    assert 10 < town.relay.datagrams_lost < 60
    town.relay.way("a", "b").loss = 1.0
    dialler = await town.dial()
    write(dialler, b"safe")
    await until(lambda: town.accepted[0].got == b"safe")


@pytest_twisted.ensureDeferred
async def test_one_way_cut(town: Town) -> None:
    """Bytes wait until the way is healed, datagrams are lost; the other way is open."""
    dialler = await town.dial()
    town.relay.cut("a", "b")
    write(dialler, b"waits")
    town.post("a", "b", b"lost")
    write(town.accepted[0], b"passes")
    await until(lambda: dialler.got == b"passes")
    await later(0.05)
    assert town.accepted[0].pieces == [] and town.relay.datagrams_lost == 1
    town.relay.heal()
    await until(lambda: town.accepted[0].pieces == [b"waits"])
    assert town.mail["b"].got == []


@pytest_twisted.ensureDeferred
async def test_black_hole(town: Town) -> None:
    """Nothing passes, not even the end of a connection, nor a new one."""
    dialler = await town.dial()
    town.relay.black_hole("a", "b")
    transport: Any = dialler.transport
    transport.abortConnection()
    second = await town.dial()
    write(second, b"early")
    await later(0.05)
    assert town.accepted[0].lost is None and len(town.accepted) == 1
    town.relay.heal()
    await until(lambda: town.accepted[0].lost and len(town.accepted) == 2)
    await until(lambda: town.accepted[1].got == b"early")


@pytest_twisted.ensureDeferred
async def test_reset(town: Town) -> None:
    """Both ends see a reset."""
    dialler = await town.dial()
    assert town.relay.reset("b", "a") == 1
    await until(lambda: dialler.lost and town.accepted[0].lost)
    assert (dialler.lost, town.accepted[0].lost) == ("ConnectionLost",) * 2


@pytest_twisted.ensureDeferred
async def test_nobody_listens(town: Town) -> None:
    """A dialler loses its connection when the node behind is gone."""
    gone = Node("gone", ("127.77.0.3", 7001), ("127.77.1.3", 7001))
    town.relay.add(gone)
    endpoint: Any = TCP4ClientEndpoint(town.reactor, *gone.public)
    dialler: Kept = await endpoint.connect(Factory.forProtocol(Kept))
    await until(lambda: dialler.lost)


@pytest_twisted.ensureDeferred
async def test_bounds(town: Town) -> None:
    """What waits on a cut way is bounded: TCP pauses, datagrams are lost."""
    dialler = await town.dial()
    town.relay.cut("a", "b")
    write(dialler, b"x" * (64 * WAITING_BYTES_MAX))
    await later(0.1)
    (pair,) = town.relay.pairs
    assert WAITING_BYTES_MAX < pair.there._waiting_bytes < 4 * WAITING_BYTES_MAX
    town.relay.heal()
    await until(lambda: len(town.accepted[0].got) == 64 * WAITING_BYTES_MAX)
    town.relay.way("a", "b").delay_s = 1.0
    a = town.relay.nodes["a"].real
    for _ in range(DATAGRAMS_MAX):
        town.relay.datagram_received(b"", a, town.relay.nodes["b"])
    assert town.relay.datagrams_lost == 0
    town.relay.datagram_received(b"", a, town.relay.nodes["b"])
    assert town.relay.datagrams_lost == 1
