# -*- test-case-name: tests.testing.test_swarm -*-
"""
Many storms, each from its seed: ``python -m mycorrizal.testing.swarm``.

Each seed draws a cluster, its network, its clients and what goes wrong; the
promises are checked while it goes on, by its history, and in the quiet after
it.  A failure prints the line that plays it again and the last events.
"""

from __future__ import annotations

import argparse
import platform
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import attrs
from twisted.logger import globalLogBeginner

import twisted
from mycorrizal.testing.canaries import CANARIES
from mycorrizal.testing.minimise import minimise
from mycorrizal.testing.plans import Fault, draw_plan
from mycorrizal.testing.profiles import PROFILES, excluded_pairs, later_pairs
from mycorrizal.testing.sometimes import SOMETIMES
from mycorrizal.testing.storm import Report, run_seed

#: Seeds of one run, and processes.
SEEDS_MAX: Final = 1_000_000
JOBS_MAX: Final = 64
#: In place of a profile: all of them, one after the other.
EVERY: Final = "every"
#: Failing seeds after which a run stops.
FAILURES_MAX: Final = 20
#: Findings that are printed of a seed.
FINDINGS_PRINTED_MAX: Final = 5
#: Storms that wait for each process.
_AHEAD: Final = 3


@attrs.define
class Tally:
    """
    What a run has seen, over all seeds.

    :ivar losses: Findings of an acknowledged write that is gone.
    """

    seeds: int = 0
    simulated_s: float = 0.0
    operations: int = 0
    judged: int = 0
    excluded: int = 0
    losses: int = 0
    findings: int = 0
    failed: list[Report] = attrs.field(factory=list)
    profiles: set[str] = attrs.field(factory=set)
    tolerated: Counter[str] = attrs.field(factory=Counter)
    outcomes: Counter[str] = attrs.field(factory=Counter)
    faults: Counter[str] = attrs.field(factory=Counter)
    sometimes: Counter[str] = attrs.field(factory=Counter)

    def add(self, report: Report) -> None:
        """One more seed is through."""
        self.seeds += 1
        self.simulated_s += report.simulated_s
        self.operations += report.operations
        self.judged += report.judged
        self.excluded += report.excluded
        self.losses += sum(it.invariant == "acknowledged" for it in report.findings)
        self.findings += len(report.findings)
        self.profiles.add(report.profile)
        self.tolerated.update(report.tolerated)
        self.outcomes.update(report.outcomes)
        self.faults.update(report.faults)
        self.sometimes.update(report.sometimes)
        if report.findings:
            self.failed.append(report)

    def lines(self) -> Iterator[str]:
        """What there is to say at the end; the last line is the summary."""
        yield "sometimes:"
        for what in SOMETIMES:
            yield f"  {self.sometimes[what]:9,}  {what}"
        yield f"faults: {_counts(self.faults)}"
        yield f"outcomes: {_counts(self.outcomes)}"
        pairs, later = excluded_pairs(self.profiles), later_pairs(self.profiles)
        yield (
            f"not asserted: {pairs} pairs of profile and invariant ({later} of them "
            f"to hold later), which did not hold "
            f"{self.tolerated.total()} times ({_counts(self.tolerated)}); "
            f"{self.excluded:,} operations fell into splits"
        )
        yield (
            f"{self.seeds} seeds, {self.simulated_s / 3600:.2f} simulated hours, "
            f"{self.operations:,} operations checked ({self.judged:,} to the "
            f"promises of quiet times), {self.losses} losses, {self.findings} findings"
        )


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {counts[what]:,}" for what in sorted(counts)) or "none"


# -- many seeds, in some processes ------------------------------------------------


def begin_quietly() -> None:
    """In a process of its own: log nowhere, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log_nowhere()


def log_nowhere() -> None:
    """Storms log much, and on purpose; the watch of each sees all of it."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)


#: A storm's seed and its weather.
Case = tuple[int, str]


def run_cases(
    cases: Sequence[Case],
    jobs: int,
    until: float | None = None,
    canary: str | None = None,
) -> Iterator[Report]:
    """
    Run some storms in `jobs` processes, 1 being this one; the reports come in
    the order of the cases, whoever is through first.
    """
    if jobs == 1:
        for seed, profile in cases:
            yield run_seed(seed, profile, None, until, canary)
        return
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), begin_quietly)
    try:
        todo, done = list(reversed(cases)), dict[Case, Report]()
        running: dict[Future[Report], Case] = {}
        for case in cases:
            while case not in done:
                while todo and len(running) < jobs * _AHEAD:
                    begun = todo.pop()
                    future = pool.submit(run_seed, *begun, None, until, canary)
                    running[future] = begun
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    done[running.pop(future)] = future.result()
            yield done.pop(case)
    finally:
        pool.shutdown(cancel_futures=True)


