# -*- test-case-name: tests.pulse.test_cache_commands -*-
"""
``pulse cache``: buckets and values.
"""

from __future__ import annotations

import base64
import sys

import click

from mycorrizal.mycel.config import WRITE_MODES
from mycorrizal.pulse import render
from mycorrizal.pulse.messages import (
    AskCreate,
    AskDelete,
    AskGet,
    AskPut,
    AskStatus,
    AskTtl,
    Ok,
    Only,
    Status,
    Value,
)
from mycorrizal.pulse.options import Group, read_data, read_duration
from mycorrizal.pulse.session import Session, Trouble


@click.group(cls=Group)
def cache() -> None:
    """Create buckets; put, get, delete, scan and watch values."""


@cache.command()
@click.argument("bucket")
@click.option(
    "--ttl",
    "ttl_s",
    callback=read_duration,
    metavar="TIME",
    help="Time to live of values put without one, as in 15m. [default: for ever]",
)
@click.option(
    "--max-entries",
    type=click.IntRange(1),
    metavar="N",
    help="Values per node; the least recently used go first.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    metavar="N",
    help="Memory per node.",
)
@click.option(
    "--replicas",
    type=click.IntRange(0),
    metavar="N",
    default=1,
    show_default=True,
    help="Copies of each value on other nodes.",
)
@click.option(
    "--write",
    type=click.Choice(WRITE_MODES),
    default="all",
    show_default=True,
    help="How many owners a write waits for: all, one replica, or none (async).",
)
@click.pass_obj
def create(
    session: Session,
    bucket: str,
    ttl_s: float | None,
    max_entries: int | None,
    max_bytes: int | None,
    replicas: int,
    write: str,
) -> None:
    """Create a bucket on every node."""
    question = AskCreate(bucket, ttl_s, max_entries, max_bytes, replicas, write)
    session.ask(question, Ok)
    session.say(f"bucket {render.printable(bucket)} is there", {"bucket": bucket})


@cache.command()
@click.pass_obj
def buckets(session: Session) -> None:
    """List the buckets, with the node's share of each."""
    reply = session.ask(AskStatus(), Status)
    session.say(render.buckets(reply.buckets, render.terminal_width()), reply.buckets)


@cache.command()
@click.argument("bucket")
@click.argument("key")
@click.argument("value", callback=read_data)
@click.option(
    "--ttl",
    "ttl_s",
    callback=read_duration,
    metavar="TIME",
    default=None,
    help="Time to live, as in 15m. [default: the bucket's]",
)
@click.option("--add", "only", flag_value="add", help="Only if there is no value.")
@click.option(
    "--replace", "only", flag_value="replace", help="Only if there is a value."
)
@click.pass_obj
def put(
    session: Session,
    bucket: str,
    key: str,
    value: bytes,
    ttl_s: float | None,
    only: Only | None,
) -> None:
    """Write a value; VALUE - reads it from stdin."""
    reply = session.ask(AskPut(bucket, key, value, ttl_s or 0, only or ""), Ok)
    if only is not None:
        written = reply.existed == (only == "replace")
        if written or session.as_json:
            session.say("written", {"written": written})
        if not written and only == "add":
            raise Trouble(f"there is a value of key {key!r} in bucket {bucket!r}")
        if not written:
            raise _absent(bucket, key)
        return
    nodes = "1 node" if reply.copies == 1 else f"{reply.copies} nodes"
    session.say(f"{nodes} hold it", {"copies": reply.copies})


@cache.command()
@click.argument("bucket")
@click.argument("key")
@click.pass_obj
def get(session: Session, bucket: str, key: str) -> None:
    """
    Write a value to stdout, as it is, with nothing added.

    With --json a value that is not text stands in base64.
    """
    reply = session.ask(AskGet(bucket, key), Value)
    if session.as_json:
        session.say("", _as_data(bucket, key, reply))
    if reply.value is None:
        raise _absent(bucket, key)
    if not session.as_json:
        sys.stdout.buffer.write(reply.value)
        sys.stdout.buffer.flush()


def _as_data(bucket: str, key: str, found: Value) -> dict[str, object]:
    data: dict[str, object] = {"bucket": bucket, "key": key, "value": None}
    if found.value is not None:
        try:
            data["value"] = found.value.decode()
        except UnicodeDecodeError:
            data["value_base64"] = base64.b64encode(found.value).decode()
        data["remaining_s"] = found.remaining_s
    return data


@cache.command()
@click.argument("bucket")
@click.argument("key")
@click.pass_obj
def delete(session: Session, bucket: str, key: str) -> None:
    """Delete a value."""
    reply = session.ask(AskDelete(bucket, key), Ok)
    _say_done(session, "deleted", reply, bucket, key)


@cache.command()
@click.argument("bucket")
@click.argument("key")
@click.argument("ttl_s", callback=read_duration, metavar="TIME")
@click.pass_obj
def ttl(session: Session, bucket: str, key: str, ttl_s: float) -> None:
    """Give a value another time to live, as in 15m, from now."""
    reply = session.ask(AskTtl(bucket, key, ttl_s), Ok)
    _say_done(session, f"{render.duration(ttl_s)} to live", reply, bucket, key)


def _say_done(session: Session, text: str, reply: Ok, bucket: str, key: str) -> None:
    if reply.existed or session.as_json:
        session.say(text, {"existed": reply.existed})
    if not reply.existed:
        raise _absent(bucket, key)


def _absent(bucket: str, key: str) -> Trouble:
    return Trouble(f"there is no value of key {key!r} in bucket {bucket!r}")
