# -*- test-case-name: tests.pulse.test_nodes_command -*-
"""
``pulse nodes``: who there is, and how the node that is asked hears them.
"""

from __future__ import annotations

from typing import Any, Final

import click
import msgspec

from mycorrizal.pulse.messages import AskStatus, MemberStatus, Status
from mycorrizal.pulse.options import Command
from mycorrizal.pulse.render import (
    Column,
    broken_links,
    member_cells,
    member_columns,
    milliseconds,
    table,
    terminal_width,
)
from mycorrizal.pulse.session import Session

#: Where the columns stand that only this table has, and the last of them.
_AFTER_LINK: Final = 5
_MISSING: Final = _AFTER_LINK + 2


@click.command(cls=Command)
@click.pass_obj
def nodes(session: Session) -> None:
    """
    List the nodes of the cluster.

    They are those that the node knows which is asked. LINK is up, down, or via the
    node that hears it in place of the one asked. LAG is how late a node was lately,
    at worst, to do what was due.
    """
    found = session.ask(AskStatus(links=True), Status)
    data = [_data(member, found) for member in found.members]
    session.say(page(found, terminal_width()), data)


def page(found: Status, width: int) -> str:
    """The table of the nodes, with all that is known of each, and broken links."""
    columns = member_columns()
    columns[_AFTER_LINK:_AFTER_LINK] = [
        Column("TLS", optional=True),
        Column("LAG", right=True),
        Column("MISSING", right=True),
    ]
    rows = [_row(member, found) for member in found.members]
    if not any(member.missing for member in found.members):
        # A column that says nothing takes no room.
        del columns[_MISSING]
        rows = [[*row[:_MISSING], *row[_MISSING + 1 :]] for row in rows]
    if not any(member.labels for member in found.members):
        columns.pop()
        rows = [row[:-1] for row in rows]
    notes = [*broken_links(found), *_other_secrets(found)]
    return "\n".join([table(columns, rows, width), *notes])


def _other_secrets(found: Status) -> list[str]:
    """Which links were made with another secret than the node uses now."""
    own = found.node.secret
    made = [
        f"{member.id} ({member.secret})"
        for member in found.members
        if member.secret not in ("", own)
    ]
    if not made:
        return []
    return [f"Not renewed with secret {own} yet, the links to: {', '.join(made)}"]


def _row(member: MemberStatus, found: Status) -> list[str]:
    own = member.id == found.node.id
    encrypted = _encrypted(member, found)
    cells = member_cells(member, found.node.id)
    # What is gone has no link to speak of.
    gone = member.state in ("dead", "left")
    link = "-" if own or gone else member.link
    tls = "-" if encrypted is None else "on" if encrypted else "off"
    missing = "-" if member.missing is None else f"{member.missing:,}"
    own_words = [link, tls, _lag(member), missing]
    return [*cells[: _AFTER_LINK - 1], *own_words, *cells[_AFTER_LINK:]]


def _lag(member: MemberStatus) -> str:
    if member.lag_ms is not None:
        return milliseconds(member.lag_ms)
    # Held up for longer than it may take to say so, or of an older version.
    return "silent" if member.link == "up" and member.missing is None else "-"


def _encrypted(member: MemberStatus, found: Status) -> bool | None:
    """Whether the link is; None: there is none."""
    # Nodes of another mind are refused: what the node has, all its links have.
    return found.node.tls != "off" if member.link == "up" else None


def _data(member: MemberStatus, found: Status) -> dict[str, Any]:
    encrypted = _encrypted(member, found)
    return {**msgspec.structs.asdict(member), "encrypted": encrypted}
