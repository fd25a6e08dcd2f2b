"""
The settings that a node would have, and those that nodes have.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.config import FIELDS
from mycorrizal.pulse.config_sources import settings
from mycorrizal.pulse.live_settings import MASK
from tests.pulse.worlds import PulseTestCase


class SourceTests(SynchronousTestCase):
    """What is said by a file, the environment, and nobody."""

    def found(self, **environment: str) -> dict[str, tuple[str, str]]:
        """Value and source of each setting, with a file that sets some."""
        file = {
            "tls": "off",
            "node_id": "filed",
            "ready_timeout_s": "1m",
            "consul": {"tags": ["t"], "service": "s"},
        }
        said = settings("node.toml", file, {"HOME": "/home/u", **environment})
        return {each.name: (each.text, each.source) for each in said}

    def test_each_has_one(self) -> None:
        """All settings are shown, each with its source."""
        shown = {name.partition(".")[0] for name in self.found()}
        self.assertEqual(shown, set(FIELDS))
        found = self.found(MYCORRIZAL_ID="named", MYCORRIZAL_LISTEN="[::1]:7")
        self.assertEqual(found["node_id"], ("named", "MYCORRIZAL_ID"))
        self.assertEqual(found["listen"], ("[::1]:7", "MYCORRIZAL_LISTEN"))
        self.assertEqual(found["tls"], ("off", "node.toml"))
        self.assertEqual(found["ready_timeout_s"], ("60", "node.toml"))
        self.assertEqual(found["hello"], ("udp", "default"))

    def test_buckets(self) -> None:
        """Buckets are shown as they can be given."""
        said = "a:ttl=15m,write=async b:max_bytes=9000"
        text, source = self.found(MYCORRIZAL_BUCKETS=said)["buckets"]
        self.assertEqual(source, "MYCORRIZAL_BUCKETS")
        self.assertIn("a:ttl=900s,", text)
        self.assertIn("write=async", text)
        again = text.replace(", ", " ")
        self.assertEqual(self.found(MYCORRIZAL_BUCKETS=again)["buckets"][0], text)

    def test_two_names(self) -> None:
        """Of two variables for one setting the one that counts is named."""
        found = self.found(MYCORRIZAL_ID="a", MYCORRIZAL_NODE_ID="b")
        self.assertEqual(found["node_id"], ("b", "MYCORRIZAL_NODE_ID"))

    def test_secrets(self) -> None:
        """No secret is shown, and where it is read from is."""
        found = self.found(MYCORRIZAL_SECRET="hush", MYCORRIZAL_CONSUL_TOKEN="hush")
        self.assertEqual(found["secret"], (MASK, "MYCORRIZAL_SECRET"))
        self.assertEqual(found["consul.token"], (MASK, "MYCORRIZAL_CONSUL_TOKEN"))
        self.assertNotIn("hush", str(found))
        stored = self.found()["secret_files"]
        path = "/home/u/.local/state/mycorrizal/mycorrizal/secret"
        self.assertEqual(stored, (path, "default"))
        given = self.found(MYCORRIZAL_SECRET_FILE="/s")["secret_files"]
        self.assertEqual(given, ("/s", "MYCORRIZAL_SECRET_FILE"))

    def test_consul(self) -> None:
        """What Consul's own tools are told is shown as such, one by one."""
        found = self.found(
            CONSUL_HTTP_ADDR="http://h:8500", MYCORRIZAL_CONSUL_SERVICE="shop"
        )
        self.assertEqual(found["consul.url"], ("http://h:8500", "CONSUL_HTTP_ADDR"))
        variable = "MYCORRIZAL_CONSUL_SERVICE"
        self.assertEqual(found["consul.service"], ("shop", variable))
        self.assertEqual(found["consul.tags"], ("t", "node.toml"))
        self.assertEqual(found["consul.verify"], ("yes", "default"))


class ShowTests(PulseTestCase):
    """From the command line."""

    size = 2

    def test_show(self) -> None:
        """A file, named by option or variable, is read; no node is asked."""
        path = self.directory / "node.toml"
        path.write_text('listen = "10.0.0.9"\nlabels = {zone = "a"}\n')
        self.environment = {"HOME": str(self.directory)}
        shown = self.out_of("config", "show", "--config", str(path), "--given")
        rows = [line.split() for line in shown.splitlines()]
        self.assertEqual(rows[1], ["listen", "10.0.0.9:6969", str(path)])
        self.assertEqual(rows[2], ["labels", "zone=a", str(path)])
        self.assertEqual(len(rows), 3)
        self.environment["MYCORRIZAL_CONFIG"] = str(path)
        found = json.loads(self.out_of("config", "show", "--json"))
        (listen,) = (each for each in found if each["name"] == "listen")
        self.assertEqual(listen["source"], str(path))

    def test_wrong(self) -> None:
        """What is wrong is said as a node would say it."""
        self.environment = {"HOME": "/", "MYCORRIZAL_LISTNE": "x"}
        error = self.error_of(2, "config", "show")
        self.assertIn("MYCORRIZAL_LISTNE", error)
        self.assertIn("did you mean listen?", error)
        error = self.error_of(2, "config", "show", "--config", "/nowhere")
        self.assertIn("cannot read /nowhere", error)

    def test_live(self) -> None:
        """Of running nodes a shared value stands once, another for each node."""
        self.cluster[1].nodosum.config.labels["zone"] = "b"
        rows = [
            line.split()
            for line in self.out_of("config", "live").splitlines()
            if line.split()[0] in ("tls", "labels", "host")
        ]
        self.assertIn(["tls", "all", "auto", "default"], rows)
        self.assertIn(["labels", "n0", "-", "default"], rows)
        self.assertIn(["labels", "n1", "zone=b", "given"], rows)

    def test_live_secret(self) -> None:
        """Of the secret there is the fingerprint, and nothing else."""
        found = json.loads(self.out_of("config", "live", "--json"))
        self.assertEqual(list(found), ["n0", "n1"])
        text = found["n0"]["secret"]["text"]
        fingerprint = self.cluster[0].nodosum.config.keys.first.fingerprint
        self.assertEqual(text, f"fingerprint {fingerprint}")
