# -*- test-case-name: tests.testing.test_swarm -*-
"""
Many storms, each from its seed: ``python -m mycorrizal.testing.swarm``.

Each seed draws a cluster, its network, its clients and what goes wrong; the
promises are checked while it goes on, by its history, and in the quiet after
it.  A failure prints the line that plays it again and the last events.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import attrs
from twisted.logger import globalLogBeginner

from mycorrizal.errors import ConfigError
from mycorrizal.testing.canaries import CANARIES
from mycorrizal.testing.minimise import minimise
from mycorrizal.testing.plans import draw_plan
from mycorrizal.testing.profiles import PROFILES, excluded_pairs, later_pairs
from mycorrizal.testing.seedfile import Case, add_case, read_cases
from mycorrizal.testing.sometimes import SOMETIMES
from mycorrizal.testing.storm import Report, run_seed
from mycorrizal.testing.telling import (
    failure_lines,
    fault_line,
    plan_lines,
    replay_command,
)

#: Seeds of one run, and processes.
SEEDS_MAX: Final = 1_000_000
JOBS_MAX: Final = 64
#: In place of a profile: all of them, one after the other.
EVERY: Final = "every"
#: Failing seeds after which a run stops, unless told otherwise.
FAILURES_MAX: Final = 20
#: Seeds after which it is told, on the error stream, how far a run is.
TOLD_EVERY: Final = 100
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
        yield self.summary()

    def summary(self) -> str:
        """How much was checked, and what came of it, in one line."""
        return (
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


def minimised(
    report: Report, canary: str | None = None, chosen: Sequence[int] | None = None
) -> list[int]:
    """
    The few faults with which a seed still breaks one of the same invariants.

    :param chosen: Look among these; by default among all of its plan.
    :return: Their numbers in the plan.
    """
    wanted = {finding.invariant for finding in report.findings}
    plan = draw_plan(report.seed, report.profile)
    numbers = range(len(plan.faults)) if chosen is None else chosen

    def fails(some: Sequence[int]) -> bool:
        faults = [plan.faults[number] for number in some]
        again = run_seed(report.seed, report.profile, faults, None, canary)
        return any(finding.invariant in wanted for finding in again.findings)

    return minimise(list(numbers), fails)


def minimised_lines(
    report: Report, canary: str | None, chosen: Sequence[int] | None
) -> Iterator[str]:
    """Which faults matter, and how to play the seed with them alone."""
    needed = minimised(report, canary, chosen)
    faults = draw_plan(report.seed, report.profile).faults
    yield f"needed: {len(needed)} of {len(faults)} faults"
    for number in needed:
        yield fault_line(number, faults[number])
    yield f"replay: {replay_command(report, canary, needed)}"


def _seeds_of(text: str) -> int:
    number = int(text, 0)
    if not 0 <= number <= SEEDS_MAX:
        raise ValueError
    return number


def _faults_of(text: str) -> list[int]:
    return [] if text == "none" else sorted({int(it) for it in text.split(",")})


def _failures_of(text: str) -> int:
    number = int(text)
    if not 1 <= number <= SEEDS_MAX:
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
        "--replay",
        action="store_true",
        help="the first seed alone, and what it has drawn",
    )
    made.add_argument(
        "--faults",
        type=_faults_of,
        metavar="N,N,...",
        help='with --replay: only these of its faults; "none": none of them',
    )
    made.add_argument(
        "--minimise",
        action="store_true",
        help="of each seed that fails, find the few faults that matter",
    )
    made.add_argument(
        "--seed-file",
        type=Path,
        metavar="FILE",
        help="play the seeds in this file: lines of PROFILE SEED # why",
    )
    made.add_argument(
        "--record", type=Path, metavar="FILE", help="add each seed that fails to it"
    )
    made.add_argument(
        "--failures-max",
        type=_failures_of,
        default=FAILURES_MAX,
        help=f"stop when so many seeds have failed; {FAILURES_MAX}",
    )
    return made


def _replay(
    cases: Sequence[Case],
    until: float | None,
    canary: str | None,
    chosen: Sequence[int] | None,
) -> Iterator[Report]:
    for seed, profile in cases:
        print("\n".join(plan_lines(seed, profile, chosen)), flush=True)
        faults = None
        if chosen is not None:
            drawn = draw_plan(seed, profile).faults
            faults = [drawn[number] for number in chosen if number < len(drawn)]
        yield run_seed(seed, profile, faults, until, canary)


def _reports(options: argparse.Namespace) -> Iterator[Report]:
    first, until, canary = options.first_seed, options.until, options.canary
    profiles = list(PROFILES) if options.profile == EVERY else [options.profile]
    if options.replay:
        cases = [(first, profile) for profile in profiles]
        return _replay(cases, until, canary, options.faults)
    if options.seed_file is not None:
        cases = read_cases(options.seed_file)
    else:
        seeds = range(first, first + options.seeds)
        cases = [(seed, profile) for profile in profiles for seed in seeds]
    return run_cases(cases, options.jobs, until, canary)


def _tell(report: Report, options: argparse.Namespace) -> None:
    canary, chosen = options.canary, options.faults if options.replay else None
    print("\n".join(failure_lines(report, canary, chosen)), flush=True)
    if options.record is not None and add_case(options.record, report):
        print(f"added to {options.record}", flush=True)
    if options.minimise:
        for line in minimised_lines(report, canary, chosen):
            print(line, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the swarm.

    :return: The exit code: 0, 1 on a finding, 2 if the command makes no sense,
        130 when interrupted.
    """
    made = parser()
    options = made.parse_args(arguments)
    if options.record is not None and options.canary is not None:
        made.error("--record is for real failures, not for a planted bug's")
    log_nowhere()
    tally, code = Tally(), 0
    try:
        for report in _reports(options):
            tally.add(report)
            if tally.seeds % TOLD_EVERY == 0:
                # Of a long run one wants to know how far it is.
                print(tally.summary(), file=sys.stderr, flush=True)
            if options.digests:
                print(f"{report.profile} {report.seed} {report.digest}")
            if not report.findings:
                continue
            code = 1
            _tell(report, options)
            if len(tally.failed) >= options.failures_max:
                print(f"stopped after {options.failures_max} failing seeds")
                break
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted")
        code = 130
    print("\n".join(tally.lines()), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
