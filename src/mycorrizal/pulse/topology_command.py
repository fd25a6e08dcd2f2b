# -*- test-case-name: tests.pulse.test_topology_command -*-
"""
``pulse topology``: who has a link to whom.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from mycorrizal.pulse.everybody import Said, everybody, tell_silent
from mycorrizal.pulse.messages import AskStatus, Status
from mycorrizal.pulse.options import Command
from mycorrizal.pulse.render import Column, table, terminal_width
from mycorrizal.pulse.session import Session


def links(said: Sequence[Said[Status]]) -> dict[str, dict[str, str]]:
    """For each node that answered, how it reaches each that it knows."""
    found: dict[str, dict[str, str]] = {}
    for one in said:
        if one.reply is not None:
            found[one.node_id] = {
                member.id: _way(member.link, member.state, member.rtt_ms)
                for member in one.reply.members
                if member.id != one.node_id
            }
    return found


def _way(link: str, state: str, rtt_ms: float | None) -> str:
    if state in ("dead", "left", "joining"):
        return state
    if link != "up":
        return link
    return "up" if rtt_ms is None else f"{rtt_ms:.2f} ms"


def matrix(found: dict[str, dict[str, str]], width: int) -> str:
    """From each node on a line to each in a column."""
    others = {node_id for seen in found.values() for node_id in seen}
    names = sorted(others | set(found))
    columns = [Column("FROM"), *(Column(name, right=True) for name in names)]
    rows = [
        [name, *("." if name == to else seen.get(to, "-") for to in names)]
        for name, seen in sorted(found.items())
    ]
    if len(names) <= 1:
        return table(columns, rows, width)
    room = width - max(map(len, names)) - 2
    cell = max(len(text) for row in rows for text in row) + 2
    if len(names) * cell <= room:
        return table(columns, rows, width)
    # Too many for a matrix: what is not as it should be, and how much is.
    odd = [
        [name, to, way]
        for name, seen in sorted(found.items())
        for to, way in sorted(seen.items())
        if not way.endswith("ms") and way != "up"
    ]
    good = sum(len(seen) for seen in found.values()) - len(odd)
    listed = [Column("FROM"), Column("TO"), Column("LINK")]
    text = f"{good} ways of {good + len(odd)} are up"
    return f"{table(listed, odd, width)}\n\n{text}" if odd else text


@click.command(cls=Command)
@click.pass_obj
def topology(session: Session) -> None:
    """Show who has a link to whom, and how fast it is."""
    said = everybody(session, AskStatus(), Status)
    found = links(said)
    session.say(matrix(found, terminal_width()), found)
    tell_silent(said)
