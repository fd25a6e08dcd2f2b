"""
Misconfigurations that are planted in a cluster, and what is said of them.
"""

from __future__ import annotations

import json
from typing import Any

import attrs

from mycorrizal import Config, Mycorrizal
from mycorrizal.pulse.cluster_messages import Vitals
from mycorrizal.pulse.diagnosis import SKEW_S_MAX, diagnose
from mycorrizal.pulse.everybody import Said
from mycorrizal.testing.cluster import SECRET
from mycorrizal.testing.tls import SimTls
from tests.pulse.worlds import PulseTestCase

_OTHER_SECRET = "myk1:HxseHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE="


class DoctorTestCase(PulseTestCase):
    """A user who asks the doctor."""

    def doctor(self, exit_code: int = 1) -> dict[str, str]:
        """What is found, and its fix."""
        result = self.pulse("doctor", "--json")
        self.assertEqual((result.exit_code, result.stderr), (exit_code, ""), result)
        return {it["what"]: it["fix"] for it in json.loads(result.stdout)}

    def assert_found(self, what: str, fix: str) -> None:
        """One finding has these words, and its fix has those."""
        found = self.doctor()
        fixes = [fix for sentence, fix in found.items() if what in sentence]
        self.assertTrue(fixes, found)
        self.assertIn(fix, fixes[0])


class NobodyTests(DoctorTestCase):
    """Two nodes that were told of a third, which is not there."""

    size = 2
    settings = {"static": "10.0.0.1,10.0.0.2,10.0.0.77"}

    def test_nobody_there(self) -> None:
        """An address of nobody is found."""
        self.cluster.advance(10)
        self.assert_found("nobody is at 10.0.0.77:6969", "open its port")


class DoctorTests(DoctorTestCase):
    """Three nodes that are well, until something is planted."""

    size = 3
    settings = {"buckets": "b:max_entries=10"}

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(2)

    def stranger(self, **settings: Any) -> Mycorrizal:
        """Start one more node, with settings of its own."""
        host = self.cluster.world.host("x")
        host.runtime.tls = SimTls()
        known = [host.address for host in self.cluster.hosts]
        node = Mycorrizal(
            host.reactor,
            Config(
                **{
                    "listen": host.address,
                    "node_id": "x",
                    "host": "x",
                    "static": known,
                    "secret": SECRET,
                    **settings,
                }
            ),
        )
        node.when_ready().addErrback(lambda failure: None)
        node.startService()
        self.cluster.advance(6)
        return node

    def test_well(self) -> None:
        """Of a cluster that is well nothing is found, and that is exit code 0."""
        self.assertEqual(self.doctor(0), {})
        self.assertEqual(self.out_of("doctor"), "3 nodes asked; nothing is wrong\n")

    def test_another_secret(self) -> None:
        """A node with another secret is found."""
        self.stranger(secret=_OTHER_SECRET)
        self.assert_found("it has another secret", "same --secret-file")

    def test_another_cluster_name(self) -> None:
        """A node with another cluster name is found."""
        self.stranger(cluster_name="other")
        self.assert_found("it has another cluster name", "--cluster-name")

    def test_another_tls(self) -> None:
        """A node without TLS among nodes with it is found."""
        self.stranger(tls="off")
        self.assert_found("TLS", "same --tls")

    def test_single(self) -> None:
        """A node that runs alone, and is named by others, is found."""
        node = self.stranger(single=True)
        host, _, port = node.address.rpartition(":")
        contacts = self.cluster[0].nodosum.mesh.contacts
        known = [*contacts.by_address, (host, int(port))]
        contacts.discovered(known, self.cluster[0].runtime.now())
        self.cluster.until(contacts.refusals)
        self.assert_found("runs alone", "take --single off")

    def test_clock(self) -> None:
        """A clock that is wrong is found."""
        self.cluster.hosts[2].jump_wall(-90)
        self.assert_found("its clock is 90.0 s behind that of n0", "NTP")

    def test_unreachable_address(self) -> None:
        """A node that tells others an address where it is not is found."""
        self.stranger(advertise="10.0.0.99:6969")
        self.assert_found(
            "none of the others can reach it at 10.0.0.99:6969", "--advertise"
        )

    def test_closed_way(self) -> None:
        """Two machines between which nothing gets through are found."""
        self.cluster.world.cut("n1", "n2")
        self.cluster.advance(8)
        found = self.doctor()
        self.assertEqual(
            sorted(found),
            [
                "n1 can't reach it at 10.0.0.3:6969: no answer within 1 s",
                "n2 can't reach it at 10.0.0.2:6969: no answer within 1 s",
            ],
        )

    def test_dead(self) -> None:
        """A node that is dead is found."""
        self.cluster.crash(2)
        self.cluster.advance(10)
        self.assert_found("it is dead", "start it again")

    def test_too_few_nodes(self) -> None:
        """More copies than nodes are found."""
        self.out_of("cache", "create", "c", "--replicas", "5")
        self.assert_found("bucket c wants 5 copies", "start 3 more, or lower --repl")

    def test_crowded(self) -> None:
        """A bucket that is too small is found."""
        for number in range(60):
            self.out_of("cache", "put", "b", f"k{number}", "v")
        self.assert_found("bucket b is too small", "--max-entries")

    def test_stalls(self) -> None:
        """A node that was held up is found."""
        self.cluster.pause(2)
        self.cluster.advance(2)
        self.cluster.resume(2)
        self.cluster.advance(2)
        self.assert_found("it did not run 1 times, for 2.", "move that to a thread")

    def test_silent(self) -> None:
        """A node that does not answer is found."""
        self.cluster.pause(2)
        self.assert_found("it does not answer", "whether its process runs")

    def test_page(self) -> None:
        """For people, each finding is numbered and followed by its fix."""
        self.cluster.crash(2)
        self.cluster.advance(10)
        result = self.pulse("doctor")
        self.assertEqual(result.exit_code, 1)
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0], "1. n2: it is dead")
        self.assertTrue(lines[1].startswith("   Fix: start it again;"))


