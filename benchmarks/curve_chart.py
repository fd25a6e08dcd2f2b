# -*- test-case-name: benchmarks.tests.test_chart -*-
"""
Curves, drawn with both scales logarithmic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from benchmarks.svg import LETTER_PX, Drawing

WIDTH_PX, HEIGHT_PX = 460, 260
LEFT_PX, TOP_PX, BOTTOM_PX = 80, 40, 50
#: Ours first; all of them differ in darkness, too.
COLORS = ("#2f6db3", "#e08a1e", "#3a9a5c", "#b04a9a", "#7a5c3e")
GRID = "#cccccc55"
#: Two words of a legend are at least so far apart.
LEGEND_PX = 18


def curve_drawing(curve: dict[str, Any]) -> str:
    """
    :param curve: one of those that ``benchmarks.curves`` wrote.
    :return: SVG.
    """
    lines: dict[str, list[dict[str, Any]]] = curve["lines"]
    points = [point for line in lines.values() for point in line]
    across = _Scale([point["x"] for point in points], LEFT_PX, LEFT_PX + WIDTH_PX)
    up = _Scale([point["y"] for point in points], TOP_PX + HEIGHT_PX, TOP_PX)
    legend = max(map(len, lines)) * LETTER_PX + 2 * LEGEND_PX
    width = LEFT_PX + WIDTH_PX + legend
    title = f"{curve['title']}: {curve['unit']}"
    drawing = Drawing(width, TOP_PX + HEIGHT_PX + BOTTOM_PX, title)
    drawing.words(LEFT_PX, TOP_PX - LEGEND_PX, title, bold=True)
    bottom = TOP_PX + HEIGHT_PX
    for value in across.marks():
        at = across.place(value)
        drawing.line((at, TOP_PX), (at, bottom), GRID)
        drawing.words(at, bottom + LEGEND_PX, short(value), "middle")
    for value in up.marks():
        at = up.place(value)
        drawing.line((LEFT_PX, at), (LEFT_PX + WIDTH_PX, at), GRID)
        drawing.words(LEFT_PX - 8, at + 4, short(value), "end")
    drawing.words(LEFT_PX, bottom + 2 * LEGEND_PX, curve["more"])
    for number, (name, line) in enumerate(lines.items()):
        color = COLORS[number % len(COLORS)]
        drawing.path(
            [(across.place(point["x"]), up.place(point["y"])) for point in line], color
        )
        y = TOP_PX + LEGEND_PX * (number + 1)
        drawing.box(LEFT_PX + WIDTH_PX + 8, y - 10, 10, 10, color, name)
        drawing.words(LEFT_PX + WIDTH_PX + 24, y, name)
    return drawing.document()


class _Scale:
    """A logarithmic scale along one side."""

    def __init__(self, values: list[float], start_px: float, end_px: float) -> None:
        self._low = min(values) / 1.2
        self._high = max(values) * 1.2
        self._start_px, self._end_px = start_px, end_px

    def place(self, value: float) -> float:
        part = math.log(value / self._low) / math.log(self._high / self._low)
        return self._start_px + part * (self._end_px - self._start_px)

    def marks(self) -> Iterator[float]:
        """
        :return: 1, 10, 100, ...; between them 2 and 5 where they are few.
        """
        decades = math.log10(self._high / self._low)
        steps = (1, 2, 5) if decades < 3 else (1,)
        for power in range(math.floor(math.log10(self._low)), 10):
            for step in steps:
                value = step * 10.0**power
                if self._low <= value <= self._high:
                    yield value


def short(value: float) -> str:
    """
    :return: a mark's number: 10k, 2M.
    """
    for factor, letter in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{letter}"
    return f"{value:g}"
