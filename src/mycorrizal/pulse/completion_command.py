# -*- test-case-name: tests.pulse.test_completion_command -*-
"""
``pulse completion``: what a shell needs to complete its commands.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from mycorrizal.pulse.options import Command
from mycorrizal.pulse.session import Session, Trouble

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command, plain=True)
@click.argument("shell", metavar="SHELL", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """
    Print what makes a shell complete commands and options.

    For bash: eval "$(pulse completion bash)"
    """
    root = context.find_root()
    made = get_completion_class(shell)
    if made is None:
        raise Trouble(f"nothing is known of {shell}")
    script = made(root.command, {}, "pulse", "_PULSE_COMPLETE").source()
    session: Session = context.ensure_object(Session)
    session.say(script.rstrip("\n"), {"shell": shell, "script": script})
