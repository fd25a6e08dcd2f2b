# -*- test-case-name: tests.pulse.test_event_commands -*-
"""
How events look.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import click

from mycorrizal.pulse.cluster_messages import EventEntry
from mycorrizal.pulse.render import printable

_COLOURS = {"warn": "yellow", "error": "red"}


def in_order(events: Iterable[EventEntry]) -> list[EventEntry]:
    """Events of several nodes, by their clocks."""
    return sorted(events, key=lambda event: (event.stamp, event.node))


def clock_time(wall_s: float) -> str:
    """A moment, in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(wall_s, UTC)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def line(event: EventEntry, node_width: int = 0) -> str:
    """One event on one line."""
    node = printable(event.node).ljust(node_width)
    kind = event.kind.ljust(len("slots taken"))
    text = f"{clock_time(event.wall_s)}  {node}  {kind}  {printable(event.text)}"
    colour = _COLOURS.get(event.level)
    return click.style(text, fg=colour) if colour else text


def lines(events: Iterable[EventEntry]) -> list[str]:
    """Events of several nodes, merged, one on a line."""
    found = in_order(events)
    width = max((len(printable(event.node)) for event in found), default=0)
    return [line(event, width) for event in found]
