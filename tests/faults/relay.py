"""
A relay for TCP and UDP that ill-treats what passes through it.

Each node has a public address, where the relay listens and which all others
are told, and a real one.  What a node sends to another's public address goes
on to the real address, and seems to come from the sender's own public one; so
neither side knows that there is a relay.

What it can't do: a dialler's SYN is always answered, by the kernel; while a
way is cut, the connection then stays dumb.  And a cut way doesn't stop the
acknowledgements of the other way, as a lost packet would.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

import attrs
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.python.failure import Failure

Place = tuple[str, int]

#: Bytes of one direction of a connection that wait; then its sender is paused.
WAITING_BYTES_MAX = 256 * 1024
#: Datagrams under way; more are lost, as they are in a full queue.
DATAGRAMS_MAX = 1000
#: A real node that takes longer to accept is taken for gone.
CONNECT_TIMEOUT_S = 5.0


@attrs.define
class Way:
    """
    What happens to all that goes from one node to another.

    :ivar delay_s: Each byte and datagram arrives that much later.
    :ivar jitter_s: And up to that much later still; TCP bytes keep their order.
    :ivar loss: The share of datagrams that is lost, 0 to 1.
    :ivar slice_bytes: TCP bytes arrive in pieces of this size; 0: as they came.
    :ivar bytes_per_s: The bandwidth of each TCP connection; 0: any.
    :ivar cut: Nothing arrives: datagrams are lost, TCP bytes wait.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    slice_bytes: int = 0
    bytes_per_s: float = 0.0
    cut: bool = False

    def straighten(self) -> None:
        """Let all pass, at once and whole."""
        straight = Way()
        for field in attrs.fields(Way):
            setattr(self, field.name, getattr(straight, field.name))


@attrs.frozen
class Node:
    """One node, as the relay sees it."""

    name: str
    public: Place
    real: Place


class _Pipe:
    """One direction of a connection: bytes, and when they are due."""

    def __init__(self, relay: Relay, way: Way) -> None:
        self.way = way
        self.source: Any = None
        self.target: Any = None
        self._relay = relay
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._waiting_bytes = 0
        self._last_due = 0.0
        self._timer: Any = None

    def give(self, data: bytes | None) -> None:
        """Bytes came from the source; None is its end."""
        way = self.way
        pieces: list[bytes | None] = [data]
        if data and way.slice_bytes:
            starts = range(0, len(data), way.slice_bytes)
            pieces = [data[at : at + way.slice_bytes] for at in starts]
        for piece in pieces:
            due = time.monotonic() + way.delay_s + way.jitter_s * self._relay.random()
            if way.bytes_per_s:
                due = max(due, self._last_due + len(piece or b"") / way.bytes_per_s)
            self._last_due = max(due, self._last_due)
            self._waiting.append((self._last_due, piece))
            self._waiting_bytes += len(piece or b"")
        if self._waiting_bytes > WAITING_BYTES_MAX and data:
            self.source.pauseProducing()
        self.go_on()

    def go_on(self) -> None:
        """Pass on what is due, if anything may pass."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        was_full = self._waiting_bytes > WAITING_BYTES_MAX
        while self._waiting and self.target is not None and not self.way.cut:
            due, piece = self._waiting[0]
            pause_s = due - time.monotonic()
            if pause_s > 0:
                self._timer = self._relay.reactor.callLater(pause_s, self.go_on)
                break
            self._waiting.popleft()
            if piece is None:
                self.target.loseConnection()
            else:
                self._waiting_bytes -= len(piece)
                self.target.write(piece)
                if self.way.slice_bytes:
                    # Pieces that are written at once would arrive as one.
                    self._timer = self._relay.reactor.callLater(0, self.go_on)
                    break
        if was_full and self._waiting_bytes <= WAITING_BYTES_MAX:
            self.source.resumeProducing()

    def stop(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()
        self.target = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


class _Side(Protocol):
    """One end of a relayed connection."""

    def __init__(self, pair: _Pair, out: _Pipe, back: _Pipe) -> None:
        self._pair = pair
        self._out = out
        self._back = back

    def connectionMade(self) -> None:
        self._out.source = self.transport
        self._back.target = self.transport
        self._pair.sides.append(self)
        self._back.go_on()

    def dataReceived(self, data: bytes) -> None:
        self._out.give(data)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self._back.stop()
        self._pair.ended(self, self._out, reason)


class _Pair:
    """Both ends of one connection from node to node."""

    def __init__(self, relay: Relay, source: Node, target: Node) -> None:
        self.nodes = frozenset({source.name, target.name})
        self.sides: list[_Side] = []
        self.there = _Pipe(relay, relay.way(source.name, target.name))
        self.back = _Pipe(relay, relay.way(target.name, source.name))
        self._relay = relay
        self._source, self._target = source, target
        self._dialled = False

    def accepted(self) -> _Side:
        """The source's end."""
        self._relay.pairs.add(self)
        self._relay.reactor.callLater(0, self.go_on)
        return _Side(self, self.there, self.back)

    def go_on(self) -> None:
        """Dial the target, if packets pass both ways; pass on what may pass."""
        if not (self._dialled or self.there.way.cut or self.back.way.cut):
            self._dialled = True
            factory = Factory.forProtocol(lambda: _Side(self, self.back, self.there))
            factory.noisy = False
            endpoint: Any = TCP4ClientEndpoint(
                self._relay.reactor,
                *self._target.real,
                timeout=CONNECT_TIMEOUT_S,
                bindAddress=(self._source.public[0], 0),
            )
            endpoint.connect(factory).addErrback(lambda _: self.abort())
        self.there.go_on()
        self.back.go_on()

    def ended(self, side: _Side, out: _Pipe, reason: Failure) -> None:
        """One end is gone; the other learns of it when the news arrives."""
        self.sides.remove(side)
        if not self.sides:
            self.there.stop()
            self.back.stop()
            self._relay.pairs.discard(self)
        elif reason.check(ConnectionDone) or out.way.cut:
            out.give(None)
        else:
            self.abort()

    def abort(self) -> None:
        """Reset both ends."""
        for side in list(self.sides):
            transport: Any = side.transport
            transport.abortConnection()


