# -*- test-case-name: benchmarks.tests.test_chart -*-
"""
What a run has measured, as a table for the documentation.
"""

from __future__ import annotations

from typing import Any

from benchmarks.rows import Better

HEADINGS = (
    *("row", "ours", "peer", "ours", "theirs", "unit", "ratio", "bar", ""),
    *("CPU µs, ours", "theirs"),
)
Spent = dict[tuple[str, str | None], str]


def table(run: dict[str, Any]) -> str:
    """
    :param run: what ``--json`` wrote.
    :return: reStructuredText.  The last columns are the processor's time of all
        processes for one operation, on which other programs have little influence.
    """
    spent = {(peer["id"], peer["peer"]): _spent_us(peer) for peer in run["peers"]}
    rows = [_cells(line, spent) for line in run["rows"]]
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for cells in (HEADINGS, *rows):
        lines += [
            f"   {'* -' if not index else '  -'} {cell}".rstrip()
            for index, cell in enumerate(cells)
        ]
    return "\n".join([*lines, ""])


def _cells(line: dict[str, Any], spent: Spent) -> tuple[str, ...]:
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
        spent.get((line["id"], line["way"]), ""),
        spent.get((line["id"], line["peer"]), ""),
    )


def _spent_us(peer: dict[str, Any]) -> str:
    processes = peer["processes"].values()
    if len(processes) < 2:
        # One process alone also prepares what it does then.
        return ""
    return number(sum(each["cpu_s"] for each in processes) / peer["operations"] * 1e6)


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
