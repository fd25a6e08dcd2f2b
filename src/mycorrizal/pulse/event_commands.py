# -*- test-case-name: tests.pulse.test_event_commands -*-
"""
``pulse events``: what has happened to the cluster.
"""

from __future__ import annotations

from typing import Final

import click
import msgspec

from mycorrizal.pulse import event_render
from mycorrizal.pulse.cluster_messages import AskEvents, EventEntry, Events
from mycorrizal.pulse.everybody import Said, everybody, keep_asking, tell_silent
from mycorrizal.pulse.options import Command
from mycorrizal.pulse.session import Session

#: Between two questions of --follow.
FOLLOW_PAUSE_S: Final = 0.5


@click.command(cls=Command)
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    metavar="N",
    help="The last so many; 0 for all that are kept.",
)
@click.option("--of", "nodes", metavar="ID", multiple=True, help="May be repeated.")
@click.option("--level", type=click.Choice(("info", "warn", "error")), default="info")
@click.pass_obj
def events(
    session: Session, follow: bool, limit: int, nodes: tuple[str, ...], level: str
) -> None:
    """
    Show what happened to the nodes, in order.

    The order is that of the cluster's clock; times are UTC, of the node that saw
    it. With --follow and --json each line is an object.
    """
    levels = ("info", "warn", "error")

    def wanted(said: list[Said[Events]]) -> list[EventEntry]:
        found = [event for one in said if one.reply for event in one.reply.events]
        found = [
            event
            for event in found
            if (not nodes or event.node in nodes)
            and levels.index(event.level) >= levels.index(level)
        ]
        return event_render.in_order(found)

    if not follow:
        said = everybody(session, AskEvents(), Events)
        found = wanted(said)
        found = found[-limit:] if limit else found
        session.say("\n".join(event_render.lines(found)) or "no events", found)
        tell_silent(said)
        return
    after: dict[str, int] = {}
    first = True

    def following(said: list[Said[Events]]) -> AskEvents:
        nonlocal first
        found = wanted(said)
        if first and limit:
            found = found[-limit:]
        first = False
        for one in said:
            if one.reply and one.reply.events:
                after[one.node_id] = one.reply.events[-1].stamp
        texts = event_render.lines(found)
        for event, text in zip(found, texts, strict=True):
            as_json = msgspec.json.encode(event).decode()
            click.echo(as_json if session.as_json else text)
        return AskEvents(after)

    keep_asking(session, AskEvents(), Events, following, FOLLOW_PAUSE_S)
