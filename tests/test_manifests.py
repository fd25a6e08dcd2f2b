"""
What we show for Kubernetes fits the settings of a node.
"""

from __future__ import annotations

import re

from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Config
from mycorrizal.http_options import read_http
from mycorrizal.nodosum.discovery import DnsSdDiscovery
from mycorrizal.pulse.web.health import PROBES
from mycorrizal.testing import SimNameServer, World
from tests.pages import ROOT
from tests.places import fresh_path

MANIFEST = (ROOT / "docs/howto/deploy/kubernetes.yaml").read_text()


def value_of(pattern: str) -> str:
    """A value in the manifest."""
    found = re.search(pattern, MANIFEST)
    assert found is not None, pattern
    return found[1]


class KubernetesTests(SynchronousTestCase):
    """The manifest for a headless Service."""

    def test_settings(self) -> None:
        """Each variable is a setting, and its value is a good one."""
        names = re.findall(
            r"- name: (MYCORRIZAL_\w+)\n +value(?:: (\S+)|From)", MANIFEST
        )
        self.assertEqual(len(names), MANIFEST.count("MYCORRIZAL_"))
        environment = {name: text or "shop-7d4b9c" for name, text in names}
        config = Config.from_sources(environment=environment)
        self.assertEqual(config.dns_sd, ("_cluster._tcp.shop",))
        self.assertEqual(config.node_id, "shop-7d4b9c")

    def test_probes(self) -> None:
        """Each probe asks the port that the node serves for what it answers there."""
        served = read_http(value_of(r"_HTTP\n +value: (\S+)"), "/own/http-token")
        assert served is not None
        self.assertFalse(served.private)
        port = value_of(r"name: http, containerPort: (\d+)")
        self.assertEqual(served.port, int(port))
        asked = re.findall(
            r"(\w+)Probe:\n +httpGet: \{path: /(\w+), port: http", MANIFEST
        )
        self.assertEqual(asked, [("liveness", "livez"), ("readiness", "readyz")])
        self.assertEqual(len(asked), MANIFEST.count("Probe:"))
        self.assertLessEqual({path for _, path in asked}, set(PROBES))

    def test_files(self) -> None:
        """Each file that a setting names is put there before the node starts."""
        named = re.findall(r"_FILE\n +value: /own/(\S+)", MANIFEST)
        put = value_of(r'\[install, -m, "600", (.+), /own\]').split(", ")
        self.assertEqual(put, [f"/secret/{name}" for name in named])
        for name in named:
            self.assertIn(f"--from-file={name}", MANIFEST)

    def test_service(self) -> None:
        """It is headless, tells of pods that are not ready, and has the name's port."""
        self.assertIn("  clusterIP: None\n", MANIFEST)
        self.assertIn("  publishNotReadyAddresses: true\n", MANIFEST)
        service = value_of(r"kind: Service\nmetadata:\n  name: (\S+)")
        port = value_of(r"- name: (\S+)\n      protocol: TCP\n      port: 6969")
        self.assertEqual(value_of(r"_SD\n +value: (\S+)"), f"_{port}._tcp.{service}")

    def test_records(self) -> None:
        """
        A pod finds all pods by the records that the DNS specification of
        Kubernetes describes, with the resolv.conf that kubelet writes.
        """
        world = World(1)
        server = SimNameServer(world.host("coredns", "10.96.0.10"))
        server.with_additional = True
        domain = "shop.bazaar.svc.cluster.local"
        for number in (1, 2, 3):
            target = f"10-244-0-{number}.{domain}"
            srv = dns.Record_SRV(0, 33, 6969, target)
            server.add(f"_cluster._tcp.{domain}", srv, ttl_s=5)
            server.add(target, dns.Record_A(f"10.244.0.{number}"), ttl_s=5)
        path = fresh_path(self)
        path.write_text(
            "search bazaar.svc.cluster.local svc.cluster.local cluster.local\n"
            "nameserver 10.96.0.10\noptions ndots:5\n"
        )
        discovery = DnsSdDiscovery(
            world.host("pod").runtime,
            value_of(r"_SD\n +value: (\S+)"),
            resolv_conf_path=str(path),
        )
        found = world.result_of(discovery.discover())
        self.assertEqual(sorted(found), [(f"10.244.0.{n}", 6969) for n in (1, 2, 3)])
        self.assertEqual(len(server.asked), 1)
