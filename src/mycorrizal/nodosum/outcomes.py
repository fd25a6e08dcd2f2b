# -*- test-case-name: tests.nodosum.test_applications -*-
"""
How a request ended, as the error that its caller gets.
"""

from __future__ import annotations

from mycorrizal.errors import (
    CallError,
    CallTimeout,
    LinkLost,
    MycorrizalError,
    PeerBusy,
    RemoteFailure,
    UnknownApplication,
)
from mycorrizal.nodosum.calls import LINK_LOST, TIMED_OUT
from mycorrizal.nodosum.wire.limits import ErrorCode
from mycorrizal.nodosum.wire.signals import printable


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
