# -*- test-case-name: tests.pulse.test_leave_command -*-
"""
``pulse leave``: has a node hand over what it holds, and go.
"""

from __future__ import annotations

import click

from mycorrizal.pulse.cluster_messages import AskAll, FromAll
from mycorrizal.pulse.everybody import sorted_out
from mycorrizal.pulse.messages import (
    AskLeave,
    AskStatus,
    Ok,
    Question,
    Reply,
    Status,
    encode_question,
)
from mycorrizal.pulse.options import Command, timeout_option
from mycorrizal.pulse.progress import LOOK_S, Progress
from mycorrizal.pulse.render import duration, printable
from mycorrizal.pulse.session import Interrupted, Session, Trouble


@click.command(cls=Command)
@click.argument("node_id", metavar="ID")
@click.option("--wait", is_flag=True, help="Wait until it has left.")
@timeout_option("How long to wait.")
@click.pass_obj
def leave(session: Session, node_id: str, wait: bool, timeout_s: float) -> None:
    """
    Have a node hand over what it holds and leave the cluster.

    Under twist its process ends, as with SIGTERM.
    """
    shown = printable(node_id)
    if not wait:
        session.ask(AskLeave(node_id), Ok)
        session.say(f"{shown} was asked to leave", {"node_id": node_id})
        return
    with Progress(quiet=session.as_json) as progress:
        leaving = _Leave(node_id, session, progress)
        leaving.wait(timeout_s)
    if leaving.died:
        raise Trouble(f"{node_id} died before it had handed over what it holds")
    if not leaving.left:
        raise Trouble(
            f"{node_id} was asked to leave, and has not within "
            f"{duration(timeout_s)}; `pulse nodes` shows when it has"
        )
    session.say(f"{shown} has left", {"node_id": node_id, "left": True})


class _Leave:
    """
    A node that is asked to leave, and looked at until it has.

    :ivar left: Whether it has.
    :ivar died: Whether it was found dead instead.
    """

    def __init__(self, node_id: str, session: Session, progress: Progress) -> None:
        self.left = self.died = False
        self._node_id = node_id
        self._session = session
        self._progress = progress
        self._asked = False
        #: The node that is asked, which may be the one that leaves.
        self._by_way_of = ""
        self._ends_at = 0.0
        self._most = 1

    def wait(self, timeout_s: float) -> None:
        """
        Have it leave, and look until it has, or the time is up.

        :raises Trouble: It could not be asked.
        """
        self._ends_at = self._session.now() + timeout_s
        kinds = (Status, Ok, FromAll)
        try:
            self._session.follow(AskStatus(), kinds, self._following)
        except Interrupted:
            raise
        except Trouble:
            if not self._asked or self._by_way_of != self._node_id:
                raise
            # Who leaves closes its connections.
            self.left = True

    def _following(self, said: Reply) -> Question | None:
        look = AskAll(encode_question(AskStatus()), LOOK_S)
        if isinstance(said, Status):
            self._by_way_of = said.node.id
            return AskLeave(self._node_id)
        self._asked = True
        if isinstance(said, Ok):
            return look
        assert isinstance(said, FromAll)
        self._see(said)
        over = self.left or self.died or self._session.now() >= self._ends_at
        return None if over else look

    def _see(self, said: FromAll) -> None:
        """See from what all say whether it is there, and what it has."""
        for one in sorted_out(said, Status):
            if one.reply is None:
                continue
            if one.node_id == self._by_way_of:
                states = {member.id: member.state for member in one.reply.members}
                state = states.get(self._node_id, "left")
                self.left, self.died = state == "left", state == "dead"
            if one.node_id == self._node_id:
                held = sum(bucket.entries for bucket in one.reply.buckets)
                self._most = max(self._most, held)
                text = f"{held:,} values to hand over"
                self._progress.show(1 - held / self._most, text)
