"""
How soon a failure is known to all, and what is no failure: on five nodes, or
sixty-four, over simulated links.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import PeerUnreachable
from mycorrizal.nodosum import MemberDied, MemberEvent, NodosumService
from mycorrizal.testing import Host, seeds
from tests.nodosum.nodes import Nodes, states

#: Within how much time all others know.
CRASH_S = 1.0
HANG_S = 5.0


class Five:
    """
    Five nodes that know each other.

    :ivar died: When which node took which for dead, since `start`.
    """

    def __init__(self, seed: int, count: int = 5) -> None:
        self.nodes = Nodes(seed)
        self.world = self.nodes.world
        self.hosts = [self.world.host(f"h{number}") for number in range(count)]
        self.services = [self.nodes.start(host, *self.hosts) for host in self.hosts]
        self.died: list[tuple[float, str, str]] = []
        for service in self.services:
            service.subscribe(self._told(service))
        self.world.until(lambda: all(map(self.sees_all, self.services)))
        # Where in its second the ping is differs from seed to seed.
        self.world.advance(3.0 + Random(seed).random())
        self.began_s = self.world.now_s

    def _told(self, service: NodosumService) -> Callable[[MemberEvent], None]:
        def told(event: MemberEvent) -> None:
            if isinstance(event, MemberDied):
                after_s = self.world.now_s - self.began_s
                self.died.append((after_s, service.me.node_id, event.node.id))

        return told

    def sees_all(self, service: NodosumService) -> bool:
        """Whether a node sees all others alive."""
        seen = states(service)
        return [*seen.values()] == ["alive"] * len(self.services)

    def known_to_all(self, host: Host, limit_s: float) -> float:
        """When the last of the others has taken a node for dead."""
        others = {h.name for h in self.hosts if h is not host}

        def known() -> bool:
            return {who for _, who, whom in self.died if whom == host.name} == others

        self.world.until(known, limit_s)
        return max(after_s for after_s, _, whom in self.died if whom == host.name)

    def wrongly_dead(self, *dead: Host) -> list[tuple[float, str, str]]:
        """Who was taken for dead by or besides those who are."""
        names = {host.name for host in dead}
        return [entry for entry in self.died if not names & {entry[1], entry[2]}]


class BarTests(SynchronousTestCase):
    """What is a failure, and how soon it is known."""

    @seeds(5)
    def test_crash(self, seed: int) -> None:
        """A process that was killed is dead for all within a second (F40)."""
        five = Five(seed)
        five.hosts[2].crash("reset")
        self.assertLess(five.known_to_all(five.hosts[2], 5.0), CRASH_S)
        five.world.advance(10)
        self.assertEqual(five.wrongly_dead(five.hosts[2]), [])

    @seeds(5)
    def test_hang(self, seed: int) -> None:
        """A process that stands still is dead for all within 5 s (F5)."""
        five = Five(seed)
        five.hosts[2].pause()
        self.assertLess(five.known_to_all(five.hosts[2], 10.0), HANG_S)
        five.world.advance(10)
        self.assertEqual(five.wrongly_dead(five.hosts[2]), [])
        five.hosts[2].resume()
        five.world.until(lambda: all(map(five.sees_all, five.services)))

    @seeds(5)
    def test_power_cut(self, seed: int) -> None:
        """So is a machine without power (F1)."""
        five = Five(seed)
        five.hosts[2].crash("silence")
        self.assertLess(five.known_to_all(five.hosts[2], 10.0), HANG_S)
        five.world.advance(10)
        self.assertEqual(five.wrongly_dead(five.hosts[2]), [])

    @seeds(5)
    def test_black_hole(self, seed: int) -> None:
        """So is one that no packet reaches or leaves (F2)."""
        five = Five(seed)
        five.world.isolate(five.hosts[2])
        self.assertLess(five.known_to_all(five.hosts[2], 10.0), HANG_S)
        five.world.advance(10)
        self.assertEqual(five.wrongly_dead(five.hosts[2]), [])
        five.world.heal()
        five.world.until(lambda: all(map(five.sees_all, five.services)), 60)


class NoFailureTests(SynchronousTestCase):
    """What must not be taken for one."""

    @seeds(5)
    def test_stall(self, seed: int) -> None:
        """A reactor that is held up for 3 s kills nobody (F5)."""
        five = Five(seed)
        for host in five.hosts:
            host.pause()
            five.world.advance(3.0)
            host.resume()
            five.world.advance(3.0)
        five.world.advance(10)
        self.assertEqual(five.died, [])

    @seeds(3)
    def test_loss(self, seed: int) -> None:
        """
        5 % of packets lost kill nobody: TCP sends them again after 0.2 s, then
        0.4 s and so on, and what is behind them waits (F7).
        """
        five = Five(seed)
        random = Random(seed)
        links = [(a, b) for a in five.hosts for b in five.hosts if a is not b]
        mended: dict[tuple[Host, Host], float] = {}
        for _ in range(10 * 120):
            five.world.advance(0.1)
            for link, until in [*mended.items()]:
                if five.world.now_s >= until:
                    five.world.link(*link).change(cut=False)
                    del mended[link]
            for a, b in links:
                if (a, b) in mended or random.random() >= 0.05:
                    continue
                pause_s, again_s = 0.2, 0.4
                while random.random() < 0.05:
                    pause_s, again_s = pause_s + again_s, again_s * 2
                mended[a, b] = five.world.now_s + pause_s
                five.world.link(a, b).change(cut=True)
        self.assertEqual(five.died, [])

    @seeds(3)
    def test_one_way(self, seed: int) -> None:
        """
        A way that works in one direction only kills nobody who is reached by
        another (F3).
        """
        five = Five(seed)
        a, b = five.hosts[:2]
        five.world.cut(a, b, one_way=True)
        five.world.advance(30)
        self.assertEqual(five.died, [])
        five.world.heal()
        five.world.until(lambda: all(n.via == "" for n in five.services[0].nodes()))

    @seeds(3)
    def test_clock_jumps(self, seed: int) -> None:
        """Wall clocks that are set forward or back kill nobody (F9)."""
        five = Five(seed)
        for number, host in enumerate(five.hosts):
            host.jump_wall(3600.0 * (-1) ** number)
            five.world.advance(6.0)
        five.hosts[0].drift_ppm = 50_000
        five.world.advance(20)
        self.assertEqual(five.died, [])
        self.assertTrue(all(map(five.sees_all, five.services)))

    @seeds(1)
    def test_flapping_link(self, seed: int) -> None:
        """
        A link that breaks each time it has been up for a moment is dialled a
        few times a minute, not all the time, and both stay members (F56).
        """
        five = Five(seed)
        a, b = five.services[:2]
        broken = 0
        for _ in range(10 * 600):
            five.world.advance(0.1)
            link = a.link_to(b.me.node_key)
            if link is not None:
                broken += 1
                link.abort()
        self.assertLess(broken, 30)
        self.assertGreater(broken, 10)
        self.assertEqual(five.died, [])
        five.world.until(lambda: a.link_to(b.me.node_key) is not None, 61)

    def test_sixty_four_join(self) -> None:
        """
        64 nodes that start within a second join, with a link for each two, and
        nobody dies (F55).
        """
        nodes = Nodes(1)
        world = nodes.world
        hosts = [world.host(f"h{number}") for number in range(64)]
        services = []
        for host in hosts:
            services.append(nodes.start(host, hosts[0], hosts[1]))
            world.advance(1 / 64)

        def joined() -> bool:
            return all(len(one.applications.links) == 63 for one in services)

        world.until(joined, 20)
        world.advance(10)
        self.assertTrue(joined())
        told = [what for one in nodes.told.values() for what in one]
        self.assertEqual({what.split()[0] for what in told}, {"Joined"})


class PartialPartitionTests(SynchronousTestCase):
    """Two nodes that can't reach each other, and others that reach both."""

    def broken(self, seed: int) -> Five:
        """Three nodes; the first and the last can't reach each other."""
        five = Five(seed, 3)
        five.world.cut(five.hosts[0], five.hosts[2])
        five.world.advance(6)
        return five

    @seeds(5)
    def test_all_stay_members(self, seed: int) -> None:
        """All stay alive in every view, and the broken link is shown (F4)."""
        five = self.broken(seed)
        a, b, c = five.services
        for _ in range(60):
            five.world.advance(1)
            self.assertTrue(all(map(five.sees_all, five.services)))
        self.assertEqual(five.died, [])
        self.assertEqual({node.id: node.via for node in a.nodes()}["h2"], "h1")
        self.assertEqual({node.id: node.via for node in c.nodes()}["h0"], "h1")
        self.assertEqual({node.via for node in b.nodes()}, {""})
        five.world.heal()
        five.world.until(lambda: {node.via for node in a.nodes()} == {""}, 10)
        self.assertIsNotNone(a.link_to(c.me.node_key))

    def test_send_fails(self) -> None:
        """What is sent to one without a link fails, and says so (F4)."""
        five = self.broken(1)
        application = five.services[0].applications.register("app")
        failure = self.failureResultOf(application.send(b"hello", ["h2"]))
        failure.trap(PeerUnreachable)
        self.assertEqual(failure.value.node_ids, ("h2",))
        self.successResultOf(application.send(b"hello", ["h1"]))

    def test_death_behind_the_cut(self) -> None:
        """One that dies behind the cut is dead for all soon after (F4)."""
        five = self.broken(1)
        five.began_s = five.world.now_s
        five.hosts[2].crash("reset")
        self.assertLess(five.known_to_all(five.hosts[2], 10), HANG_S + 1)

    def test_leaving_behind_the_cut(self) -> None:
        """One that leaves behind the cut has left for all (F4)."""
        five = self.broken(1)
        five.world.result_of(five.services[2].stopService())
        five.world.until(lambda: states(five.services[0])["h2"] == "left", 3)
        self.assertEqual(five.died, [])

    def test_restart_behind_the_cut(self) -> None:
        """A restart behind the cut is a death and a join for all (F12)."""
        five = self.broken(1)
        five.hosts[2].crash("reset")
        five.world.advance(1)
        five.hosts[2].restart()
        five.services[2] = five.nodes.start(five.hosts[2], *five.hosts, incarnation=2)
        told = five.nodes.told["h0"]
        expected = ["Joined h2", "Died h2", "Joined h2"]
        five.world.until(
            lambda: [what for what in told if what.endswith("h2")] == expected, 30
        )
        self.assertTrue(five.sees_all(five.services[0]))

    def test_joining_behind_a_cut(self) -> None:
        """One that starts behind a cut is a member for all (F4)."""
        five = Five(1, 3)
        late = five.world.host("late")
        five.world.cut(five.hosts[0], late)
        five.services.append(five.nodes.start(late, *five.hosts))
        five.world.until(lambda: all(map(five.sees_all, five.services)), 15)

    def test_chain(self) -> None:
        """In a chain of five each sees all, and no rumour keeps the dead alive (F4)."""
        five = Five(1)
        five.world.chain()
        for _ in range(30):
            five.world.advance(1)
            for service in five.services:
                seen = states(service)
                self.assertEqual(set(seen.values()) - {"suspect"}, {"alive"})
        self.assertEqual(five.died, [])
        five.began_s = five.world.now_s
        five.hosts[4].crash("silence")
        self.assertLess(five.known_to_all(five.hosts[4], 20), 10)
