"""Tests for `mycorrizal.testing.canaries`: the swarm finds bugs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.clock import HybridClock
from mycorrizal.testing.canaries import CANARIES, planted
from mycorrizal.testing.profiles import INVARIANTS, PROFILES
from mycorrizal.testing.storm import run_seed
from tests.testing.quiet import Quiet

#: Seeds that a search may take.
SEEDS_MAX = 500


class CanaryTests(Quiet, SynchronousTestCase):
    """Bugs that are planted are found; each in the storm that is recorded."""

    def test_table(self) -> None:
        """There are at least ten, and none took long to be found."""
        self.assertGreaterEqual(len(CANARIES), 10)
        for name, canary in CANARIES.items():
            self.assertLess(canary.seed, canary.seeds, name)
            self.assertLessEqual(canary.seeds, SEEDS_MAX, name)
            self.assertIn(canary.invariant, INVARIANTS, name)
            self.assertIn(canary.invariant, PROFILES[canary.profile].asserted, name)

    def test_taken_out(self) -> None:
        """A bug is there for a while, and leaves nothing behind."""
        clean = HybridClock.__dict__["observe"]
        clock = HybridClock(lambda: 0.0)
        with planted("deaf-clock"):
            clock.observe(5)
            self.assertEqual(clock.last, 0)
        self.assertIs(HybridClock.__dict__["observe"], clean)
        clock.observe(5)
        self.assertEqual(clock.last, 5)

    def test_unknown(self) -> None:
        """Only what is in the table can be planted."""
        with self.assertRaises(KeyError), planted("nightingale"):
            self.fail("was planted")

    def test_found(self) -> None:
        """Each recorded storm finds its bug, and nothing without it."""
        for name, canary in CANARIES.items():
            report = run_seed(canary.seed, canary.profile, canary=name)
            broken = {finding.invariant for finding in report.findings}
            self.assertIn(canary.invariant, broken, f"{name} was not found")
        for seed, profile in sorted({(c.seed, c.profile) for c in CANARIES.values()}):
            report = run_seed(seed, profile)
            self.assertEqual(report.findings, (), f"{profile} {seed}")
