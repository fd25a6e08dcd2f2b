# -*- test-case-name: benchmarks.tests.test_chart -*-
"""
What a run has measured, as a table for the documentation.
"""

from __future__ import annotations

from typing import Any

from benchmarks.rows import Better

HEADINGS = ("row", "ours", "peer", "ours", "theirs", "unit", "ratio", "bar", "")


def table(rows: list[dict[str, Any]]) -> str:
    """
    :param rows: those of the JSON of a run.
    :return: reStructuredText.
    """
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for cells in (HEADINGS, *map(_cells, rows)):
        lines += [
            f"   {'* -' if not index else '  -'} {cell}".rstrip()
            for index, cell in enumerate(cells)
        ]
    return "\n".join([*lines, ""])


def _cells(line: dict[str, Any]) -> tuple[str, ...]:
    sign = Better(line["better"]).sign
    bar = "" if line["bar"] is None else f"{sign} {line['bar']:g}"
    spread = "" if line["spread"] is None else f" ± {line['spread']:.0%}"
    compared = line["ratio"] is not None
    return (
        line["id"],
        line["way"] or "",
        line["peer"] or "",
        number(line["ours"]) + ("" if compared else spread),
        number(line["theirs"]),
        line["unit"],
        number(line["ratio"]) + spread if compared else "",
        bar,
        {True: "met", False: "**missed**", None: ""}[line["met"]],
    )


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
