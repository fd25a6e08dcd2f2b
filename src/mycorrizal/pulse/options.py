# -*- test-case-name: tests.pulse.test_options -*-
"""
How ``pulse`` reads its command line: options that may stand anywhere, kinds
of arguments, and advice for those who mistype.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from mycorrizal.errors import ConfigError
from mycorrizal.mycel.config import TTL_S_MAX, VALUE_BYTES_MAX
from mycorrizal.pulse.access import DEFAULT_CLUSTER_NAME, DEFAULT_NODE
from mycorrizal.pulse.session import Session
from mycorrizal.settings import parse_duration_s
from mycorrizal.tls_options import TLS_MODES

#: What other programs call our commands.
_OTHER_NAMES = {
    "add": "put",
    "buckets": "cache buckets",
    "flush": "clear",
    "keys": "scan",
    "monitor": "watch",
    "benchmark": "bench",
    "del": "delete",
    "info": "status",
    "list": "buckets",
    "ls": "buckets",
    "members": "nodes",
    "remove": "delete",
    "rm": "delete",
    "set": "put",
    "settings": "config",
    "stop": "leave",
    "touch": "ttl",
}


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    session = context.ensure_object(Session)
    if option.name == "json":
        session.as_json = session.as_json or value
    elif value is not None:
        session.options[option.opts[0]] = value


def common_options(*, hidden: bool = False) -> list[click.Parameter]:
    """The options of all commands."""
    access: dict[str, Any] = {
        "expose_value": False,
        "callback": _keep,
        "hidden": hidden,
    }
    return [
        click.Option(
            ["--node"],
            metavar="HOST:PORT",
            help=f"The node to ask. [default: MYCORRIZAL_NODE, or {DEFAULT_NODE}]",
            **access,
        ),
        click.Option(
            ["--secret-file"],
            metavar="FILE",
            help="The cluster's secret. [default: MYCORRIZAL_SECRET_FILE, or the "
            "one in the state directory]",
            **access,
        ),
        click.Option(
            ["--cluster-name"],
            metavar="NAME",
            help="The cluster's name. [default: MYCORRIZAL_CLUSTER_NAME, or "
            f"{DEFAULT_CLUSTER_NAME}]",
            **access,
        ),
        click.Option(
            ["--tls"],
            type=click.Choice(TLS_MODES),
            help="As the node's. [default: MYCORRIZAL_TLS, or auto]",
            **access,
        ),
        *_certificate_options(access),
        _json_option(),
    ]


def _certificate_options(access: dict[str, Any]) -> list[click.Parameter]:
    return [
        click.Option(
            ["--tls-ca"],
            metavar="FILE",
            help="For --tls pki: the authorities that are trusted.",
            **access,
        ),
        click.Option(
            ["--tls-cert"],
            metavar="FILE",
            help="For --tls pki: a certificate to show.",
            **access,
        ),
        click.Option(
            ["--tls-key"], metavar="FILE", help="For --tls pki: its key.", **access
        ),
        click.Option(
            ["--tls-hostname"],
            metavar="NAME",
            help="For --tls pki: the name that every node's certificate bears. "
            "[default: the HOST of --node]",
            **access,
        ),
    ]


def _json_option() -> click.Option:
    return click.Option(
        ["--json"],
        is_flag=True,
        help="Print JSON, for programs.",
        expose_value=False,
        callback=_keep,
    )


class Command(click.Command):
    """
    A command behind which the common options may stand too.

    :param plain: Whether it asks no node, and so has of them only --json.
    """

    def __init__(self, *arguments: Any, plain: bool = False, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += [_json_option()] if plain else common_options(hidden=True)


class Group(click.Group):
    """A command of commands, which knows what a mistyped one was meant to be."""

    command_class = Command

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if not self.params:
            self.params += common_options(hidden=True)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the next word names."""
        word = args[0]
        if self.get_command(ctx, word) is None and not word.startswith("-"):
            sentence = f"there is no command {word!r}"
            near = self._nearest(ctx, word)
            if near is not None:
                sentence += f"; did you mean `{near}`?"
            raise click.UsageError(sentence, ctx)
        return super().resolve_command(ctx, args)

    def _nearest(self, context: click.Context, word: str) -> str | None:
        here = context.command_path
        paths = dict(self._paths())
        word = word.lower()
        for wanted in (_OTHER_NAMES.get(word), word):
            if wanted in paths:
                return f"{here} {paths[wanted]}"
        # One of this level is more likely to be meant than one below it.
        for names in (self.commands, paths):
            for close in difflib.get_close_matches(word, names, 1):
                return f"{here} {paths[close]}"
        return None

    def _paths(self) -> Iterator[tuple[str, str]]:
        # Those of groups within first, so that our own of the same name win.
        for name, command in self.commands.items():
            if isinstance(command, Group):
                for inner, path in command._paths():
                    yield inner, f"{name} {path}"
        for name in self.commands:
            yield name, name


def read_duration(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    """The seconds of a time such as 15m; a callback of click."""
    if value is None:
        return None
    try:
        seconds = parse_duration_s(value, "")
    except ConfigError as error:
        raise click.BadParameter(error.problem) from None
    if not 0 < seconds <= TTL_S_MAX:
        raise click.BadParameter("give a time above 0 and up to 100 years")
    return seconds


def timeout_option(what: str) -> Callable[[Any], Any]:
    """The option of a command that waits for something; `what` says for what."""
    return click.option(
        "--timeout",
        "timeout_s",
        callback=read_duration,
        metavar="TIME",
        default="5m",
        show_default=True,
        help=what,
    )


def read_data(context: click.Context, parameter: click.Parameter, value: str) -> bytes:
    """The bytes of an argument, or of stdin for ``-``; a callback of click."""
    # As it was typed: a value need not be text.
    data = os.fsencode(value)
    if value == "-":
        data = sys.stdin.buffer.read(VALUE_BYTES_MAX + 1)
    if len(data) > VALUE_BYTES_MAX:
        raise click.BadParameter(f"more than {VALUE_BYTES_MAX:,} bytes")
    return data
