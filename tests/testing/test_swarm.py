"""Tests for `mycorrizal.testing.swarm`."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import swarm
from mycorrizal.testing.plans import draw_plan
from mycorrizal.testing.profiles import PROFILES, excluded_pairs
from mycorrizal.testing.seedfile import Case
from mycorrizal.testing.sometimes import SOMETIMES
from mycorrizal.testing.storm import Finding, Report
from mycorrizal.testing.telling import plan_lines
from tests.testing.quiet import Quiet

#: A storm that ends soon.
SHORT = ("--until", "4")


def a_report(seed: int = 1, *texts: str, **changes: Any) -> Report:
    """A storm's report with these findings."""
    values: dict[str, Any] = {
        "seed": seed, "profile": "calm", "simulated_s": 3600.0, "operations": 10,
        "judged": 8, "excluded": 2, "tolerated": {"copies": 1},
        "outcomes": {"put ok": 10}, "faults": {"crash": 2},
        "sometimes": {SOMETIMES[0]: 3}, "digest": "d1", "story": "the last events",
        "findings": tuple(Finding(7.0 + n, "stale", t) for n, t in enumerate(texts)),
    }  # fmt: skip
    return Report(**{**values, **changes})


class CommandTests(Quiet, SynchronousTestCase):
    """What ``python -m mycorrizal.testing.swarm`` does and says."""

    def setUp(self) -> None:
        super().setUp()
        # The observers of the test's own run stay.
        self.patch(swarm, "log_nowhere", lambda: None)

    def run_swarm(self, *arguments: str) -> tuple[int, list[str]]:
        """Its exit code, and the lines that it prints."""
        out = io.StringIO()
        with redirect_stdout(out):
            code = swarm.main(arguments)
        return code, out.getvalue().splitlines()

    def with_reports(self, *reports: Report) -> None:
        """Let these be the reports of all storms."""
        self.patch(swarm, "run_cases", lambda *_: iter(reports))

    def asked(self) -> list[Case]:
        """What is to be run, but is not."""
        asked: list[Case] = []

        def run_cases(cases: Sequence[Case], *_: Any) -> Iterator[Report]:
            asked.extend(cases)
            return iter(())

        self.patch(swarm, "run_cases", run_cases)
        return asked

    def test_clean(self) -> None:
        """All is well: exit code 0, and the last line sums it up."""
        code, lines = self.run_swarm("--seeds", "2", "--profile", "calm", *SHORT)
        self.assertEqual(code, 0)
        self.assertRegex(
            lines[-1],
            r"^2 seeds, 0\.00 simulated hours, \d+ operations checked \(\d+ to the "
            r"promises of quiet times\), 0 losses, 0 findings$",
        )

    def test_finding(self) -> None:
        """A finding: exit code 1, how to play it again, the last events."""
        self.with_reports(a_report(1), a_report(2, "read an old value"))
        code, lines = self.run_swarm()
        text = "\n".join(lines)
        self.assertEqual(code, 1)
        self.assertIn("FAIL 7.000 s  stale: read an old value", lines)
        self.assertIn("--replay --first-seed 2 --profile calm  # git ", text)
        self.assertIn("(with --until 7.001 it stops there", text)
        self.assertIn("the last events", lines)
        self.assertTrue(lines[-1].startswith("2 seeds, 2.00 simulated hours, 20 op"))
        self.assertTrue(lines[-1].endswith(", 1 findings"))

    def test_too_many_failures(self) -> None:
        """A run stops when so many seeds have failed."""
        reports = [a_report(seed, "x") for seed in range(swarm.FAILURES_MAX + 1)]
        self.with_reports(*reports)
        code, lines = self.run_swarm()
        self.assertEqual(code, 1)
        self.assertTrue(lines[-1].startswith(f"{swarm.FAILURES_MAX} seeds"))
        self.with_reports(*reports)
        _, lines = self.run_swarm("--failures-max", "1")
        self.assertTrue(lines[-1].startswith("1 seeds"))

    def test_how_far(self) -> None:
        """Of a long run it is told how far it is, apart from what it prints."""
        count = 2 * swarm.TOLD_EVERY + 1
        self.with_reports(*[a_report(seed) for seed in range(count)])
        err = io.StringIO()
        with redirect_stderr(err):
            _, lines = self.run_swarm()
        told = [line.split(" seeds, ")[0] for line in err.getvalue().splitlines()]
        self.assertEqual(told, ["100", "200"])
        self.assertTrue(lines[-1].startswith(f"{count} seeds, "))

    def test_interrupted(self) -> None:
        """Ctrl-C ends a run, with what was seen by then."""

        def interrupted(*_: Any) -> Any:
            yield a_report()
            raise KeyboardInterrupt

        self.patch(swarm, "run_cases", interrupted)
        code, lines = self.run_swarm()
        self.assertEqual(code, 130)
        self.assertTrue(lines[-1].startswith("1 seeds"))

    def test_counts(self) -> None:
        """What happened, and what was left out, is counted over all seeds."""
        self.with_reports(a_report(1), a_report(2, profile="partitions"))
        _, lines = self.run_swarm()
        self.assertIn(f"  {6:9,}  {SOMETIMES[0]}", lines)
        self.assertIn("faults: crash 4", lines)
        self.assertIn("outcomes: put ok 20", lines)
        pairs = excluded_pairs(["calm", "partitions"])
        self.assertTrue(lines[-2].startswith(f"not asserted: {pairs} pairs"))
        self.assertIn("2 times (copies 2); 4 operations fell into splits", lines[-2])

    def test_every_profile(self) -> None:
        """All kinds of weather, one after the other."""
        asked = self.asked()
        self.run_swarm("--seeds", "2", "--first-seed", "5", "--profile", "every")
        self.assertEqual(asked, [(n, name) for name in PROFILES for n in (5, 6)])

    def test_default(self) -> None:
        """Without options: a hundred seeds of everything at once."""
        asked = self.asked()
        self.run_swarm()
        self.assertEqual(asked, [(seed, "all") for seed in range(100)])

    def test_replay(self) -> None:
        """One seed is played again; its plan is told."""
        code, lines = self.run_swarm(
            "--replay", "--first-seed", "3", "--profile", "crashes", *SHORT
        )
        self.assertEqual(code, 0)
        self.assertTrue(lines[0].startswith("seed 3, crashes: "))
        self.assertTrue(lines[3].startswith("  fault 0: at "))
        self.assertTrue(lines[-1].startswith("1 seeds"))

    def test_digests(self) -> None:
        """The digest of each storm, to compare two runs by."""
        arguments = ("--seeds", "2", "--profile", "calm", "--digests", *SHORT)
        _, lines = self.run_swarm(*arguments)
        self.assertRegex(lines[0], "^calm 0 [0-9a-f]+$")
        self.assertEqual(lines[:2], self.run_swarm(*arguments)[1][:2])

    def commands(self, lines: Sequence[str]) -> list[list[str]]:
        """The arguments of the commands that play it again, as a shell reads."""
        found = [line for line in lines if line.startswith("replay: ")]
        words = [shlex.split(line, comments=True) for line in found]
        for line in words:
            self.assertEqual(
                line[:4], ["replay:", "python", "-m", "mycorrizal.testing.swarm"]
            )
        return [line[4:] for line in words]

    def test_again_and_less(self) -> None:
        """
        A seed that fails says how to play it again; that finds the same, and
        the few faults that matter find it too.
        """
        code, lines = self.run_swarm(
            "--seeds", "1", "--first-seed", "2", "--profile", "crashes",
            "--canary", "immortal-nodes",
        )  # fmt: skip
        self.assertEqual(code, 1)
        failed = [line for line in lines if line.startswith("FAIL ")]
        (command,) = self.commands(lines)
        code, again = self.run_swarm(*command, "--minimise")
        self.assertEqual(code, 1)
        self.assertEqual([it for it in again if it.startswith("FAIL ")], failed)
        drawn = sum(line.startswith("  fault ") for line in plan_lines(2, "crashes"))
        same, fewer = self.commands(again)
        self.assertEqual(same, command)
        (told,) = (line for line in again if line.startswith("needed: "))
        needed = int(told.split()[1])
        self.assertEqual(told, f"needed: {needed} of {drawn} faults")
        self.assertTrue(0 < needed < drawn, told)
        code, least = self.run_swarm(*fewer)
        self.assertEqual(code, 1)
        invariants = {line.split()[3] for line in failed}
        self.assertTrue(
            any(line.split()[3] in invariants for line in least if line[:4] == "FAIL")
        )
        listed = sum(line.startswith("  fault ") for line in least)
        self.assertEqual(listed, needed)

    def test_record(self) -> None:
        """Seeds that fail are kept, and played again from the file."""
        path = self.mktemp()
        self.with_reports(a_report(1), a_report(2, "x"), a_report(2, "x"))
        _, lines = self.run_swarm("--record", path)
        self.assertEqual(lines.count(f"added to {path}"), 1)
        asked = self.asked()
        self.assertEqual(self.run_swarm("--seed-file", path)[0], 0)
        self.assertEqual(asked, [(2, "calm")])

    def test_no_seed_file(self) -> None:
        """A file that can't be read is a sentence, and exit code 2."""
        err = io.StringIO()
        with redirect_stderr(err):
            code, _ = self.run_swarm("--seed-file", self.mktemp())
        self.assertEqual(code, 2)
        self.assertIn("The seeds can't be read", err.getvalue())

    def test_minimise(self) -> None:
        """Of a failing seed's faults, those that it needs are told."""
        code, lines = self.run_swarm(
            "--replay", "--first-seed", "0", "--profile", "calm", "--minimise",
            "--canary", "early-ok", *SHORT,
        )  # fmt: skip
        self.assertEqual(code, 1)
        self.assertIn("needed: 0 of 0 faults", lines)

        def fails(seed: int, profile: str, faults: Any, *_: Any) -> Report:
            crash = any(fault.kind == "crash" for fault in faults)
            return a_report(seed, *(["x"] if crash else []))

        self.patch(swarm, "run_seed", fails)
        needed = swarm.minimised(a_report(3, "x", profile="crashes"))
        drawn = draw_plan(3, "crashes").faults
        self.assertEqual([drawn[number].kind for number in needed], ["crash"])

    def test_refused(self) -> None:
        """Options that make no sense are refused: exit code 2."""
        for arguments in (
            ("--seeds", "-1"),
            ("--seeds", str(swarm.SEEDS_MAX + 1)),
            ("--failures-max", "0"),
            ("--record", "x", "--canary", "early-ok"),
            ("--faults", "x"),
            ("--jobs", "0"),
            ("--jobs", str(swarm.JOBS_MAX + 1)),
            ("--profile", "hail"),
            ("--canary", "nightingale"),
        ):
            with redirect_stderr(io.StringIO()):
                raised = self.assertRaises(SystemExit, swarm.main, arguments)
            self.assertEqual(raised.code, 2, arguments)

    def test_bounds(self) -> None:
        """Numbers at their bounds are taken."""
        options = swarm.parser().parse_args(
            ["--seeds", str(swarm.SEEDS_MAX), "--jobs", str(swarm.JOBS_MAX)]
        )
        self.assertEqual((options.seeds, options.jobs), (swarm.SEEDS_MAX, 64))
