"""Tests for `mycorrizal.testing.network`."""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import Host, World
from mycorrizal.testing.network import QUEUE_S_MAX
from mycorrizal.testing.timeline import TICK_S, ticks_of
from tests.contract.place import Mailbox
from tests.testing.pairs import Pair


class NetworkTests(SynchronousTestCase):
    """Five hosts, each of which has a mailbox on UDP port 9."""

    def setUp(self) -> None:
        self.world = World(1)
        self.hosts = [self.world.host(name) for name in "abcde"]
        self.mailboxes: dict[Host, Mailbox] = {}
        self.ports = {}
        for host in self.hosts:
            mailbox = self.mailboxes[host] = Mailbox()
            self.ports[host] = host.reactor.listenUDP(9, mailbox)

    def reached(self) -> set[str]:
        """Which hosts reach which others now."""
        for source in self.hosts:
            for to in self.hosts:
                if source is not to:
                    data = (source.name + to.name).encode()
                    self.ports[source].write(data, (to.address, 9))
        self.world.advance(1)
        names = set()
        for mailbox in self.mailboxes.values():
            names |= {data.decode() for data, _ in mailbox.received}
            mailbox.received.clear()
        return names

    def pairs(self, *links: str) -> set[str]:
        """Both directions of some links."""
        return {*links, *(link[::-1] for link in links)}

    def test_all(self) -> None:
        """At first, everybody reaches everybody."""
        self.assertEqual(len(self.reached()), 20)

    def test_partition(self) -> None:
        """Groups are cut off from each other, and the rest is a group."""
        self.world.partition(["a", "b"], [self.hosts[2]])
        self.assertEqual(self.reached(), self.pairs("ab", "de"))

    def test_partition_replaces(self) -> None:
        """A new partition mends the former one."""
        self.world.partition("a", "bcde")
        self.world.partition("ab", "cde")
        self.assertEqual(self.reached(), self.pairs("ab", "cd", "ce", "de"))

    def test_isolate(self) -> None:
        """One host can be alone."""
        self.world.isolate("c")
        self.assertEqual(self.reached(), self.pairs(*"ab ad ae bd be de".split()))

    def test_one_way(self) -> None:
        """A link can be cut in one direction only."""
        self.world.cut("a", "b", one_way=True)
        reached = self.reached()
        self.assertNotIn("ab", reached)
        self.assertIn("ba", reached)
        self.assertEqual(len(reached), 19)

    def test_ring(self) -> None:
        """In a ring each host has two neighbours."""
        self.world.ring()
        self.assertEqual(self.reached(), self.pairs(*"ab bc cd de ea".split()))

    def test_chain(self) -> None:
        """A chain is a ring that is open."""
        self.world.chain()
        self.assertEqual(self.reached(), self.pairs(*"ab bc cd de".split()))

    def test_heal(self) -> None:
        """Links are mended one by one, around a host, or all."""
        self.world.partition("a", "b", "c", "d", "e")
        self.assertEqual(self.reached(), set())
        self.world.heal("a", "b")
        self.assertEqual(self.reached(), self.pairs("ab"))
        self.world.heal("c")
        self.assertEqual(self.reached(), self.pairs(*"ab ca cb cd ce".split()))
        self.world.heal()
        self.assertEqual(len(self.reached()), 20)

    def test_no_such_host(self) -> None:
        """A name that no host has is a mistake of the test."""
        self.assertRaises(KeyError, self.world.isolate, "z")
        self.assertRaises(ValueError, self.world.cut, "a", "a")

    def test_cut_on_the_way(self) -> None:
        """What is on its way when the link is cut is lost."""
        self.ports[self.hosts[0]].write(b"x", (self.hosts[1].address, 9))
        self.world.cut("a", "b")
        self.world.advance(1)
        self.assertEqual(self.mailboxes[self.hosts[1]].received, [])

    def test_loss(self) -> None:
        """About the fraction that was asked for is lost, and only there."""
        a, b, c = self.hosts[:3]
        self.world.lossy("a", "b", 0.5, one_way=True)
        for _ in range(400):
            self.ports[a].write(b"x", (b.address, 9))
            self.ports[b].write(b"x", (a.address, 9))
            self.ports[a].write(b"x", (c.address, 9))
        self.world.advance(1)
        self.assertApproximates(len(self.mailboxes[b].received), 200, 40)
        self.assertEqual(len(self.mailboxes[a].received), 400)
        self.assertEqual(len(self.mailboxes[c].received), 400)

    def test_loss_everywhere(self) -> None:
        """A link of its own mind goes back to the network's loss."""
        self.world.udp_loss = 1.0
        self.world.lossy("a", "b", 0.0)
        self.assertEqual(self.reached(), self.pairs("ab"))
        self.world.lossy("a", "b", None)
        self.assertEqual(self.reached(), set())

    def test_bad_latency(self) -> None:
        """The mean is not below the least."""
        self.assertRaises(ValueError, self.world.latency_ms, 2, 1)
        self.assertRaises(ValueError, self.world.latency_ms, -1, 1)


