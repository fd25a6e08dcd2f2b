# -*- test-case-name: tests.pulse.test_check_command -*-
"""
``pulse check``: one line and an exit code, for monitors.
"""

from __future__ import annotations

from typing import Any

import click

from mycorrizal.pulse.everybody import everybody
from mycorrizal.pulse.health import Level, judge, line
from mycorrizal.pulse.messages import AskStatus, Status
from mycorrizal.pulse.options import Command
from mycorrizal.pulse.render import printable
from mycorrizal.pulse.session import Session, Trouble


class _Unknown(click.UsageError):
    """Wrong usage of `check`."""

    exit_code = Level.UNKNOWN


class CheckCommand(Command):
    """A command whose wrong usage says nothing of the cluster: it is unknown."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _Unknown(error.message, ctx) from None


@click.command(cls=CheckCommand)
@click.option(
    "--min-members",
    type=click.IntRange(1),
    metavar="N",
    help="Critical if fewer nodes are alive.",
)
@click.pass_obj
def check(session: Session, min_members: int | None) -> None:
    """
    Say on one line whether the cluster is well.

    Exit codes are those of monitoring plugins: 0 OK, 1 warning, 2 critical, 3
    unknown.
    """
    data: dict[str, Any]
    try:
        verdict = judge(everybody(session, AskStatus(), Status), min_members)
    except Trouble as trouble:
        data = {"level": Level.UNKNOWN.name, "problems": [trouble.message]}
        session.say(f"UNKNOWN - {trouble.message}", data)
        raise SystemExit(int(Level.UNKNOWN)) from None
    data = {
        "level": verdict.level.name,
        "problems": verdict.problems,
        "alive": verdict.alive,
        "missing_copies": verdict.missing,
    }
    session.say(printable(line(verdict)), data)
    raise SystemExit(int(verdict.level))
