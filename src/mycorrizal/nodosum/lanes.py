# -*- test-case-name: tests.nodosum.test_lanes,tests.nodosum.test_flow -*-
"""
What waits to be written on one link, and whose turn it is.

There are two lanes.  The link's own frames are in the first, which always
goes before; applications share the second, one turn each.  No more is handed
to the transport than what a ping may have to wait for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from mycorrizal.nodosum.flow import (
    FRAME_COST_BYTES,
    FRAME_PARTS,
    UNBOUNDED,
    Chunked,
    Flow,
)
from mycorrizal.nodosum.traffic import Traffic
from mycorrizal.nodosum.wire.chunks import MESSAGE_NO_MAX, Part
from mycorrizal.nodosum.wire.compression import Codec
from mycorrizal.nodosum.wire.limits import (
    CHUNK_BYTES_MAX,
    OPEN_BYTES_MAX,
    OPEN_MESSAGES_MAX,
)
from mycorrizal.runtime import Runtime

#: Bytes of applications in the transport: all that a ping may have to wait for.
TRANSPORT_BYTES_MAX = 256 * 1024
#: What a transport may hold without asking for a pause (Twisted's).
TRANSPORT_UNPAUSED_BYTES = 64 * 1024
#: What is handed over at once, unless the transport is known to be empty.
BURST_BYTES = TRANSPORT_BYTES_MAX - TRANSPORT_UNPAUSED_BYTES
#: What an application may send in one turn: no less than the longest frame.
TURN_BYTES = CHUNK_BYTES_MAX + FRAME_COST_BYTES
#: Once so many queues' worth waits for one peer, an application that has
#: nothing queued gets no queue: whatever their number, memory is bounded.
FULL_QUEUES_MAX = 4
#: The link's own frames that may be written while the peer reads nothing: more
#: than any honest peer asks for.
CONTROL_BYTES_MAX = 1024 * 1024


class Transport(Protocol):
    """What lanes need of Twisted's transport."""

    def write(self, data: bytes) -> None: ...


