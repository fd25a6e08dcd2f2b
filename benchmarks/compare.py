# -*- test-case-name: benchmarks.tests.test_compare -*-
"""
``python -m benchmarks.compare A.json B.json``: whether two runs say the same.

A row says the same twice if the figure of one run is within the spread of the other:
if the two are no farther apart than the greater of both spreads.  The exit code is 1 if
one does not, and all such rows are named at the end.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from benchmarks.__main__ import names
from benchmarks.report import aligned
from benchmarks.rst import number

#: A figure is not told apart from one that differs by less: rounds that agree with
#: each other by chance promise more than their machine can keep.
SPREAD_MIN = 0.05
#: What is assumed of a row of one round, which has no spread of its own.
SPREAD_UNKNOWN = 0.15
#: Facts that make figures of one machine differ from those of another.
MACHINE_FACTS = ("cpu", "cores", "memory", "python")
HEADINGS = ("", "first", "spread", "second", "spread", "apart", "")
AGREE, DIFFER, ONCE = "agree", "DIFFER", "IN ONE ONLY"


class NotComparable(Exception):
    """Files that are no runs, or have no row in common; the text says which."""


@attrs.frozen
class Figure:
    """What one run says of one row and peer, or of one point of a curve."""

    value: float
    spread: float | None
    met: bool | None = None

    @property
    def reach(self) -> float:
        """How far another figure may be away, as a part of this one."""
        known = SPREAD_UNKNOWN if self.spread is None else self.spread
        return max(SPREAD_MIN, known)

    def __str__(self) -> str:
        return number(self.value)

    @property
    def spread_told(self) -> str:
        return "one round" if self.spread is None else f"± {self.spread:.0%}"


@attrs.frozen
class Pair:
    """What two runs say of the same; None where one says nothing."""

    name: str
    first: Figure | None
    second: Figure | None

    @property
    def verdict(self) -> str:
        if self.first is None or self.second is None:
            return ONCE
        one, other = self.first, self.second
        allowed = max(one.reach * one.value, other.reach * other.value)
        return AGREE if abs(one.value - other.value) <= allowed else DIFFER

    def cells(self) -> tuple[str, ...]:
        """
        :return: a line of the table, under `HEADINGS`.
        """
        told = [
            text
            for figure in (self.first, self.second)
            for text in (
                ("-", "") if figure is None else (str(figure), figure.spread_told)
            )
        ]
        return (self.name, *told, self._apart(), self._judged())

    def _apart(self) -> str:
        if self.first is None or self.second is None or not self.first.value:
            return ""
        return f"{self.second.value / self.first.value - 1:+.0%}"

    def _judged(self) -> str:
        met = [figure.met for figure in (self.first, self.second) if figure]
        turned = len(met) == 2 and met[0] is not met[1] and None not in met
        bar = {True: "bar met, then missed", False: "bar missed, then met"}
        return f"{self.verdict}, {bar[bool(met[0])]}" if turned else self.verdict


@attrs.frozen
class Run:
    """What a file says of one run."""

    machine: dict[str, Any]
    quick: bool | None
    versions: dict[str, str]
    figures: dict[str, Figure]

    @classmethod
    def read(cls, path: Path, only: list[str] | None = None) -> Run:
        """
        :raises NotComparable: there is no such file, or it is no run.
        """
        try:
            told = json.loads(path.read_text())
            return cls(
                machine=dict(told["machine"]),
                quick=told.get("run", {}).get("quick"),
                versions={
                    package: version
                    for peer in told["peers"]
                    for package, version in peer["versions"].items()
                },
                figures=figures(told, only),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotComparable(
                f"{path} is not what --json writes: {error!r}"
            ) from error


def figures(run: dict[str, Any], only: list[str] | None = None) -> dict[str, Figure]:
    """
    :param run: what ``--json`` wrote.
    :param only: rows and families of rows, or curves; all without it.
    :return: by name: a ratio where there is one, else our own figure.
    """
    found = dict(_figures(run))
    wanted = [name.upper() for name in only or ()]
    return {
        name: figure
        for (row_id, name), figure in found.items()
        if not wanted or any(f"{row_id.upper()}-".startswith(f"{it}-") for it in wanted)
    }


def _figures(run: dict[str, Any]) -> Iterator[tuple[tuple[str, str], Figure]]:
    for line in run["rows"]:
        value = line["ours"] if line["peer"] is None else line["ratio"]
        if value is not None:
            against = f" ÷ {line['peer']}" if line["peer"] else ""
            name = f"{line['id']}  {line['way']}{against}"
            yield (line["id"], name), Figure(value, line["spread"], line["met"])
    for curve in run.get("curves", ()):
        for label, points in curve["lines"].items():
            for point in points:
                name = f"{curve['id']} {point['x']:,}  {label}"
                yield (curve["id"], name), Figure(point["y"], point["spread"])


def pairs(first: dict[str, Figure], second: dict[str, Figure]) -> list[Pair]:
    """
    :raises NotComparable: nothing is in both.
    """
    if not first.keys() & second.keys():
        raise NotComparable("the two files have no row in common")
    both = dict.fromkeys([*first, *second])
    return [Pair(name, first.get(name), second.get(name)) for name in both]


def unlike(first: Run, second: Run) -> list[str]:
    """
    :return: what else than chance may make two runs differ, in sentences.
    """
    told = [
        f"Not the same machine: {fact} is {first.machine.get(fact)}, then"
        f" {second.machine.get(fact)}."
        for fact in MACHINE_FACTS
        if first.machine.get(fact) != second.machine.get(fact)
    ]
    if first.quick != second.quick:
        told.append("One of them is a quick run, which does less of everything.")
    told += [
        f"Not the same version of {package}: {version}, then"
        f" {second.versions[package]}."
        for package, version in first.versions.items()
        if second.versions.get(package, version) != version
    ]
    return told


def table(compared: list[Pair]) -> str:
    """
    :return: a line for each pair.
    """
    lines = [HEADINGS, *(pair.cells() for pair in compared)]
    return "\n".join(aligned(lines, right=range(1, len(HEADINGS) - 1), indent=""))


def verdict(compared: list[Pair]) -> str:
    """
    :return: the last words: how many agree, and which do not.
    """
    others = [pair.name for pair in compared if pair.verdict != AGREE]
    agreeing = len(compared) - len(others)
    said = f"{agreeing} of {len(compared)} agree within their spread."
    listed = "; ".join(" ".join(name.split()) for name in others)
    return f"{said} Not these: {listed}" if others else said


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description="Say row by row whether two runs agree within their spread.",
    )
    options.add_argument("first", metavar="A.json", type=Path)
    options.add_argument("second", metavar="B.json", type=Path)
    options.add_argument(
        "--only", metavar="P1,P2", type=names, help="rows to compare; all without it"
    )
    return options


def main(arguments: list[str] | None = None) -> int:
    """
    :return: 0 if all agree, 1 if not, 2 if they can't be compared.
    """
    chosen = parser().parse_args(arguments)
    try:
        first, second = (
            Run.read(path, chosen.only) for path in (chosen.first, chosen.second)
        )
        compared = pairs(first.figures, second.figures)
    except NotComparable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for sentence in unlike(first, second):
        print(sentence)
    print(table(compared), verdict(compared), sep="\n\n")
    return int(any(pair.verdict != AGREE for pair in compared))


if __name__ == "__main__":
    sys.exit(main())
