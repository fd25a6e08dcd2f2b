# -*- test-case-name: tests.pulse.test_bucket_commands -*-
"""
``pulse cache``: whole buckets, and the keys in them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

import click
import msgspec

from mycorrizal.errors import ConfigError
from mycorrizal.mycel.config import SCAN_KEYS_MAX, WRITE_MODES
from mycorrizal.pulse.messages import (
    AskAlter,
    AskClear,
    AskDrop,
    AskScan,
    AskWatch,
    Keys,
    Ok,
    Watched,
    WatchedEvent,
)
from mycorrizal.pulse.options import Command, read_duration
from mycorrizal.pulse.render import printable
from mycorrizal.pulse.session import Session, WrongUsage
from mycorrizal.settings import parse_count

_NONE = "none"


def _or_none(
    read: Callable[[click.Context, click.Parameter, str], Any],
) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A callback of click that reads a setting, or takes it away."""

    def callback(
        context: click.Context, parameter: click.Parameter, value: str | None
    ) -> Any:
        if value is None or value == _NONE:
            return value
        return read(context, parameter, value)

    return callback


def _read_limit(context: click.Context, parameter: click.Parameter, text: str) -> int:
    try:
        return parse_count(text, "")
    except ConfigError as error:
        raise click.BadParameter(error.problem) from None


@click.command(cls=Command)
@click.argument("bucket")
@click.option(
    "--ttl",
    "ttl_s",
    callback=_or_none(read_duration),
    metavar="TIME",
    help="Time to live of values put without one from now on, as in 15m, or none.",
)
@click.option(
    "--max-entries",
    callback=_or_none(_read_limit),
    metavar="N",
    help="Values per node, or none.",
)
@click.option(
    "--max-bytes",
    callback=_or_none(_read_limit),
    metavar="N",
    help="Memory per node, or none.",
)
@click.option(
    "--replicas",
    type=click.IntRange(0),
    metavar="N",
    help="Copies of each value on other nodes.",
)
@click.option(
    "--write",
    type=click.Choice(WRITE_MODES),
    help="How many owners a write waits for: all, one replica, or none (async).",
)
@click.pass_obj
def alter(session: Session, /, bucket: str, **settings: Any) -> None:
    """Change settings of a bucket on every node."""
    changes = {
        name: None if value == _NONE else value
        for name, value in settings.items()
        if value is not None
    }
    if not changes:
        raise WrongUsage("say what is to be changed, as in --ttl 15m")
    session.ask(AskAlter(bucket, changes), Ok)
    session.say(f"bucket {bucket} is altered", {"bucket": bucket})


def _surely(yes: bool, what: str) -> None:
    if not yes:
        raise WrongUsage(
            f"this deletes {what} on every node; say --yes if that is meant"
        )


_yes = click.option("--yes", is_flag=True, help="Say that you mean it.")


@click.command(cls=Command)
@click.argument("bucket")
@_yes
@click.pass_obj
def clear(session: Session, bucket: str, yes: bool) -> None:
    """Delete all values of a bucket on every node."""
    _surely(yes, f"all values of bucket {bucket!r}")
    session.ask(AskClear(bucket), Ok)
    session.say(f"bucket {bucket} is empty", {"bucket": bucket})


@click.command(cls=Command)
@click.argument("bucket")
@_yes
@click.pass_obj
def drop(session: Session, bucket: str, yes: bool) -> None:
    """Delete a bucket and all its values on every node."""
    _surely(yes, f"bucket {bucket!r} and all its values")
    session.ask(AskDrop(bucket), Ok)
    session.say(f"bucket {bucket} is no more", {"bucket": bucket})


@click.command(cls=Command)
@click.argument("bucket")
@click.option("--prefix", default="", metavar="TEXT", help="Only keys that begin so.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    metavar="N",
    help="Keys at most; 0 for all there are.",
)
@click.pass_obj
def scan(session: Session, bucket: str, prefix: str, limit: int) -> None:
    """
    List keys, one on a line.

    With --json a key that is not text stands in base64.
    """
    found: list[bytes] = []

    def page(cursor: str | None) -> AskScan:
        missing = limit - len(found) if limit else SCAN_KEYS_MAX
        return AskScan(bucket, prefix, cursor, min(missing, SCAN_KEYS_MAX))

    def following(keys: Keys) -> AskScan | None:
        found.extend(keys.keys)
        if not session.as_json:
            for key in keys.keys:
                click.echo(printable(key.decode(errors="backslashreplace")))
        if keys.cursor is None or (limit and len(found) >= limit):
            return None
        return page(keys.cursor)

    last = session.follow(page(None), Keys, following)
    if session.as_json:
        more = last.cursor is not None
        session.say("", {"keys": [_key_data(key) for key in found], "more": more})
    elif last.cursor is not None:
        click.echo("pulse: there may be more; --limit 0 lists all", err=True)


@click.command(cls=Command)
@click.argument("bucket")
@click.option("--prefix", default="", metavar="TEXT", help="Only keys that begin so.")
@click.option(
    "--count",
    type=click.IntRange(1),
    metavar="N",
    help="End after so many. [default: go on until Ctrl-C]",
)
@click.pass_obj
def watch(session: Session, bucket: str, prefix: str, count: int | None) -> None:
    """
    Show what happens to keys, as it happens.

    Each line is put, delete, expire, evict or clear and the key; "lost" stands for
    changes that could not be told.  With --json each line is an object.
    """
    left = count

    def following(told: Watched) -> AskWatch | None:
        nonlocal left
        for event in told.events:
            _show(session, event)
            if left is not None:
                left -= 1
                if not left:
                    return None
        return AskWatch(bucket, prefix, told.watch)

    session.follow(AskWatch(bucket, prefix), Watched, following)


def _show(session: Session, event: WatchedEvent) -> None:
    if session.as_json:
        data = {"kind": event.kind, **_key_data(event.key)}
        click.echo(msgspec.json.encode(data).decode())
    else:
        key = printable(event.key.decode(errors="backslashreplace"))
        click.echo(f"{event.kind} {key}".rstrip())


def _key_data(key: bytes) -> dict[str, str]:
    try:
        return {"key": key.decode()}
    except UnicodeDecodeError:
        return {"key_base64": base64.b64encode(key).decode()}


#: What `pulse cache` has besides single values.
COMMANDS: Final = (alter, clear, drop, scan, watch)
