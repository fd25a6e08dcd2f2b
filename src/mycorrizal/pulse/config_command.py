# -*- test-case-name: tests.pulse.test_config_command -*-
"""
``pulse config``: the settings that a node would have, and those that nodes have.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import click

from mycorrizal.config import read_file
from mycorrizal.errors import ConfigError
from mycorrizal.pulse import render
from mycorrizal.pulse.cluster_messages import AskConfig, HasConfig
from mycorrizal.pulse.config_sources import Setting, settings
from mycorrizal.pulse.everybody import everybody, tell_silent
from mycorrizal.pulse.live_settings import DEFAULT
from mycorrizal.pulse.options import Command, Group
from mycorrizal.pulse.session import Session, WrongUsage

_FILE_VARIABLE = "MYCORRIZAL_CONFIG"


@click.group(cls=Group)
def config() -> None:
    """Show settings, and where they come from."""


@config.command(cls=Command, plain=True)
@click.option(
    "--config",
    "path",
    metavar="FILE",
    help=f"The TOML file of settings. [default: {_FILE_VARIABLE}, or none]",
)
@click.option("--given", is_flag=True, help="Leave defaults out.")
@click.pass_obj
def show(session: Session, path: str | None, given: bool) -> None:
    """
    Show the settings of a node that is started here.

    Each comes from a default, the TOML file or the environment, of which the later
    wins; options of twist win over all. Secrets are masked.
    """
    if path is None:
        path = session.environment.get(_FILE_VARIABLE)
    try:
        file = None if path is None else read_file(path)
        found = settings(path, file, session.environment)
    except ConfigError as error:
        raise WrongUsage(str(error)) from None
    if given:
        found = [each for each in found if each.source != DEFAULT]
    width = render.terminal_width()
    session.say(_table(found, width), [attrs.asdict(each) for each in found])


@config.command(cls=Command)
@click.pass_obj
def live(session: Session) -> None:
    """
    Show the settings of the nodes that run.

    A value that all nodes share stands once, for "all". Secrets are told by their
    fingerprints.
    """
    said = everybody(session, AskConfig(), HasConfig)
    by_node = {one.node_id: one.reply.settings for one in said if one.reply}
    rows: list[list[str]] = []
    names = list(dict.fromkeys(name for found in by_node.values() for name in found))
    for name in names:
        has = {node_id: found.get(name) for node_id, found in by_node.items()}
        texts = list(dict.fromkeys(each.text if each else "-" for each in has.values()))
        if len(texts) == 1:
            sources = dict.fromkeys(it.source for it in has.values() if it)
            rows.append([name, "all", texts[0], "/".join(sources)])
            continue
        for node_id, each in has.items():
            text, source = (each.text, each.source) if each else ("-", "-")
            rows.append([name, node_id, text, source])
    columns = [
        render.Column("SETTING"),
        render.Column("NODE"),
        render.Column("VALUE"),
        render.Column("FROM", optional=True),
    ]
    session.say(render.table(columns, rows, render.terminal_width()), by_node)
    tell_silent(said)


def _table(found: Sequence[Setting], width: int) -> str:
    columns = [
        render.Column("SETTING"),
        render.Column("VALUE"),
        render.Column("FROM"),
    ]
    rows = [[each.name, each.text, each.source] for each in found]
    return render.table(columns, rows, width)