class _Datagrams(DatagramProtocol):
    """The public UDP port of one node."""

    def __init__(self, relay: Relay, target: Node) -> None:
        self._relay = relay
        self._target = target

    def datagramReceived(self, data: bytes, address: Place) -> None:
        self._relay.datagram_received(data, address, self._target)


class Relay:
    """
    The relay between some nodes, whose ways can be changed at any time.

    :param who: Tells from its address which node a TCP connection is from;
        None refuses it.
    """

    def __init__(
        self, reactor: Any, seed: object, who: Callable[[Place], str | None]
    ) -> None:
        self.reactor = reactor
        self.random = Random(repr(seed)).random
        self.pairs: set[_Pair] = set()
        self.nodes: dict[str, Node] = {}
        self.datagrams_lost = 0
        self._who = who
        self._ways: dict[tuple[str, str], Way] = {}
        self._ports: list[Any] = []
        self._udp: dict[str, Any] = {}
        self._under_way: set[Any] = set()

    def add(self, node: Node) -> None:
        """Listen for a node, at its public address."""
        self.nodes[node.name] = node
        host, port = node.public
        factory: Any = Factory()
        factory.noisy = False
        factory.buildProtocol = lambda address: self._accept(address, node)
        self._ports.append(self.reactor.listenTCP(port, factory, interface=host))
        self._udp[node.name] = self.reactor.listenUDP(
            port, _Datagrams(self, node), interface=host
        )

    def _accept(self, address: Any, target: Node) -> Protocol | None:
        source = self._who((address.host, address.port))
        if source not in self.nodes:
            return None
        return _Pair(self, self.nodes[source], target).accepted()

    def datagram_received(self, data: bytes, address: Place, target: Node) -> None:
        """A datagram came to a node's public address."""
        source = next((n for n in self.nodes.values() if n.real == address), None)
        if source is None:
            return
        way = self.way(source.name, target.name)
        full = len(self._under_way) >= DATAGRAMS_MAX
        if way.cut or full or (way.loss and self.random() < way.loss):
            self.datagrams_lost += 1
            return

        def arrive() -> None:
            self._under_way.discard(timer)
            self._udp[source.name].write(data, target.real)

        delay_s = way.delay_s + way.jitter_s * self.random()
        timer = self.reactor.callLater(delay_s, arrive)
        self._under_way.add(timer)

    # -- control --------------------------------------------------------------

    def way(self, source: str, target: str) -> Way:
        """The way from one node to another, to be changed in place."""
        return self._ways.setdefault((source, target), Way())

    def cut(self, source: str, target: str) -> None:
        """Cut one direction."""
        self.way(source, target).cut = True

    def black_hole(self, one: str, other: str) -> None:
        """Cut both directions."""
        self.cut(one, other)
        self.cut(other, one)

    def heal(self) -> None:
        """Each way is straight again; what waited arrives."""
        for way in self._ways.values():
            way.straighten()
        for pair in list(self.pairs):
            pair.go_on()

    def reset(self, one: str, other: str) -> int:
        """Reset all connections between two nodes; how many."""
        pairs = [pair for pair in self.pairs if pair.nodes == {one, other}]
        for pair in pairs:
            pair.abort()
        return len(pairs)

    async def close(self) -> None:
        """Close all ports and connections."""
        for port in (*self._ports, *self._udp.values()):
            await port.stopListening()
        for timer in self._under_way:
            timer.cancel()
        for pair in list(self.pairs):
            pair.abort()
