# -*- test-case-name: benchmarks.tests.test_compare -*-
"""
Tests of two runs side by side.
"""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.compare import (
    AGREE,
    DIFFER,
    ONCE,
    SPREAD_MIN,
    SPREAD_UNKNOWN,
    Figure,
    NotComparable,
    Pair,
    Run,
    figures,
    main,
    pairs,
    table,
    unlike,
    verdict,
)


def line(
    row_id: str, ratio: float | None, spread: float | None, **more: Any
) -> dict[str, Any]:
    return {
        "id": row_id,
        "way": "get",
        "peer": "them",
        "ours": 7.0,
        "ratio": ratio,
        "spread": spread,
        "met": True,
        **more,
    }


def run() -> dict[str, Any]:
    return {
        "machine": {"cpu": "fast", "cores": 2, "memory": "1 kB", "python": "3.11"},
        "run": {"quick": False},
        "rows": [
            line("P2", 2.0, 0.1),
            line("P2-REQUEST", 3.0, 0.1),
            line("P13", None, None, peer=None, met=None),
        ],
        "peers": [{"versions": {"Twisted": "26.10.0"}}],
        "curves": [
            {"id": "members", "lines": {"ours": [{"x": 3, "y": 9.0, "spread": 0.2}]}}
        ],
    }


class VerdictTests(SynchronousTestCase):
    """Whether two figures say the same."""

    def judged(self, *figures: Figure | None) -> str:
        return Pair("P0", *figures).verdict

    def test_at_the_spread(self) -> None:
        """Two figures agree if they are as far apart as the spread, and not farther."""
        first = Figure(100.0, 0.25)
        self.assertEqual(self.judged(first, Figure(125.0, 0.0)), AGREE)
        self.assertEqual(self.judged(first, Figure(125.1, 0.0)), DIFFER)
        self.assertEqual(self.judged(first, Figure(74.9, 0.0)), DIFFER)

    def test_greater_of_both(self) -> None:
        """The run with the greater spread says how much is allowed."""
        steady, wild = Figure(100.0, 0.0), Figure(130.0, 0.3)
        self.assertEqual(self.judged(steady, wild), AGREE)
        self.assertEqual(self.judged(wild, steady), AGREE)

    def test_least(self) -> None:
        """Rounds that agree by chance do not make two runs disagree."""
        first, apart = Figure(100.0, 0.0), 100 * SPREAD_MIN
        self.assertEqual(self.judged(first, Figure(100 - apart, 0.0)), AGREE)
        self.assertEqual(self.judged(first, Figure(99.9 - apart, 0.0)), DIFFER)

    def test_one_round(self) -> None:
        """Something is assumed of a row that was played only once."""
        first, apart = Figure(100.0, None), 100 * SPREAD_UNKNOWN
        self.assertEqual(self.judged(first, Figure(100 - apart, None)), AGREE)
        self.assertEqual(self.judged(first, Figure(99.9 - apart, None)), DIFFER)

    def test_once(self) -> None:
        """What only one run says is told, and is no agreement."""
        self.assertEqual(self.judged(Figure(1.0, 0.1), None), ONCE)

    def test_bar(self) -> None:
        """A bar that was met and is missed is told, even within the spread."""
        met, missed = Figure(1.02, 0.1, met=True), Figure(0.99, 0.1, met=False)
        *_, judged = Pair("P0", met, missed).cells()
        self.assertEqual(judged, "agree, bar met, then missed")
        *_, judged = Pair("P0", missed, met).cells()
        self.assertEqual(judged, "agree, bar missed, then met")


class FigureTests(SynchronousTestCase):
    """What is compared of a run."""

    def test_names(self) -> None:
        """Ratios, figures of our own, and the points of curves."""
        found = figures(run())
        self.assertEqual(found["P2  get ÷ them"], Figure(2.0, 0.1, True))
        self.assertEqual(found["P13  get"], Figure(7.0, None))
        self.assertEqual(found["members 3  ours"], Figure(9.0, 0.2))
        self.assertEqual(len(found), 4)

    def test_only(self) -> None:
        """A name stands for its family, as it does for a run."""
        self.assertEqual([*figures(run(), ["p13"])], ["P13  get"])
        self.assertEqual(len(figures(run(), ["P2"])), 2)

    def test_without_ratio(self) -> None:
        """A peer that did not play is not compared."""
        alone = {**run(), "rows": [line("P2", None, None, ours=None)], "curves": []}
        self.assertEqual(figures(alone), {})

    def test_nothing_in_common(self) -> None:
        """Two runs of different rows can't be compared."""
        self.assertRaises(
            NotComparable, pairs, figures(run(), ["P2"]), figures(run(), ["P13"])
        )

    def test_unlike(self) -> None:
        """Another machine, another version and a quick run are told."""
        machine = {"cpu": "fast", "cores": 2, "memory": "1 kB", "python": "3.11"}
        first = Run(machine, False, {"Twisted": "26.10.0", "gone": "1"}, {})
        self.assertEqual(unlike(first, first), [])
        second = Run({**machine, "cores": 8}, True, {"Twisted": "26.4.0"}, {})
        told = " ".join(unlike(first, second))
        for part in ("cores is 2, then 8", "quick run", "Twisted: 26.10.0, then 26.4"):
            self.assertIn(part, told)


class CommandTests(SynchronousTestCase):
    """The command."""

    def said(self, first: Any, second: Any, *options: str) -> tuple[int, str, str]:
        """
        :return: the exit code, what is printed, and what is wrong.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        paths = [folder / "a.json", folder / "b.json"]
        for path, told in zip(paths, (first, second), strict=True):
            path.write_text(json.dumps(told))
        out, wrong = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(wrong):
            code = main([*map(str, paths), *options])
        return code, out.getvalue(), wrong.getvalue()

    def test_same(self) -> None:
        """A run agrees with itself."""
        code, out, _ = self.said(run(), run())
        self.assertEqual(code, 0)
        self.assertIn("4 of 4 agree within their spread.", out)

    def test_different(self) -> None:
        """The rows that do not agree are named, and the exit code says so."""
        other = run()
        other["rows"][0]["ratio"] = 1.0
        code, out, _ = self.said(run(), other)
        self.assertEqual(code, 1)
        self.assertTrue(out.rstrip().endswith("Not these: P2 get ÷ them"), out)
        self.assertIn("-50%", out)
        code, *_ = self.said(run(), other, "--only", "P13")
        self.assertEqual(code, 0)

    def test_missing(self) -> None:
        """A row that only one of them has is named, too."""
        other = run()
        del other["rows"][0]
        code, out, _ = self.said(run(), other)
        self.assertEqual(code, 1)
        self.assertIn("IN ONE ONLY", out)

    def test_no_run(self) -> None:
        """What is no run is refused with its name."""
        no_runs: list[Any] = [[], {}, {"rows": [{}]}, "nothing"]
        for wrong in no_runs:
            code, _, told = self.said(run(), wrong)
            self.assertEqual(code, 2)
            self.assertIn("b.json is not what --json writes", told)
        code, _, told = self.said(run(), {**run(), "rows": [], "curves": []})
        self.assertEqual((code, "no row in common" in told), (2, True))

    def test_table(self) -> None:
        """Each row has a line with both figures."""
        compared = pairs(figures(run()), figures(run()))
        lines = table(compared).splitlines()
        self.assertEqual(len(lines), 5)
        self.assertEqual(lines[1].split()[-5:], ["2", "±", "10%", "+0%", "agree"])
        self.assertIn("one round", lines[3])
        self.assertIn("4 of 4", verdict(compared))
