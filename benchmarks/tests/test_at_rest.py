# -*- test-case-name: benchmarks.tests.test_at_rest -*-
"""
Tests of the rows of rest, of members and of starts.
"""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.__main__ import chosen_rows
from benchmarks.catalog import ROWS
from benchmarks.ours_at_rest import formed
from benchmarks.ours_members import BUCKET, KEYS, keys_of, timed
from benchmarks.processes import Crew, MeasurementFailed
from benchmarks.workloads.at_rest import MANY, QUICK_MANY


class RowTests(SynchronousTestCase):
    """The rows without peers."""

    def test_bars(self) -> None:
        """Each has the bar of its own figure, and less is better."""
        bars = {
            "P11": 0.5,
            "P11-SIM": 5.0,
            "P12-MEMBERS": 1.3,
            "P13": 150.0,
            "P13-SIM": 50.0,
        }
        for row_id, bar in bars.items():
            row = ROWS[row_id](True)
            self.assertEqual((row.id, row.bar.must, row.rivals), (row_id, bar, ()))
            self.assertTrue(row.bar.verdict(bar, row.better)["met"])
            self.assertFalse(row.bar.verdict(bar * 1.01, row.better)["met"])

    def test_quick(self) -> None:
        """A quick run has fewer members, and its title says how many."""
        for row_id in ("P11-SIM", "P12-MEMBERS"):
            self.assertIn(str(MANY), ROWS[row_id](False).title)
            self.assertIn(str(QUICK_MANY), ROWS[row_id](True).title)

    def test_family(self) -> None:
        """A row that has parts stands for them, too."""
        rows = chosen_rows(["P12", "P13-SIM"], None, quick=True)
        self.assertEqual([row.id for row in rows], ["P12", "P12-MEMBERS", "P13-SIM"])
        self.assertEqual([row.rounds_max for row in rows], [None, 1, None])


class MemberTests(SynchronousTestCase):
    """The keys that many members are asked for."""

    def test_keys(self) -> None:
        """All keys belong to the node that was chosen, as each node sees it."""
        cluster = formed(3)
        keys = keys_of(cluster[1])
        self.assertEqual(len(set(keys)), KEYS)
        self.assertEqual(keys, keys_of(cluster[1]))
        self.assertEqual(set(keys) & set(keys_of(cluster[0])), set())
        cluster.close()

    def test_timed(self) -> None:
        """A batch is answered by the node that has the keys, and rightly."""
        cluster = formed(3)
        cache = cluster[0].cache()
        cluster.result_of(cache.create_bucket(BUCKET, replicas=0))
        keys = keys_of(cluster[1])
        took_us = timed(cluster, lambda key: cache.put(BUCKET, key, b"1"), keys, 1)
        self.assertGreater(took_us, 0)
        stats = [node.cache().stats(BUCKET).entries for node in cluster.nodes]
        self.assertEqual(stats, [0, KEYS, 0])
        cluster.close()


class WaitTests(SynchronousTestCase):
    """A crew that is let alone."""

    def test_wait(self) -> None:
        """It is let alone as long as was said, but not beyond its time limit."""
        with Crew(timeout_s=60) as crew:
            started_s = time.monotonic()
            crew.wait(0.02)
            self.assertGreaterEqual(time.monotonic() - started_s, 0.02)
        with Crew(timeout_s=0.01) as crew:
            self.assertRaises(MeasurementFailed, crew.wait, 60)
