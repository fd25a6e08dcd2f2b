# -*- test-case-name: tests.nodosum.wire.test_frame -*-
"""
Frames: ``u8 version | u8 type | u32 length | u16 app_id_length | app_id |
payload``, little-endian, where length counts the application id and payload.
"""

from __future__ import annotations

import struct

from mycorrizal.errors import LocalProtocolError, RemoteProtocolError
from mycorrizal.nodosum.wire.limits import (
    FRAME_BYTES_MAX,
    FRAME_VERSION,
    PLAIN_BYTES_MAX,
    FrameType,
)

HEADER = struct.Struct("<BBIH")
HEADER_BYTES = HEADER.size

#: What `FrameDecoder.receive_data` gives: type, application id, and the
#: payloads of one or more frames in a row that have these.
Run = tuple[int, bytes, list[bytes]]


def encode_frame(
    kind: int,
    payload: bytes,
    app_id: bytes = b"",
    frame_bytes_max: int = PLAIN_BYTES_MAX,
) -> bytes:
    """
    One frame as bytes.

    :raises LocalProtocolError: Its body would be larger than
        `frame_bytes_max`.
    """
    length = len(app_id) + len(payload)
    if length > frame_bytes_max or len(app_id) > 0xFFFF:
        raise LocalProtocolError(
            f"a frame of {length} bytes is over the limit of {frame_bytes_max}"
        )
    return HEADER.pack(FRAME_VERSION, kind, length, len(app_id)) + app_id + payload


class FrameDecoder:
    """
    A cutter of a byte stream into frames, which holds at most one unfinished
    frame.

    A broken frame does not raise, since frames before it in the same chunk
    are good: it sets `error`, and all further bytes are ignored.

    :param frame_bytes_max: Largest length a CHUNK may claim, and any other
        frame up to 64 KiB; checked before anything is kept.
    """

    __slots__ = (
        "error", "_frame_bytes_max", "_plain_bytes_max", "_parts", "_have", "_need",
    )  # fmt: skip

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self.error: RemoteProtocolError | None = None
        self._frame_bytes_max = frame_bytes_max
        self._plain_bytes_max = min(frame_bytes_max, PLAIN_BYTES_MAX)
        self._parts: list[bytes] = []
        self._have = 0
        self._need = HEADER_BYTES

    def buffered_bytes(self) -> int:
        """How many bytes of an unfinished frame are kept."""
        return self._have

    def receive_data(self, data: bytes) -> list[Run]:
        """
        Take the next bytes, in any portions.

        :return: The frames they complete, in order.
        """
        if self.error is not None:
            return []
        if self._have:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._parts)
            self._parts.clear()
        runs: list[Run] = []
        payloads: list[bytes] = []
        run_kind, run_app_id = -1, b""
        unpack, plain_bytes_max = HEADER.unpack_from, self._plain_bytes_max
        start, end = 0, len(data)
        need = HEADER_BYTES
        while end - start >= HEADER_BYTES:
            version, kind, length, app_length = unpack(data, start)
            if version != 1 or length > plain_bytes_max or app_length > length:
                if not self._is_long_chunk(version, kind, length, app_length):
                    self._fail(version, kind, length, app_length)
                    return runs
            body = start + HEADER_BYTES
            stop = body + length
            if stop > end:
                need = HEADER_BYTES + length
                break
            split = body + app_length
            app_id = data[body:split]
            if kind != run_kind or app_id != run_app_id:
                run_kind, run_app_id, payloads = kind, app_id, []
                runs.append((kind, app_id, payloads))
            payloads.append(data[split:stop])
            # Most often the next ones are of the same kind and length, and to
            # compare their heads is quicker than to take them apart.
            head, head_bytes, frame_bytes = (
                data[start:split],
                split - start,
                stop - start,
            )
            start, stop = stop, stop + frame_bytes
            while stop <= end and data.startswith(head, start):
                payloads.append(data[start + head_bytes : stop])
                start, stop = stop, stop + frame_bytes
        self._have = end - start
        self._need = need
        if start < end:
            self._parts.append(data[start:] if start else data)
        return runs

    def _is_long_chunk(
        self, version: int, kind: int, length: int, app_length: int
    ) -> bool:
        return (
            version == FRAME_VERSION
            and kind == FrameType.CHUNK
            and app_length <= length <= self._frame_bytes_max
        )

    def _fail(self, version: int, kind: int, length: int, app_length: int) -> None:
        is_chunk = kind == FrameType.CHUNK
        limit = self._frame_bytes_max if is_chunk else self._plain_bytes_max
        if version != FRAME_VERSION:
            problem = f"frame version {version}, expected {FRAME_VERSION}"
        elif length > limit:
            problem = f"frame of {length} bytes, limit {limit}"
        else:
            problem = f"application id of {app_length} bytes in {length}"
        self.error = RemoteProtocolError(problem)
        self._parts.clear()
        self._have = 0
