# -*- test-case-name: tests.pulse.test_event_commands -*-
"""
One question to all nodes of a cluster, by way of the one that is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs
import click

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.pulse.cluster_messages import AskAll, FromAll
from mycorrizal.pulse.messages import Question, Reply, decode_reply, encode_question
from mycorrizal.pulse.render import printable
from mycorrizal.pulse.session import Session

_Reply = TypeVar("_Reply", bound=Reply)


@attrs.frozen
class Said(Generic[_Reply]):
    """
    What one node said.

    :ivar reply: None: it said nothing, and `problem` tells why.
    """

    node_id: str
    reply: _Reply | None
    problem: str
    took_ms: float


def everybody(
    session: Session, question: Question, kind: type[_Reply]
) -> list[Said[_Reply]]:
    """
    Ask all nodes once.

    :param kind: What their answers must be.
    :return: By node id.
    :raises Trouble: The node that should ask them could not be asked.
    """
    asked = AskAll(encode_question(question))
    return sorted_out(session.ask(asked, FromAll), kind)


def keep_asking(
    session: Session,
    question: Question,
    kind: type[_Reply],
    following: Callable[[list[Said[_Reply]]], Question | None],
    pause_s: float,
) -> None:
    """
    Ask all nodes again and again, on one connection.

    :param following: What to ask next; None: nothing.
    :param pause_s: Between two questions; at most 2.
    """

    def next_one(found: FromAll) -> AskAll | None:
        another = following(sorted_out(found, kind))
        if another is None:
            return None
        return AskAll(encode_question(another), pause_s)

    session.follow(AskAll(encode_question(question)), FromAll, next_one)


def sorted_out(found: FromAll, kind: type[_Reply]) -> list[Said[_Reply]]:
    """The answers of all, decoded; what makes no sense is none."""
    said: list[Said[_Reply]] = []
    for one in found.answers:
        reply: Reply | None = None
        problem = one.problem
        if one.reply is not None:
            try:
                reply = decode_reply(one.reply)
            except RemoteProtocolError:
                problem = "gave an answer that makes no sense"
        if reply is not None and not isinstance(reply, kind):
            problem = getattr(reply, "text", "gave an answer that makes no sense")
        kept = reply if isinstance(reply, kind) else None
        said.append(Said(one.node_id, kept, problem, one.took_ms))
    return said


def tell_silent(said: list[Said[_Reply]]) -> None:
    """Say on stderr who did not answer."""
    for one in said:
        if one.reply is None:
            sentence = f"pulse: {one.node_id} {one.problem}; the rest is without it"
            click.echo(printable(sentence), err=True)
