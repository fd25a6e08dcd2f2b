# -*- test-case-name: tests.nodosum.test_link -*-
"""
One authenticated connection to a peer or client: frames in, frames out.

This is the hot path.  What is sent in one turn of the reactor leaves in one
write; what the transport can't take waits in the lanes, and is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Protocol

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.calls import Calls, OnReply
from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.flow import Flow, Parcel
from mycorrizal.nodosum.lanes import Lanes
from mycorrizal.nodosum.wire.chunks import Assembly
from mycorrizal.nodosum.wire.compression import COMPRESS_BYTES_MIN, codec_for
from mycorrizal.nodosum.wire.events import Remote
from mycorrizal.nodosum.wire.frame import FrameDecoder, encode_frame
from mycorrizal.nodosum.wire.limits import (
    COMPRESSED_BIT,
    FRAME_VERSION,
    IGNORABLE_BIT,
    MESSAGE_BYTES_MAX,
    REASON_BYTES_MAX,
    WHOLE_TYPE_MIN,
    ErrorCode,
    FrameType,
    Goodbye,
)
from mycorrizal.nodosum.wire.signals import encode_goodbye, encode_ping
from mycorrizal.runtime import Runtime

CALL_ID = struct.Struct("<Q")
CALL_ID_BYTES = CALL_ID.size
_call_id = CALL_ID.unpack_from
_REPLY = struct.Struct("<BBIHQ")
#: Answers that are not read, in queues' worth, before we hang up.
UNREAD_TIMES_MAX = 2

#: After so many calls, or answers to calls, what has come of them is sent.
CALLS_PER_FLUSH = 32

_APP, _REQUEST = int(FrameType.APP), int(FrameType.REQUEST)
_REPLIED, _ERROR = int(FrameType.REPLY), int(FrameType.ERROR)
_CHUNK = int(FrameType.CHUNK)
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
    :ivar lanes: What waits to be written.
    :ivar serving: Requests of the other side that we are working on.
    :ivar unrouted: Messages for applications that are not here.
    :ivar arrived: The payloads that are being delivered; none is left in it,
        and so none is delivered any more, when the link is lost meanwhile.
    """

    __slots__ = (
        "node_key", "incarnation", "remote", "dialled", "address", "encrypted",
        "peer_id", "up", "heard_at", "lanes", "calls", "serving", "closed",
        "unrouted", "arrived",
        "_runtime", "_transport", "_owner", "_routes", "_decoder", "_assembly",
        "_queue_bytes_max",
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
        self.lanes = Lanes(
            runtime,
            transport,
            frame_bytes_max=remote.frame_bytes_max,
            queue_bytes_max=queue_bytes_max,
            codec=codec_for(remote.features),
        )
        self.calls = Calls(runtime)
        self.serving: dict[int, Route] = {}
        self.unrouted = 0
        self.arrived: list[bytes] = []
        self.closed = False
        self._runtime = runtime
        self._transport = transport
        self._owner = owner
        self._routes = routes
        self._decoder = FrameDecoder(frame_bytes_max)
        self._assembly = Assembly()
        self._queue_bytes_max = queue_bytes_max

    @property
    def queued_bytes(self) -> int:
        """What applications have queued for the transport."""
        return self.lanes.queued_bytes

    # -- in -------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """
        Take bytes from the transport.

        :raises RemoteProtocolError: They break the protocol; drop the link.
        """
        self.heard_at = self._runtime.now()
        routes, decoder, traffic = self._routes, self._decoder, self.lanes.traffic
        traffic.received_bytes += len(data)
        for kind, app_id, payloads in decoder.receive_data(data):
            self.arrived = payloads
            traffic.received_frames += len(payloads)
            if kind == _APP and self.up:
                route = routes.get(app_id)
                if route is not None:
                    route.received(payloads, self)
                else:
                    self.unrouted += len(payloads)
            elif kind in _CALL_KINDS and self.up:
                self._calls_received(kind, app_id, payloads)
            else:
                for payload in payloads:
                    # Any frame before may have been the last one.
                    if self.closed:
                        return
                    self._other_received(kind, app_id, payload)
        if decoder.error is not None and not self.closed:
            raise decoder.error

    def _calls_received(self, kind: int, app_id: bytes, payloads: list[bytes]) -> None:
        end = self.calls.end
        route = self._routes.get(app_id)
        # Nobody may choose the keys of our tables.
        answers = self.lanes.answers(app_id if route is not None else b"")
        for count, payload in enumerate(payloads, 1):
            if len(payload) < CALL_ID_BYTES:
                raise RemoteProtocolError("a call without an id")
            (call_id,) = _call_id(payload)
            if kind == _REPLIED:
                end(call_id, 0, payload[CALL_ID_BYTES:])
            elif kind == _REQUEST:
                if call_id in self.serving:
                    raise RemoteProtocolError("a call's id twice")
                if route is None or answers.queued_bytes > self._queue_bytes_max:
                    self._refuse(call_id, app_id, route, answers)
                else:
                    route.serve(call_id, payload[CALL_ID_BYTES:], self)
            else:
                self._call_over(kind, call_id, payload[CALL_ID_BYTES:])
            if not count % CALLS_PER_FLUSH:
                # The other side can go on while we do.
                self._runtime.flush()

    def _refuse(
        self, call_id: int, app_id: bytes, route: Route | None, answers: Flow
    ) -> None:
        """A request came that can't be served."""
        if answers.queued_bytes > UNREAD_TIMES_MAX * self._queue_bytes_max:
            raise RemoteProtocolError("it asks, and does not read the answers")
        if route is None:
            self.error(call_id, ErrorCode.UNKNOWN_APPLICATION, "")
        else:
            self.error(call_id, ErrorCode.BUSY, "", app_id)

    def _call_over(self, kind: int, call_id: int, rest: bytes) -> None:
        """A call of ours has failed, or one of the other side's is cancelled."""
        if kind == _ERROR:
            how = rest[0] if rest and rest[0] else int(ErrorCode.FAILED)
            self.calls.end(call_id, how, rest[1:])
        else:
            served_by = self.serving.pop(call_id, None)
            if served_by is not None:
                served_by.cancelled(call_id, self)

    def _other_received(self, kind: int, app_id: bytes, payload: bytes) -> None:
        if kind == _CHUNK:
            if not self.up:
                raise RemoteProtocolError("a CHUNK before WELCOME")
            whole = self._assembly.add(app_id, payload)
            if whole is not None:
                self._message_received(*whole)
        elif kind & COMPRESSED_BIT and not kind & IGNORABLE_BIT:
            self._message_received(kind, app_id, payload)
        else:
            self._control_received(kind, payload)

    def _message_received(self, kind: int, app_id: bytes, payload: bytes) -> None:
        """A message came that was cut, or compressed, or both."""
        if kind & COMPRESSED_BIT and not kind & IGNORABLE_BIT:
            kind &= ~COMPRESSED_BIT
            if kind < WHOLE_TYPE_MIN or kind == _CHUNK or not self.up:
                raise RemoteProtocolError(f"a compressed frame of type {kind}")
            if self.lanes.codec is None:
                raise RemoteProtocolError("a compressed frame, which nobody offered")
            payload = self.lanes.codec.inflate(payload, MESSAGE_BYTES_MAX)
        if kind == _APP:
            route = self._routes.get(app_id)
            if route is not None:
                route.received([payload], self)
            else:
                self.unrouted += 1
        elif kind in _CALL_KINDS:
            self._calls_received(kind, app_id, [payload])
        else:
            self._control_received(kind, payload)

    def _control_received(self, kind: int, payload: bytes) -> None:
        if kind & IGNORABLE_BIT:
            return
        if kind == _APP or kind in _CALL_KINDS:
            raise RemoteProtocolError("an application's frame before WELCOME")
        self._owner.control_received(self, kind, payload)

    # -- out ------------------------------------------------------------------

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
        flow = self.lanes.flows.get(app_id) or self.lanes.flow(app_id)
        at = flow.taken_bytes + flow.queued_bytes
        call_id = self.calls.begin(on_reply, deadline, flow, at)
        if not call_id:
            return 0
        if len(payload) < COMPRESS_BYTES_MIN:
            id_bytes = len(app_id)
            length = id_bytes + CALL_ID_BYTES + len(payload)
            packed = head(FRAME_VERSION, _REQUEST, length, id_bytes, app_id, call_id)
            posted = flow.post(packed, payload)
        else:
            posted = flow.post_parcel(Parcel(_REQUEST, CALL_ID.pack(call_id), payload))
        if not posted:
            self.calls.forget(call_id)
            return 0
        return call_id

    def reply(self, call_id: int, payload: bytes, app_id: bytes = b"") -> None:
        """
        Answer a REQUEST.

        :param app_id: Whose answer it is; each application's have their turn.
        """
        lanes = self.lanes
        answers = lanes.answering.get(app_id) or lanes.answers(app_id)
        if len(payload) < COMPRESS_BYTES_MIN:
            length = CALL_ID_BYTES + len(payload)
            head = _REPLY.pack(FRAME_VERSION, _REPLIED, length, 0, call_id)
            answers.post(head, payload)
        else:
            answers.post_parcel(Parcel(_REPLIED, CALL_ID.pack(call_id), payload))

    def error(
        self, call_id: int, code: ErrorCode, text: str, app_id: bytes = b""
    ) -> None:
        """Answer a REQUEST with an error."""
        payload = bytes([code]) + text.encode(errors="replace")[:REASON_BYTES_MAX]
        length = CALL_ID_BYTES + len(payload)
        head = _REPLY.pack(FRAME_VERSION, _ERROR, length, 0, call_id)
        self.lanes.answers(app_id).post(head, payload)

    def cancel(self, call_id: int) -> None:
        """Nobody waits for a call: it is not sent, or the other side is told."""
        self.calls.cancel(call_id)

    def send_control(self, kind: FrameType, payload: bytes) -> None:
        """
        Queue a frame that overtakes those of applications.  A peer that has
        read none of them for a mebibyte is given up.
        """
        if not self.lanes.control(encode_frame(kind, payload)):
            self.abort()

    def ping(self, token: int, clock: int) -> None:
        """Queue a PING."""
        self.send_control(FrameType.PING, encode_ping(token, clock))

    def pong(self, token: int, clock: int) -> None:
        """Queue the answer to a PING."""
        self.send_control(FrameType.PONG, encode_ping(token, clock))

    def pause(self) -> None:
        """The transport's buffer is full."""
        self.lanes.pause()

    def resume(self) -> None:
        """The transport's buffer has drained."""
        self.lanes.resume()

    # -- the end --------------------------------------------------------------

    def move(self, last_frame: bytes, transport: Transport) -> None:
        """
        Go on writing on another connection to the same life of the same peer.

        :param last_frame: The last one on the present connection.
        """
        # Without a producer the transport takes the frame, however full it is.
        self._transport.unregisterProducer()
        self._transport = transport
        self.lanes.move(last_frame, transport)

    def goodbye(self, reason: Goodbye, detail: int = 0, text: str = "") -> None:
        """Close after all that is queued, and say why."""
        if self.closed:
            return
        payload = encode_goodbye(reason, detail, text)
        # Without a producer the transport takes everything at once.
        self._transport.unregisterProducer()
        self.lanes.finish(encode_frame(FrameType.GOODBYE, payload))
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
        flows = self.lanes.close()
        self._assembly.clear()
        self.calls.link_lost()
        for flow in flows:
            flow.fail_waiters(self.peer_id)
        serving, self.serving = self.serving, {}
        for call_id, route in serving.items():
            route.cancelled(call_id, self)
