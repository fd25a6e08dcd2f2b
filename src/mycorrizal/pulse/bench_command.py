# -*- test-case-name: tests.pulse.test_bench_command -*-
"""
``pulse bench``: a quick test of a cluster that is at work.
"""

from __future__ import annotations

import click
import msgspec
from msgspec.structs import replace

from mycorrizal.mycel.config import REPLICAS_MAX
from mycorrizal.pulse.bench_messages import (
    OPERATIONS_MAX,
    VALUE_BYTES_MAX,
    WORKERS_MAX,
    AskBench,
    Benched,
    Benching,
    Pace,
)
from mycorrizal.pulse.messages import Reply
from mycorrizal.pulse.options import Command
from mycorrizal.pulse.progress import Progress
from mycorrizal.pulse.render import Column, printable, table, terminal_width
from mycorrizal.pulse.session import EXIT_REFUSED, Session


@click.command(cls=Command)
@click.option(
    "--operations",
    type=click.IntRange(1, OPERATIONS_MAX),
    default=5000,
    show_default=True,
    metavar="N",
    help="Puts, and as many gets.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, WORKERS_MAX),
    default=16,
    show_default=True,
    metavar="N",
    help="Operations that are under way at once.",
)
@click.option(
    "--value-bytes",
    type=click.IntRange(0, VALUE_BYTES_MAX),
    default=100,
    show_default=True,
    metavar="N",
)
@click.option(
    "--replicas",
    type=click.IntRange(0, REPLICAS_MAX),
    default=1,
    show_default=True,
    metavar="N",
    help="Copies of each value on other nodes.",
)
@click.pass_obj
def bench(
    session: Session, operations: int, workers: int, value_bytes: int, replicas: int
) -> None:
    """
    Measure puts and gets of the cluster, for some seconds.

    The node that is asked does them, in a bucket of its own, which is dropped at
    the end; what else the cluster does is slower meanwhile. The exit code is 1 if
    an operation failed.
    """
    found = _ask(session, AskBench(operations, workers, value_bytes, replicas))
    problems = {
        f"{pace.failed:,} {what} failed; the first: {pace.problem}"
        for what, pace in (("puts", found.puts), ("gets", found.gets))
        if pace.failed
    }
    text = [
        printable(
            f"From {found.node_id}, {found.nodes} nodes alive: {workers} at once, "
            f"{value_bytes:,} bytes, {1 + replicas} nodes hold a value"
        ),
        "",
        _table(found),
        *(["", *map(printable, sorted(problems))] if problems else []),
    ]
    if found.missed:
        text += ["", f"{found.missed:,} gets found nothing"]
    session.say("\n".join(text), msgspec.structs.asdict(found))
    if problems or found.missed:
        raise SystemExit(EXIT_REFUSED)


def _ask(session: Session, asked: AskBench) -> Benched:
    """Have it measured; at a terminal, see how far that is."""
    with Progress(quiet=session.as_json, lines=False) as progress:
        if not progress.seen:
            return session.ask(asked, Benched)

        def following(reply: Reply) -> AskBench | None:
            if not isinstance(reply, Benching):
                return None
            progress.show(reply.done, f"{reply.phase} are measured")
            return replace(asked, look=reply.look)

        kinds = (Benched, Benching)
        found = session.follow(replace(asked, look=1), kinds, following)
    assert isinstance(found, Benched)
    return found


def _table(found: Benched) -> str:
    columns = [
        Column(""),
        Column("DONE", right=True),
        Column("PER SECOND", right=True),
        Column("P50", right=True),
        Column("P99", right=True),
        Column("MAX", right=True),
    ]
    rows = [_row("puts", found.puts), _row("gets", found.gets)]
    return table(columns, rows, terminal_width())


def _row(what: str, pace: Pace) -> list[str]:
    times = (pace.p50_ms, pace.p99_ms, pace.max_ms)
    return [
        what,
        f"{pace.count:,}",
        f"{pace.per_s:,.0f}",
        *(f"{time_ms:.2f} ms" for time_ms in times),
    ]
