"""Tests for `mycorrizal.testing.plans`."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import plans
from mycorrizal.testing.plans import Dice, Fault, Plan, draw_plan
from mycorrizal.testing.profiles import NEWER, PROFILES

SEEDS = range(60)


def first_drawn(plan: Plan) -> tuple[Fault, ...]:
    """The faults of the kinds that a seed draws first."""
    return tuple(fault for fault in plan.faults if fault.kind not in NEWER)


class DiceTests(SynchronousTestCase):
    """Draws that are the same for the same seed."""

    def setUp(self) -> None:
        self.dice = Dice("a seed")

    def test_ranges(self) -> None:
        """Numbers stay within what was asked for."""
        for _ in range(200):
            self.assertTrue(2 <= self.dice.between(2, 3) < 3)
            self.assertTrue(0.1 <= self.dice.scale(0.1, 60) <= 60.001)
            self.assertIn(self.dice.one_of("abc"), "abc")
            self.assertLessEqual(set(self.dice.some("abc")), set("abc"))
            self.assertEqual(sorted(self.dice.shuffled("abc")), list("abc"))

    def test_scale(self) -> None:
        """Small strengths are drawn as often as large ones."""
        small = sum(self.dice.scale(0.01, 100) < 1 for _ in range(1000))
        self.assertTrue(400 < small < 600, small)

    def test_same_seed(self) -> None:
        """One seed always draws the same."""
        again = Dice("a seed")
        self.assertEqual(
            [self.dice.random() for _ in range(5)], [again.random() for _ in range(5)]
        )


class PlanTests(SynchronousTestCase):
    """What a seed is to go through."""

    def test_same_seed(self) -> None:
        """A seed means the same plan, in one weather."""
        self.assertEqual(draw_plan(7, "all"), draw_plan(7, "all"))
        self.assertNotEqual(draw_plan(7, "all"), draw_plan(8, "all"))
        self.assertRaises(KeyError, draw_plan, 7, "hail")

    def test_calm(self) -> None:
        """In calm weather nothing goes wrong."""
        self.assertEqual({draw_plan(seed, "calm").faults for seed in SEEDS}, {()})

    def test_faults(self) -> None:
        """Each weather draws all of its faults, and only those, in order."""
        for name, profile in PROFILES.items():
            drawn = [draw_plan(seed, name) for seed in SEEDS]
            kinds = {fault.kind for plan in drawn for fault in plan.faults}
            self.assertEqual(kinds, set(profile.faults), name)
            for plan in drawn:
                times = [fault.at_s for fault in plan.faults]
                self.assertEqual(times, sorted(times))
                self.assertLessEqual(len(first_drawn(plan)), plans.FAULTS_MAX)
                self.assertTrue(not times or times[0] >= 0)

    def test_bound(self) -> None:
        """Some storm has as many faults as there may be, and none has more."""
        counts = [len(first_drawn(draw_plan(seed, "all"))) for seed in range(200)]
        self.assertEqual(max(counts), plans.FAULTS_MAX)

    def test_later_kinds(self) -> None:
        """What came later changes nothing of what a seed has always meant."""
        profile = attrs.evolve(
            PROFILES["partitions"],
            faults=tuple(k for k in PROFILES["partitions"].faults if k not in NEWER),
        )
        for seed in SEEDS:
            plan = draw_plan(seed, "partitions")
            self.patch(plans, "PROFILES", {"partitions": profile})
            before = draw_plan(seed, "partitions")
            self.patch(plans, "PROFILES", PROFILES)
            self.assertEqual(attrs.evolve(plan, faults=first_drawn(plan)), before)
        self.assertIn("meddler", NEWER)

    def test_room(self) -> None:
        """The small bucket is too small in entries, in bytes, or in both."""
        drawn = {tuple(it is None for it in draw_plan(s, "all").room) for s in SEEDS}
        self.assertEqual(drawn, {(False, True), (True, False), (False, False)})

    def test_crashes_need_copies(self) -> None:
        """Where deaths must lose nothing, there is a copy to lose."""
        for name in ("crashes", "clocks"):
            for seed in SEEDS:
                plan = draw_plan(seed, name)
                self.assertGreaterEqual(plan.replicas, 1)
                self.assertGreaterEqual(plan.size, 2)

    def test_slow(self) -> None:
        """No link is so slow that a node on it is not heard."""
        slow = [
            fault.strength
            for seed in SEEDS
            for fault in draw_plan(seed, "network").faults
            if fault.kind == "slow"
        ]
        self.assertGreaterEqual(min(slow), plans.SLOW_BYTES_PER_S_MIN * 0.999)

    def test_members(self) -> None:
        """Which faults let slots move."""
        changes = {
            fault.kind
            for seed in SEEDS
            for fault in draw_plan(seed, "all").faults
            if plans.changes_members(fault)
        }
        self.assertEqual(changes, {"crash", "restart", "leave", "join"})
