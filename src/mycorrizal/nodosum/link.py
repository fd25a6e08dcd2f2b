# -*- test-case-name: tests.nodosum.test_link -*-
"""
One authenticated connection to a peer or client: frames in, frames out.

This is the hot path.  What is sent in one turn of the reactor leaves in one
write; what the transport can't take waits here, and is bounded.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Protocol

from twisted.internet.defer import Deferred

from mycorrizal.errors import PeerUnreachable, RemoteProtocolError
from mycorrizal.nodosum.calls import Calls, Cancels, OnReply
from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.wire.events import Remote
from mycorrizal.nodosum.wire.frame import FrameDecoder, encode_frame
from mycorrizal.nodosum.wire.limits import (
    FRAME_VERSION,
    IGNORABLE_BIT,
    REASON_BYTES_MAX,
    ErrorCode,
    FrameType,
    Goodbye,
)
from mycorrizal.nodosum.wire.signals import encode_goodbye, encode_ping
from mycorrizal.runtime import Runtime

#: Bytes handed to the transport at once: all that a ping may have to wait for.
BURST_BYTES = 256 * 1024
#: How a frame lies in the queue: its head and its payload.
FRAME_PARTS = 2

CALL_ID = struct.Struct("<Q")
CALL_ID_BYTES = CALL_ID.size
_REPLY = struct.Struct("<BBIHQ")

_APP, _REQUEST = int(FrameType.APP), int(FrameType.REQUEST)
_REPLIED, _ERROR = int(FrameType.REPLY), int(FrameType.ERROR)
_CALL_KINDS = frozenset({_REQUEST, _REPLIED, _ERROR, int(FrameType.CANCEL)})


class Transport(Protocol):
    """What a link needs of Twisted's transport."""

    def write(self, data: bytes) -> None: ...
    def loseConnection(self) -> None: ...
    def abortConnection(self) -> None: ...
    def unregisterProducer(self) -> None: ...


class Route(Protocol):
    """Where the frames of one application id go."""

    def received(self, payloads: list[bytes], link: Link) -> None:
        """One or more APP frames, in order."""

    def serve(self, call_id: int, payload: bytes, link: Link) -> None:
        """A REQUEST frame, to be answered by `Link.reply` or `Link.error`."""

    def cancelled(self, call_id: int, link: Link) -> None:
        """A CANCEL frame: nobody waits for that answer."""


class LinkOwner(Protocol):
    """Who is told of all that is not an application's."""

    def control_received(self, link: Link, kind: int, payload: bytes) -> None: ...


