# -*- test-case-name: benchmarks.tests.test_rounds -*-
"""
Tests of the turns and of what they say together.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.processes import Crew, MeasurementFailed, Usage
from benchmarks.report import document, table, taken
from benchmarks.rounds import comparisons, play, spread
from benchmarks.rows import Bar, Better, Peer, Rival, Row, Sample


class Scripted:
    """A peer whose figures are known beforehand."""

    def __init__(self, name: str, figures: list[float], log: list[str]) -> None:
        self._name = name
        self._figures = iter(figures)
        self._log = log

    def __call__(self, crew: Crew) -> Sample:
        self._log.append(self._name)
        return Sample(next(self._figures), 1000, {"receiver": Usage(0.5, 1_000_000)})

    def peer(self) -> Peer:
        return Peer(self._name, self, (), "scripted")


def quiet(text: str) -> None:
    pass


class RoundsTests(SynchronousTestCase):
    """A row of two peers over three rounds."""

    def setUp(self) -> None:
        self.log: list[str] = []
        ours = Scripted("post", [100, 300, 200], self.log).peer()
        theirs = Scripted("them", [100, 150, 100], self.log).peer()
        rival = Rival(theirs, Bar(must=2.0))
        self.row = Row("P0", "messages", "msgs/s", Better.HIGHER, (ours,), (rival,))

    def test_interleaved(self) -> None:
        """All peers play in each round, and the first one changes."""
        play(self.row, 3, quiet)
        self.assertEqual(self.log, ["post", "them", "them", "post", "post", "them"])

    def test_ratio_of_medians(self) -> None:
        """The ratio is that of the medians, its spread that of the rounds' ratios."""
        (line,) = comparisons(self.row, play(self.row, 3, quiet))
        self.assertEqual((line["ours"], line["theirs"], line["ratio"]), (200, 100, 2.0))
        self.assertEqual(line["spread"], 0.25)
        self.assertTrue(line["met"])

    def test_without_us(self) -> None:
        """A run without us still shows the others, and judges nothing."""
        row = self.row.narrowed(frozenset({"them"}))
        (line,) = comparisons(row, play(row, 2, quiet))
        self.assertEqual((line["ours"], line["theirs"]), (None, 125))
        self.assertEqual((line["ratio"], line["met"]), (None, None))

    def test_absolute(self) -> None:
        """A row without rivals judges our own figure and has no ratio."""
        ours = Scripted("start", [100, 140], self.log).peer()
        row = Row("P0", "start", "ms", Better.LOWER, (ours,), bar=Bar(must=150))
        (line,) = comparisons(row, play(row, 2, quiet))
        self.assertEqual((line["ours"], line["ratio"], line["met"]), (120, None, True))

    def test_report(self) -> None:
        """The document holds machine, rows and peers; the table every name."""
        samples = play(self.row, 3, quiet)
        said = document({"cores": 2}, [(self.row, samples)], {"quick": True})
        self.assertEqual(said["run"], {"quick": True})
        self.assertEqual(said["machine"], {"cores": 2})
        self.assertEqual(len(said["rows"]), 1)
        self.assertEqual(said["peers"][0]["rounds"], [100, 300, 200])
        text = table(self.row, samples, 3)
        for part in (
            "ours (post)",
            "them",
            "post ÷ them",
            "≥ 2 met",
            "± 25%",
            "500.00 µs 1 MB",
        ):
            self.assertIn(part, text)

    def test_taken(self) -> None:
        """How long a run took is told, and of its rows the longest first."""
        told = taken(125.4, {"P1": 20.2, "P7": 104.0})
        self.assertEqual(told, "The run took 2 min 5 s: P7 104 s, P1 20 s.")

    def test_failure_names_row_and_peer(self) -> None:
        """A peer that fails is named together with its row."""

        def broken(crew: Crew) -> Sample:
            raise MeasurementFailed("receiver ended with 1")

        row = Row("P0", "x", "msgs/s", Better.HIGHER, (Peer("post", broken, (), ""),))
        error = self.assertRaises(MeasurementFailed, play, row, 1, quiet)
        self.assertEqual(str(error), "P0, ours (post): receiver ended with 1")


class SpreadTests(SynchronousTestCase):
    """How far apart rounds are."""

    def test_half_of_the_range(self) -> None:
        """The spread is half of the range as a part of the median."""
        self.assertEqual(spread([90, 100, 110]), 0.1)

    def test_one_round(self) -> None:
        """One round says nothing of the spread."""
        self.assertIsNone(spread([100]))
