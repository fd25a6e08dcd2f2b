"""
What all nodes together hold of the buckets, and have counted.
"""

from __future__ import annotations

import json

from mycorrizal.pulse.stats_command import SUMMED, hit_ratio
from tests.pulse.worlds import PulseTestCase


class StatsTests(PulseTestCase):
    """Three nodes and two buckets."""

    size = 3

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(1)
        cache = self.cluster[0].cache()
        for name in ("b", "c"):
            self.cluster.result_of(cache.create_bucket(name))
        self.cluster.until(self.cluster.converged)
        for number in range(40):
            self.cluster.result_of(cache.put("b", f"k{number}", b"v" * 100))
        for number in range(50):
            self.cluster.result_of(cache.get("b", f"k{number}"))
        self.cluster.result_of(cache.delete("b", "k0"))

    def rows(self, *arguments: str) -> list[list[str]]:
        """The table without its titles."""
        lines = self.out_of("cache", "stats", *arguments).splitlines()
        return [line.split() for line in lines[1:]]

    def test_sums(self) -> None:
        """Each value counts where it is held, each read once, whoever is asked."""
        for node in ("n0", "n1"):
            b, c = self.rows("--node", node)
            self.assertEqual(b[:4], ["b", "all", "3", "78"])
            self.assertEqual(b[6:9], ["40", "10", "80.0%"])
            self.assertEqual(c, "c all 3 0 0 B 0 0 - 0 0 0".split())

    def test_per_node(self) -> None:
        """The shares stand above their sum, and come to it."""
        rows = self.rows("b", "--per-node")
        self.assertEqual([row[1] for row in rows], ["n0", "n1", "n2", "all"])
        self.assertEqual(sum(int(row[2]) for row in rows[:3]), int(rows[3][3]))
        for number, row in enumerate(rows[:3]):
            own = self.cluster[number].cache().stats("b")
            self.assertEqual(int(row[2]), own.entries)

    def test_json(self) -> None:
        """For programs there is all of it, and the settings."""
        (found,) = json.loads(self.out_of("cache", "stats", "b", "--json"))
        self.assertEqual(list(found["nodes"]), ["n0", "n1", "n2"])
        for field in SUMMED:
            shares = [share[field] for share in found["nodes"].values()]
            self.assertEqual(found[field], sum(shares), field)
        self.assertEqual((found["puts"], found["deletes"]), (80, 2))
        self.assertEqual((found["hit_ratio"], found["replicas"]), (0.8, 1))

    def test_width(self) -> None:
        """The table fits 80 columns."""
        for line in self.out_of("cache", "stats", "--per-node").splitlines():
            self.assertLessEqual(len(line), 80)

    def test_unknown(self) -> None:
        """A bucket that is not there is named, with what to do."""
        error = self.error_of(1, "cache", "stats", "sessions")
        self.assertIn("no bucket 'sessions'; `pulse cache create` makes one", error)

    def test_silent(self) -> None:
        """Who does not answer is named, and the rest is summed up."""
        self.cluster.pause(2)
        result = self.pulse("cache", "stats", "b")
        self.assertEqual(result.exit_code, 0)
        self.assertEqual(
            result.stderr, "pulse: n2 does not answer; the rest is without it\n"
        )
        self.assertIn("all 2", result.stdout)

    def test_none(self) -> None:
        """Where there are no buckets it says how to make one."""
        for name in ("b", "c"):
            self.cluster.result_of(self.cluster[0].cache().drop_bucket(name))
        self.cluster.advance(2)
        self.assertIn("no buckets; `pulse cache create", self.out_of("cache", "stats"))
        self.assertEqual(json.loads(self.out_of("cache", "stats", "--json")), [])

    def test_ratio(self) -> None:
        """Without reads there is no ratio."""
        self.assertIsNone(hit_ratio(0, 0))
        self.assertEqual(hit_ratio(1, 2), 0.3333)
