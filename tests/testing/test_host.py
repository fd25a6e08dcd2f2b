"""Tests for `mycorrizal.testing.host`."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.runtime import Runtime
from mycorrizal.testing import Host, HostState, World
from mycorrizal.testing.udp import UNREAD_BYTES_MAX
from tests.contract.place import Echo, Mailbox, Recorder, Remembering


class ClockTests(SynchronousTestCase):
    """Each host has its own wall clock and its own monotonic clock."""

    def setUp(self) -> None:
        self.world = World(1)

    def test_both_go_on(self) -> None:
        """Both clocks go as the world goes."""
        host = self.world.host("a")
        wall_s, monotonic_s = host.wall(), host.monotonic()
        self.world.advance(2.5)
        self.assertEqual(host.wall() - wall_s, 2.5)
        self.assertEqual(host.monotonic() - monotonic_s, 2.5)
        self.assertEqual(host.reactor.seconds(), host.wall())

    def test_jump(self) -> None:
        """A step of the wall clock is none of the monotonic one."""
        host = self.world.host("a")
        wall_s, monotonic_s = host.wall(), host.monotonic()
        host.jump_wall(-100)
        self.assertEqual(host.wall(), wall_s - 100)
        self.assertEqual(host.monotonic(), monotonic_s)

    def test_hosts_agree_on_the_wall_only(self) -> None:
        """Wall clocks agree at first, monotonic ones never."""
        a, b = self.world.host("a"), self.world.host("b")
        self.world.advance(10)
        late = self.world.host("late")
        ahead = self.world.host("ahead", wall_offset_s=5)
        self.assertEqual({a.wall(), b.wall(), late.wall()}, {a.wall()})
        self.assertEqual(ahead.wall(), a.wall() + 5)
        self.assertEqual(len({a.monotonic(), b.monotonic(), late.monotonic()}), 3)

    def test_drift(self) -> None:
        """Both clocks of a host drift, from when it is set."""
        host = self.world.host("a", drift_ppm=10_000)
        wall_s, monotonic_s = host.wall(), host.monotonic()
        self.world.advance(100)
        self.assertAlmostEqual(host.wall() - wall_s, 101, places=6)
        self.assertAlmostEqual(host.monotonic() - monotonic_s, 101, places=6)
        host.drift_ppm = 0
        self.world.advance(100)
        self.assertAlmostEqual(host.wall() - wall_s, 201, places=6)
        with self.assertRaises(ValueError):
            host.drift_ppm = -1_000_000

    def test_runtime(self) -> None:
        """The runtime is on the host's clocks and randomness."""
        host = self.world.host("a")
        self.assertIs(Runtime.of(host.reactor), host.runtime)
        self.assertEqual(host.runtime.now(), host.monotonic())
        self.assertEqual(host.runtime.wall(), host.wall())
        other = World(1).host("a").runtime
        self.assertEqual(host.runtime.token_bytes(16), other.token_bytes(16))
        self.assertEqual(host.runtime.random(), other.random())