class LatencyTests(SynchronousTestCase):
    """How long things take."""

    def setUp(self) -> None:
        self.world = World(1)
        self.a, self.b = self.world.host("a"), self.world.host("b")
        self.link = self.world.link(self.a, self.b)

    def took(self, size: int = 0) -> float:
        """Seconds until `size` bytes are there."""
        return (self.link.arrival_ticks(size) - self.world.now_ticks) * TICK_S

    def test_constant(self) -> None:
        """When least and mean are equal, there is no jitter."""
        self.world.latency_ms(10, 10)
        self.assertEqual({self.took() for _ in range(9)}, {ticks_of(0.01) * TICK_S})

    def test_least_and_mean(self) -> None:
        """Nothing is faster than the least, and the mean is the mean."""
        self.world.latency_ms(10, 30)
        times = [self.took() for _ in range(2000)]
        self.assertGreaterEqual(min(times), 0.01)
        self.assertApproximates(sum(times) / len(times), 0.03, 0.002)

    def test_of_one_link(self) -> None:
        """Two hosts can be further apart than the others."""
        self.world.latency_ms(500, 500, between=("a", "b"))
        self.world.latency_ms(1, 1)
        self.assertEqual(self.took(), 0.5)

    def test_loopback(self) -> None:
        """A host is near to itself, whatever the network does."""
        self.world.latency_ms(500, 500)
        self.link = self.world.link(self.a, self.a)
        self.assertLess(self.took(), 0.001)

    def test_bandwidth(self) -> None:
        """On a slow link, bytes queue behind each other."""
        self.world.latency_ms(0, 0)
        self.world.slow("a", "b", 1000)
        self.assertEqual([self.took(500), self.took(500)], [0.5, 1.0])
        self.world.slow("a", "b", None)
        self.assertEqual(self.took(500), 0.0)

    def test_datagrams_do_not_wait_for_ever(self) -> None:
        """Datagrams are lost when too much waits for the bandwidth."""
        self.world.slow("a", "b", 1000)
        self.took(int(QUEUE_S_MAX * 1000))
        self.assertFalse(self.link.congested())
        self.took(1)
        self.assertTrue(self.link.congested())
        mailbox = Mailbox()
        self.b.reactor.listenUDP(9, mailbox)
        self.a.reactor.listenUDP(9, Mailbox()).write(b"x", (self.b.address, 9))
        self.world.advance(10)
        self.assertEqual(mailbox.received, [])


class OnTheWayTests(SynchronousTestCase):
    """Somebody between two hosts, who does more than to listen."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.world = self.pair.world

    def test_rewrite(self) -> None:
        """What TCP carries is changed, as many bytes of it."""
        client, server = self.pair.client, self.pair.server
        self.world.rewrite("a", "b", lambda _, data: data.upper(), one_way=True)
        client.transport.write(b"hello")
        server.transport.write(b"welcome")
        self.world.advance(1)
        self.assertEqual(server.received, b"HELLO")
        self.assertEqual(client.received, b"welcome")
        self.assertEqual(self.world.rewritten, {client.transport.connection_id})
        self.world.rewrite("a", "b", None)
        client.transport.write(b" again")
        self.world.advance(1)
        self.assertEqual(server.received, b"HELLO again")

    def test_rewrite_nothing(self) -> None:
        """A connection of which nothing was changed is not counted."""
        self.world.rewrite("a", "b", lambda _, data: data)
        self.pair.client.transport.write(b"hello")
        self.world.advance(1)
        self.assertEqual(self.world.rewritten, set())

    def test_rewrite_length(self) -> None:
        """Bytes can't be added or left out: windows would no longer be right."""
        self.world.rewrite("a", "b", lambda _, data: data + b"!")
        self.pair.client.transport.write(b"hello")
        self.world.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.pair.server.received, b"")

    def test_reset(self) -> None:
        """A connection is reset at both ends."""
        self.world.reset("a", "b")
        self.world.advance(1)
        for end in (self.pair.client, self.pair.server):
            self.assertIs(end.ended_by, ConnectionLost)
