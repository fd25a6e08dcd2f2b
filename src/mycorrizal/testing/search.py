# -*- test-case-name: tests.testing.test_search -*-
"""
How soon the swarm finds each planted bug: ``python -m mycorrizal.testing.search``.

For each canary it plays the seeds of its weather, from 0 on, until one breaks
the invariant that the canary is said to break and is clean without the bug.
What it prints belongs into `mycorrizal.testing.canaries.CANARIES`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from mycorrizal.testing.canaries import CANARIES
from mycorrizal.testing.storm import run_seed
from mycorrizal.testing.swarm import JOBS_MAX, log_nowhere, run_cases

#: Seeds that a search may take.
SEEDS_MAX: Final = 500


@attrs.frozen
class Found:
    """
    What came of one search.

    :ivar seed: The first that finds the bug; None: none did.
    :ivar broken: All invariants that it breaks there.
    """

    name: str
    profile: str
    seed: int | None
    broken: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.seed is None:
            return f"{self.name}: NOT FOUND in {self.profile}"
        recorded = CANARIES[self.name].seed
        note = "" if self.seed == recorded else f" (recorded: seed {recorded})"
        return (
            f'{self.name}: "{self.profile}", {self.seed}, {self.seed + 1},'
            f" breaks {', '.join(self.broken)}{note}"
        )


def search(name: str, seeds: int, jobs: int) -> Found:
    """
    Look for the seed that finds a canary.

    :param seeds: Seeds to try, from 0 on.
    """
    canary = CANARIES[name]
    cases = [(seed, canary.profile) for seed in range(seeds)]
    for report in run_cases(cases, jobs, None, name):
        broken = dict.fromkeys(finding.invariant for finding in report.findings)
        if canary.invariant not in broken:
            continue
        if not run_seed(report.seed, canary.profile).findings:
            return Found(name, canary.profile, report.seed, tuple(sorted(broken)))
    return Found(name, canary.profile, None)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Search.

    :return: The exit code: 1 if a canary is not found.
    """
    parser = argparse.ArgumentParser(
        prog="python -m mycorrizal.testing.search",
        description="How many seeds it takes to find each planted bug.",
    )
    parser.add_argument("names", nargs="*", metavar="CANARY", help="default: all")
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help="at most")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in CANARIES]
    if unknown or not 0 < options.seeds <= SEEDS_MAX:
        parser.error(f"canaries are {', '.join(CANARIES)}; seeds 1 to {SEEDS_MAX}")
    if not 0 < options.jobs <= JOBS_MAX:
        parser.error(f"jobs are 1 to {JOBS_MAX}")
    log_nowhere()
    return 0 if all([*_told(options)]) else 1


def _told(options: argparse.Namespace) -> Iterator[bool]:
    for name in options.names or CANARIES:
        found = search(name, options.seeds, options.jobs)
        print(found, flush=True)
        yield found.seed is not None


if __name__ == "__main__":
    sys.exit(main())
