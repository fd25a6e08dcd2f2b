# -*- test-case-name: benchmarks.tests.test_curves -*-
"""
Tests of the curves.
"""

from __future__ import annotations

from typing import Any, cast
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.curve_chart import curve_drawing, short
from benchmarks.curves import add_points, main, table
from benchmarks.ours_members import CALLS, taking
from benchmarks.processes import Crew
from benchmarks.rows import Sample
from benchmarks.workloads.growing import CURVES, MESSAGES_MAX, payload

SVG = "{http://www.w3.org/2000/svg}"


def curve() -> dict[str, Any]:
    def line(*values: float) -> list[dict[str, Any]]:
        return [
            {"x": x, "y": y, "spread": None}
            for x, y in zip((1, 8, 64), values, strict=True)
        ]

    return {
        "id": "in-flight",
        "title": "gets",
        "more": "questions in flight",
        "unit": "gets/s",
        "lines": {"ours (get)": line(10e3, 50e3, 80e3), "them": line(9e3, 20e3, 30e3)},
    }


class CurveTests(SynchronousTestCase):
    """What is measured with more and more of something."""

    def test_amounts(self) -> None:
        """Each curve grows, and a quick run has some of its points."""
        for each in CURVES.values():
            self.assertEqual(list(each.amounts), sorted(set(each.amounts)))
            self.assertLess(len(each.quick_amounts), len(each.amounts))
            self.assertLessEqual(set(each.quick_amounts), set(each.amounts))

    def test_ends(self) -> None:
        """The curves go from one end to the other of what they are about."""
        ends = {
            each.id: (each.amounts[0], each.amounts[-1]) for each in CURVES.values()
        }
        self.assertEqual(
            ends,
            {
                "in-flight": (1, 512),
                "payload": (16, 1024 * 1024),
                "entries": (1_000, 1_000_000),
                "members": (3, 100),
            },
        )

    def test_time(self) -> None:
        """How long a curve took is told, and whether that is within what is allowed."""
        for each in CURVES.values():
            self.assertLess(each.quick_within_s, each.within_s)
            at, past = (each.told(each.within_s + more, False) for more in (0, 1))
            self.assertIn("are allowed", at)
            self.assertIn("should take", past)
            self.assertIn("should take", each.told(each.quick_within_s + 1, True))

    def test_together(self) -> None:
        """One cluster a round tells what each call takes, whichever is asked first."""
        formed: list[int] = []

        class Told:
            """A crew whose cluster takes as many µs as there were clusters before."""

            def start(self, name: str, entry: str, nodes: int) -> None:
                formed.append(nodes)

            def expect(self, child: object, key: str) -> dict[str, float]:
                return dict.fromkeys(CALLS, float(len(formed)))

            def usage(self) -> dict[str, Any]:
                return {}

        crew, peers = cast(Crew, Told()), taking(30)
        for number in (1.0, 2.0):
            values = {peer.name: peer.measure(crew).value for peer in peers}
            self.assertEqual(values, dict.fromkeys(CALLS, number))
            peers = (*peers[1:], peers[0])
        self.assertEqual(formed, [30, 30])

    def test_rows(self) -> None:
        """At every amount the same peers play, ours first."""
        for each in CURVES.values():
            rows = [each.row(amount) for amount in each.amounts]
            names = {tuple(row.label(peer) for peer in row.peers) for row in rows}
            ((first, *_),) = names
            self.assertTrue(first.startswith("ours"))

    def test_points(self) -> None:
        """A point is the median of the rounds, under the name of its peer."""
        row = payload(1024)
        rounds = [Sample(value, 1) for value in (1.0, 3.0, 2.0)]
        samples = {peer.name: rounds for peer in row.peers}
        lines: dict[str, list[dict[str, Any]]] = {}
        add_points(lines, row, 1024, samples)
        self.assertEqual(lines["floor"], [{"x": 1024, "y": 2.0, "spread": 0.5}])
        self.assertIn("ours (send)", lines)
        self.assertLess(MESSAGES_MAX, 1_000_000)

    def test_table(self) -> None:
        """The table has a line for each amount, and a column for each peer."""
        lines = table(curve()).splitlines()
        self.assertEqual(lines[2].split(), ["ours", "(get)", "them"])
        self.assertEqual(lines[-1].split(), ["64", "80,000", "30,000"])
        self.assertEqual(len(lines), 6)

    def test_unknown(self) -> None:
        """A curve that there is not is refused."""
        error = self.assertRaises(SystemExit, main, ["sideways"])
        self.assertEqual(error.code, 2)


class DrawingTests(SynchronousTestCase):
    """A curve that is drawn."""

    def test_drawing(self) -> None:
        """Each peer has a line through its points: more is higher, later is right."""
        root = ElementTree.fromstring(curve_drawing(curve()))
        ours, theirs = (
            [tuple(map(float, place.split(","))) for place in each.split()]
            for each in (line.attrib["points"] for line in root.iter(f"{SVG}polyline"))
        )
        self.assertEqual([x for x, _ in ours], sorted(x for x, _ in ours))
        self.assertEqual([y for _, y in ours], sorted((y for _, y in ours))[::-1])
        for (our_x, our_y), (their_x, their_y) in zip(ours, theirs, strict=True):
            self.assertEqual(our_x, their_x)
            self.assertLess(our_y, their_y)
        words = [text.text for text in root.iter(f"{SVG}text")]
        self.assertIn("questions in flight", words)
        self.assertIn("them", words)

    def test_marks(self) -> None:
        """Large numbers are shortened."""
        self.assertEqual([short(x) for x in (1, 500, 2e3, 1e6)], "1 500 2k 1M".split())
