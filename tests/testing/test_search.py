"""Tests for `mycorrizal.testing.search`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import search
from mycorrizal.testing.storm import Finding, Report
from tests.testing.quiet import Quiet
from tests.testing.test_swarm import a_report


def broken(seed: int, *invariants: str) -> Report:
    """A storm's report in which these invariants are broken."""
    findings = tuple(Finding(1.0, name, "x") for name in invariants)
    return a_report(seed, findings=findings)


class SearchTests(Quiet, SynchronousTestCase):
    """How soon planted bugs are found."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(search, "log_nowhere", lambda: None)
        self.clean: dict[int, Report] = {}
        self.patch(search, "run_seed", lambda seed, _: self.clean.get(seed, a_report()))

    def with_reports(self, *reports: Report) -> None:
        """Let these be what the seeds from 0 on find."""

        def run_cases(cases: Any, *_: Any) -> Iterator[Report]:
            return iter(reports[: len(cases)])

        self.patch(search, "run_cases", run_cases)

    def run_search(self, *arguments: str) -> tuple[int, list[str]]:
        out = io.StringIO()
        with redirect_stdout(out):
            code = search.main(arguments)
        return code, out.getvalue().splitlines()

    def test_found(self) -> None:
        """The first seed that breaks what the bug is to break."""
        self.with_reports(
            broken(0), broken(1, "stale"), broken(2, "stale", "copies-at-ack")
        )
        found = search.search("early-ok", 3, 1)
        self.assertEqual(
            found, search.Found("early-ok", "calm", 2, ("copies-at-ack", "stale"))
        )
        code, lines = self.run_search("early-ok")
        self.assertEqual(code, 0)
        self.assertEqual(
            lines,
            ['early-ok: "calm", 2, 3, breaks copies-at-ack, stale (recorded: seed 0)'],
        )

    def test_not_clean(self) -> None:
        """A seed that finds something without the bug proves nothing."""
        self.with_reports(broken(0, "copies-at-ack"), broken(1, "copies-at-ack"))
        self.clean[0] = broken(0, "stale")
        self.assertEqual(search.search("early-ok", 2, 1).seed, 1)

    def test_not_found(self) -> None:
        """A bug that no seed finds is exit code 1."""
        self.with_reports(broken(0))
        code, lines = self.run_search("early-ok", "sent-twice")
        self.assertEqual(code, 1)
        self.assertEqual(lines[0], "early-ok: NOT FOUND in calm")
        self.assertEqual(len(lines), 2, "the others are looked for all the same")

    def test_a_real_one(self) -> None:
        """A search plays real storms."""
        self.patch(search, "run_cases", search.__dict__["run_cases"])
        self.assertEqual(search.search("early-ok", 1, 1).seed, 0)

    def test_refused(self) -> None:
        """Options that make no sense are refused: exit code 2."""
        for arguments in (
            ("nightingale",),
            ("--seeds", "0"),
            ("--seeds", str(search.SEEDS_MAX + 1)),
            ("--jobs", "0"),
        ):
            with redirect_stderr(io.StringIO()):
                raised = self.assertRaises(SystemExit, search.main, arguments)
            self.assertEqual(raised.code, 2, arguments)
