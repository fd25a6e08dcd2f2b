# -*- test-case-name: tests.pulse.test_debug_command -*-
"""
``pulse debug``: one file that tells others what there is to know.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import Final

import click

from mycorrizal.pulse.bundle import Answers, files, packed
from mycorrizal.pulse.cluster_messages import (
    AskAll,
    AskConfig,
    AskEvents,
    AskVitals,
    FromAll,
)
from mycorrizal.pulse.messages import AskStatus, Question, encode_question
from mycorrizal.pulse.options import Command
from mycorrizal.pulse.progress import Progress
from mycorrizal.pulse.render import printable, size
from mycorrizal.pulse.session import Session, Trouble

#: In the order in which `Answers` has them.
_QUESTIONS: Final[tuple[Question, ...]] = (
    AskStatus(),
    AskEvents(),
    AskVitals(probe=True),
    AskConfig(),
)
_TOPICS: Final = ("status", "events", "what may be wrong", "settings")


@click.command(cls=Command)
@click.option(
    "--output",
    metavar="FILE",
    help="Where to write it. [default: pulse-debug-CLUSTER-TIME.tar.gz, here]",
)
@click.pass_obj
def debug(session: Session, output: str | None) -> None:
    """
    Write what all nodes say of themselves to one file.

    It is to be sent to whoever helps, and holds status, settings, events and what
    doctor finds; no secrets, and no keys or values of the cache.
    """
    found: list[FromAll] = []

    def question() -> AskAll:
        place = len(found)
        progress.show(place / len(_QUESTIONS), f"all nodes tell: {_TOPICS[place]}")
        return AskAll(encode_question(_QUESTIONS[place]))

    def following(answer: FromAll) -> AskAll | None:
        found.append(answer)
        return None if len(found) == len(_QUESTIONS) else question()

    with Progress(quiet=session.as_json, lines=False) as progress:
        session.follow(question(), FromAll, following)
    answers = Answers.of(found)
    moment = datetime.fromtimestamp(answers.wall_s, UTC)
    # Names of clusters are free; those of files are not.
    cluster = re.sub(r"[^A-Za-z0-9_-]", "_", answers.asked.node.cluster)
    name = f"pulse-debug-{cluster}-{moment:%Y%m%d-%H%M%S}"
    path = output or f"{name}.tar.gz"
    data = packed(files(answers), name, answers.wall_s)
    _write(path, data)
    silent = answers.silent()
    session.say(
        f"{printable(path)}: {size(len(data))} of {len(answers.status)} nodes",
        {
            "path": path,
            "bytes": len(data),
            "nodes": [one.node_id for one in answers.status],
            "silent": silent,
        },
    )
    for node_id, problem in silent.items():
        sentence = f"pulse: {node_id} {problem}; the file is without it"
        click.echo(printable(sentence), err=True)


def _write(path: str, data: bytes) -> None:
    """Write a file that only its owner reads, and none that is there already."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(data)
    except FileExistsError:
        raise Trouble(f"{path} is there already; name another with --output") from None
    except OSError as error:
        problem = error.strerror or str(error)
        raise Trouble(f"cannot write {path}: {problem}") from None
