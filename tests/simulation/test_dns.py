"""
Clusters that find each other in the DNS, on simulated time.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel, capturedLogs
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import DiscoveryError, NotReady, new_secret
from mycorrizal.testing import SimCluster, SimNameServer
from mycorrizal.testing.name_server import with_code

SERVICE = "_cluster._tcp.example"
DNS = "10.0.200.53"


class DnsTests(SynchronousTestCase):
    """Three nodes that know a name and nothing else."""

    def cluster(self, size: int = 3, **settings: Any) -> SimCluster:
        """A cluster that was not started."""
        settings = {"dns_sd": SERVICE, "dns_servers": DNS, "static": (), **settings}
        cluster = SimCluster(size, seed=11, start=False, **settings)
        self.server = SimNameServer(cluster.world.host("dns", DNS))
        return cluster

    def record(self, name: str, *, ttl_s: int = 5) -> None:
        """A node has a record from now on."""
        self.server.add(SERVICE, dns.Record_SRV(0, 0, 6969, name), ttl_s=ttl_s)

    def started(self, **settings: Any) -> SimCluster:
        """Three nodes with records, which have found each other."""
        cluster = self.cluster(**settings)
        for number in range(3):
            self.record(f"n{number}")
            cluster.start(number)
        cluster.until(cluster.formed, 10)
        return cluster

    def test_three_nodes(self) -> None:
        """They find each other, and keep looking within the time to live."""
        cluster = self.started()
        self.server.asked.clear()
        cluster.advance(100)
        looks = [kind for name, kind in self.server.asked if name == SERVICE]
        self.assertTrue(30 <= len(looks) <= 60, len(looks))
        cluster.check_invariants()
        cluster.close()

    def test_new_record(self) -> None:
        """A node that nobody knows of is found when it gets a record."""
        cluster = self.started()
        cluster._settings.update(dns_sd=())
        newcomer = cluster.add()
        cluster.advance(30)
        self.assertEqual(len(newcomer.nodes()), 1)
        self.record("n3")
        cluster.until(cluster.formed, 12)
        cluster.close()

    def test_record_that_goes(self) -> None:
        """F45: a member whose record is gone is a member still."""
        cluster = self.started()
        del self.server.records[SERVICE][1:]
        cluster.advance(60)
        self.server.records.clear()
        cluster.advance(60)
        self.assertTrue(cluster.formed())
        cluster.close()

    def test_dns_fails_later(self) -> None:
        """F45: whatever becomes of the DNS, no member is lost, and one line says so."""
        for wrong in (
            lambda query, right: [],
            lambda query, right: [with_code(right, dns.ESERVER)],
            lambda query, right: [with_code(right, dns.ENAME)],
            lambda query, right: [right[:-4]],
            lambda query, right: [b"\xc0" * 400],
        ):
            cluster = self.started()
            with capturedLogs() as logs:
                self.server.misbehave = wrong
                cluster.advance(180)
            self.assertTrue(cluster.formed())
            cluster.check_invariants()
            said = [it["log_format"] for it in logs if it["log_level"] > LogLevel.info]
            self.assertEqual(len(said), 3, said)
            self.assertEqual(len(set(said)), 1)
            self.server.misbehave = None
            cluster.crash(1)
            cluster.restart(1)
            cluster.until(cluster.formed, 60)
            cluster.close()

    def test_dns_fails_at_the_start(self) -> None:
        """F45: a node that can ask nobody says whom it asked, and is not ready."""
        cluster = self.cluster(1)
        self.server.misbehave = lambda query, right: []
        cluster.start(0)
        with self.assertRaises(NotReady) as caught:
            cluster.result_of(cluster[0].when_ready())
        self.assertIn(f"{DNS}:53 does not answer", str(caught.exception))
        self.assertIn(SERVICE, str(caught.exception))
        cluster.close()

    def test_dns_comes_back(self) -> None:
        """F45: a node that could ask nobody at first is ready when it can."""
        cluster = self.cluster()
        self.server.misbehave = lambda query, right: []
        for number in range(3):
            self.record(f"n{number}")
            cluster.start(number)
        cluster.advance(15)
        self.server.misbehave = None
        cluster.until(cluster.formed, 15)
        cluster.close()

    def test_one_of_two_ways_fails(self) -> None:
        """F45: who has found a member in one way does not wait for the others."""
        cluster = self.cluster(static=["n0", "n1", "n2"])
        self.server.misbehave = lambda query, right: []
        for number in range(3):
            cluster.start(number)
        cluster.until(cluster.formed, 10)
        cluster.advance(60)
        self.assertTrue(cluster.formed())
        cluster.close()

    def test_several_ways(self) -> None:
        """Names, services and lists can be used side by side."""
        cluster = self.cluster(dns_sd=[SERVICE, "more:6969"], static=["n0"])
        self.record("n1")
        cluster.world.names["more"] = ["10.0.0.3"]
        for number in range(3):
            cluster.start(number)
        cluster.until(cluster.formed, 10)
        cluster.close()

    def test_attacker(self) -> None:
        """F47: an address of somebody else's in the DNS does no harm."""
        cluster = self.cluster()
        stranger = SimCluster(1, seed=5, start=False, static=())
        stranger.world = cluster.world
        attacker = cluster.world.host("attacker")
        self.record("attacker")
        cluster._settings.update(secret=new_secret(b"m" * 32))
        evil = cluster._node(attacker)
        cluster._settings.update(secret=new_secret(b"o" * 32))
        cluster.nodes = [cluster._node(host) for host in cluster.hosts]
        evil.startService()
        for number in range(3):
            self.record(f"n{number}")
            cluster.start(number)
        cluster.until(cluster.formed, 10)
        cluster.advance(60)
        self.assertTrue(cluster.formed())
        self.assertEqual(len(evil.nodes()), 1)
        cluster.result_of(evil.stopService())
        cluster.close()

    def test_own_record(self) -> None:
        """F45: a node whose own record is the only one is ready at once."""
        cluster = self.cluster(1, listen="0.0.0.0:6969")
        self.record("n0")
        cluster.start(0)
        cluster.until(cluster.formed, 1)
        cluster.close()

    def test_advertised_address(self) -> None:
        """
        Its record may name where others reach it, which is not where it
        listens: that is its own address too.
        """
        cluster = self.cluster(2)
        cluster._settings.update(listen="0.0.0.0:6970", advertise="10.0.0.1:6969")
        cluster.nodes[0] = cluster._node(cluster.hosts[0])
        self.record("n0")
        cluster.start(0)
        cluster.until(lambda: cluster[0].ready, 1)
        self.assertEqual(cluster[0].address, "10.0.0.1:6969")
        cluster.close()

    def test_unspecified_address(self) -> None:
        """A record with 0.0.0.0 or :: names nobody."""
        cluster = self.cluster(1)
        cluster.world.names["nowhere"] = ["0.0.0.0", "::"]
        self.record("nowhere")
        cluster.start(0)
        cluster.until(cluster.formed, 1)
        self.assertEqual(list(cluster[0].nodosum.mesh.contacts.by_address), [])
        cluster.close()

    def test_no_discovery_alone(self) -> None:
        """A node that runs alone asks nobody."""
        cluster = self.cluster(1, single=True)
        cluster.start(0)
        cluster.advance(30)
        self.assertEqual(self.server.asked, [])
        cluster.close()

    def test_stopped_while_it_asks(self) -> None:
        """A node that is stopped leaves no question open."""
        cluster = self.cluster(1)
        self.server.misbehave = lambda query, right: []
        cluster.start(0)
        cluster.advance(2.5)
        cluster.close()


class OwnWayTests(SynchronousTestCase):
    """Ways of discovery that a program adds."""

    def test_own_way(self) -> None:
        """A program can find nodes in a way of its own."""
        from tests.nodosum.test_rounds import Script

        cluster = SimCluster(2, start=False, static=())
        way = Script(DiscoveryError("not yet"), [("10.0.0.1", 6969)])
        cluster[1].add_discovery(way)
        cluster.start(0)
        cluster.start(1)
        cluster.until(cluster.formed, 10)
        cluster.close()