# -- telling ------------------------------------------------------------------------


def described() -> str:
    """The commit, if that can be known."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"


def replay_line(report: Report) -> str:
    """How to see a failure again."""
    first = min(finding.t for finding in report.findings)
    return (
        "replay: python -m mycorrizal.testing.swarm --replay"
        f" --first-seed {report.seed} --profile {report.profile}"
        f"  # until {first:.3f} s; git {described()},"
        f" Python {platform.python_version()}, Twisted {twisted.__version__},"
        f" digest {report.digest}"
    )


def failure_lines(report: Report, story: bool = True) -> Iterator[str]:
    """What is to be told of a seed that failed."""
    for finding in report.findings[:FINDINGS_PRINTED_MAX]:
        yield f"FAIL {finding.t:.3f} s  {finding.invariant}: {finding.text}"
    left = len(report.findings) - FINDINGS_PRINTED_MAX
    if left > 0:
        yield f"     and {left} more"
    yield replay_line(report)
    if story:
        yield report.story


def minimised(report: Report, canary: str | None = None) -> list[Fault]:
    """The few faults with which a seed still breaks the same invariant."""
    wanted = {finding.invariant for finding in report.findings}

    def fails(faults: Sequence[Fault]) -> bool:
        again = run_seed(report.seed, report.profile, faults, None, canary)
        return any(finding.invariant in wanted for finding in again.findings)

    return minimise(draw_plan(report.seed, report.profile).faults, fails)


def _seeds_of(text: str) -> int:
    number = int(text, 0)
    if not 0 <= number <= SEEDS_MAX:
        raise ValueError
    return number


def _jobs_of(text: str) -> int:
    number = int(text)
    if not 1 <= number <= JOBS_MAX:
        raise ValueError
    return number


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m mycorrizal.testing.swarm",
        description="Run many simulated storms and check what is promised.",
        epilog="profiles: "
        + "; ".join(
            f"{profile.name}: {profile.about}" for profile in PROFILES.values()
        ),
    )
    made.add_argument("--seeds", type=_seeds_of, default=100, help="how many")
    made.add_argument("--first-seed", type=_seeds_of, default=0, help="the first")
    made.add_argument(
        "--profile",
        choices=(*PROFILES, EVERY),
        default="all",
        help=f"the weather; {EVERY}: each profile in turn",
    )
    made.add_argument("--jobs", type=_jobs_of, default=1, help="processes")
    made.add_argument(
        "--digests", action="store_true", help="print the digest of each storm"
    )
    made.add_argument("--until", type=float, help="stop at this simulated second")
    made.add_argument("--canary", choices=sorted(CANARIES), help="plant this bug")
    made.add_argument(
        "--replay", action="store_true", help="the first seed alone, and its plan"
    )
    made.add_argument(
        "--minimise", action="store_true", help="find the few faults that matter"
    )
    return made


def _replay(
    cases: Sequence[Case], until: float | None, canary: str | None
) -> Iterator[Report]:
    for seed, profile in cases:
        plan = draw_plan(seed, profile)
        print(attrs.evolve(plan, faults=()))
        for fault in plan.faults:
            print(f"  {fault}")
        yield run_seed(seed, profile, None, until, canary)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the swarm.

    :return: The exit code: 0, 1 on a finding, 130 when interrupted.
    """
    options = parser().parse_args(arguments)
    log_nowhere()
    first, until, canary = options.first_seed, options.until, options.canary
    profiles = list(PROFILES) if options.profile == EVERY else [options.profile]
    tally = Tally()
    if options.replay:
        reports = _replay([(first, profile) for profile in profiles], until, canary)
    else:
        seeds = range(first, first + options.seeds)
        cases = [(seed, profile) for profile in profiles for seed in seeds]
        reports = run_cases(cases, options.jobs, until, canary)
    code = 0
    try:
        for report in reports:
            tally.add(report)
            if options.digests:
                print(f"{report.profile} {report.seed} {report.digest}")
            if not report.findings:
                continue
            code = 1
            print("\n".join(failure_lines(report)), flush=True)
            if options.minimise:
                for fault in minimised(report, options.canary):
                    print(f"  needed: {fault}", flush=True)
            if len(tally.failed) >= FAILURES_MAX:
                print(f"stopped after {FAILURES_MAX} failing seeds")
                break
    except KeyboardInterrupt:
        print("interrupted")
        code = 130
    print("\n".join(tally.lines()), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
