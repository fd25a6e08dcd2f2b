# -*- test-case-name: tests.pulse.test_keys_commands -*-
"""
``pulse keys``: which keys the nodes accept.
"""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec

from mycorrizal.pulse.cluster_messages import AskKeys, KeysInForce
from mycorrizal.pulse.everybody import Said, everybody, tell_silent
from mycorrizal.pulse.options import Command, Group
from mycorrizal.pulse.render import Column, table, terminal_width
from mycorrizal.pulse.session import EXIT_REFUSED, Session

_COLUMNS = (Column("NODE"), Column("SIGNS"), Column("ACCEPTS"), Column("CLIENTS"))


def page(found: dict[str, KeysInForce], same: bool, width: int) -> str:
    """A line for each node, and whether all say the same."""
    rows = [
        [
            node_id,
            keys.secrets[0] if keys.secrets else "-",
            " ".join(keys.secrets[1:]) or "-",
            " ".join(f"{name}={key}" for name, key in sorted(keys.clients.items()))
            or "-",
        ]
        for node_id, keys in sorted(found.items())
    ]
    verdict = "All nodes have the same" if same else "The nodes differ"
    return f"{table(_COLUMNS, rows, width)}\n\n{verdict}"


def are_same(said: Sequence[Said[KeysInForce]]) -> bool:
    """Whether every node has answered, and all alike; clients have no order."""
    replies = [one.reply for one in said]
    return None not in replies and all(reply == replies[0] for reply in replies)


@click.group(cls=Group)
def keys() -> None:
    """Look at the keys that nodes accept."""


@keys.command("list", cls=Command)
@click.pass_obj
def list_(session: Session) -> None:
    """
    Show the fingerprints of the keys that each node accepts.

    The exit code is 1 unless all nodes have the same.
    """
    said = everybody(session, AskKeys(), KeysInForce)
    found = {one.node_id: one.reply for one in said if one.reply is not None}
    same = are_same(said)
    data = {node_id: msgspec.structs.asdict(one) for node_id, one in found.items()}
    session.say(page(found, same, terminal_width()), {"nodes": data, "same": same})
    tell_silent(said)
    if not same:
        raise SystemExit(EXIT_REFUSED)
