"""Tests for `mycorrizal.restarts`: a node that comes and goes all the time."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Config, Mycorrizal
from mycorrizal.errors import CannotListen, NotRunning
from mycorrizal.nodosum import new_secret
from mycorrizal.restarts import (
    PAUSE_MAX_S,
    SHORT_LIFE_S,
    STARTS_MAX,
    in_a_row,
    pause_s,
)
from mycorrizal.testing import Host, World
from mycorrizal.testing.tls import SimTls

SECRET = new_secret(bytes(32))


class PauseTests(SynchronousTestCase):
    """When a start has to wait, and for how long."""

    def test_pauses(self) -> None:
        """Three restarts are free; then the pause doubles, up to a minute (F56)."""
        found = [pause_s(starts) for starts in range(1, STARTS_MAX + 9)]
        self.assertEqual(found, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60])
        self.assertEqual(pause_s(10**6), PAUSE_MAX_S)

    def test_short_lives(self) -> None:
        """A life is short if it ends within 10 s after the pause (F56)."""
        self.assertEqual(in_a_row(3, 1000, 10_999), 4)
        self.assertEqual(in_a_row(3, 1000, 11_000), 1)
        whole_ms = int((pause_s(7) + SHORT_LIFE_S) * 1000)
        self.assertEqual(in_a_row(7, 0, whole_ms - 1), 8)
        self.assertEqual(in_a_row(7, 0, whole_ms), 1)

    def test_clock_went_back(self) -> None:
        """A clock that went back says nothing of the life before."""
        self.assertEqual(in_a_row(7, 1000, 999), 1)


class NodeTests(SynchronousTestCase):
    """A node with a state directory, that is started again and again."""

    def setUp(self) -> None:
        self.world = World(1)
        self.hosts = [self.world.host(name) for name in ("a", "b")]
        for host in self.hosts:
            host.runtime.tls = SimTls()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.place = Path(directory.name)

    def node(self, host: Host, starts: int) -> Mycorrizal:
        """A node that was started so many times, just now."""
        place = self.place / "mycorrizal" / "6969"
        place.mkdir(parents=True, exist_ok=True)
        stored = {
            "node_id": host.name,
            "incarnation": int(host.runtime.wall() * 1000) - 10,
            "starts": starts,
        }
        (place / "node.json").write_text(json.dumps(stored))
        static = [other.address for other in self.hosts]
        config = Config(
            listen=f"{host.address}:6969", static=static, secret=SECRET,
            state_dir=str(self.place),
        )  # fmt: skip
        return Mycorrizal(host.runtime, config)

    def other(self) -> Mycorrizal:
        """A node that stays."""
        host = self.hosts[1]
        config = Config(listen=f"{host.address}:6969", node_id="b", secret=SECRET)
        node = Mycorrizal(host.runtime, config)
        node.startService()
        self.world.result_of(node.when_ready())
        return node

    def test_waits(self) -> None:
        """After many short lives it joins only when its pause is over (F56)."""
        other = self.other()
        node = self.node(self.hosts[0], STARTS_MAX + 3)
        node.startService()
        self.world.advance(7.5)
        self.assertEqual(len(other.nodes()), 1)
        self.assertFalse(node.ready)
        self.world.result_of(node.when_ready(), 5)
        self.assertEqual([it.state for it in other.nodes()], ["alive", "alive"])
        self.world.result_of(node.stopService())
        self.world.result_of(other.stopService())

    def test_few(self) -> None:
        """After few it joins at once."""
        node = self.node(self.hosts[0], STARTS_MAX - 1)
        node.startService()
        self.assertEqual(len(self.hosts[0].sockets()), 2)
        self.world.result_of(node.stopService())

    def test_stopped_meanwhile(self) -> None:
        """It can be stopped while it waits, and nothing is left."""
        node = self.node(self.hosts[0], STARTS_MAX + 5)
        node.startService()
        ready = node.when_ready()
        self.world.advance(1)
        self.world.result_of(node.stopService())
        self.failureResultOf(ready, NotRunning)
        self.world.advance(60)
        self.assertEqual(self.hosts[0].sockets(), [])
        self.assertEqual(self.hosts[0].runtime.pending_timers(), 0)

    def test_port_is_taken(self) -> None:
        """A port that is taken when the pause is over is why it is not ready."""
        host = self.hosts[0]
        host.reactor.listenTCP(6969, Factory(), interface=host.address)
        node = self.node(self.hosts[0], STARTS_MAX)
        node.startService()
        ready = node.when_ready()
        self.assertNoResult(ready)
        self.world.advance(2)
        self.failureResultOf(ready, CannotListen)
        self.world.result_of(node.stopService())
