# -*- test-case-name: tests.pulse.test_server -*-
"""
How a node has another one answer for it.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail

from mycorrizal.errors import PeerUnreachable
from mycorrizal.nodosum import ANSWERED, Channel, NodosumService
from mycorrizal.pulse.messages import Question, encode


def pass_on(
    nodosum: NodosumService,
    channel: Channel,
    node_id: str,
    question: Question,
    timeout_s: float,
) -> Deferred[bytes]:
    """
    Ask another node what Pulse has asked this one.

    :return: Fires with its answer, encoded; fails with `PeerUnreachable` if there
        is no link to it, or no answer in time.
    """
    link = nodosum.applications.links.get(node_id)
    answer: Deferred[bytes] = Deferred()

    def replied(how: int, payload: bytes) -> None:
        if how == ANSWERED:
            answer.callback(payload)
        else:
            answer.errback(PeerUnreachable([node_id]))

    deadline = nodosum.runtime.now() + timeout_s
    if link is None or not channel.call(link, encode(question), replied, deadline):
        return fail(PeerUnreachable([node_id]))
    return answer
