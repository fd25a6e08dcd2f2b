# -*- test-case-name: benchmarks.tests.test_chart -*-
"""
Tests of the charts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.chart import MET, MISSED, UNJUDGED, drawings, main
from benchmarks.rst import table
from benchmarks.svg import Drawing

SVG = "{http://www.w3.org/2000/svg}"


def line(**changed: Any) -> dict[str, Any]:
    return {
        "id": "P2",
        "way": "cache.get",
        "peer": "memcached",
        "ours": 2000.0,
        "theirs": 1000.0,
        "unit": "gets/s",
        "ratio": 2.0,
        "spread": 0.1,
        "better": "higher",
        "bar": 1.0,
        "met": True,
        **changed,
    }


def peer(name: str, ours: bool, rounds: list[float]) -> dict[str, Any]:
    return {
        "id": "P2",
        "peer": name,
        "ours": ours,
        "unit": "gets/s",
        "median": sorted(rounds)[len(rounds) // 2],
        "spread": None,
        "rounds": rounds,
        "operations": 1000,
        "processes": {"client": {"cpu_s": 1.0}, "server": {"cpu_s": 2.0}},
    }


def boxes(svg: str) -> list[tuple[float, float, str]]:
    """
    :return: where each box is, how wide, and its color.
    """
    return [
        (float(box.attrib["x"]), float(box.attrib["width"]), box.attrib["fill"])
        for box in ElementTree.fromstring(svg).iter(f"{SVG}rect")
    ]


class RatioTests(SynchronousTestCase):
    """How we stand to each peer."""

    def chart(self, *lines: dict[str, Any]) -> list[tuple[float, float, str]]:
        return boxes(drawings({"rows": list(lines), "peers": []})["ratios"])

    def test_directions(self) -> None:
        """Better goes to the right, and half as good as far as twice as good."""
        good, bad = self.chart(line(), line(ratio=0.5, met=False))
        self.assertAlmostEqual(good[1], bad[1], delta=0.2)
        self.assertAlmostEqual(bad[0] + bad[1], good[0], delta=0.2)
        self.assertEqual((good[2], bad[2]), (MET, MISSED))

    def test_less_is_better(self) -> None:
        """Half the time is drawn as twice the speed."""
        faster, same = self.chart(line(), line(ratio=0.5, better="lower", bar=None))
        self.assertEqual(faster[:2], same[:2])

    def test_unjudged(self) -> None:
        """Where there is no bar, none is met or missed."""
        ((*_, color),) = self.chart(line(bar=None, met=None))
        self.assertEqual(color, UNJUDGED)

    def test_no_ratios(self) -> None:
        """A run of rows without peers has no chart of ratios."""
        self.assertEqual(drawings({"rows": [line(ratio=None)], "peers": []}), {})


class FigureTests(SynchronousTestCase):
    """The figures of one row."""

    def test_lengths(self) -> None:
        """Bars are as long as their medians, and start together."""
        peers = [peer("get", True, [10, 20, 30]), peer("them", False, [40, 40, 60])]
        svg = drawings({"rows": [], "peers": peers})["P2"]
        ours, theirs = boxes(svg)
        self.assertEqual(ours[0], theirs[0])
        self.assertAlmostEqual(theirs[1] / ours[1], 2.0, places=2)
        self.assertIn("ours (get)", svg)
        self.assertIn("gets/s", svg)

    def test_nothing(self) -> None:
        """A figure of nought is drawn, too."""
        (box,) = boxes(drawings({"rows": [], "peers": [peer("x", True, [0.0])]})["P2"])
        self.assertGreater(box[1], 0)


class TableTests(SynchronousTestCase):
    """The table for the documentation."""

    def test_table(self) -> None:
        """A line has both figures, their ratio, and whether the bar is met."""
        told = table(
            {
                "rows": [line(), line(ratio=0.5, met=False, better="lower")],
                "peers": [peer("cache.get", True, [1.0])],
            }
        )
        self.assertIn("     - 2,000\n     - 1,000\n     - gets/s\n", told)
        self.assertIn("     - 2 ± 10%\n     - ≥ 1\n     - met\n", told)
        self.assertIn("     - met\n     - 3,000\n     -\n", told)
        self.assertIn("     - 0.5 ± 10%\n     - ≤ 1\n     - **missed**\n", told)

    def test_no_peer(self) -> None:
        """A figure that stands alone has its spread itself."""
        told = table(
            {
                "rows": [line(ratio=None, theirs=None, peer=None, bar=None, met=None)],
                "peers": [],
            }
        )
        self.assertIn("     -\n     - 2,000 ± 10%\n     -\n     - gets/s\n", told)


class SvgTests(SynchronousTestCase):
    """The writer."""

    def test_escaped(self) -> None:
        """Names with marks of XML in them are words still."""
        drawing = Drawing(100, 50, "a < b & c")
        drawing.words(1, 2, '<"&>')
        drawing.path([(0, 1), (2.25, 3)], "red")
        root = ElementTree.fromstring(drawing.document())
        self.assertEqual(root.findtext(f"{SVG}title"), "a < b & c")
        self.assertEqual(root.findtext(f"{SVG}text"), '<"&>')
        self.assertEqual(len(list(root.iter(f"{SVG}circle"))), 2)


class CommandTests(SynchronousTestCase):
    """The command."""

    def test_files(self) -> None:
        """Each chart is a file in the folder, which is made."""
        folder = Path(self.mktemp())
        folder.mkdir()
        source = folder / "run.json"
        run = {"rows": [line()], "peers": [peer("get", True, [1.0])]}
        source.write_text(json.dumps(run))
        self.assertEqual(main([str(source), str(folder / "charts")]), 0)
        self.assertEqual(
            sorted(path.name for path in (folder / "charts").iterdir()),
            ["P2.svg", "ratios.svg", "ratios.txt"],
        )

    def test_some(self) -> None:
        """With names, only these charts are written; one that is none is refused."""
        folder = Path(self.mktemp())
        folder.mkdir()
        source = folder / "run.json"
        run = {"rows": [line()], "peers": [peer("get", True, [1.0])]}
        source.write_text(json.dumps(run))
        for name, written in (
            ("P2", ["P2.svg"]),
            ("ratios", ["ratios.svg", "ratios.txt"]),
        ):
            charts = folder / name
            self.assertEqual(main([str(source), str(charts), name]), 0)
            self.assertEqual(sorted(path.name for path in charts.iterdir()), written)
        self.assertEqual(main([str(source), str(folder / "none"), "P99"]), 1)
        self.assertFalse((folder / "none").exists())

    def test_no_run(self) -> None:
        """A file that is no run, or not there, is told in a sentence."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "other.json").write_text("[]")
        for name in ("other.json", "none.json"):
            self.assertEqual(main([str(folder / name), str(folder)]), 1)
        self.assertEqual(main([]), 2)
