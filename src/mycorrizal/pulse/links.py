# -*- test-case-name: tests.pulse.test_links -*-
"""
Which links between live nodes are broken, and how far each is behind, as all of
those say.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum import ANSWERED, Channel, NodosumService
from mycorrizal.pulse.messages import (
    AskStatus,
    MemberStatus,
    Status,
    decode_reply,
    encode,
)

#: How long the others may take to say what they see; who asks waits for it.
SURVEY_TIMEOUT_S = 0.5
#: How many others are asked at most; a bigger cluster is seen in part.
SURVEYED_MAX = 256


class LinkSurvey:
    """
    The question to all other nodes how they are.

    :param channel: Of Pulse's application.
    """

    def __init__(self, nodosum: NodosumService, channel: Channel) -> None:
        self._nodosum = nodosum
        self._channel = channel

    def complete(self, status: Status) -> Deferred[Status]:
        """
        Add what the others say of themselves to what this node does.

        :return: Fires with the same status, within `SURVEY_TIMEOUT_S`, whoever
            does not answer by then.
        """
        members = {member.id: member for member in status.members}
        _says(members[status.node.id], status)
        linked = [member.id for member in status.members if member.link == "up"]
        missing = dict.fromkeys(linked[:SURVEYED_MAX])
        finished: Deferred[Status] = Deferred()

        def answered_by(node_id: str) -> Callable[[int, bytes], None]:
            def replied(how: int, payload: bytes) -> None:
                if how == ANSWERED:
                    _says(members[node_id], _decoded(payload))
                ended(node_id)

            return replied

        def ended(node_id: str) -> None:
            del missing[node_id]
            if not missing:
                finished.callback(_both_ways(status))

        if not missing:
            return succeed(_both_ways(status))
        question = encode(AskStatus())
        deadline = self._nodosum.runtime.now() + SURVEY_TIMEOUT_S
        links = self._nodosum.applications.links
        for node_id in list(missing):
            link, replied = links.get(node_id), answered_by(node_id)
            sent = link and self._channel.call(link, question, replied, deadline)
            if not sent:
                ended(node_id)
        return finished


def _decoded(payload: bytes) -> Status | None:
    try:
        reply = decode_reply(payload)
    except RemoteProtocolError:
        # A node of a version whose answers we can't read says nothing to us.
        return None
    return reply if isinstance(reply, Status) else None


def _says(member: MemberStatus, status: Status | None) -> None:
    """What a member says of itself."""
    if status is not None:
        member.unlinked = unlinked(status)
        member.lag_ms = status.node.lag_ms
        member.missing = status.under_replicated


def _both_ways(status: Status) -> Status:
    """A link has two ends: who could not be asked lacks it as well."""
    members = {member.id: member for member in status.members}
    for one, other, via in broken(status):
        members[one].unlinked.setdefault(other, via)
        members[other].unlinked.setdefault(one, via)
    return status


def unlinked(status: Status) -> dict[str, str]:
    """
    The members that a node takes for live and has no link to; and who hears
    each of them in its place, empty if nobody does.
    """
    return {
        member.id: member.link.removeprefix("via ") if "via " in member.link else ""
        for member in status.members
        if member.id != status.node.id and _live(member) and member.link != "up"
    }


def _live(member: MemberStatus) -> bool:
    return member.state in ("alive", "suspect")


def broken(status: Status) -> list[tuple[str, str, str]]:
    """
    Each pair of live members without a link, once, in order: two ids, and who
    hears one of them in the other's place.
    """
    live = {member.id for member in status.members if _live(member)}
    found: dict[tuple[str, str], str] = {}
    for member in status.members:
        for other, via in member.unlinked.items():
            if member.id in live and other in live:
                pair = (min(member.id, other), max(member.id, other))
                found[pair] = found.get(pair) or via
    return [(*pair, via) for pair, via in sorted(found.items())]
