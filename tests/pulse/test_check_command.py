"""
What a monitor is told of a cluster.
"""

from __future__ import annotations

import json

from tests.pulse.worlds import PulseTestCase


class CheckTests(PulseTestCase):
    """Three nodes with a bucket."""

    size = 3
    settings = {"buckets": "b:max_entries=1000"}

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(2)

    def check(self, *arguments: str) -> tuple[int, str]:
        """The exit code, and the line."""
        result = self.pulse("check", *arguments)
        self.assertEqual(len(result.stdout.splitlines()), 1, result)
        return result.exit_code, result.stdout.rstrip("\n")

    def test_well(self) -> None:
        """A cluster that is well is one line and exit code 0."""
        line = "OK - 3 nodes alive | alive=3 missing_copies=0"
        self.assertEqual(self.check(), (0, line))
        self.assertEqual(self.check("--min-members", "3"), (0, line))

    def test_too_few(self) -> None:
        """Fewer nodes than wanted are critical."""
        code, line = self.check("--min-members", "4")
        self.assertEqual(code, 2)
        self.assertTrue(line.startswith("CRITICAL - 3 nodes alive, 4 wanted |"), line)

    def test_dead(self) -> None:
        """A dead node is critical."""
        self.cluster.crash(2)
        self.cluster.advance(10)
        code, line = self.check()
        self.assertEqual(code, 2)
        self.assertTrue(line.startswith("CRITICAL - n2 is dead"), line)

    def test_broken_link(self) -> None:
        """A link that is missing is a warning, and says between whom."""
        self.cluster.world.cut("n0", "n2")
        self.cluster.advance(8)
        code, line = self.check()
        self.assertEqual(code, 1)
        self.assertIn("n0 has no link to n2", line)

    def test_unreachable(self) -> None:
        """Without a node to ask nothing is known."""
        code, line = self.check("--node", "n0:7999")
        self.assertEqual(code, 3)
        self.assertTrue(line.startswith("UNKNOWN - cannot connect to n0:7999"), line)

    def test_wrong_usage(self) -> None:
        """Wrong usage is unknown too, not critical."""
        self.error_of(3, "check", "--min-members", "none")
        self.environment["MYCORRIZAL_TLS"] = "maybe"
        self.assertEqual(self.check()[0], 3)

    def test_json(self) -> None:
        """For programs there are names."""
        found = json.loads(self.out_of("check", "--json"))
        expected = {"level": "OK", "problems": [], "alive": 3, "missing_copies": 0}
        self.assertEqual(found, expected)
