# -*- test-case-name: tests.pulse.test_drain_command -*-
"""
What a node answers when Pulse has it, or another, taken out of service.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mycorrizal.mycel import MycelService
from mycorrizal.nodosum import Channel, NodosumService
from mycorrizal.nodosum.discovery.pacing import pause
from mycorrizal.pulse.drain_messages import AskDrain, Draining
from mycorrizal.pulse.messages import decode_reply
from mycorrizal.pulse.passing import pass_on

#: How long another node may take to answer in our place.
ANSWER_TIMEOUT_S: Final = 3.0


class Drains:
    """The drains that one node does itself, or passes on to the one that is meant."""

    _log = Logger()

    def __init__(
        self, nodosum: NodosumService, mycel: MycelService, channel: Channel
    ) -> None:
        self._nodosum = nodosum
        self._mycel = mycel
        self._channel = channel

    def answer(self, asked: AskDrain) -> Deferred[Any] | Draining:
        """
        Do what is asked, here or there.

        :return: `Draining`, or a Deferred of what the other node answers.  Fails
            with `PeerUnreachable`, `LastInService` or `NotRunning`.
        """
        if not asked.pause_s:
            return self._answer(asked)
        look = replace(asked, pause_s=0.0)
        waited = pause(self._nodosum.runtime, asked.pause_s)
        return waited.addCallback(lambda _: self._answer(look))

    def _answer(self, asked: AskDrain) -> Deferred[Any] | Draining:
        if asked.node_id != self._nodosum.me.node_id:
            answer = pass_on(
                self._nodosum, self._channel, asked.node_id, asked, ANSWER_TIMEOUT_S
            )
            return answer.addCallback(decode_reply)
        standing = self._mycel.standing
        if asked.action == "begin":
            self._log.info("Asked by pulse to be drained")
            standing.drain()
        elif asked.action == "undo":
            self._log.info("Asked by pulse to be in service again")
            standing.undo()
        return Draining(
            asked.node_id,
            standing.drained,
            standing.handed_over and self._mycel.safe_to_stop(),
            self._mycel.claims.serving.bit_count(),
            self._mycel.not_handed_over() if standing.drained else {},
        )
