"""Tests for `mycorrizal.testing.profiles`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing.profiles import (
    INVARIANTS,
    NEWER,
    PROFILES,
    excluded_pairs,
    later_pairs,
)

#: The weathers in which nothing of what there is is left out.
FULL = ("crashes", "restarts", "network", "clocks")


class ProfileTests(SynchronousTestCase):
    """What is asserted in which weather, and what is not."""

    def test_calm(self) -> None:
        """In calm weather all holds."""
        self.assertEqual(PROFILES["calm"].asserted, tuple(INVARIANTS))

    def test_full(self) -> None:
        """Where nodes have time to copy, all holds but that nobody waits."""
        for name in FULL:
            now = set(PROFILES[name].excluded) - {"evicted"}
            self.assertEqual(now, {"progress"}, name)
            self.assertTrue(PROFILES[name].patient, name)

    def test_durable_everywhere(self) -> None:
        """No weather is an excuse for an acknowledged write that is lost."""
        for name, profile in PROFILES.items():
            self.assertIn("acknowledged", profile.asserted, name)
            self.assertIn("deleted", profile.asserted, name)

    def test_newer(self) -> None:
        """Each kind of fault that came later is some weather's."""
        drawn = {kind for profile in PROFILES.values() for kind in profile.faults}
        self.assertLessEqual(NEWER, drawn)

    def test_reasons(self) -> None:
        """Whatever is left out is known, and has a reason of one line."""
        for name, profile in PROFILES.items():
            self.assertLessEqual(profile.later, profile.excluded.keys(), name)
            for invariant, reason in profile.excluded.items():
                self.assertIn(invariant, INVARIANTS, name)
                self.assertTrue(0 < len(reason) <= 80, reason)

    def test_counts(self) -> None:
        """What is left out is counted."""
        self.assertEqual(excluded_pairs(["calm", "network"]), 1)
        self.assertEqual(later_pairs(FULL), 3)
        partitions = PROFILES["partitions"]
        self.assertEqual(excluded_pairs(["partitions"]), len(partitions.excluded))
        self.assertEqual(later_pairs(["partitions"]), len(partitions.later))
