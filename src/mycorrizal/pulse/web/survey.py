# -*- test-case-name: tests.pulse.web.test_survey -*-
"""
How all nodes are: each is asked for its report over the mesh.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum import ANSWERED, Channel, ErrorCode, Link, NodosumService
from mycorrizal.pulse.web.report import Report, Reporter, decode, encode

APPLICATION_ID: Final = "SYSTEM-REPORT"
#: How long a node may take to answer.
ANSWER_S: Final = 2.0
#: Nodes that are asked in one round: where there are more, each has its turn.
ASKED_MAX: Final = 64


@attrs.frozen
class Heard:
    """
    What a node has said of itself.

    :ivar at: When that was, monotonic.
    :ivar before: What it had said before, and when: for rates.
    """

    report: Report
    at: float
    before: tuple[Report, float] | None = None


class Survey:
    """
    The last report of each other member, and this node's answers to those who
    ask for its own.

    :ivar heard: By node id.
    """

    def __init__(self, nodosum: NodosumService, reporter: Reporter) -> None:
        self._nodosum = nodosum
        self._reporter = reporter
        self._now = nodosum.runtime.now
        self._channel = Channel(APPLICATION_ID)
        self._asked: set[str] = set()
        self._turn = 0
        self.heard: dict[str, Heard] = {}
        nodosum.applications.add_route(APPLICATION_ID, self)

    # -- asked --------------------------------------------------------------------

    def serve(self, call_id: int, payload: bytes, link: Link) -> None:
        """Another node asks how this one is."""
        if payload:
            app_id = self._channel.app_id
            link.error(call_id, ErrorCode.FAILED, "unknown question", app_id)
            return
        link.reply(call_id, encode(self._reporter.report()), self._channel.app_id)

    def received(self, payloads: list[bytes], link: Link) -> None:
        """A message without an answer came; there are none of ours."""
        raise RemoteProtocolError("reports are given to requests only")

    def cancelled(self, call_id: int, link: Link) -> None:
        """Answers are given at once."""

    # -- asking -------------------------------------------------------------------

    def ask(self) -> None:
        """Ask others, who have not been asked already; forget who is gone."""
        links = self._nodosum.applications.links
        members = {peer.node_id for peer in self._nodosum.membership.members()}
        self.heard = {key: value for key, value in self.heard.items() if key in members}
        names = sorted(links)
        first, self._turn = self._turn, self._turn + ASKED_MAX
        if len(names) <= ASKED_MAX or self._turn >= len(names):
            self._turn = 0
        for node_id in names[first : first + ASKED_MAX]:
            if node_id not in self._asked:
                self._ask(node_id, links[node_id])

    def _ask(self, node_id: str, link: Link) -> None:
        deadline = self._now() + ANSWER_S
        answered = partial(self._answered, node_id)
        if self._channel.call(link, b"", answered, deadline):
            self._asked.add(node_id)

    def _answered(self, node_id: str, how: int, payload: bytes) -> None:
        self._asked.discard(node_id)
        if how != ANSWERED:
            return
        report = decode(payload)
        if report.id != node_id:
            raise RemoteProtocolError(f"{node_id} reports as {report.id}")
        last = self.heard.get(node_id)
        before = None if last is None else (last.report, last.at)
        self.heard[node_id] = Heard(report, self._now(), before)
