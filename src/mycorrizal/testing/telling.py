# -*- test-case-name: tests.testing.test_telling -*-
"""
What is told of a seed that failed: what was wrong, and how to see it again.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import twisted
from mycorrizal.testing.plans import Fault, draw_plan
from mycorrizal.testing.storm import Report

COMMAND: Final = "python -m mycorrizal.testing.swarm"
#: Findings that are printed of a seed.
FINDINGS_PRINTED_MAX: Final = 5


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


def replay_command(
    report: Report, canary: str | None = None, faults: Sequence[int] | None = None
) -> str:
    """
    The command that plays a seed again.

    :param canary: The bug that was planted.
    :param faults: Only these of its plan, by number.
    """
    command = f"{COMMAND} --replay --first-seed {report.seed}"
    command += f" --profile {report.profile}"
    if canary is not None:
        command += f" --canary {canary}"
    if faults is not None:
        command += f" --faults {','.join(map(str, faults)) or 'none'}"
    return command


def failure_lines(
    report: Report,
    canary: str | None = None,
    faults: Sequence[int] | None = None,
    *,
    story: bool = True,
) -> Iterator[str]:
    """What is to be told of a seed that failed."""
    for finding in report.findings[:FINDINGS_PRINTED_MAX]:
        yield f"FAIL {finding.t:.3f} s  {finding.invariant}: {finding.text}"
    left = len(report.findings) - FINDINGS_PRINTED_MAX
    if left > 0:
        yield f"     and {left} more"
    first = min(finding.t for finding in report.findings)
    yield (
        f"replay: {replay_command(report, canary, faults)}  # git {described()},"
        f" Python {platform.python_version()}, Twisted {twisted.__version__},"
        f" digest {report.digest}"
    )
    yield (
        f"        (with --until {first + 0.001:.3f} it stops there, with the events"
        " up to then; with --minimise it looks for the few faults that matter)"
    )
    if story:
        yield "the last events, until the end or --until:"
        yield report.story


def plan_lines(
    seed: int, profile: str, faults: Sequence[int] | None = None
) -> Iterator[str]:
    """All that a seed has drawn, with the number of each fault."""
    plan = draw_plan(seed, profile)
    least_ms, mean_ms = plan.latency_ms
    entries_max, bytes_max = plan.room
    yield (
        f"seed {seed}, {profile}: {plan.size} nodes, {plan.replicas} replicas,"
        f" a storm of {plan.storm_s:.0f} s, {plan.clients} clients with"
        f" {plan.rate:.1f} operations a second each"
    )
    yield (
        f"  latency {least_ms:.1f} ms, {mean_ms:.1f} ms on average; of datagrams"
        f" {plan.udp_loss:.0%} lost, {plan.udp_duplicate:.0%} doubled; TCP in pieces:"
        f" {plan.segmentation}; nodes found by {'name' if plan.by_name else 'address'};"
        f" the small bucket takes {entries_max} entries, {bytes_max} bytes"
    )
    yield "  times of faults are those from the storm's beginning on:"
    for number, fault in enumerate(plan.faults):
        if faults is None or number in faults:
            yield fault_line(number, fault)


def fault_line(number: int, fault: Fault) -> str:
    """A fault of a plan, with its number there."""
    nodes = ",".join(map(str, fault.nodes))
    strength = f" {fault.strength:g}" if fault.strength else ""
    how = f" {fault.how}" if fault.how else ""
    return (
        f"  fault {number}: at {fault.at_s:.3f} s for {fault.for_s:.3f} s"
        f"  {fault.kind} {nodes}{how}{strength}"
    )
