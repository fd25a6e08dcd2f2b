"""
The nodes of a cluster, and the ways between them.
"""

from __future__ import annotations

import json

import click

from mycorrizal.nodosum import derive_key, new_secret
from mycorrizal.pulse.messages import AskStatus, Status
from mycorrizal.pulse.nodes_command import page
from tests.pulse.worlds import PulseTestCase


class NodesTests(PulseTestCase):
    """Three nodes."""

    size = 3

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(2)

    def rows(self) -> dict[str, dict[str, str]]:
        """The columns of each node, by title."""
        lines = self.out_of("nodes").splitlines()
        titles = lines[0].split()
        starts = [lines[0].index(title) for title in titles]
        # Figures stand at the right of theirs.
        for title, room in (("RTT", 4), ("LAG", 5)):
            starts[titles.index(title)] -= room
        found = {}
        for line in lines[1:]:
            ends = [*starts[1:], None]
            cells = [line[a:b].strip() for a, b in zip(starts, ends, strict=True)]
            found[cells[0]] = dict(zip(titles, cells, strict=True))
        return found

    def test_well(self) -> None:
        """Each other node has a link, which is encrypted."""
        rows = self.rows()
        self.assertEqual((rows["n0"]["LINK"], rows["n0"]["TLS"]), ("-", "-"))
        self.assertEqual((rows["n1"]["LINK"], rows["n1"]["TLS"]), ("up", "on"))
        found = json.loads(self.out_of("nodes", "--json"))
        self.assertEqual([it["encrypted"] for it in found], [None, True, True])
        self.assertNotIn("MISSING", rows["n0"])

    def test_lag(self) -> None:
        """A node that was held up says for how long; one that still is, nothing."""
        self.cluster.advance(11)
        self.assertEqual(self.rows()["n1"]["LAG"], "0.00 ms")
        self.cluster.pause(1)
        self.cluster.advance(1.5)
        self.assertEqual(self.rows()["n1"]["LAG"], "silent")
        self.cluster.resume(1)
        self.cluster.advance(0.5)
        lag = self.rows()["n1"]["LAG"]
        self.assertTrue(lag.endswith(" s") and float(lag[:-2]) > 1.4, lag)
        self.assertEqual(self.rows()["n2"]["LAG"], "0.00 ms")
        found = json.loads(self.out_of("nodes", "--json"))
        self.assertGreater(found[1]["lag_ms"], 1400)
        self.assertEqual([it["missing"] for it in found], [0, 0, 0])

    def test_missing(self) -> None:
        """What a node has still to copy has a column as long as there is any."""
        found = self.ask(AskStatus(links=True))
        assert isinstance(found, Status)
        found.members[1].missing = 1234
        found.members[2].missing = None
        lines = click.unstyle(page(found, 80)).splitlines()
        column = lines[0].index("MISSING") + len("MISSING")
        cells = [line[:column].split()[-1] for line in lines]
        self.assertEqual(cells, ["MISSING", "0", "1,234", "-"])

    def test_relayed(self) -> None:
        """A node that others hear in our place says by way of whom."""
        self.cluster.world.cut("n0", "n2")
        self.cluster.advance(8)
        rows = self.rows()
        self.assertEqual(rows["n2"]["STATE"], "alive")
        self.assertEqual((rows["n2"]["LINK"], rows["n2"]["TLS"]), ("via n1", "-"))

    def test_dead(self) -> None:
        """A dead node has no link to speak of."""
        self.cluster.crash(2)
        self.cluster.advance(10)
        rows = self.rows()
        self.assertEqual((rows["n2"]["STATE"], rows["n2"]["LINK"]), ("dead", "-"))

    def test_secret_of_links(self) -> None:
        """Links that were not made with the secret in use yet are named."""
        ring = self.cluster[0].nodosum.config.keys
        old, new = ring.first, derive_key(new_secret(bytes(32)), "mycorrizal")
        self.assertNotIn("Not renewed", self.out_of("nodes"))
        for node in self.cluster.nodes:
            node.nodosum.config.keys.replace((new, old))
        said = self.out_of("nodes").splitlines()[-1]
        self.assertEqual(
            said,
            f"Not renewed with secret {new.fingerprint} yet, the links to: "
            f"n1 ({old.fingerprint}), n2 ({old.fingerprint})",
        )
        self.cluster.advance(15)
        self.assertNotIn("Not renewed", self.out_of("nodes"))
        found = json.loads(self.out_of("nodes", "--json"))
        made_with = [it["secret"] for it in found]
        self.assertEqual(made_with, ["", new.fingerprint, new.fingerprint])

    def test_width(self) -> None:
        """What there is no room for is left out, from the right."""
        lines = self.out_of("nodes").splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)


class PlainNodesTests(PulseTestCase):
    """Two nodes without TLS."""

    size = 2
    settings = {"tls": "off"}

    def test_plain(self) -> None:
        """A link that is not encrypted is shown to be none."""
        self.cluster.advance(2)
        found = json.loads(self.out_of("nodes", "--json", "--tls", "off"))
        self.assertEqual([it["encrypted"] for it in found], [None, False])
        self.assertIn(" off ", self.out_of("nodes", "--tls", "off"))
