"""
Whom nodes can reach at the addresses that others tell, and what is made of it.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum import Peer
from mycorrizal.nodosum.peer import PeerState
from mycorrizal.pulse.cluster_messages import Probe, Vitals
from mycorrizal.pulse.findings import Finding
from mycorrizal.pulse.probing import (
    ADDRESSES_MAX,
    PROBE_TIMEOUT_S,
    PROBES_MAX,
    Probing,
)
from mycorrizal.pulse.reach import NAMED_MAX, unreachable
from mycorrizal.testing.cluster import SimCluster
from tests.pulse.test_doctor_command import vital


class ProbingTests(SynchronousTestCase):
    """A node of four that tries the others."""

    def setUp(self) -> None:
        self.cluster = SimCluster(4, seed=self.id())
        self.cluster.until(self.cluster.formed)
        self.cluster.advance(2)
        self.node = self.cluster[1]
        self.probing = Probing(self.node.nodosum)

    def probed(self) -> dict[str, str]:
        """What came of it, by node."""
        found = self.cluster.result_of(self.probing.probe())
        return {one.node_id: one.problem for one in found}

    def connections(self) -> int:
        """How many the node has."""
        return len(self.cluster.hosts[1].sockets())

    def test_all_open(self) -> None:
        """Where all is open all are reached, and no connection is left."""
        before = self.connections()
        self.assertEqual(self.probed(), {"n0": "", "n2": "", "n3": ""})
        self.cluster.advance(1)
        self.assertEqual(self.connections(), before)
        self.assertEqual(self.cluster.world.errors(), [])

    def test_others_first(self) -> None:
        """Who comes next by name is tried first, so that all are tried by some."""
        found = self.cluster.result_of(self.probing.probe())
        self.assertEqual([one.node_id for one in found], ["n2", "n3", "n0"])

    def test_cut(self) -> None:
        """A machine that does not answer takes its second, and others are told."""
        self.cluster.world.cut("n1", "n3")
        now = self.node.runtime.now
        began_at = now()
        problem = f"no answer within {PROBE_TIMEOUT_S:g} s"
        self.assertEqual(self.probed(), {"n0": "", "n2": "", "n3": problem})
        self.assertLess(now() - began_at, PROBE_TIMEOUT_S + 0.1)

    def test_nothing_listens(self) -> None:
        """A process that is gone is told from a machine that is."""
        self.cluster.crash(3)
        self.assertEqual(self.probed()["n3"], "nothing listens there")

    def test_at_once(self) -> None:
        """Who asks while others wait makes no more connections."""
        self.cluster.world.cut("n1", "n3")
        waiting = [self.probing.probe() for _ in range(3)]
        first = self.cluster.result_of(waiting[0])
        self.assertIs(self.successResultOf(waiting[1]), first)
        self.assertIs(self.successResultOf(waiting[2]), first)

    def test_stopped(self) -> None:
        """A node that stops waits for no answer."""
        self.cluster.world.cut("n1", "n3")
        waiting: Deferred[list[Probe]] = self.probing.probe()
        self.cluster.result_of(self.node.stopService())
        self.assertEqual(len(self.successResultOf(waiting)), 3)
        self.cluster.advance(1)
        self.assertEqual(self.cluster.hosts[1].reactor.getDelayedCalls(), [])

    def pretend(self, number: int, addresses: int) -> None:
        """The node knows one more member, at some addresses."""
        key = number.to_bytes(16)
        peer = Peer(key, 1, self.node.runtime.now())
        peer.node_id, peer.state = f"x{number:03}", PeerState.ALIVE
        peer.addresses = tuple(("10.9.9.9", port + 1) for port in range(addresses))
        self.node.nodosum.membership.peers[key] = peer

    def test_many_members(self) -> None:
        """Of many members so many are tried."""
        for number in range(PROBES_MAX):
            self.pretend(number, 1)
        found = self.cluster.result_of(self.probing.probe())
        self.assertEqual(len(found), PROBES_MAX)
        self.assertEqual({one.node_id for one in found[:2]}, {"n2", "n3"})

    def test_many_addresses(self) -> None:
        """Of one member so many addresses are tried."""
        self.pretend(0, ADDRESSES_MAX)
        self.pretend(1, ADDRESSES_MAX + 1)
        found = self.cluster.result_of(self.probing.probe())
        self.assertEqual(len(found), 3 + 2 * ADDRESSES_MAX)


def saw(node_id: str, *probes: Probe) -> Vitals:
    """A node that has tried others."""
    found = vital(node_id, probes=list(probes)).reply
    assert found is not None
    return found


def at(node_id: str) -> str:
    """What a node tells others of where it is."""
    return f"{node_id}.example:6969"


class UnreachableTests(SynchronousTestCase):
    """What several nodes have tried, and what follows."""

    def found(self, *vitals: Vitals) -> list[Finding]:
        """The findings."""
        return list(unreachable(vitals))

    def test_well(self) -> None:
        """Ways that are open are no finding."""
        self.assertEqual(
            self.found(saw("a", Probe("b", at("b"))), saw("b", Probe("a", at("a")))), []
        )

    def test_closed_to_one(self) -> None:
        """Who can't reach whom, where, and why, is named."""
        (finding,) = self.found(
            saw("a", Probe("b", at("b"), "no answer")),
            saw("b"),
            saw("c", Probe("b", at("b"))),
        )
        self.assertEqual(finding.node_id, "b")
        self.assertEqual(finding.what, "a can't reach it at b.example:6969: no answer")
        self.assertIn("--advertise", finding.fix)

    def test_closed_to_all(self) -> None:
        """Where nobody gets through, they are not listed."""
        closed = Probe("b", at("b"), "nothing listens there")
        (finding,) = self.found(saw("a", closed), saw("b"), saw("c", closed))
        self.assertEqual(
            finding.what,
            "none of the others can reach it at b.example:6969: nothing listens there",
        )

    def test_old_address(self) -> None:
        """An address at which a node was known once does no harm; that which it
        tells others does, though they know another."""
        old = Probe("b", "10.0.0.9:1", "no answer")
        self.assertEqual(self.found(saw("a", old, Probe("b", at("b"))), saw("b")), [])
        told = Probe("b", at("b"), "no answer")
        other = Probe("b", "10.0.0.9:1")
        (finding,) = self.found(saw("a", told, other), saw("b"))
        self.assertIn(at("b"), finding.what)

    def test_silent_node(self) -> None:
        """Of a node that says nothing itself the addresses count that others know."""
        (finding,) = self.found(saw("a", Probe("b", "10.0.0.9:1", "no answer")))
        self.assertEqual(finding.what, "a can't reach it at 10.0.0.9:1: no answer")

    def test_many(self) -> None:
        """So many are named, and of one more there is a count."""
        closed = Probe("z", at("z"), "no answer")

        def sentence(count: int) -> str:
            tried = [saw(f"n{number}", closed) for number in range(count)]
            (finding,) = self.found(*tried, saw("a", Probe("z", at("z"))), saw("z"))
            return finding.what

        self.assertTrue(sentence(2).startswith("n0 and n1 can't"))
        self.assertTrue(sentence(NAMED_MAX).startswith("n0, n1, n2, n3 and n4 can't"))
        self.assertTrue(
            sentence(NAMED_MAX + 1).startswith("n0, n1, n2, n3, n4 and 1 more can't")
        )