def vital(node_id: str, **changes: Any) -> Said[Vitals]:
    """A node that is well, but for these."""
    well: dict[str, Any] = {
        "node_id": node_id,
        "version": "0.1.0",
        "address": f"{node_id}.example:6969",
        "host": node_id,
        "tls": "auto",
        "single": False,
        "wall_s": 1_700_000_000.0,
        "members": {},
        "missing": 0,
        "refusals": [],
        "silent": [],
        "discovery": [],
        "replicas": {},
        "crowded": {},
        "stalls": 0,
        "stalled_s": 0.0,
        "conflicts": [],
        "refused": [],
    }
    return Said(node_id, Vitals(**{**well, **changes}), "", 0.0)


class DiagnosisTests(PulseTestCase):
    """What two nodes say, and what follows."""

    def assert_found(self, what: str, fix: str, **changes: Any) -> None:
        """What is wrong with the second one is found, and nothing else."""
        (finding,) = diagnose([vital("a"), vital("b", **changes)], "a")
        self.assertIn(what, finding.what)
        self.assertIn(fix, finding.fix)

    def test_well(self) -> None:
        """Nothing is nothing."""
        self.assertEqual(diagnose([vital("a"), vital("b")], "a"), [])

    def test_discovery(self) -> None:
        """Names without an answer are found."""
        problem = ("DNS-SD", "nobody knows _x._tcp.example")
        self.assert_found("by DNS-SD fails: nobody", "`dig`", discovery=[problem])

    def test_versions(self) -> None:
        """Mixed versions are found."""
        self.assert_found("0.1.0, 0.2.0", "finish the upgrade", version="0.2.0")

    def test_missing(self) -> None:
        """Missing copies are found."""
        self.assert_found("1,234 copies are missing", "stop no node", missing=1234)

    def test_no_tls(self) -> None:
        """Open traffic is found, unless it stays on the machine."""
        self.assert_found("TLS is off", "--tls auto", tls="off")
        at_home = vital("a", tls="off", address="127.0.0.1:6969")
        self.assertEqual(diagnose([at_home], "a"), [])

    def test_same_host_label(self) -> None:
        """Machines that pass for one are found."""
        self.assert_found("host label 'a'", "--host-label", host="a")

    def test_buckets_apart(self) -> None:
        """Nodes that would make a bucket in different ways are found."""
        same = {"b": {"ttl_s": "900.0", "write": "all"}}
        other = {"b": {"ttl_s": "60.0", "write": "all"}}
        nodes = [vital(name, buckets=same) for name in "ac"]
        self.assertEqual(diagnose(nodes, "a"), [])
        self.assertEqual(diagnose([*nodes, vital("d")], "a"), [])
        (finding,) = diagnose([*nodes, vital("d", buckets=other)], "a")
        self.assertEqual(
            finding.what,
            "bucket b is set up in different ways: ttl_s is 900.0 on a and c, "
            "60.0 on d",
        )
        self.assertIn("same --bucket", finding.fix)

    def test_same_id(self) -> None:
        """Two nodes of one id are found."""
        sentence = "another node, at 10.0.0.2:6969, has the id 'a'"
        self.assert_found(sentence, "--node-id", conflicts=[sentence])

    def test_clock_at_the_bound(self) -> None:
        """Clocks may differ a little, and answers take time."""
        wall_s = 1_700_000_000.0 + SKEW_S_MAX
        self.assertEqual(diagnose([vital("a"), vital("b", wall_s=wall_s)], "a"), [])
        self.assert_found("ahead of", "NTP", wall_s=wall_s + 0.1)
        late = attrs.evolve(vital("b", wall_s=wall_s + 0.1), took_ms=200.0)
        self.assertEqual(diagnose([vital("a"), late], "a"), [])
