# -*- test-case-name: benchmarks.tests.test_chart -*-
"""
``python -m benchmarks.chart FILE.json FOLDER [NAME ...]``: draw what a run measured.

``ratios.svg`` has how we stand to each peer; a file for each row, such as ``P2.svg``,
has the figures themselves, and so has one for each curve. ``ratios.txt`` is a table in
reStructuredText. With names, only these are written.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from benchmarks import rst
from benchmarks.curve_chart import curve_drawing
from benchmarks.svg import LETTER_PX, Drawing

LINE_PX, BAR_PX, MARGIN_PX, PLOT_PX = 24, 14, 16, 420
#: What stands right of a bar.
FIGURE_PX = 130
#: From the top of a bar to the line its words stand on.
FONT_ASCENT_PX = 12
MET, MISSED, UNJUDGED, OTHER = "#3a9a5c", "#d9534f", "#5b8fc7", "#a9a9a9"
USAGE = "usage: python -m benchmarks.chart FILE.json FOLDER [NAME ...]"
RATIOS = "ratios"


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        print(USAGE, file=sys.stderr)
        return 2
    source, folder, wanted = Path(arguments[0]), Path(arguments[1]), arguments[2:]
    try:
        run = json.loads(source.read_text())
        charts = drawings(run)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"error: {source} is not what --json writes: {error!r}", file=sys.stderr)
        return 1
    for name in wanted:
        if name not in charts:
            there = ", ".join(charts)
            print(f"error: {source} has no {name}; it has {there}", file=sys.stderr)
            return 1
    folder.mkdir(parents=True, exist_ok=True)
    for name in wanted or charts:
        (folder / f"{name}.svg").write_text(charts[name])
        print(folder / f"{name}.svg")
    if run["rows"] and (not wanted or RATIOS in wanted):
        (folder / f"{RATIOS}.txt").write_text(rst.table(run))
    return 0


def drawings(run: dict[str, Any]) -> dict[str, str]:
    """
    :param run: what ``--json`` wrote.
    :return: SVG by the name of its file, without suffix.
    """
    charts = {}
    ratios = [line for line in run["rows"] if line["ratio"] is not None]
    if ratios:
        charts[RATIOS] = _ratios(ratios)
    ids = dict.fromkeys(peer["id"] for peer in run["peers"])
    for row_id in ids:
        charts[row_id] = _figures(
            [peer for peer in run["peers"] if peer["id"] == row_id]
        )
    for curve in run.get("curves", ()):
        charts[curve["id"]] = curve_drawing(curve)
    return charts


def _ratios(lines: list[dict[str, Any]]) -> str:
    """
    How much better than the peer we are, by a scale in which twice as good is as far
    to the right as half as good is to the left.
    """
    good = [_goodness(line, line["ratio"]) for line in lines]
    labels = [f"{line['id']}  {line['way']} ÷ {line['peer']}" for line in lines]
    bars = [_goodness(line, line["bar"]) for line in lines if line["bar"]]
    low, high = _powers_of_two([*good, *bars, 1.0])
    left = MARGIN_PX + _width(labels)
    height = MARGIN_PX * 2 + LINE_PX * (len(lines) + 2)
    drawing = Drawing(left + PLOT_PX + FIGURE_PX, height, "ratios to the peers")

    def x(value: float) -> float:
        span = math.log(high) - math.log(low)
        return left + PLOT_PX * (math.log(value) - math.log(low)) / span

    drawing.words(x(1.0), MARGIN_PX + FONT_ASCENT_PX, "as good as the peer", "middle")
    bottom = MARGIN_PX + LINE_PX * (len(lines) + 1)
    for number, (line, label) in enumerate(zip(lines, labels, strict=True)):
        y = MARGIN_PX + LINE_PX * (number + 1)
        value = good[number]
        start, end = sorted((x(1.0), x(value)))
        text = f"{_figure(line['ratio'])}{_spread(line['spread'])}"
        drawing.box(start, y, max(1.0, end - start), BAR_PX, _color(line), text)
        drawing.words(left - 8, y + FONT_ASCENT_PX, label, "end")
        drawing.words(left + PLOT_PX + 8, y + FONT_ASCENT_PX, text)
        if line["bar"]:
            at = x(_goodness(line, line["bar"]))
            drawing.line((at, y - 3), (at, y + BAR_PX + 3), width=2.5)
    drawing.line((x(1.0), MARGIN_PX + LINE_PX), (x(1.0), bottom), dashes="4 3")
    drawing.words(
        left, bottom + LINE_PX, "right is better; a thick mark is the bar to reach"
    )
    return drawing.document()


def _figures(peers: list[dict[str, Any]]) -> str:
    """
    The figures of one row; a thin line goes from the least round to the greatest.
    """
    most = max(max(peer["rounds"]) for peer in peers) or 1.0
    labels = [_label(peer) for peer in peers]
    left = MARGIN_PX + _width(labels)
    height = MARGIN_PX * 2 + LINE_PX * (len(peers) + 1)
    title = f"{peers[0]['id']}, {peers[0]['unit']}"
    drawing = Drawing(left + PLOT_PX + FIGURE_PX, height, title)
    drawing.words(left, MARGIN_PX + FONT_ASCENT_PX, title, bold=True)
    for number, (peer, label) in enumerate(zip(peers, labels, strict=True)):
        y = MARGIN_PX + LINE_PX * (number + 1)
        text = f"{_figure(peer['median'])}{_spread(peer['spread'])}"
        color = UNJUDGED if peer["ours"] else OTHER
        width = max(1.0, PLOT_PX * peer["median"] / most)
        drawing.box(left, y, width, BAR_PX, color, text)
        least, greatest = (PLOT_PX * f(peer["rounds"]) / most for f in (min, max))
        middle = y + BAR_PX / 2
        drawing.line((left + least, middle), (left + greatest, middle), width=1.5)
        drawing.words(left - 8, y + FONT_ASCENT_PX, label, "end")
        drawing.words(left + PLOT_PX + 8, y + FONT_ASCENT_PX, text)
    return drawing.document()


def _label(peer: dict[str, Any]) -> str:
    return f"ours ({peer['peer']})" if peer["ours"] else str(peer["peer"])


def _goodness(line: dict[str, Any], ratio: float) -> float:
    return ratio if line["better"] == "higher" else 1 / ratio


def _color(line: dict[str, Any]) -> str:
    return {True: MET, False: MISSED, None: UNJUDGED}[line["met"]]


def _powers_of_two(values: list[float]) -> tuple[float, float]:
    """
    :return: a range of powers of two that has all values inside.
    """
    exponents = [math.log2(value) for value in values]
    return 2.0 ** math.floor(min(exponents)), 2.0 ** max(1, math.ceil(max(exponents)))


def _width(labels: list[str]) -> float:
    return max(map(len, labels)) * LETTER_PX + 8


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _spread(part: float | None) -> str:
    return "" if part is None else f" ± {part:.0%}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
