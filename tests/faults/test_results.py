"""Tests for `tests.faults.results`: a run goes on where it was interrupted."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.results import NOT_ALL, NOT_SOUND, Results

RUN = {"seed": 1, "seconds": 60.0, "version": "v1"}


def a_result(**changes: Any) -> dict[str, Any]:
    """What a nemesis that found nothing comes to."""
    return {
        "faults": 3, "operations": 100, "elapsed_s": 10.0, "counts": {"put ok": 9},
        "latency_ms": {}, "latency_max_ms": None, "settled_s": [], "detections_s": {},
        "findings": [], "excused": [], "problems": [], **changes,
    }  # fmt: skip


class ResultsTests(SynchronousTestCase):
    """Results are kept in a directory."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.out = io.StringIO()

    def results(self, *, fresh: bool = False, **changes: Any) -> Results:
        return Results(self.directory, {**RUN, **changes}, fresh=fresh)

    def add(self, results: Results, name: str, result: dict[str, Any]) -> None:
        with redirect_stdout(self.out):
            results.add(name, result)

    def sum_up(self, results: Results, *names: str) -> int:
        with redirect_stdout(self.out):
            return results.sum_up(list(names), 1.0)

    def test_goes_on(self) -> None:
        """What was run through is not run again; what failed or was skipped is."""
        before = self.results()
        self.add(before, "crash", a_result())
        self.add(before, "pause", a_result(findings=["lost"]))
        self.add(before, "ring", {"skipped": "no namespaces"})
        self.add(before, "slow", {"failed": "it took too long"})
        again = self.results()
        wanted = [n for n in ("crash", "pause", "ring", "slow", "loss")
                  if again.wanted(n)]  # fmt: skip
        self.assertEqual(wanted, ["ring", "slow", "loss"])

    def test_another_run(self) -> None:
        """Other options, another version, or a wish for it: all begins again."""
        self.add(self.results(), "crash", a_result())
        self.assertFalse(self.results().wanted("crash"))
        self.assertTrue(self.results(seconds=5.0).wanted("crash"))
        self.assertTrue(self.results(version="v2").wanted("crash"))
        self.assertTrue(self.results(fresh=True).wanted("crash"))

    def test_summary(self) -> None:
        """The figures of all are in both files, and tell the exit code."""
        results = self.results()
        self.add(results, "crash", a_result())
        self.assertEqual(self.sum_up(results, "crash", "ring"), NOT_ALL)
        self.add(results, "ring", {"skipped": "no namespaces"})
        self.assertEqual(self.sum_up(results, "crash", "ring"), 0)
        self.add(results, "pause", a_result(problems=["slow to settle"]))
        self.assertEqual(self.sum_up(results, "crash", "ring", "pause"), NOT_SOUND)
        kept = json.loads((self.directory / "results.json").read_text())
        summary = kept["summary"]
        self.assertEqual(
            [summary[it] for it in ("nemeses", "faults", "operations", "elapsed_s")],
            [3, 6, 200, 20],
        )
        self.assertEqual(summary["not sound"], ["pause"])
        text = (self.directory / "results.txt").read_text()
        self.assertEqual(text, self.out.getvalue())
        self.assertIn("3 nemeses, 6 faults, 200 operations in 20 s; skipped 1", text)
        self.assertIn("not sound 1 (pause); not run 0; version v1", text)
