# -*- test-case-name: tests.nodosum.wire.test_signals -*-
"""
PING, PONG and GOODBYE: what a link says of itself, in fixed layouts.
"""

from __future__ import annotations

import struct

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.wire.limits import REASON_BYTES_MAX, Goodbye

_PING = struct.Struct("<QQ")
_GOODBYE = struct.Struct("<BQ")


def encode_ping(token: int, clock: int) -> bytes:
    """
    The payload of a PING or PONG, 16 bytes.

    :param token: What the PONG repeats of its PING.
    :param clock: The sender's hybrid clock.
    """
    return _PING.pack(token, clock)


def encode_goodbye(reason: Goodbye, detail: int = 0, text: str = "") -> bytes:
    """
    The payload of a GOODBYE, 9 bytes and a text.

    :param detail: A number that goes with the reason.
    :param text: Words that go with it; cut at the limit.
    """
    words = text.encode(errors="replace")[:REASON_BYTES_MAX]
    return _GOODBYE.pack(reason, detail) + words


def decode_ping(payload: bytes) -> tuple[int, int]:
    """
    The token and the sender's clock of a PING or PONG.

    :raises RemoteProtocolError: It is malformed.
    """
    if len(payload) != _PING.size:
        raise RemoteProtocolError("malformed PING")
    token, clock = _PING.unpack(payload)
    return token, clock


def printable(words: bytes) -> str:
    """
    What another node says, as text that can't forge a line of a log or move
    a cursor: all that does not print is escaped.
    """
    text = words.decode(errors="backslashreplace")
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode()
        for one in text
    )


def decode_goodbye(payload: bytes) -> tuple[Goodbye | None, int, str]:
    """
    The reason (None: one that we don't know), detail and text of a GOODBYE.

    :raises RemoteProtocolError: It is malformed.
    """
    if not _GOODBYE.size <= len(payload) <= _GOODBYE.size + REASON_BYTES_MAX:
        raise RemoteProtocolError("malformed GOODBYE")
    reason, detail = _GOODBYE.unpack_from(payload)
    text = printable(payload[_GOODBYE.size :])
    return (Goodbye(reason) if reason in set(Goodbye) else None), detail, text
