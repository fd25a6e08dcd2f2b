# -*- test-case-name: tests.pulse.test_keys_commands -*-
"""
``pulse keys``: which keys the nodes accept, and how the secret is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import is_raw, secrets_in
from mycorrizal.pulse.access import find_access
from mycorrizal.pulse.cluster_messages import (
    AskAll,
    AskChangeKeys,
    AskKeys,
    FromAll,
    KeysInForce,
)
from mycorrizal.pulse.everybody import Said, everybody, sorted_out, tell_silent
from mycorrizal.pulse.messages import encode_question
from mycorrizal.pulse.options import Command, Group
from mycorrizal.pulse.render import Column, table, terminal_width
from mycorrizal.pulse.session import EXIT_REFUSED, Session, Trouble, WrongUsage
from mycorrizal.state import read_secret

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
    """Look at the keys that nodes accept, and change the secret."""


@keys.command("list", cls=Command)
@click.pass_obj
def list_(session: Session) -> None:
    """
    Show the fingerprints of the keys that each node accepts.

    The exit code is 1 unless all nodes have the same.
    """
    _show(session, everybody(session, AskKeys(), KeysInForce))


@keys.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def add(session: Session, file: Path) -> None:
    """
    Have all nodes accept the secret in a file, too.

    Make it with (umask 077; pulse secret new > FILE). Each node writes it to its own
    file of secrets.
    """
    try:
        access = find_access(session.options, session.environment)
        (secret, *more) = secrets_in(read_secret(file, ""))
    except ConfigError as error:
        raise WrongUsage(str(error)) from None
    if more or not is_raw(secret) or len(secret.split()) > 1:
        raise WrongUsage(f"{file} is not one secret, as `pulse secret new` prints it")
    if access.tls == "off":
        raise WrongUsage("with --tls off, others could read the secret on the way")
    _show(session, everybody(session, AskChangeKeys("add", secret), KeysInForce))


@keys.command(cls=Command)
@click.argument("fingerprint")
@click.pass_obj
def use(session: Session, fingerprint: str) -> None:
    """Have all nodes sign with a secret that each of them accepts."""

    def check(found: dict[str, KeysInForce]) -> None:
        for node_id, one in found.items():
            if fingerprint not in one.secrets:
                raise Trouble(
                    f"{node_id} has no secret {fingerprint}; nothing is changed: "
                    "`pulse keys add` it first"
                )

    _change_if(session, check, AskChangeKeys("use", fingerprint))


@keys.command(cls=Command)
@click.argument("fingerprint")
@click.pass_obj
def remove(session: Session, fingerprint: str) -> None:
    """Have no node accept a secret any more; none may sign with it."""

    def check(found: dict[str, KeysInForce]) -> None:
        if not any(fingerprint in one.secrets for one in found.values()):
            raise Trouble(f"no node has a secret {fingerprint}")
        for node_id, one in found.items():
            if one.secrets[:1] == [fingerprint]:
                raise Trouble(
                    f"{node_id} signs with {fingerprint}; nothing is changed: "
                    "`pulse keys use` another first"
                )
        signing = [key for one in found.values() for key in one.secrets[:1]]
        for node_id, one in found.items():
            if not all(key in one.secrets for key in signing):
                raise Trouble(
                    f"{node_id} has not all secrets that the others sign with; "
                    "nothing is changed: see `pulse keys list`"
                )

    _change_if(session, check, AskChangeKeys("remove", fingerprint))


def _change_if(
    session: Session,
    check: Callable[[dict[str, KeysInForce]], None],
    question: AskChangeKeys,
) -> None:
    """Ask all nodes what they have, and then, unless `check` raises, to change it."""
    asked = False

    def following(found: FromAll) -> AskAll | None:
        nonlocal asked
        if asked:
            return None
        asked = True
        check(_all_of(sorted_out(found, KeysInForce)))
        return AskAll(encode_question(question))

    first = AskAll(encode_question(AskKeys()))
    changed = session.follow(first, FromAll, following)
    _show(session, sorted_out(changed, KeysInForce))


def _all_of(said: list[Said[KeysInForce]]) -> dict[str, KeysInForce]:
    """What each node has, all of which must say so."""
    found: dict[str, KeysInForce] = {}
    for one in said:
        if one.reply is None:
            raise Trouble(
                f"{one.node_id} {one.problem}; nothing is changed, since it might be "
                "left behind"
            )
        found[one.node_id] = one.reply
    return found


def _show(session: Session, said: list[Said[KeysInForce]]) -> None:
    found = {one.node_id: one.reply for one in said if one.reply is not None}
    same = are_same(said)
    data = {node_id: msgspec.structs.asdict(one) for node_id, one in found.items()}
    session.say(page(found, same, terminal_width()), {"nodes": data, "same": same})
    tell_silent(said)
    if not same:
        raise SystemExit(EXIT_REFUSED)
