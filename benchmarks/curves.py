# -*- test-case-name: benchmarks.tests.test_curves -*-
"""
``python -m benchmarks.curves``: play one row with more and more of something.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import attrs

from benchmarks import machine
from benchmarks.__main__ import announce, rounds_number, terminated
from benchmarks.processes import MeasurementFailed
from benchmarks.rounds import Samples, play, summary
from benchmarks.rows import MissingPackage, Row
from benchmarks.workloads.growing import CURVES, Curve

ROUNDS, QUICK_ROUNDS = 3, 2


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.curves",
        description="Measure how figures change with more of something.",
    )
    options.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="all without it: "
        + ", ".join(
            f"{curve.id} ({curve.within_s} s at most, {curve.quick_within_s} s with"
            " --quick)"
            for curve in CURVES.values()
        ),
    )
    options.add_argument(
        "--rounds",
        metavar="N",
        type=rounds_number,
        help=f"{ROUNDS} without it, or {QUICK_ROUNDS} with --quick",
    )
    options.add_argument("--quick", action="store_true", help="fewer points and rounds")
    options.add_argument(
        "--json", metavar="FILE", type=Path, help="write the figures there too"
    )
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parser()
    chosen = options.parse_args(arguments)
    for name in chosen.names:
        if name not in CURVES:
            options.error(f"there is no curve {name}; there are {', '.join(CURVES)}")
    if chosen.json and not chosen.json.absolute().parent.is_dir():
        options.error(f"--json {chosen.json}: there is no such folder")
    # A SIGTERM unwinds the stack, so that each crew ends its processes.
    signal.signal(signal.SIGTERM, terminated)
    rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS)
    facts, run = machine.facts(), {"quick": chosen.quick, "rounds": rounds}
    curves: list[dict[str, Any]] = []
    try:
        for name in chosen.names or CURVES:
            started_s = time.monotonic()
            curves.append(measured(CURVES[name], rounds, chosen.quick))
            print(table(curves[-1]), end="\n\n", flush=True)
            took_s = time.monotonic() - started_s
            print(CURVES[name].told(took_s, chosen.quick), end="\n\n", flush=True)
            if chosen.json:
                # After each curve, so that a run which is stopped has those it played.
                document = {"machine": facts, "run": run, "rows": [], "peers": []}
                text = json.dumps({**document, "curves": curves}, indent=2)
                chosen.json.write_text(text + "\n")
    except (MissingPackage, MeasurementFailed) as error:
        announce(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        announce("stopped")
        return 130
    return 0


def measured(curve: Curve, rounds: int, quick: bool) -> dict[str, Any]:
    """
    :return: a line of points for each peer, ready for JSON.
    """
    lines: dict[str, list[dict[str, Any]]] = {}
    unit = ""
    for amount in curve.quick_amounts if quick else curve.amounts:
        row = attrs.evolve(curve.row(amount), id=f"{curve.id} {amount:,}")
        row.require()
        unit = row.unit
        row_rounds = min(rounds, row.rounds_max or rounds)
        add_points(lines, row, amount, play(row, row_rounds, announce))
    return {
        "id": curve.id,
        "title": curve.title,
        "more": curve.more,
        "unit": unit,
        "lines": lines,
    }


def add_points(
    lines: dict[str, list[dict[str, Any]]], row: Row, amount: int, samples: Samples
) -> None:
    for peer in row.peers:
        told = summary(samples[peer.name])
        point = {"x": amount, "y": told["median"], "spread": told["spread"]}
        lines.setdefault(row.label(peer), []).append(point)


def table(curve: dict[str, Any]) -> str:
    """
    :return: a curve as text: a line for each amount, a column for each peer.
    """
    names = list(curve["lines"])
    widths = [max(12, len(name)) for name in names]
    amounts = [point["x"] for point in curve["lines"][names[0]]]
    heading = "".join(
        f"   {name:>{width}}" for name, width in zip(names, widths, strict=True)
    )
    lines = [
        f"{curve['id']}  {curve['title']}: {curve['unit']} by {curve['more']}",
        "",
        f"{'':>13}{heading}",
    ]
    for index, amount in enumerate(amounts):
        cells = [curve["lines"][name][index]["y"] for name in names]
        figures = "".join(
            f"   {cell:>{width},.4g}" if cell < 1000 else f"   {cell:>{width},.0f}"
            for cell, width in zip(cells, widths, strict=True)
        )
        lines.append(f"{amount:>13,}{figures}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
