"""
Everything at once: whatever happens, streams stay streams.

Each seed draws what is done and what goes wrong. Bytes may be late or lost at
the end, but what one end has received is always the beginning of what the
other has sent, and no part of the simulation fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import Farewell, Host, HostState, Segmentation, World
from tests.testing.pairs import Patient

#: How many storms one run of the tests goes through.
STORMS = 20


class Stream(Protocol):
    """One end that remembers what it sent and received, by connection."""

    transport: Any

    def __init__(self, storm: Storm) -> None:
        self.storm = storm
        self.sent = bytearray()
        self.received = bytearray()
        self.lost = 0

    def connectionMade(self) -> None:
        number = self.transport.connection_id
        self.storm.ends.setdefault(number, []).append(self)

    def dataReceived(self, data: bytes) -> None:
        assert not self.lost, "data after the end"
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost += 1

    @property
    def ending(self) -> bool:
        """Whether it has ended, or is about to."""
        return not self.transport.connected or self.transport.disconnecting


class HalfStream(Stream, Patient):
    """A stream that goes on when one direction is closed."""


class Storm:
    """A world in which much happens, and most of it is bad."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.ends: dict[int, list[Stream]] = {}
        self.draw = self.world.stream("nemesis").random
        modes: list[Segmentation] = ["whole", "random", "one-byte"]
        self.world.segmentation = self.choose(modes)
        self.bytes_max = 3000 if self.world.segmentation == "one-byte" else 100_000
        self.world.latency_ms(0, self.draw() * 50)
        self.hosts = [self.world.host(name) for name in "abc"]
        for host in self.hosts:
            self.listen(host)

    def choose(self, of: list[Any]) -> Any:
        """One of them."""
        return of[int(self.draw() * len(of))]

    def factory(self) -> Factory:
        """Makes streams of both kinds."""
        kind = self.choose([Stream, HalfStream])
        return Factory.forProtocol(lambda: kind(self))

    def listen(self, host: Host) -> None:
        """Listen on a port that all know."""
        host.reactor.listenTCP(7, self.factory(), backlog=3)

    def restart(self, host: Host) -> None:
        """Start again after a crash."""
        host.restart()
        self.listen(host)

    def dial(self, host: Host) -> None:
        """Connect to any host, oneself included."""
        to = self.choose(self.hosts).address
        timeout_s = 0.01 + self.draw() * 5
        endpoint = TCP4ClientEndpoint(host.reactor, to, 7, timeout=timeout_s)
        endpoint.connect(self.factory()).addErrback(lambda failure: None)

    def speak(self, host: Host) -> None:
        """Do anything with one of the streams of the host."""
        streams = [end for ends in self.ends.values() for end in ends if not end.lost]
        here = [it for it in streams if it.transport.host is host]
        if not here:
            return
        stream = self.choose(here)
        transport: Any = stream.transport
        if self.draw() < 0.8:
            size = int(self.draw() ** 4 * self.bytes_max)
            data = self.world.stream("work").randbytes(size)
            if transport.connected and not transport._fin_sent:
                stream.sent += data
            transport.write(data)
        else:
            self.choose(
                [
                    transport.loseConnection,
                    transport.abortConnection,
                    transport.loseWriteConnection,
                    transport.pauseProducing,
                    transport.resumeProducing,
                ]
            )()

    def fault(self) -> None:
        """Let something go wrong, or right again."""
        host, other = self.choose(self.hosts), self.choose(self.hosts)
        farewell: Farewell = self.choose(["reset", "close", "silence"])
        choices: list[Callable[[], object]] = [
            self.world.heal,
            lambda: self.world.isolate(host),
            lambda: host.jump_wall((self.draw() - 0.5) * 1000),
        ]
        if host is not other:
            choices.append(lambda: self.world.cut(host, other, self.draw() < 0.5))
            choices.append(lambda: self.world.slow(host, other, 100_000))
        if host.state is HostState.UP:
            choices.extend((host.pause, lambda: host.crash(farewell)))
        elif host.state is HostState.PAUSED:
            choices = [host.resume]
        else:
            choices = [lambda: self.restart(host)]
        self.choose(choices)()

    def blow(self, seconds: float) -> None:
        """Let it all happen."""
        end_s = self.world.now_s + seconds
        while self.world.now_s < end_s:
            host = self.choose(self.hosts)
            if host.state is HostState.UP:
                act = self.dial if self.draw() < 0.2 else self.speak
                host.reactor.callFromThread(act, host)
            if self.draw() < 0.03:
                self.fault()
            self.world.advance(self.draw() * 0.05)

    def calm(self) -> None:
        """Let everything get well, and everybody read."""
        self.world.heal()
        for host in self.hosts:
            if host.state is HostState.PAUSED:
                host.resume()
        self.world.advance(1)
        for ends in self.ends.values():
            for end in ends:
                if not end.lost and end.transport is not None:
                    end.transport.resumeProducing()
        self.world.advance(200)


class StormTests(SynchronousTestCase):
    """Twenty worlds, each with its own weather."""

    def check(self, storm: Storm) -> None:
        """What must be true of all streams."""
        self.assertEqual(storm.world.errors(), [])
        for ends in storm.ends.values():
            self.assertLessEqual(len(ends), 2)
            for end in ends:
                self.assertLessEqual(end.lost, 1)
            if len(ends) == 2:
                for one, other in (ends, ends[::-1]):
                    said = one.sent[: len(other.received)]
                    self.assertEqual(bytes(other.received), bytes(said))

    def test_streams_stay_streams(self) -> None:
        """Nothing is reordered, doubled or invented; nothing breaks."""
        for seed in range(STORMS):
            storm = Storm(seed)
            storm.blow(seconds=10)
            self.check(storm)
            storm.calm()
            self.check(storm)

    def test_all_arrives(self) -> None:
        """Streams whose two ends are still open have lost nothing."""
        complete = 0
        for seed in range(STORMS):
            storm = Storm(seed)
            storm.blow(seconds=10)
            storm.calm()
            for ends in storm.ends.values():
                # Two that are both closing may wait for each other for ever.
                if len(ends) == 2 and not any(end.ending for end in ends):
                    complete += 1
                    self.assertEqual(len(ends[0].sent), len(ends[1].received))
                    self.assertEqual(len(ends[1].sent), len(ends[0].received))
        self.assertGreater(complete, STORMS)