class ProcessTests(SynchronousTestCase):
    """A process is paused, goes on, crashes and starts again."""

    def setUp(self) -> None:
        self.world = World(1)
        self.world.latency_ms(1, 1)
        self.server, self.client = self.world.host("server"), self.world.host("client")
        self.factory = Remembering(Echo)
        self.server.reactor.listenTCP(7, self.factory)
        self.mailbox = Mailbox()
        self.server.reactor.listenUDP(7, self.mailbox)
        self.sender = self.client.reactor.listenUDP(0, Mailbox())

    def dial(self, host: Host | None = None, timeout_s: float = 30) -> Any:
        """Begin to connect to the server."""
        reactor = (host or self.client).reactor
        endpoint = TCP4ClientEndpoint(reactor, self.server.address, 7, timeout_s)
        return endpoint.connect(Factory.forProtocol(Recorder))

    def connect(self) -> Any:
        """Connect to the server, and let it accept."""
        client = self.world.result_of(self.dial())
        self.world.advance(0.01)
        return client

    def test_a_paused_process_does_nothing(self) -> None:
        """No timer, no datagram, no byte reaches it until it goes on."""
        client = self.connect()
        seen: list[float] = []
        self.server.reactor.callLater(1, lambda: seen.append(self.world.now_s))
        self.server.reactor.callFromThread(lambda: seen.append(self.world.now_s))
        self.server.pause()
        self.assertIs(self.server.state, HostState.PAUSED)
        client.transport.write(b"one")
        self.sender.write(b"datagram", (self.server.address, 7))
        self.world.advance(5)
        client.transport.write(b"two")
        self.world.advance(5)
        self.assertEqual((seen, self.mailbox.received), ([], []))
        self.assertEqual(client.received, b"")
        resumed_s = self.world.now_s
        self.server.resume()
        self.world.advance(1)
        self.assertEqual(seen, [resumed_s, resumed_s])
        self.assertEqual(len(self.mailbox.received), 1)
        self.assertEqual(client.received, b"onetwo")
        self.assertEqual(self.factory.made[0].chunks, 1)

    def test_a_paused_process_can_be_connected_to(self) -> None:
        """Its kernel shakes hands, up to the backlog; it accepts later."""
        self.server.reactor.listenTCP(8, self.factory, backlog=2)
        self.server.pause()
        dialled = []
        for _ in range(3):
            endpoint = TCP4ClientEndpoint(self.client.reactor, self.server.address, 8)
            dialled.append(endpoint.connect(Factory.forProtocol(Recorder)))
        self.world.advance(0.5)
        connected = [attempt for attempt in dialled if attempt.called]
        self.assertEqual(len(connected), 2)
        for attempt in connected:
            client: Any = self.successResultOf(attempt)
            client.transport.write(b"hi")
        self.assertEqual(self.factory.made, [])
        self.server.resume()
        self.world.advance(0.1)
        self.assertEqual([bytes(it.received) for it in self.factory.made], [b"hi"] * 2)
        self.world.advance(1)
        self.assertEqual(len(self.factory.made), 3)

    def test_a_pause_while_dialling(self) -> None:
        """Who is paused while it dials finds the connection when it goes on."""
        dialled = self.dial()
        self.world.advance(0.001)
        self.client.pause()
        self.world.advance(1)
        self.assertNoResult(dialled)
        self.client.resume()
        self.world.advance(0)
        self.successResultOf(dialled)

    def test_kernel_buffers_fill(self) -> None:
        """The kernel keeps so many datagrams for a paused process, no more."""
        self.server.pause()
        size = 1000
        for _ in range(300):
            self.sender.write(b"x" * size, (self.server.address, 7))
        self.world.advance(1)
        self.server.resume()
        self.world.advance(1)
        self.assertEqual(len(self.mailbox.received), UNREAD_BYTES_MAX // size)
        self.sender.write(b"x", (self.server.address, 7))
        self.world.advance(1)
        self.assertEqual(self.mailbox.received[-1][0], b"x")

    def test_a_short_pause(self) -> None:
        """A process can be stopped again before it has looked."""
        self.server.pause()
        self.sender.write(b"x", (self.server.address, 7))
        self.world.advance(1)
        self.server.resume()
        self.server.pause()
        self.world.advance(1)
        self.assertEqual(self.mailbox.received, [])
        self.server.resume()
        self.world.advance(1)
        self.assertEqual(len(self.mailbox.received), 1)

    def test_kill(self) -> None:
        """After a kill the other ends are reset, and new ones refused."""
        client = self.connect()
        server = self.factory.made[0]
        self.server.reactor.callLater(1, self.fail)
        self.server.crash()
        client.transport.write(b"anybody?")
        self.assertIsNone(client.reason)
        self.world.advance(0.01)
        self.assertIs(client.ended_by, ConnectionLost)
        self.assertIsNone(server.reason)
        self.assertFalse(server.transport.connected)
        refused = self.dial()
        self.world.advance(2)
        self.failureResultOf(refused, ConnectionRefusedError)
        self.assertEqual(self.server.sockets(), [])
        self.assertFalse(self.server.reactor.running)

    def test_kill_without_unread_bytes(self) -> None:
        """The kernel may also end the connections in order."""
        client = self.connect()
        self.server.crash("close")
        self.world.advance(0.01)
        self.assertIs(client.ended_by, ConnectionDone)

    def test_power_failure(self) -> None:
        """When the machine is gone, nobody is told anything."""
        client = self.connect()
        self.server.crash("silence")
        client.transport.write(b"anybody?")
        dialled = self.dial(timeout_s=10)
        self.world.advance(3600)
        self.assertIsNone(client.reason)
        self.failureResultOf(dialled, TimeoutError)

    def test_back_after_a_power_failure(self) -> None:
        """The new kernel knows no old connection, and resets who writes."""
        silent, talking = self.connect(), self.connect()
        self.server.crash("silence")
        talking.transport.write(b"anybody?")
        dialled = self.dial()
        self.world.advance(5)
        uptime_s, wall_s = self.server.monotonic(), self.server.wall()
        self.server.restart().listenTCP(7, self.factory)
        self.assertNotEqual(self.server.monotonic(), uptime_s)
        self.assertEqual(self.server.wall(), wall_s)
        self.world.advance(2)
        self.assertIs(talking.ended_by, ConnectionLost)
        self.assertIsNone(silent.reason)
        self.successResultOf(dialled)
        silent.transport.write(b"and me?")
        self.world.advance(2)
        self.assertIs(silent.ended_by, ConnectionLost)

    def test_restart(self) -> None:
        """A new process has a new reactor, empty, at the same address."""
        old = self.server.reactor
        tokens = {self.server.runtime.token_bytes(8)}
        monotonic_s = self.server.monotonic()
        self.server.crash()
        new = self.server.restart()
        self.assertIs(new, self.server.reactor)
        self.assertIsNot(new, old)
        self.assertIs(new.runtime, self.server.runtime)
        tokens.add(self.server.runtime.token_bytes(8))
        self.assertEqual(len(tokens), 2)
        self.assertEqual(self.server.monotonic(), monotonic_s)
        new.listenTCP(7, self.factory)
        self.connect()
        old.callLater(0, self.fail)
        old.callFromThread(self.fail)
        self.world.advance(10)

    def test_crash_of_the_dialling(self) -> None:
        """The end of who dials ends what it began, at any moment."""
        for delay_s in (0.0, 0.0005, 0.0015, 0.0025, 0.01):
            client = self.world.host(f"client{delay_s}")
            dialled = self.dial(client)
            self.world.advance(delay_s)
            client.crash()
            self.world.advance(1)
            self.assertEqual(dialled.called, delay_s > 0.002)
            for server in self.factory.made:
                self.assertIs(server.ended_by, ConnectionLost)
        self.assertEqual(len(self.server.sockets()), 2)

    def test_crash_from_inside(self) -> None:
        """A crash in the middle of a turn ends that turn's effects, too."""
        client = self.connect()
        server = self.factory.made[0]

        def die() -> None:
            server.transport.write(b"never sent")
            self.server.crash()

        self.server.reactor.callLater(1, die)
        self.server.reactor.callLater(1, self.fail)
        self.world.advance(2)
        self.assertEqual(client.received, b"")
        self.assertIs(client.ended_by, ConnectionLost)

    def test_crash_in_a_partition(self) -> None:
        """A reset that is lost is not sent again: half of it stays open."""
        client = self.connect()
        self.world.isolate("server")
        self.server.crash()
        self.world.heal()
        self.world.advance(100)
        self.assertIsNone(client.reason)
        client.transport.write(b"anybody?")
        self.world.advance(1)
        self.assertIs(client.ended_by, ConnectionLost)

    def test_wrong_state(self) -> None:
        """A process that is not up cannot be paused, and so on."""
        self.assertRaises(RuntimeError, self.server.resume)
        self.assertRaises(RuntimeError, self.server.restart)
        self.server.pause()
        self.assertRaises(RuntimeError, self.server.pause)
        self.server.crash()
        self.assertRaises(RuntimeError, self.server.crash)
        self.assertRaises(RuntimeError, self.server.resume)
        self.assertIn("crashed", repr(self.server))

    def test_sockets(self) -> None:
        """What is open can be listed, and is nothing after the end."""
        self.connect()
        self.assertEqual(self.server.sockets()[:2], ["TCP port 7", "UDP port 7"])
        self.assertIn("open", self.server.sockets()[2])