class Link:
    """
    One authenticated connection.

    :ivar up: Whether application frames may go: both WELCOMEs went.
    :ivar peer_id: The node id at the other end, from its WELCOME on.
    :ivar heard_at: When the last bytes came, monotonic.
    :ivar queued_bytes: Waiting for the transport.
    :ivar paused: Whether the transport takes nothing now.
    :ivar frame_bytes_max: Largest body of a frame that the other side takes.
    :ivar serving: Requests of the other side that we are working on.
    :ivar arrived: The payloads that are being delivered; none is left in it,
        and so none is delivered any more, when the link is lost meanwhile.
    """

    __slots__ = (
        "node_key", "incarnation", "remote", "dialled", "address", "encrypted",
        "peer_id", "up", "heard_at", "queued_bytes", "frame_bytes_max", "calls",
        "serving", "closed", "_runtime", "_transport", "_owner", "_routes",
        "_decoder", "_urgent", "_queue", "_written_bytes",
        "_waiters", "_corked", "paused", "_queue_bytes_max", "arrived", "_cancels",
    )  # fmt: skip

    def __init__(
        self,
        runtime: Runtime,
        transport: Transport,
        remote: Remote,
        owner: LinkOwner,
        routes: Mapping[bytes, Route],
        *,
        address: Address,
        dialled: Address | None,
        encrypted: bool,
        frame_bytes_max: int,
        queue_bytes_max: int,
    ) -> None:
        self.remote = remote
        self.node_key = remote.node_key
        self.incarnation = remote.incarnation
        self.dialled = dialled
        self.address = address
        self.encrypted = encrypted
        self.peer_id = ""
        self.up = False
        self.heard_at = runtime.now()
        self.queued_bytes = 0
        self.frame_bytes_max = remote.frame_bytes_max
        self.calls = Calls(runtime, self._expired)
        self.serving: dict[int, Route] = {}
        self.arrived: list[bytes] = []
        self._cancels = Cancels()
        self.closed = False
        self._runtime = runtime
        self._transport = transport
        self._owner = owner
        self._routes = routes
        self._decoder = FrameDecoder(frame_bytes_max)
        self._urgent: list[bytes] = []
        self._queue: list[bytes] = []
        self._written_bytes = 0
        self._waiters: deque[tuple[int, Deferred[None]]] = deque()
        self._corked = False
        self.paused = False
        self._queue_bytes_max = queue_bytes_max

    # -- in -------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """
        Take bytes from the transport.

        :raises RemoteProtocolError: They break the protocol; drop the link.
        """
        self.heard_at = self._runtime.now()
        routes, decoder = self._routes, self._decoder
        for kind, app_id, payloads in decoder.receive_data(data):
            self.arrived = payloads
            if kind == _APP and self.up:
                route = routes.get(app_id)
                if route is not None:
                    route.received(payloads, self)
            elif kind in _CALL_KINDS and self.up:
                self._calls_received(kind, app_id, payloads)
            else:
                for payload in payloads:
                    # Any frame before may have been the last one.
                    if self.closed:
                        return
                    self._control_received(kind, payload)
        if decoder.error is not None and not self.closed:
            raise decoder.error

    def _calls_received(self, kind: int, app_id: bytes, payloads: list[bytes]) -> None:
        route = self._routes.get(app_id)
        for payload in payloads:
            if len(payload) < CALL_ID_BYTES:
                raise RemoteProtocolError("a call without an id")
            (call_id,) = CALL_ID.unpack_from(payload)
            rest = payload[CALL_ID_BYTES:]
            if kind == _REPLIED:
                self.calls.end(call_id, 0, rest)
            elif kind == _REQUEST:
                if call_id in self.serving:
                    raise RemoteProtocolError("a call's id twice")
                if self._cancels.asked(call_id):
                    continue
                if route is None:
                    self.error(call_id, ErrorCode.UNKNOWN_APPLICATION, "")
                elif self.queued_bytes > self._queue_bytes_max:
                    # It asks, and does not read the answers.
                    self.error(call_id, ErrorCode.BUSY, "")
                else:
                    route.serve(call_id, rest, self)
            elif kind == _ERROR:
                how = rest[0] if rest and rest[0] else int(ErrorCode.FAILED)
                self.calls.end(call_id, how, rest[1:])
            else:
                served_by = self.serving.pop(call_id, None)
                if served_by is None:
                    self._cancels.came(call_id)
                else:
                    served_by.cancelled(call_id, self)

    def _control_received(self, kind: int, payload: bytes) -> None:
        if kind & IGNORABLE_BIT:
            return
        if kind == _APP or kind in _CALL_KINDS:
            raise RemoteProtocolError("an application's frame before WELCOME")
        self._owner.control_received(self, kind, payload)

    # -- out ------------------------------------------------------------------

    def post(self, head: bytes, payload: bytes) -> bool:
        """
        Queue one application frame.

        :param head: Its header and application id.
        :return: False if the queue is full; nothing was queued then.
        """
        queued_bytes = self.queued_bytes + len(head) + len(payload)
        if queued_bytes > self._queue_bytes_max:
            return False
        self.queued_bytes = queued_bytes
        queue = self._queue
        queue.append(head)
        queue.append(payload)
        if not self._corked:
            self._corked = True
            self._runtime.flush_later(self)
        return True

    def post_patiently(self, head: bytes, payload: bytes) -> bool:
        """
        As `post`, for a sender who waits until it is written, and so may have
        as much again.
        """
        if self.queued_bytes + len(head) + len(payload) > 2 * self._queue_bytes_max:
            return False
        self.queued_bytes += len(head) + len(payload)
        self._queue += (head, payload)
        self._cork()
        return True

    def request(
        self,
        head: Callable[..., bytes],
        app_id: bytes,
        payload: bytes,
        on_reply: OnReply,
        deadline: float,
    ) -> int:
        """
        Queue a REQUEST.

        :param head: Packs version, type, length, id length, id and call id.
        :return: The call's id; 0 if the queue, or the table of calls, is full.
        """
        if self.closed:
            return 0
        call_id = self.calls.begin(on_reply, deadline)
        id_bytes = len(app_id)
        length = id_bytes + CALL_ID_BYTES + len(payload)
        packed = head(FRAME_VERSION, _REQUEST, length, id_bytes, app_id, call_id)
        if call_id and not self.post(packed, payload):
            self.calls.forget(call_id)
            return 0
        return call_id

    def reply(self, call_id: int, payload: bytes) -> None:
        """Answer a REQUEST; `payload` must fit a frame."""
        length = CALL_ID_BYTES + len(payload)
        self._answer(_REPLY.pack(FRAME_VERSION, _REPLIED, length, 0, call_id), payload)

    def error(self, call_id: int, code: ErrorCode, text: str) -> None:
        """Answer a REQUEST with an error."""
        payload = bytes([code]) + text.encode(errors="replace")[:REASON_BYTES_MAX]
        length = CALL_ID_BYTES + len(payload)
        self._answer(_REPLY.pack(FRAME_VERSION, _ERROR, length, 0, call_id), payload)

    def _answer(self, head: bytes, payload: bytes) -> None:
        # Answers are bounded by the questions that were let in, so they are
        # never refused: a lost answer would cost the caller its whole timeout.
        self.queued_bytes += len(head) + len(payload)
        self._queue += (head, payload)
        self._cork()

    def cancel(self, call_id: int) -> None:
        """Tell the other side that nobody waits for a call any more."""
        if self.calls.forget(call_id) and not self.closed:
            self.send_control(FrameType.CANCEL, CALL_ID.pack(call_id))

    def _expired(self, call_id: int) -> None:
        self.send_control(FrameType.CANCEL, CALL_ID.pack(call_id))

    def send_control(self, kind: FrameType, payload: bytes) -> None:
        """Queue a frame that overtakes the queue of application frames."""
        self._urgent.append(encode_frame(kind, payload, b"", self.frame_bytes_max))
        self._cork()

    def ping(self, token: int, clock: int) -> None:
        """Queue a PING."""
        self.send_control(FrameType.PING, encode_ping(token, clock))

    def pong(self, token: int, clock: int) -> None:
        """Queue the answer to a PING."""
        self.send_control(FrameType.PONG, encode_ping(token, clock))

    def _cork(self) -> None:
        if not self._corked:
            self._corked = True
            self._runtime.flush_later(self)

    def flush(self) -> None:
        """Hand what is queued to the transport, as far as it takes it."""
        self._corked = False
        if self.closed:
            return
        if self._urgent:
            urgent, self._urgent = self._urgent, []
            self._transport.write(b"".join(urgent))
        while not self.paused and self.queued_bytes and not self.closed:
            self._write_burst()

    def _write_burst(self) -> None:
        queue = self._queue
        if self.queued_bytes <= BURST_BYTES:
            burst = b"".join(queue)
            queue.clear()
        else:
            # Cut between frames, where an urgent one may follow.
            count = 0
            for count, size in enumerate(accumulate(map(len, queue)), 1):
                if size >= BURST_BYTES and not count % FRAME_PARTS:
                    break
            burst = b"".join(queue[:count])
            del queue[:count]
        self.queued_bytes -= len(burst)
        self._written_bytes += len(burst)
        self._transport.write(burst)
        waiters = self._waiters
        while waiters and waiters[0][0] <= self._written_bytes:
            waiter = waiters.popleft()[1]
            if not waiter.called:
                waiter.callback(None)

    def when_written(self, waiter: Deferred[None]) -> None:
        """
        Fire `waiter` when all that is queued now was handed to the transport;
        it fails with `PeerUnreachable` if the link closes before.  Cancelling
        it takes nothing back.
        """
        self._waiters.append((self._written_bytes + self.queued_bytes, waiter))

    def pause(self) -> None:
        """The transport's buffer is full."""
        self.paused = True

    def resume(self) -> None:
        """The transport's buffer has drained."""
        self.paused = False
        if self.queued_bytes:
            self._cork()

    # -- the end --------------------------------------------------------------

    def goodbye(self, reason: Goodbye, detail: int = 0, text: str = "") -> None:
        """Close after all that is queued, and say why."""
        if self.closed:
            return
        self.paused = False
        payload = encode_goodbye(reason, detail, text)
        frame = encode_frame(FrameType.GOODBYE, payload)
        self.queued_bytes += len(frame)
        self._queue += (frame, b"")
        # Without a producer the transport takes everything at once.
        self._transport.unregisterProducer()
        self.flush()
        self.lost()
        self._transport.loseConnection()

    def abort(self) -> None:
        """Close at once; what is queued is lost."""
        if not self.closed:
            self.lost()
            self._transport.abortConnection()

    def lost(self) -> None:
        """The connection is gone: fail what waits on it."""
        if self.closed:
            return
        self.closed = True
        self.up = False
        self.arrived.clear()
        # From now on `post` refuses everything.
        self._queue_bytes_max = -1
        self._queue.clear()
        self._urgent.clear()
        self.queued_bytes = 0
        self.calls.link_lost()
        waiters, self._waiters = self._waiters, deque()
        for _, waiter in waiters:
            if not waiter.called:
                waiter.errback(PeerUnreachable([self.peer_id]))
        serving, self.serving = self.serving, {}
        for call_id, route in serving.items():
            route.cancelled(call_id, self)
