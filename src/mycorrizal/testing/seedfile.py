# -*- test-case-name: tests.testing.test_seedfile -*-
"""
Files of seeds that have failed once, to be played again for ever.

A line is ``PROFILE SEED  # what was wrong``; empty lines, and what follows a
``#``, mean nothing to the swarm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mycorrizal.errors import ConfigError
from mycorrizal.testing.profiles import PROFILES
from mycorrizal.testing.storm import Report

#: Lines of one file that are read.
LINES_MAX: Final = 10_000

#: A storm's seed and its weather.
Case = tuple[int, str]


def read_cases(path: Path) -> list[Case]:
    """
    The seeds in a file, each once, in order.

    :raises ConfigError: It can't be read, or a line is none; tells which.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("", f"The seeds can't be read: {error}") from None
    if len(lines) > LINES_MAX:
        raise ConfigError("", f"{path} has more than {LINES_MAX} lines")
    cases: dict[Case, None] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or words[0] not in PROFILES or not words[1].isdecimal():
            raise ConfigError(
                f"{path}, line {number}",
                f"{line.strip()!r} is not PROFILE SEED;"
                f" profiles are {', '.join(PROFILES)}",
            )
        cases[int(words[1]), words[0]] = None
    return list(cases)


def add_case(path: Path, report: Report) -> bool:
    """
    Add a seed that failed to a file, which may not be there yet.

    :return: Whether it was not in it before.
    :raises ConfigError: The file can't be read or written.
    """
    if path.exists() and (report.seed, report.profile) in read_cases(path):
        return False
    first = min(report.findings, key=lambda finding: finding.t)
    text = " ".join(first.text.split())[:100]
    try:
        with path.open("a") as file:
            file.write(f"{report.profile} {report.seed}  # {first.invariant}: {text}\n")
    except OSError as error:
        raise ConfigError("", f"The seed can't be kept: {error}") from None
    return True
