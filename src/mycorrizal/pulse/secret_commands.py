# -*- test-case-name: tests.pulse.test_secret_commands -*-
"""
``pulse secret``: makes secrets, and keys of clients.
"""

from __future__ import annotations

import click

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import check_client_name, new_secret, parse_grants
from mycorrizal.pulse.options import Command, Group
from mycorrizal.pulse.session import Session, WrongUsage
from mycorrizal.runtime import Entropy


@click.group(cls=Group)
def secret() -> None:
    """Make secrets."""


@secret.command(cls=Command, plain=True)
@click.option(
    "--client",
    metavar="NAME",
    help="Make the key of a client, which makes no node of it, and gives it no more "
    "than what is granted.",
)
@click.option(
    "--grant",
    "grants",
    metavar="APP:RESOURCE:ACTION",
    multiple=True,
    help="What the client may do, as CACHE:sessions:READ; * is any. May be repeated.",
)
@click.pass_obj
def new(session: Session, client: str | None, grants: tuple[str, ...]) -> None:
    """
    Print a fresh secret and nothing else.

    Keep it to yourself: (umask 077; pulse secret new > FILE)

    With --client it is a line for the nodes' --client-keys-file, and for a file
    of the client's own.
    """
    made = new_secret(Entropy().token_bytes(32))
    if client is None:
        if grants:
            raise WrongUsage(
                "--grant needs --client NAME; the secret allows everything"
            )
        session.say(made, {"secret": made})
        return
    try:
        check_client_name(client, "--client")
        parse_grants(grants, "--grant")
    except ConfigError as error:
        raise WrongUsage(str(error)) from None
    line = " ".join((made, client, *grants))
    if len(line.split()) != 2 + len(grants):
        raise WrongUsage("--grant: a grant in a file has no spaces; use * in its place")
    session.say(line, {"secret": made, "client": client, "grants": grants})
