"""Tests for `mycorrizal.testing.telling`."""

from __future__ import annotations

import subprocess
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import telling
from mycorrizal.testing.plans import draw_plan
from mycorrizal.testing.telling import failure_lines, plan_lines, replay_command
from tests.testing.test_swarm import a_report


class TellingTests(SynchronousTestCase):
    """What is told of a seed that failed is enough to see it again."""

    def test_command(self) -> None:
        """All that the seed was played with is in the command."""
        command = replay_command(a_report(2), "early-ok", [3, 5])
        self.assertTrue(
            command.endswith(
                " --replay --first-seed 2 --profile calm --canary early-ok --faults 3,5"
            )
        )
        self.assertTrue(replay_command(a_report(2)).endswith(" --profile calm"))
        self.assertTrue(replay_command(a_report(2), None, []).endswith("--faults none"))

    def test_many_findings(self) -> None:
        """Of one storm's many findings the first are told."""
        count = telling.FINDINGS_PRINTED_MAX + 1
        lines = list(failure_lines(a_report(2, *["x"] * count)))
        self.assertEqual(sum(line.startswith("FAIL") for line in lines), count - 1)
        self.assertIn("     and 1 more", lines)

    def test_story(self) -> None:
        """The last events are told, unless they are not wanted."""
        self.assertIn("the last events", list(failure_lines(a_report(2, "x"))))
        lines = list(failure_lines(a_report(2, "x"), story=False))
        self.assertNotIn("the last events", lines)

    def test_plan(self) -> None:
        """What a seed has drawn, with a number for each fault."""
        faults = draw_plan(3, "all").faults
        lines = list(plan_lines(3, "all"))
        self.assertTrue(lines[0].startswith("seed 3, all: "))
        self.assertEqual(len(lines), 3 + len(faults))
        self.assertIn(f"fault 1: at {faults[1].at_s:.3f} s", lines[4])
        self.assertEqual(list(plan_lines(3, "all", [1])), [*lines[:3], lines[4]])

    def test_no_git(self) -> None:
        """Where the commit can't be known, that is said."""

        def run(*_: Any, **__: Any) -> Any:
            raise OSError

        self.patch(subprocess, "run", run)
        self.assertEqual(telling.described(), "unknown")
