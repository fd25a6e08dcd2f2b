# -*- test-case-name: tests.pulse.test_check_command -*-
"""
Whether a cluster is well, from what all its nodes say.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import attrs

from mycorrizal.pulse.everybody import Said
from mycorrizal.pulse.messages import Status


class Level(IntEnum):
    """How bad it is, as the exit codes of monitoring plugins have it."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@attrs.frozen
class Verdict:
    """What a monitor is told."""

    level: Level
    problems: list[str]
    alive: int
    missing: int


def judge(said: Sequence[Said[Status]], members_min: int | None = None) -> Verdict:
    """
    Judge a cluster.

    :param members_min: With fewer nodes alive it is critical.
    """
    found: list[tuple[Level, str]] = []
    states: dict[str, str] = {}
    versions: set[str] = set()
    missing = 0
    for one in said:
        if one.reply is None:
            found.append((Level.WARNING, f"{one.node_id} {one.problem}"))
            continue
        missing += one.reply.under_replicated
        versions.add(one.reply.node.version)
        for member in one.reply.members:
            if states.get(member.id) != "alive":
                states[member.id] = member.state
            if member.state == "alive" and member.link not in ("", "up"):
                text = f"{one.node_id} has no link to {member.id}"
                found.append((Level.WARNING, text))
    for node_id, state in sorted(states.items()):
        if state == "dead":
            found.append((Level.CRITICAL, f"{node_id} is dead"))
        elif state in ("suspect", "joining"):
            found.append((Level.WARNING, f"{node_id} is {state}"))
    alive = sum(state == "alive" for state in states.values())
    if members_min is not None and alive < members_min:
        text = f"{alive} nodes alive, {members_min} wanted"
        found.insert(0, (Level.CRITICAL, text))
    if missing:
        found.append((Level.WARNING, f"{missing:,} copies missing"))
    if len(versions) > 1:
        text = f"versions differ: {', '.join(sorted(versions))}"
        found.append((Level.WARNING, text))
    found.sort(key=lambda problem: -problem[0])
    level = max((level for level, _ in found), default=Level.OK)
    return Verdict(level, [text for _, text in found], alive, missing)


def line(verdict: Verdict) -> str:
    """The verdict on one line, with figures that monitors read."""
    figures = f"alive={verdict.alive} missing_copies={verdict.missing}"
    text = "; ".join(verdict.problems) or f"{verdict.alive} nodes alive"
    return f"{verdict.level.name} - {text.replace('|', '/')} | {figures}"
