# -*- test-case-name: tests.nodosum.test_lanes,tests.nodosum.test_flow -*-
"""
What one application has to send to one peer, and has not sent yet.

This is the hot path: `post` is called for each message.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import accumulate
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred

from mycorrizal.errors import PeerUnreachable
from mycorrizal.nodosum.wire.chunks import Part, chunk_bytes, cut
from mycorrizal.nodosum.wire.compression import Codec, packed
from mycorrizal.nodosum.wire.frame import HEADER
from mycorrizal.nodosum.wire.limits import (
    COMPRESSED_BIT,
    FRAME_VERSION,
    PLAIN_BYTES_MAX,
    FrameType,
)

#: What a queued frame counts for beside its payload: no less than its header
#: and ids, so that a bound in bytes is one in frames, too: 65,536 in 8 MiB.
FRAME_COST_BYTES = 128
#: How a frame lies in the queue: what comes before its payload, and that.
FRAME_PARTS = 2
#: Who waits until each message is written may have so many times as much queued
#: as who does not.
PATIENT_TIMES = 2
#: The bound of a flow of answers: those are bounded by the questions let in.
UNBOUNDED = 2**62
_CLOSED = -1


class Parcel:
    """
    A long message on its way to one or more peers, compressed once at most.

    :param prefix: What the message has before its payload: a call's id.
    """

    __slots__ = ("_kind", "_prefix", "_payload", "_packed")

    def __init__(self, kind: int, prefix: bytes, payload: bytes) -> None:
        self._kind = kind
        self._prefix = prefix
        self._payload = payload
        self._packed: dict[Codec, bytes | None] = {}

    def body(self, codec: Codec | None) -> tuple[int, bytes, bytes]:
        """Type, prefix and payload, as they travel on a link of that codec."""
        if codec is not None:
            if codec not in self._packed:
                self._packed[codec] = packed(codec, self._prefix, self._payload)
            smaller = self._packed[codec]
            if smaller is not None:
                return self._kind | COMPRESSED_BIT, b"", smaller
        return self._kind, self._prefix, self._payload


@attrs.frozen
class Chunked:
    """
    A message in several chunks in the queue of a flow.

    :ivar begins: Where it begins, on the scale of `Flow.taken_bytes`.
    :ivar ends: Where it ends.
    :ivar message_bytes: What the peer has to keep for it.
    """

    begins: int
    ends: int
    message_bytes: int


class Line(Protocol):
    """Where flows wait for their turn: the lanes of a link."""

    paused: bool
    codec: Codec | None
    frame_bytes_max: int

    def admit(self, flow: Flow) -> bool: ...
    def next_message_no(self) -> int: ...
    def may_open(self, message: Chunked) -> bool: ...
    def opened(self, message: Chunked) -> None: ...
    def completed(self, message: Chunked) -> None: ...


class Flow:
    """
    The frames of one application that wait to go to one peer, in order.

    :ivar line: Where it waits for its turns.
    :ivar queued_bytes: Payloads that wait, and `FRAME_COST_BYTES` for each.
    :ivar bytes_max: Beyond it `post` refuses; below 0 when the link is gone.
    :ivar waiting: Whether it has its place in the line.
    :ivar taken_bytes: All that was taken out so far, counted as above.
    """

    __slots__ = (
        "line", "app_id", "queued_bytes", "bytes_max", "waiting", "taken_bytes",
        "_frames", "_start", "_chunked", "_begun", "_unwanted", "_waiters",
    )  # fmt: skip

    def __init__(self, line: Line, app_id: bytes, bytes_max: int) -> None:
        self.app_id = app_id
        self.queued_bytes = 0
        self.bytes_max = bytes_max
        self.waiting = False
        self.taken_bytes = 0
        self.line = line
        self._frames: list[Part] = []
        #: Parts before this one were taken.
        self._start = 0
        self._chunked: deque[Chunked] = deque()
        #: Whether the first of them has been taken in part.
        self._begun = False
        #: Where those messages begin that are not sent after all.
        self._unwanted: set[int] = set()
        self._waiters: deque[tuple[int, Deferred[None]]] = deque()

    # -- in -------------------------------------------------------------------

    def post(self, head: bytes, payload: bytes) -> bool:
        """
        Queue one frame.

        :param head: All of it that comes before the payload.
        :return: False if the queue is full; nothing was queued then.
        """
        queued_bytes = self.queued_bytes + len(payload) + FRAME_COST_BYTES
        if queued_bytes > self.bytes_max:
            return False
        if not self.waiting and not self.line.admit(self):
            return False
        self.queued_bytes = queued_bytes
        frames = self._frames
        frames.append(head)
        frames.append(payload)
        return True

    def post_patiently(self, head: bytes, payload: bytes) -> bool:
        """As `post`, for a sender who waits until it is written."""
        added_bytes = len(payload) + FRAME_COST_BYTES
        if self.queued_bytes + added_bytes > PATIENT_TIMES * self.bytes_max:
            return False
        return self._append([head, payload], added_bytes)

    def post_parcel(self, parcel: Parcel, times: int = 1) -> bool:
        """
        Queue a message of any length, in chunks if it takes that.

        One that needs chunks is taken while no more than the bound is queued
        before it, so that the queue may be longer than its bound by one message.

        :param times: `PATIENT_TIMES` for a sender who waits.
        """
        if self.queued_bytes > times * self.bytes_max:
            # Before the work of compressing it.
            return False
        kind, prefix, payload = parcel.body(self.line.codec)
        id_bytes = len(self.app_id)
        length = id_bytes + len(prefix) + len(payload)
        if length <= PLAIN_BYTES_MAX:
            head = HEADER.pack(FRAME_VERSION, kind, length, id_bytes)
            head += self.app_id + prefix
            patient = times > 1
            return (
                self.post_patiently(head, payload)
                if patient
                else (self.post(head, payload))
            )
        line = self.line
        bytes_max = chunk_bytes(line.frame_bytes_max, self.app_id)
        frames = cut(
            line.next_message_no(), kind, self.app_id, prefix, payload, bytes_max
        )
        added_bytes = len(payload) + len(frames) // FRAME_PARTS * FRAME_COST_BYTES
        begins = self.taken_bytes + self.queued_bytes
        if not self._append(frames, added_bytes):
            return False
        if len(frames) > FRAME_PARTS:
            message_bytes = len(prefix) + len(payload)
            chunked = Chunked(begins, begins + added_bytes, message_bytes)
            self._chunked.append(chunked)
        return True

    def _append(self, parts: list[Part], added_bytes: int) -> bool:
        if not self.waiting and not self.line.admit(self):
            return False
        self.queued_bytes += added_bytes
        self._frames += parts
        return True

    def cancel(self, call_id: int, at: int) -> None:
        """
        Nobody waits for a call: do not send its request, or if that has begun,
        say so behind it.

        :param at: Where the request begins, on the scale of `taken_bytes`.
        """
        if self.bytes_max == _CLOSED:
            return
        if at >= self.taken_bytes:
            self._unwanted.add(at)
        else:
            head = HEADER.pack(FRAME_VERSION, FrameType.CANCEL, 8, 0)
            payload = call_id.to_bytes(8, "little")
            self._append([head, payload], len(payload) + FRAME_COST_BYTES)

    def when_written(self) -> Deferred[None]:
        """
        :return: Fires when all that is queued now was handed to the transport;
            fails with `PeerUnreachable` if the link closes before.  Cancelling
            it takes nothing back.
        """
        waiter: Deferred[None] = Deferred()
        self._waiters.append((self.taken_bytes + self.queued_bytes, waiter))
        return waiter

    # -- out ------------------------------------------------------------------

    def take(self, bytes_max: int) -> list[Part]:
        """
        Take frames out, in order.

        :param bytes_max: As `queued_bytes` counts; no less than one frame's.
        :return: Their parts; none if the next message has to wait until the
            peer has fewer that are incomplete.
        """
        if self._chunked:
            bytes_max = min(bytes_max, self._before_boundary())
            if not bytes_max:
                return []
        frames, start = self._frames, self._start
        if self.queued_bytes <= bytes_max:
            taken = frames[start:] if start else frames
            taken_bytes = self.queued_bytes
            self._frames, self._start = [], 0
        else:
            taken, taken_bytes = self._cut_off(bytes_max)
        if self._unwanted:
            taken = self._wanted(taken)
        self.queued_bytes -= taken_bytes
        self.taken_bytes += taken_bytes
        if self._chunked:
            self._boundary_reached()
        return taken

    def _cut_off(self, bytes_max: int) -> tuple[list[Part], int]:
        frames, start = self._frames, self._start
        most = start + bytes_max // FRAME_COST_BYTES * FRAME_PARTS
        payloads = frames[start + 1 : most : FRAME_PARTS]
        sizes = list(accumulate(map(FRAME_COST_BYTES.__add__, map(len, payloads))))
        count = bisect_right(sizes, bytes_max)
        stop = start + count * FRAME_PARTS
        taken = frames[start:stop]
        if stop > len(frames) // 2:
            # Now and then, or each part would be moved for each that is taken.
            del frames[:stop]
            stop = 0
        self._start = stop
        return taken, sizes[count - 1]

    def _wanted(self, parts: list[Part]) -> list[Part]:
        """Those parts of what is taken now that are to be sent."""
        unwanted = self._unwanted
        if self._begun:
            # All of them are of one message.
            return [] if self._chunked[0].begins in unwanted else parts
        wanted: list[Part] = []
        at = self.taken_bytes
        for head, payload in zip(parts[::2], parts[1::2], strict=True):
            if at in unwanted:
                unwanted.discard(at)
            else:
                wanted += head, payload
            at += len(payload) + FRAME_COST_BYTES
        return wanted

    def _before_boundary(self) -> int:
        """How much may go before a message begins, or the present one ends."""
        first = self._chunked[0]
        if not self._begun and first.begins == self.taken_bytes:
            if not self.line.may_open(first):
                return 0
            self.line.opened(first)
            self._begun = True
        return (first.ends if self._begun else first.begins) - self.taken_bytes

    def _boundary_reached(self) -> None:
        if self._begun and self._chunked[0].ends == self.taken_bytes:
            ended = self._chunked.popleft()
            self._unwanted.discard(ended.begins)
            self.line.completed(ended)
            self._begun = False

    def satisfied(self) -> list[Deferred[None]]:
        """Those who waited for what was taken out by now; to be told."""
        waiters = self._waiters
        told = []
        while waiters and waiters[0][0] <= self.taken_bytes:
            told.append(waiters.popleft()[1])
        return told

    def close(self) -> None:
        """The link is gone: take nothing any more, and forget what waited."""
        self.bytes_max = _CLOSED
        self.queued_bytes = 0
        self._frames, self._start = [], 0
        self._chunked.clear()
        self._unwanted.clear()

    def fail_waiters(self, node_id: str) -> None:
        """Tell those who waited that it was not written."""
        waiters, self._waiters = self._waiters, deque()
        for _, waiter in waiters:
            if not waiter.called:
                waiter.errback(PeerUnreachable([node_id]))
