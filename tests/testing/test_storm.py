"""Tests for `mycorrizal.testing.storm`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing.plans import Fault
from mycorrizal.testing.storm import Storm, run_seed
from tests.testing.quiet import Quiet


class StormTests(Quiet, SynchronousTestCase):
    """One seed: form, storm, quiet, converge, shut down."""

    def test_again(self) -> None:
        """The same seed is the same storm, to the last byte."""
        first, again = run_seed(1, "restarts"), run_seed(1, "restarts")
        self.assertEqual(first, again)
        self.assertEqual(first.findings, ())
        self.assertEqual((first.seed, first.profile), (1, "restarts"))
        self.assertGreater(first.operations, 200)
        self.assertEqual(first.story, "")
        self.assertNotEqual(first.digest, run_seed(2, "restarts").digest)

    def test_fewer_faults(self) -> None:
        """A storm can be played with fewer faults than it drew."""
        self.assertNotEqual(Storm(1, "crashes").plan.faults, ())
        self.assertEqual(run_seed(1, "crashes", ()).faults, {})

    def test_until(self) -> None:
        """A storm can be stopped at any time; what was found by then counts."""
        report = run_seed(1, "crashes", until=9.0)
        self.assertLess(abs(report.simulated_s - 9.0), 0.5)
        self.assertEqual(report.findings, ())

    def test_until_near_the_end(self) -> None:
        """... also while all is read for the last time, or just before."""
        storm = Storm(1, "calm")
        read_at = []
        read_all = storm._read_all

        def reads() -> None:
            read_at.append(storm.arena.world.now_s)
            read_all()

        storm._read_all = reads  # type: ignore[method-assign]
        storm.run()
        for seconds in (-0.6, -0.1, 0.0, 0.0005, 0.1):
            until = read_at[0] + seconds
            report = run_seed(1, "calm", until=until)
            self.assertEqual(report.findings, (), seconds)
            self.assertLess(abs(report.simulated_s - until), 0.001, seconds)

    def test_finding(self) -> None:
        """A storm with a bug has findings, and tells its last events."""
        report = run_seed(0, "calm", canary="early-ok")
        self.assertEqual(report.findings[0].invariant, "copies-at-ack")
        self.assertIn("tcp", report.story)
        self.assertEqual(run_seed(0, "calm").findings, ())

    def test_tolerated(self) -> None:
        """What a weather does not assert is counted, and no finding."""
        storm = Storm(1, "all", faults=())
        storm.watch.problem("returned", "somewhere")
        storm.watch.problem("acknowledged", "a write was lost")
        report = storm.run()
        self.assertEqual(report.tolerated, {"returned": 1})
        (finding,) = report.findings
        self.assertEqual(finding.text, "a write was lost")

    def test_does_not_converge(self) -> None:
        """A cluster that does not find together again is found out."""
        halves = Fault(1.0, 1000.0, "partition", (0, 1, 2), "halves")
        storm = Storm(3, "all", faults=[halves])
        # The weather does not become fine.
        storm.nemesis.calm = lambda: None  # type: ignore[method-assign]
        broken = {finding.invariant for finding in storm.run().findings}
        self.assertIn("views", broken)
