# -*- test-case-name: tests.pulse.test_cli -*-
"""
The command ``pulse``.
"""

from __future__ import annotations

import os
import sys

import click
import msgspec

from mycorrizal.pulse import render
from mycorrizal.pulse.bench_command import bench
from mycorrizal.pulse.bucket_commands import COMMANDS
from mycorrizal.pulse.cache_commands import cache
from mycorrizal.pulse.check_command import check
from mycorrizal.pulse.completion_command import completion
from mycorrizal.pulse.config_command import config
from mycorrizal.pulse.debug_command import debug
from mycorrizal.pulse.doctor_command import doctor
from mycorrizal.pulse.drain_command import drain
from mycorrizal.pulse.event_commands import events
from mycorrizal.pulse.explain_command import explain
from mycorrizal.pulse.keys_commands import keys
from mycorrizal.pulse.leave_command import leave
from mycorrizal.pulse.messages import (
    AskPing,
    AskSend,
    AskStatus,
    Ok,
    RoundTrip,
    Status,
)
from mycorrizal.pulse.nodes_command import nodes
from mycorrizal.pulse.options import Group, common_options, read_data
from mycorrizal.pulse.secret_commands import secret
from mycorrizal.pulse.session import EXIT_UNREACHABLE, Session
from mycorrizal.pulse.stats_command import stats
from mycorrizal.pulse.top_command import top
from mycorrizal.pulse.topology_command import topology
from mycorrizal.version import __version__


@click.group(
    cls=Group,
    params=common_options(),
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 refused, or not there; 2 wrong usage; 3 no node "
    "to ask. Each option may also follow the command.",
)
@click.version_option(__version__, message="pulse %(version)s")
@click.pass_context
def pulse(context: click.Context) -> None:
    """Look into a cluster of mycorrizal nodes, and operate it."""
    context.ensure_object(Session)
    if os.environ.get("NO_COLOR"):
        context.color = False


@pulse.command()
@click.pass_obj
def status(session: Session) -> None:
    """Show the node, and the members and buckets it knows."""
    reply = session.ask(AskStatus(links=True), Status)
    session.say(
        render.status(reply, render.terminal_width()), msgspec.structs.asdict(reply)
    )


@pulse.command()
@click.argument("node_id", metavar="ID")
@click.pass_obj
def ping(session: Session, node_id: str) -> None:
    """Measure the way from the node to another and back."""
    reply = session.ask(AskPing(node_id), RoundTrip)
    session.say(
        f"{render.printable(reply.node_id)}: {reply.rtt_ms:.2f} ms",
        {"node_id": reply.node_id, "rtt_ms": round(reply.rtt_ms, 3)},
    )


@pulse.command()
@click.argument("application", metavar="APP")
@click.argument("data", callback=read_data)
@click.option("--to", "node_ids", metavar="ID", multiple=True, help="May be repeated.")
@click.pass_obj
def send(
    session: Session, application: str, data: bytes, node_ids: tuple[str, ...]
) -> None:
    """
    Send a message from one of the node's applications.

    DATA (- is stdin) goes to the application of the same id on all other
    nodes, or on those that --to names.
    """
    session.ask(AskSend(application, data, node_ids), Ok)
    to = render.printable(", ".join(node_ids)) or "all other nodes"
    session.say(f"sent {len(data)} bytes to {to}", {"sent": len(data), "to": node_ids})


@pulse.command(plain=True)
@click.option("--stay", is_flag=True, help="Kill none, and leave them till Ctrl-C.")
@click.pass_obj
def demo(session: Session, stay: bool) -> None:
    """Start three nodes here, kill one; see that nothing is lost."""
    from mycorrizal.pulse.demo import run_demo

    raise SystemExit(run_demo(as_json=session.as_json, stay=stay))


for _command in (*COMMANDS, stats):
    cache.add_command(_command)
for _shown in (
    bench,
    cache,
    check,
    completion,
    config,
    debug,
    doctor,
    drain,
    events,
    explain,
    keys,
    leave,
    nodes,
    secret,
    top,
    topology,
):
    pulse.add_command(_shown)


def run() -> None:
    """Run the command, with the arguments of the process."""
    try:
        pulse(prog_name="pulse")
    except SystemExit as leaving:
        if leaving.code == EXIT_UNREACHABLE:
            # A thread that still looks a name up would hold the process.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(EXIT_UNREACHABLE)
        raise
