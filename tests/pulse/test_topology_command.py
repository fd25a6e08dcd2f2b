"""
Who has a link to whom, from the command line.
"""

from __future__ import annotations

import json

from mycorrizal.pulse.topology_command import matrix
from tests.pulse.worlds import PulseTestCase


class TopologyTests(PulseTestCase):
    """Three nodes, of which two have lost their link."""

    size = 3

    def setUp(self) -> None:
        super().setUp()
        self.cluster.world.cut("n0", "n2")
        self.cluster.advance(8)

    def test_matrix(self) -> None:
        """Each line is a node, each column how it reaches another."""
        result = self.pulse("topology")
        self.assertIn("n2 has no link to the node that was asked", result.stderr)
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0].split(), ["FROM", "n0", "n1", "n2"])
        self.assertRegex(lines[1], r"^n0 +\. +\d\.\d\d ms +via n1$")
        self.assertRegex(lines[2], r"^n1 +\d\.\d\d ms +\. +\d\.\d\d ms$")

    def test_json(self) -> None:
        """For programs it is an object of objects."""
        found = json.loads(self.pulse("topology", "--json").stdout)
        self.assertEqual(found["n0"]["n2"], "via n1")
        self.assertTrue(found["n1"]["n2"].endswith(" ms"))

    def test_many(self) -> None:
        """Where a matrix has no room, what is odd is listed."""
        names = [f"node-number-{number}" for number in range(12)]
        found = {name: {to: "1.00 ms" for to in names if to != name} for name in names}
        self.assertEqual(matrix(found, 80), "132 ways of 132 are up")
        found[names[0]][names[1]] = "down"
        page = matrix(found, 80)
        self.assertIn("node-number-0  node-number-1  down", page)
        self.assertIn("131 ways of 132 are up", page)
