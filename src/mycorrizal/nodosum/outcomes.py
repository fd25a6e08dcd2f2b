# -*- test-case-name: tests.nodosum.test_applications -*-
"""
How a message or a request ended, as the error that its sender gets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mycorrizal.errors import (
    ApplicationError,
    CallError,
    CallTimeout,
    LinkLost,
    MycorrizalError,
    PeerBusy,
    PeerUnreachable,
    RemoteFailure,
    UnknownApplication,
)
from mycorrizal.nodosum.calls import LINK_LOST, TIMED_OUT
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.wire.limits import ErrorCode
from mycorrizal.nodosum.wire.signals import printable


def unfit(application_id: str, payload: object) -> ApplicationError:
    """The error of a message that is no bytes, or that goes to a text."""
    if isinstance(payload, bytes):
        problem = "sends to a list of node ids, as ['a', 'b'], not to a text"
    else:
        problem = f"sends bytes, not {type(payload).__name__}"
    return ApplicationError(application_id, problem)


def undelivered(
    application_id: str, node_ids: Sequence[object], links: Mapping[str, Link]
) -> MycorrizalError:
    """
    The error of a message that some nodes did not get.

    :param node_ids: All of them.
    """
    names = [name for name in node_ids if isinstance(name, str)]
    if len(names) < len(node_ids):
        odd = next(name for name in node_ids if not isinstance(name, str))
        kind = type(odd).__name__
        return ApplicationError(application_id, f"knows nodes by a text, not {kind}")
    gone = any(name not in links or not links[name].up for name in names)
    return PeerUnreachable(names) if gone else PeerBusy(names)


def call_error(
    application_id: str, how: int, text: bytes, node_id: str, timeout_s: float
) -> MycorrizalError:
    """
    The error of a request that got no answer.

    :param how: An `ErrorCode`, `TIMED_OUT` or `LINK_LOST`.
    :param text: What the peer said with it.
    """
    if how == TIMED_OUT:
        return CallTimeout(node_id, timeout_s)
    if how == LINK_LOST:
        return LinkLost(node_id)
    if how == ErrorCode.UNKNOWN_APPLICATION:
        return UnknownApplication(application_id, f"at {node_id}")
    if how == ErrorCode.BUSY:
        return PeerBusy([node_id])
    if how == ErrorCode.NO_FUNCTION:
        sentence = f"application {application_id!r} at {node_id} takes no requests"
        return CallError(sentence)
    return RemoteFailure(f"{node_id}: {printable(text)}")
