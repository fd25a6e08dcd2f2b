# -*- test-case-name: tests.pulse.test_drain_command -*-
"""
``pulse drain``: takes a node out of service, and brings it back.
"""

from __future__ import annotations

import click
import msgspec

from mycorrizal.pulse.drain_messages import AskDrain, Draining
from mycorrizal.pulse.options import Command, timeout_option
from mycorrizal.pulse.progress import LOOK_S, Progress
from mycorrizal.pulse.render import duration, printable
from mycorrizal.pulse.session import Session, Trouble


@click.command(cls=Command)
@click.argument("node_id", metavar="ID")
@click.option("--undo", is_flag=True, help="Bring the node back into service.")
@timeout_option(
    "How long to wait until all is handed over; the node goes on after that."
)
@click.pass_obj
def drain(session: Session, node_id: str, undo: bool, timeout_s: float) -> None:
    """
    Take a node out of service without stopping it.

    It hands over what it holds and owns nothing from then on. It stays a member, and
    the programs on it go on to use the cluster. The command waits until all is handed
    over. A restart of the node, or --undo, ends it.
    """
    if undo:
        found = session.ask(AskDrain(node_id, "undo"), Draining)
        text = f"{printable(node_id)} is in service again"
        session.say(text, msgspec.structs.asdict(found))
        return
    with Progress(quiet=session.as_json) as progress:
        found = _wait(session, node_id, timeout_s, progress)
    if found.done:
        text = f"{printable(node_id)} is drained: it holds nothing, and may be stopped"
        session.say(text, msgspec.structs.asdict(found))
        return
    if session.as_json:
        session.say("", msgspec.structs.asdict(found))
    if not found.drained:
        raise Trouble(f"{node_id} was brought back into service meanwhile")
    raise Trouble(
        f"{node_id} has not handed over all within {duration(timeout_s)}: "
        f"{_left(found)}; it goes on, and `pulse drain {node_id}` looks again"
    )


def _wait(
    session: Session, node_id: str, timeout_s: float, progress: Progress
) -> Draining:
    """Begin, and look until it is done, undone, or the time is up."""
    ends_at, most = session.now() + timeout_s, 1

    def following(found: Draining) -> AskDrain | None:
        nonlocal most
        left = found.slots + sum(found.left.values())
        most = max(most, left)
        progress.show(0.0 if not found.drained else 1 - left / most, _left(found))
        if found.done or not found.drained or session.now() >= ends_at:
            return None
        return AskDrain(node_id, "look", LOOK_S)

    return session.follow(AskDrain(node_id, "begin"), Draining, following)


def _left(found: Draining) -> str:
    """What a node still has, for people."""
    counts = [f"{count:,} of {name}" for name, count in sorted(found.left.items())]
    if found.slots:
        counts.append(f"{found.slots:,} slots")
    if not counts and not found.done:
        return "writes under way are left"
    return f"{', '.join(counts) or 'nothing'} left"
