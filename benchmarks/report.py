# -*- test-case-name: benchmarks.tests.test_rounds -*-
"""
What a run says: a table for people, JSON for programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.rounds import Samples, comparisons, summary
from benchmarks.rows import Better, Peer, Row


def document(
    machine: dict[str, Any],
    played: list[tuple[Row, Samples]],
    run: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """
    :param run: how it was played.
    :return: the whole run, ready for JSON.
    """
    return {
        "machine": machine,
        "run": run or {},
        "rows": [line for row, samples in played for line in comparisons(row, samples)],
        "peers": [
            {
                "id": row.id,
                "peer": peer.name,
                "ours": peer in row.ours,
                "unit": row.unit,
                "versions": peer.versions(),
                "settings": peer.settings,
                **summary(samples[peer.name]),
            }
            for row, samples in played
            for peer in row.peers
        ],
    }


def table(row: Row, samples: Samples, rounds: int) -> str:
    """
    :return: a row as text: first each figure, then the ratios with their bars;
        a spread is half of the range.
    """
    lines = [
        f"{row.id}  {row.title}",
        f"    {row.unit}, {row.better.value} is better; median of {rounds} rounds",
        "",
        *aligned(
            [FIGURE_HEADINGS, *(_figure(row, peer, samples) for peer in row.peers)]
        ),
    ]
    ratios = [
        _ratio(line) for line in comparisons(row, samples) if line["ours"] is not None
    ]
    if ratios:
        lines += ["", *aligned([RATIO_HEADINGS, *ratios])]
    return "\n".join(lines)


FIGURE_HEADINGS = (
    "",
    "figure",
    "spread",
    "CPU per operation and peak memory by process",
)
RATIO_HEADINGS = ("", "ratio", "spread", "bar", "aim")


def _figure(row: Row, peer: Peer, samples: Samples) -> tuple[str, ...]:
    told = summary(samples[peer.name])
    usage = ", ".join(
        f"{name} {each['cpu_s'] / told['operations'] * 1e6:.2f} µs"
        f" {each['rss_bytes_max'] / 1e6:.0f} MB"
        for name, each in told["processes"].items()
    )
    return (row.label(peer), _number(told["median"]), _percent(told["spread"]), usage)


def _ratio(line: dict[str, Any]) -> tuple[str, ...]:
    sign = Better(line["better"]).sign

    def mark(bar: float | None, met: bool | None, missed: str) -> str:
        return (
            "" if bar is None else f"{sign} {_number(bar)} {'met' if met else missed}"
        )

    against = f" ÷ {line['peer']}" if line["peer"] else ""
    return (
        f"{line['way']}{against}",
        _number(line["ratio"]) if line["peer"] else _number(line["ours"]),
        _percent(line["spread"]),
        mark(line["bar"], line["met"], "MISSED"),
        mark(line["aim"], line["aim_met"], "not yet"),
    )


def taken(total_s: float, rows_s: dict[str, float]) -> str:
    """
    :param rows_s: how long each row took, by id.
    :return: how long all of it took, and what took longest.
    """
    longest = sorted(rows_s.items(), key=lambda row: -row[1])
    listed = ", ".join(f"{row_id} {row_s:.0f} s" for row_id, row_s in longest)
    minutes, seconds = divmod(round(total_s), 60)
    return f"The run took {minutes} min {seconds} s: {listed}."


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _percent(part: float | None) -> str:
    return "" if part is None else f"± {part:.0%}"


def aligned(
    rows: list[tuple[str, ...]], right: range = range(1, 3), indent: str = "    "
) -> Iterator[str]:
    """
    :param right: the columns that stand to the right, as figures do.
    :return: lines, the other columns to the left.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield (indent + "   ".join(cells)).rstrip()
