# -*- test-case-name: benchmarks.tests.test_options -*-
"""
``python -m benchmarks``: play rows, print the table, write JSON.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from benchmarks import machine, report
from benchmarks.catalog import ROWS
from benchmarks.processes import MeasurementFailed
from benchmarks.rounds import Samples, play
from benchmarks.rows import MissingPackage, Row

ROUNDS = 5
QUICK_ROUNDS = 3
#: More would not say more, and would take all day.
ROUNDS_MAX = 100


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Mycorrizal beside its peers, in turns, in one run.",
    )
    options.add_argument(
        "--only", metavar="P1,P2", type=names, help="rows to play; all without it"
    )
    options.add_argument(
        "--peers",
        metavar="ours,floor",
        type=names,
        help="peers to play; all without it; `ours` is Mycorrizal",
    )
    options.add_argument(
        "--rounds",
        metavar="N",
        type=rounds_number,
        help=f"{ROUNDS} without it, or {QUICK_ROUNDS} with --quick",
    )
    options.add_argument(
        "--quick",
        action="store_true",
        help="fewer and shorter rounds: all rows within five minutes",
    )
    options.add_argument(
        "--json", metavar="FILE", type=Path, help="write the figures there too"
    )
    return options


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def rounds_number(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= ROUNDS_MAX:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number from 1 to {ROUNDS_MAX}"
        )
    return int(text)


def chosen_rows(
    only: list[str] | None, peers: list[str] | None, quick: bool
) -> list[Row]:
    """
    :raises ValueError: in a sentence, for a row or a peer that does not exist.
    """
    ids = list(ROWS)
    if only:
        ids = [row_id for name in only for row_id in rows_called(name.upper())]
    rows = [ROWS[row_id](quick) for row_id in ids]
    known = {"ours", *(rival.peer.name for row in rows for rival in row.rivals)}
    for name in peers or ():
        if name not in known:
            raise ValueError(
                f"there is no peer {name}; there are {', '.join(sorted(known))}"
            )
    narrowed = [row.narrowed(frozenset(peers) if peers else None) for row in rows]
    return [row for row in narrowed if row.peers]


def rows_called(name: str) -> list[str]:
    """
    :return: the row of this id, and those that begin with it and a hyphen.
    :raises ValueError: there is none.
    """
    found = [row_id for row_id in ROWS if f"{row_id}-".startswith(f"{name}-")]
    if not found:
        raise ValueError(f"there is no row {name}; there are {', '.join(ROWS)}")
    return found


def announce(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    options = parser()
    chosen = options.parse_args(arguments)
    rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS)
    try:
        rows = chosen_rows(chosen.only, chosen.peers, chosen.quick)
    except ValueError as error:
        options.error(str(error))
    if chosen.json and not chosen.json.absolute().parent.is_dir():
        options.error(f"--json {chosen.json}: there is no such folder")
    # A SIGTERM unwinds the stack, so that each crew ends its processes.
    signal.signal(signal.SIGTERM, terminated)
    started_s = time.monotonic()
    facts = machine.facts()
    print(
        "   ".join(f"{name}: {fact}" for name, fact in facts.items()),
        end="\n\n",
        flush=True,
    )
    played: list[tuple[Row, Samples]] = []
    took_s: dict[str, float] = {}
    run = {"quick": chosen.quick, "rounds": rounds, "took_s": took_s}
    try:
        for row in rows:
            row.require()
        for row in rows:
            row_rounds = min(rounds, row.rounds_max or rounds)
            row_started_s = time.monotonic()
            samples = play(row, row_rounds, announce)
            took_s[row.id] = round(time.monotonic() - row_started_s, 1)
            played.append((row, samples))
            print(report.table(row, samples, row_rounds), end="\n\n", flush=True)
            if chosen.json:
                # After each row, so that a run which is stopped has those it played.
                told = report.document(facts, played, run)
                chosen.json.write_text(json.dumps(told, indent=2) + "\n")
    except (MissingPackage, MeasurementFailed) as error:
        announce(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        announce("stopped")
        return 130
    print(report.taken(time.monotonic() - started_s, took_s))
    return 0


def terminated(signal_number: int, _frame: object) -> NoReturn:
    """End by an exception, so that what was begun is ended, too."""
    sys.exit(128 + signal_number)


if __name__ == "__main__":
    sys.exit(main())
