"""Tests for `mycorrizal.testing.nemesis`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing.arena import NODES_MAX, Arena
from mycorrizal.testing.conditions import Conditions
from mycorrizal.testing.host import HostState
from mycorrizal.testing.meddler import REWRITTEN_MAX
from mycorrizal.testing.nemesis import CUT_REST_S, Nemesis
from mycorrizal.testing.plans import Fault
from mycorrizal.testing.profiles import PROFILES
from tests.testing.quiet import Quiet, a_plan


class NemesisCase(Quiet, SynchronousTestCase):
    """Three nodes and a nemesis."""

    patient = False

    def setUp(self) -> None:
        super().setUp()
        self.arena = Arena(a_plan(), lambda node, life: None)
        self.conditions = Conditions(1)
        self.raising: set[str] = set()
        self.died: list[int] = []
        self.nemesis = Nemesis(
            self.arena,
            self.conditions,
            patient=self.patient,
            raising=self.raising,
            died=self.died.append,
        )
        for number in range(3):
            self.arena.start(number)
        self.arena.until(self.arena.converged)

    def go(self, *faults: Fault, for_s: float = 0.1) -> None:
        """Let faults happen, and time pass."""
        self.nemesis.begin(faults)
        self.arena.advance(for_s)

    def alive(self, number: int) -> list[str]:
        nodes = self.arena[number].nodes()
        return sorted(node.id for node in nodes if node.state == "alive")

    def links(self, number: int) -> int:
        return len(self.arena[number].nodosum.applications.links)


class NemesisTests(NemesisCase):
    """What a plan says goes wrong does, and is over in the end."""

    def test_crash(self) -> None:
        """A node dies, and is back after a while."""
        self.go(Fault(0, 2.0, "crash", (1,), "reset"), for_s=1.0)
        self.assertEqual((self.arena.down, self.died), ([1], [1]))
        self.assertEqual(len(self.conditions.deaths), 1)
        self.arena.advance(1.5)
        self.arena.until(self.arena.converged)
        self.assertEqual((self.arena.down, self.arena.lives[1]), ([], 2))

    def test_pause(self) -> None:
        """A process stops for so long that the cluster may be split by it."""
        self.go(Fault(0, 10.0, "pause", (1,)), for_s=1.0)
        self.assertIs(self.arena.hosts[1].state, HostState.PAUSED)
        self.assertIsNotNone(self.conditions.splits.since)
        self.arena.advance(9.5)
        self.assertIs(self.arena.hosts[1].state, HostState.UP)

    def test_partitions(self) -> None:
        """
        Each kind of partition takes links from nodes, and heals; but while a
        third reaches two nodes they do not take each other for dead.
        """
        for how in ("halves", "isolate", "chain", "one-way"):
            self.go(Fault(0, 8.0, "partition", (1, 0, 2), how), for_s=7.5)
            links = [self.links(number) for number in range(3)]
            self.assertLess(min(links), 2, how)
            alone = [number for number in range(3) if len(self.alive(number)) < 3]
            whole = how == "chain" or (how == "one-way" and max(links) == 2)
            self.assertEqual(alone == [], whole, how)
            self.arena.advance(1.0)
            self.arena.until(self.arena.converged)
        self.go(Fault(0, 1.0, "partition", (0, 1, 2), "ring"), for_s=2)
        self.assertEqual(self.nemesis.happened, {"partition": 5})

    def test_cuts_rest(self) -> None:
        """One pair is not cut again at once: together it would be too long."""
        cut = Fault(0, 1.0, "cut", (0, 1), "both")
        self.go(cut, cut, for_s=2.0)
        self.assertEqual(self.nemesis.happened, {"cut": 1})
        self.go(cut, Fault(0, 1.0, "cut", (1, 1), "both"), for_s=CUT_REST_S)
        self.assertEqual(self.nemesis.happened, {"cut": 1})
        self.go(cut)
        self.assertEqual(self.nemesis.happened, {"cut": 2})

    def test_members(self) -> None:
        """Nodes join, leave for ever, and are restarted."""
        self.go(Fault(0, 0, "join", (0,)), for_s=5.0)
        self.assertEqual(self.alive(0), ["n0", "n1", "n2", "n3"])
        self.go(Fault(0, 0, "leave", (1,)), for_s=5.0)
        self.assertEqual((self.arena.down, self.arena.gone), ([1], {1}))
        self.go(Fault(0, 0.5, "restart", (2,)), for_s=5.0)
        self.assertEqual((self.arena.down, self.arena.lives[2]), ([1], 2))
        self.assertEqual(self.nemesis.problems, [])

    def test_one_seed_stays(self) -> None:
        """Of the nodes that newcomers are told of, one stays."""
        self.go(Fault(0, 0, "join", (0,)), Fault(0, 0, "join", (0,)), for_s=5.0)
        for number in (0, 1, 2):
            self.go(Fault(0, 0, "leave", (number,)), for_s=5.0)
        self.assertEqual(self.arena.gone, {0, 1})

    def test_nodes_bound(self) -> None:
        """No more nodes join than there may be."""
        joins = [Fault(0, 0, "join", (0,))] * NODES_MAX
        self.go(*joins)
        self.assertEqual(len(self.arena), NODES_MAX)

    def test_last_node_stays(self) -> None:
        """The last nodes do not leave."""
        self.go(*[Fault(0, 0, "leave", (number,)) for number in range(3)], for_s=5)
        self.assertEqual(len(self.arena.running), 2)

    def test_clocks(self) -> None:
        """Clocks jump and run wrong."""
        wall_s = self.arena[1].runtime.wall()
        self.go(
            Fault(0, 0, "clock", (1,), strength=-600.0),
            Fault(0, 0, "drift", (2,), strength=-5000),
        )
        self.assertLess(self.arena[1].runtime.wall(), wall_s - 599)
        self.assertEqual(self.arena.hosts[2].drift_ppm, -5000)

    def test_raising(self) -> None:
        """An application fails for a while."""
        self.go(Fault(0, 1.0, "raising", (1,)))
        self.assertEqual(self.raising, {"n1"})
        self.arena.advance(1.0)
        self.assertEqual(self.raising, set())

    def test_strangers(self) -> None:
        """Who does not know the secret, or not all of it, never gets in."""
        self.go(
            Fault(0, 5.0, "stranger", (0,)),
            Fault(0, 5.0, "stranger", (1,)),
            for_s=4.0,
        )
        impostor, other = sorted(
            self.nemesis.strangers,
            key=lambda it: it.fingerprint != self.arena[0].fingerprint,
        )
        self.assertIsNot(impostor, other)
        for stranger in (impostor, other):
            self.assertEqual(len(stranger.nodes()), 1)
        self.assertEqual(self.alive(0), ["n0", "n1", "n2"])
        self.arena.advance(5.0)
        self.assertFalse(impostor.running)

    def test_meddler(self) -> None:
        """Who changes greetings keeps two nodes apart, and not for long."""
        arena = self.arena
        arena.advance(10)
        self.go(Fault(0, 6.0, "meddler", (0, 1), "features of I"), for_s=5.0)
        self.assertEqual(self.nemesis.happened, {"meddler": 1})
        self.assertEqual(len(arena.world.rewritten), REWRITTEN_MAX)
        self.assertEqual(self.alive(0), ["n0", "n1", "n2"])
        arena.until(arena.converged)
        for node in arena.nodes:
            for link in node.nodosum.mesh.protocols:
                transport: Any = link._transport
                self.assertNotIn(transport.connection_id, arena.world.rewritten)

    def test_last_one_stops(self) -> None:
        """A node that stops before it has met the newcomer takes all along."""
        arena = Arena(a_plan(), lambda node, life: None)
        nemesis = Nemesis(
            arena, self.conditions, patient=False, raising=set(), died=self.died.append
        )
        arena.start(0)
        arena.advance(10)
        nemesis.begin([Fault(0, 0, "join", (0,)), Fault(0.0001, 1.0, "restart", (0,))])
        arena.advance(1)
        self.assertEqual(nemesis.happened, {"join": 1, "restart": 1})
        self.assertEqual(len(self.conditions.deaths), 1)

    def test_meddler_waits(self) -> None:
        """A node that is just starting is left alone: it would give up."""
        self.arena.crash(1)
        self.arena.restart(1)
        self.go(Fault(0, 6.0, "meddler", (0, 1), "tls of I"), for_s=0.01)
        self.assertEqual(self.nemesis.happened, {})

    def test_calm(self) -> None:
        """Whatever goes on is undone at the end, and nothing more happens."""
        long = 1000.0
        self.go(
            Fault(0, long, "pause", (0,)),
            Fault(0, long, "crash", (1,), "close"),
            Fault(0, long, "partition", (0, 1, 2), "halves"),
            Fault(0, long, "slow", (0, 1), strength=40_000.0),
            Fault(0, long, "lossy", (0, 1), strength=1.0),
            Fault(0, long, "names", (0,)),
            Fault(0, long, "stranger", (0,)),
            Fault(9, long, "crash", (2,), "reset"),
            for_s=8,
        )
        self.nemesis.calm()
        self.arena.until(self.arena.converged, 30)
        self.assertEqual(self.arena.down, [])
        self.assertEqual(self.nemesis.happened["crash"], 1)

    def test_verbs(self) -> None:
        """There is a verb for each kind of fault."""
        drawn = {kind for profile in PROFILES.values() for kind in profile.faults}
        self.assertEqual(drawn, set(self.nemesis._verbs))


class PatientTests(NemesisCase):
    """Where nodes have time to copy, one change waits for the one before."""

    patient = True

    def test_waits(self) -> None:
        """No node dies before the death of another was dealt with."""
        deaths: list[float] = []
        died: Any = lambda number: deaths.append(self.arena.world.now_s)  # noqa: E731
        self.nemesis._died = died
        self.go(
            Fault(0, 3.0, "crash", (1,), "silence"),
            Fault(0.1, 3.0, "crash", (2,), "reset"),
            for_s=2.5,
        )
        self.assertEqual(len(deaths), 1)
        self.arena.advance(20.0)
        self.assertEqual(len(deaths), 2)
        self.assertGreater(deaths[1] - deaths[0], 3.0)