class Lanes:
    """
    The outgoing half of one link.

    :param frame_bytes_max: Largest body of a frame that the peer takes.
    :param queue_bytes_max: The bound of each application's queue.
    :param codec: What long messages are compressed with.
    :ivar paused: Whether the transport takes nothing now.
    :ivar flows: By application id, those of messages and requests.
    :ivar answering: By application id, those of answers.
    :ivar traffic: What has gone over the link, both ways.
    """

    __slots__ = (
        "paused", "flows", "codec", "frame_bytes_max", "traffic",
        "answering",
        "_runtime", "_write_out", "_push", "_queue_bytes_max", "_control",
        "_control_bytes", "_ring", "_corked", "_closed", "_message_no",
        "_open_messages", "_open_bytes",
    )  # fmt: skip

    def __init__(
        self,
        runtime: Runtime,
        transport: Transport,
        *,
        frame_bytes_max: int,
        queue_bytes_max: int,
        codec: Codec | None,
    ) -> None:
        self.paused = False
        self.flows: dict[bytes, Flow] = {}
        self.traffic = Traffic()
        self.codec = codec
        self.frame_bytes_max = frame_bytes_max
        self._runtime = runtime
        self._use(transport)
        self._queue_bytes_max = queue_bytes_max
        self.answering: dict[bytes, Flow] = {}
        self._control: list[bytes] = []
        self._control_bytes = 0
        #: Those that have something to send, in the order of their turns.
        self._ring: deque[Flow] = deque()
        self._corked = False
        self._closed = False
        self._message_no = 0
        self._open_messages = 0
        self._open_bytes = 0

    def _use(self, transport: Transport) -> None:
        self._write_out = transport.write
        #: Sends at once what was written, where there is a way to.
        self._push: Callable[[], object] | None = getattr(transport, "push", None)

    # -- the control lane -----------------------------------------------------

    def control(self, frame: bytes) -> bool:
        """
        Queue a frame that goes before all that applications have queued.

        :return: False if the peer has not read such frames for too long.
        """
        self._control_bytes += len(frame)
        self._control.append(frame)
        self._cork()
        return self._control_bytes <= CONTROL_BYTES_MAX

    # -- the lane of applications ---------------------------------------------

    def flow(self, app_id: bytes) -> Flow:
        """What an application's messages and requests wait in."""
        flow = self.flows.get(app_id)
        if flow is None:
            flow = Flow(self, app_id, -1 if self._closed else self._queue_bytes_max)
            self.flows[app_id] = flow
        return flow

    def answers(self, app_id: bytes) -> Flow:
        """
        What an application's answers wait in: they are never refused, since a
        lost answer would cost the caller its whole timeout.
        """
        flow = self.answering.get(app_id)
        if flow is None:
            flow = Flow(self, app_id, -1 if self._closed else UNBOUNDED)
            self.answering[app_id] = flow
        return flow

    @property
    def queued_bytes(self) -> int:
        """All that applications have queued."""
        return sum(flow.queued_bytes for flow in self._ring)

    def admit(self, flow: Flow) -> bool:
        """
        A flow has something to send: give it a place in the line.

        :return: False if it may not send now.
        """
        if flow.bytes_max != UNBOUNDED:
            if self._closed or (self._ring and self._full()):
                return False
        flow.waiting = True
        self._ring.append(flow)
        self._cork()
        return True

    def _full(self) -> bool:
        full_bytes = self._queue_bytes_max
        # A long message may be longer than its queue; that is nobody else's fault.
        counted_bytes = sum(min(flow.queued_bytes, full_bytes) for flow in self._ring)
        return counted_bytes >= FULL_QUEUES_MAX * full_bytes

    def next_message_no(self) -> int:
        """The number of a message in chunks."""
        self._message_no = self._message_no % MESSAGE_NO_MAX + 1
        return self._message_no

    def may_open(self, message: Chunked) -> bool:
        """Whether the peer may be sent the beginning of one message more."""
        return (
            self._open_messages < OPEN_MESSAGES_MAX
            and self._open_bytes + message.message_bytes <= OPEN_BYTES_MAX
        )

    def opened(self, message: Chunked) -> None:
        """The beginning of a message goes out."""
        self._open_messages += 1
        self._open_bytes += message.message_bytes

    def completed(self, message: Chunked) -> None:
        """The end of a message goes out."""
        self._open_messages -= 1
        self._open_bytes -= message.message_bytes

    # -- out ------------------------------------------------------------------

    def _cork(self) -> None:
        if not self._corked:
            self._corked = True
            self._runtime.flush_later(self)

    def flush(self) -> None:
        """Hand what is queued to the transport, as far as it takes it."""
        self._corked = False
        if not self._closed:
            self._flush(BURST_BYTES)
            if self._push is not None and not self.paused and not self._closed:
                self._push()

    def _flush(self, burst_bytes: int) -> None:
        if self._control:
            control, self._control = self._control, []
            self.traffic.sent_frames += len(control)
            self._write(b"".join(control))
            if not self.paused:
                self._control_bytes = 0
        while self._ring and not self.paused and not self._closed:
            self._write_burst(burst_bytes)
            burst_bytes = BURST_BYTES

    def _write_burst(self, burst_bytes: int) -> None:
        ring = self._ring
        if len(ring) == 1:
            flow = ring[0]
            burst = flow.take(burst_bytes)
            if not flow.queued_bytes:
                ring.clear()
                flow.waiting = False
            told = flow.satisfied()
        else:
            burst, told = self._shared_burst(burst_bytes)
        self.traffic.sent_frames += len(burst) // FRAME_PARTS
        self._write(b"".join(burst))
        # Last: they may send again, or close the link.
        for waiter in told:
            if not waiter.called:
                waiter.callback(None)

    def _write(self, data: bytes) -> None:
        self.traffic.sent_bytes += len(data)
        self._write_out(data)

    def _shared_burst(self, room_bytes: int) -> tuple[list[Part], list[Deferred[None]]]:
        """One turn for each flow, and again while there is room."""
        ring = self._ring
        burst: list[Part] = []
        told: list[Deferred[None]] = []
        idle = 0
        while idle < len(ring) and room_bytes >= TURN_BYTES:
            flow = ring.popleft()
            before_bytes = flow.queued_bytes
            burst += flow.take(TURN_BYTES)
            taken_bytes = before_bytes - flow.queued_bytes
            room_bytes -= taken_bytes
            told += flow.satisfied()
            idle = 0 if taken_bytes else idle + 1
            if flow.queued_bytes:
                ring.append(flow)
            else:
                flow.waiting = False
        return burst, told

    def pause(self) -> None:
        """The transport's buffer is full."""
        self.paused = True

    def resume(self) -> None:
        """The transport's buffer has drained."""
        self.paused = False
        self._control_bytes = 0
        if not self._closed:
            self._flush(TRANSPORT_BYTES_MAX)

    # -- the end --------------------------------------------------------------

    def move(self, last_frame: bytes, transport: Transport) -> None:
        """Write this frame; what is queued, and all after it, goes elsewhere."""
        self.traffic.sent_frames += 1
        self._write(last_frame)
        self._use(transport)
        self.resume()

    def finish(self, frame: bytes) -> None:
        """Write all that is queued in both lanes, and then this frame."""
        self.paused = False
        self.flush()
        if not self._closed:
            self.traffic.sent_frames += 1
            self._write(frame)

    def close(self) -> list[Flow]:
        """
        The connection is gone: forget all that is queued.

        :return: The flows, some of which may be waited for.
        """
        self._closed = True
        self._control.clear()
        flows = [*self.flows.values(), *self.answering.values()]
        for flow in flows:
            flow.close()
        self._ring.clear()
        return flows
