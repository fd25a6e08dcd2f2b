# -*- test-case-name: tests.nodosum.wire.test_chunks -*-
"""
CHUNK: a long message in pieces, between which other frames may go.

``u32 message_no | u8 flags | u8 type | u16 0 | u32 message_bytes | bytes``,
where the type (with its bit 6) and the application id are the whole message's.
"""

from __future__ import annotations

import struct

import attrs

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.wire.frame import HEADER
from mycorrizal.nodosum.wire.limits import (
    CHUNK_BYTES_MAX,
    COMPRESSED_BIT,
    FRAME_VERSION,
    MESSAGE_BYTES_MAX,
    OPEN_BYTES_MAX,
    OPEN_MESSAGES_MAX,
    WHOLE_TYPE_MIN,
    FrameType,
)

_CHUNK = struct.Struct("<IBBHI")
CHUNK_HEAD_BYTES = _CHUNK.size
FIRST = 1
LAST = 2
#: Message numbers begin again after this one.
MESSAGE_NO_MAX = 2**32 - 1

#: Part of a frame, as it waits to be written.
Part = bytes | memoryview
#: A message that is complete: type (with its bit 6), application id, payload.
Whole = tuple[int, bytes, bytes]


@attrs.frozen
class Chunk:
    """
    One piece of a message.

    :ivar message_no: New on this link and direction while the message is open.
    :ivar kind: The message's type, with its bit 6.
    :ivar message_bytes: Of the whole message, as it is sent.
    """

    message_no: int
    flags: int
    kind: int
    message_bytes: int
    data: bytes

    def encode(self) -> bytes:
        """The payload of the frame."""
        head = _CHUNK.pack(
            self.message_no, self.flags, self.kind, 0, self.message_bytes
        )
        return head + self.data

    @classmethod
    def decode(cls, payload: bytes) -> Chunk:
        """
        :raises RemoteProtocolError: It is too short, or has nothing to give.
        """
        if len(payload) <= CHUNK_HEAD_BYTES:
            raise RemoteProtocolError("a CHUNK without bytes of its message")
        message_no, flags, kind, _, message_bytes = _CHUNK.unpack_from(payload)
        return cls(message_no, flags, kind, message_bytes, payload[CHUNK_HEAD_BYTES:])


def chunk_bytes(frame_bytes_max: int, app_id: bytes) -> int:
    """How much of a message a peer takes in one CHUNK."""
    return min(CHUNK_BYTES_MAX, frame_bytes_max - CHUNK_HEAD_BYTES - len(app_id))


def cut(
    message_no: int,
    kind: int,
    app_id: bytes,
    prefix: bytes,
    payload: bytes,
    bytes_max: int,
) -> list[Part]:
    """
    A message as frames, without a copy of its payload.

    :param prefix: What the message has before its payload: a call's id.
    :param bytes_max: How much of the message one CHUNK may have.
    :return: For each CHUNK two parts: all that comes before the payload's
        bytes, and these.
    """
    whole_bytes = len(prefix) + len(payload)
    id_bytes = len(app_id)
    view = memoryview(payload)
    parts: list[Part] = []
    start, flags = 0, FIRST
    while True:
        stop = min(start + bytes_max - len(prefix), len(payload))
        if stop == len(payload):
            flags |= LAST
        length = id_bytes + CHUNK_HEAD_BYTES + len(prefix) + stop - start
        parts.append(
            HEADER.pack(FRAME_VERSION, FrameType.CHUNK, length, id_bytes)
            + app_id
            + _CHUNK.pack(message_no, flags, kind, 0, whole_bytes)
            + prefix
        )
        parts.append(view[start:stop])
        if flags & LAST:
            return parts
        start, flags, prefix = stop, 0, b""


class _Open:
    """A message that has come in part."""

    __slots__ = ("app_id", "kind", "message_bytes", "parts", "have")

    def __init__(self, app_id: bytes, kind: int, message_bytes: int) -> None:
        self.app_id = app_id
        self.kind = kind
        self.message_bytes = message_bytes
        self.parts: list[bytes] = []
        self.have = 0


class Assembly:
    """
    The messages of one link that have come in part.

    What is kept is what has come: nothing is allocated for what was promised.
    """

    __slots__ = ("_open", "_open_bytes")

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._open_bytes = 0

    def __len__(self) -> int:
        return len(self._open)

    def kept_bytes(self) -> int:
        """How many bytes of unfinished messages are kept."""
        return sum(message.have for message in self._open.values())

    def add(self, app_id: bytes, payload: bytes) -> Whole | None:
        """
        Take the payload of a CHUNK.

        :return: The message that it completes, if it does.
        :raises RemoteProtocolError: It breaks a rule; its text says which.
        """
        chunk = Chunk.decode(payload)
        if chunk.flags & FIRST:
            self._check_first(chunk)
            if chunk.flags & LAST:
                self._check_complete(chunk, len(chunk.data))
                return chunk.kind, app_id, chunk.data
            message = _Open(app_id, chunk.kind, chunk.message_bytes)
            self._begin(chunk.message_no, message)
        else:
            message = self._continued(chunk, app_id)
        message.have += len(chunk.data)
        message.parts.append(chunk.data)
        if chunk.flags & LAST:
            self._check_complete(chunk, message.have)
            del self._open[chunk.message_no]
            self._open_bytes -= message.message_bytes
            return message.kind, app_id, b"".join(message.parts)
        if message.have >= message.message_bytes:
            raise RemoteProtocolError(
                f"{message.have} bytes and no end of a message of "
                f"{message.message_bytes}"
            )
        return None

    def clear(self) -> None:
        """The link is gone, and with it what has come in part."""
        self._open.clear()
        self._open_bytes = 0

    def _check_first(self, chunk: Chunk) -> None:
        kind = chunk.kind & ~COMPRESSED_BIT
        if kind < WHOLE_TYPE_MIN or kind == FrameType.CHUNK:
            raise RemoteProtocolError(f"frame type {kind} in a CHUNK")
        if chunk.message_bytes > MESSAGE_BYTES_MAX:
            raise RemoteProtocolError(
                f"a message of {chunk.message_bytes} bytes, limit {MESSAGE_BYTES_MAX}"
            )
        if chunk.message_no in self._open:
            raise RemoteProtocolError(f"message {chunk.message_no} begins twice")

    def _begin(self, message_no: int, message: _Open) -> None:
        if len(self._open) >= OPEN_MESSAGES_MAX:
            raise RemoteProtocolError(
                f"more than {OPEN_MESSAGES_MAX} messages open at once"
            )
        open_bytes = self._open_bytes + message.message_bytes
        if open_bytes > OPEN_BYTES_MAX:
            raise RemoteProtocolError(
                f"open messages of {open_bytes} bytes, limit {OPEN_BYTES_MAX}"
            )
        self._open[message_no] = message
        self._open_bytes = open_bytes

    def _continued(self, chunk: Chunk, app_id: bytes) -> _Open:
        message = self._open.get(chunk.message_no)
        if message is None:
            raise RemoteProtocolError(
                f"a CHUNK of message {chunk.message_no}, which has not begun"
            )
        if (message.app_id, message.kind, message.message_bytes) != (
            app_id,
            chunk.kind,
            chunk.message_bytes,
        ):
            raise RemoteProtocolError(
                f"a CHUNK of message {chunk.message_no} says it is another"
            )
        return message

    @staticmethod
    def _check_complete(chunk: Chunk, have: int) -> None:
        if have != chunk.message_bytes:
            raise RemoteProtocolError(
                f"a message of {chunk.message_bytes} bytes ends after {have}"
            )
