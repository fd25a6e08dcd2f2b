# -*- test-case-name: tests.mycel.near.test_cluster -*-
"""
Near copies on the wire: the application ``SYSTEM-MYCEL-NEAR``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.fields import AboutBucket
from mycorrizal.mycel.messages import (
    INDETERMINATE,
    Found,
    Get,
    Put,
    PutIf,
    Refused,
    Routed,
    Touch,
    remaining_ms,
)
from mycorrizal.mycel.near.copies import CHECK_S, FRESH_S, NearCopies, Reading
from mycorrizal.mycel.near.messages import (
    NO_STREAM,
    Changed,
    Check,
    Read,
    State,
    Vouched,
    decode_changed,
    decode_request,
    decode_state,
    decode_vouched,
    encode,
)
from mycorrizal.mycel.near.streams import Stream
from mycorrizal.mycel.operations.primary import OnDone
from mycorrizal.mycel.operations.routing import Operation, Router
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.mycel.slots.routes import ELSEWHERE, SETTLED
from mycorrizal.nodosum import ANSWERED, TIMED_OUT, Channel, Link
from mycorrizal.runtime import Runtime, Timer

APPLICATION_ID = "SYSTEM-MYCEL-NEAR"


class Near:
    """
    The near copies of one node, and what it tells those who keep copies of its
    own slots.

    :param link_to: The link to a node, if it is up.
    :ivar copies: By bucket.
    """

    def __init__(
        self,
        runtime: Runtime,
        claims: Claims,
        buckets: BucketTable,
        router: Router,
        link_to: Callable[[bytes], Link | None],
    ) -> None:
        self.copies: dict[str, NearCopies] = {}
        self.channel = Channel(APPLICATION_ID)
        self.runtime = runtime
        self.claims = claims
        self.router = router
        self.link_to = link_to
        self._buckets = buckets
        self._streams: dict[str, Stream] = {}
        self._last_stream = 0
        self._timer: Timer | None = None

    # -- keeping copies ---------------------------------------------------------

    def keep(self, bucket: str, max_entries: int, max_bytes: int) -> None:
        """Keep copies of a bucket from now on, or change how many."""
        copies = self.copies.get(bucket)
        if copies is not None:
            copies.limit(max_entries, max_bytes)
            return
        self.copies[bucket] = NearCopies(max_entries, max_bytes)
        if self._timer is None:
            self._tick()
        else:
            self._check_all()

    def keep_none(self, bucket: str) -> None:
        """Keep no copies of a bucket any more."""
        self.copies.pop(bucket, None)

    def route(self, get: Get, slot: int, deadline: float, done: OnDone) -> NearRead:
        """As `Router.route`, for a value of which a copy is to be kept."""
        return NearRead(self, self.copies[get.bucket], get, slot, deadline, done)

    def _tick(self) -> None:
        self._timer = None
        if self.copies:
            self._timer = self.runtime.call_later(CHECK_S, self._tick)
            self._check_all()

    def _check_all(self) -> None:
        for node_key in self.claims.view.members:
            link = self.link_to(node_key)
            if link is not None:
                self._check(link)

    def _check(self, link: Link) -> None:
        """Ask a primary whether we have heard of all changes."""
        names = tuple(name for name in self.copies if name in self._buckets.by_name)
        if not names:
            return
        primary, asked_s = link.node_key, self.runtime.now()

        def answered(how: int, payload: bytes) -> None:
            if how == ANSWERED:
                for name, (stream, sequence) in zip(
                    names, decode_state(payload).streams, strict=False
                ):
                    copies = self.copies.get(name)
                    if copies is not None:
                        copies.checked(primary, stream, sequence, asked_s)

        self.channel.call(link, encode(Check(names)), answered, asked_s + FRESH_S)

    # -- what happens meanwhile ---------------------------------------------------

    def link_up(self, link: Link) -> None:
        """A link is new: its other end may be primary of something."""
        if self.copies:
            self._check(link)

    def link_down(self, node_key: bytes) -> None:
        """A link is gone, and what it would have told us."""
        for copies in self.copies.values():
            copies.void(node_key)
        for stream in self._streams.values():
            stream.unsubscribe(node_key)

    def slots_moved(self) -> None:
        """
        Slots of this node have changed hands, or are to be settled: nobody may
        trust what was said of them before.
        """
        self.others_moved()
        for stream in self._streams.values():
            self._tell(stream, stream.restart(self._new_stream()))

    def others_moved(self) -> None:
        """
        Slots have another primary, and the one before may not know it yet: what
        it has vouched for is worth nothing.
        """
        for copies in self.copies.values():
            copies.void_all()

    def emptied(self, name: str) -> None:
        """A bucket was cleared or dropped, and what was in it is gone."""
        if name in self.copies:
            self.copies[name].clear()
        stream = self._streams.get(name)
        if stream is not None:
            self._tell(stream, stream.restart(self._new_stream()))
            if name not in self._buckets.by_name:
                del self._streams[name]

    def wrote(self, request: Routed) -> None:
        """What a caller of this node asked for has ended, whatever came of it."""
        if isinstance(request, AboutBucket):
            if request.name in self.copies:
                self.copies[request.name].void_all()
        elif isinstance(request, (Put, PutIf, Touch)) and request.bucket in self.copies:
            self.copies[request.bucket].forget(request.key)

    def stop(self) -> None:
        """Ask nobody any more."""
        if self._timer is not None:
            self._timer.cancel()

    # -- telling others -----------------------------------------------------------

    def _new_stream(self) -> int:
        if not self._last_stream:
            # Not one that it had in an earlier life.
            self._last_stream = int.from_bytes(self.runtime.token_bytes(8), "little")
            self._last_stream >>= 2
        self._last_stream += 1
        return self._last_stream

    def _subscribed(self, name: str, node_key: bytes) -> tuple[int, int]:
        opened = self._buckets.by_name.get(name)
        if opened is None:
            return NO_STREAM, 0
        stream = self._streams.get(name)
        if stream is None or opened.on_change is None:
            stream = Stream(name, self._new_stream())
            self._streams[name] = stream
            opened.on_change = functools.partial(self._changed, opened, stream)
        now = self.runtime.now()
        stream.expire(now)
        stream.subscribe(node_key, now)
        return stream.id, stream.sequence

    def _changed(self, opened: OpenBucket, stream: Stream, key: bytes) -> None:
        if not self._leads(slot_of(opened.seed, key)):
            return  # It vouches for nothing of that slot.
        stream.expire(self.runtime.now())
        if stream.subscribers:
            self._tell(stream, stream.changed(key))
        else:
            # Whoever comes next gets another stream, and can't miss this.
            opened.on_change = None

    def _leads(self, slot: int) -> bool:
        return self.claims.routes.status[slot] != ELSEWHERE

    def _tell(self, stream: Stream, news: Changed) -> None:
        payload = encode(news)
        app_id, head = self.channel.app_id, self.channel.head(len(payload))
        for node_key in list(stream.subscribers):
            link = self.link_to(node_key)
            if link is None or not link.lanes.flow(app_id).post(head, payload):
                stream.unsubscribe(node_key)

    # -- called by links ----------------------------------------------------------

    def serve(self, call_id: int, payload: bytes, link: Link) -> None:
        """Somebody who keeps copies asks."""
        request = decode_request(payload)
        answer: State | Vouched
        if isinstance(request, Check):
            node_key = link.node_key
            streams = (self._subscribed(name, node_key) for name in request.buckets)
            answer = State(tuple(streams))
        else:
            answer = self._vouched(request, link.node_key)
        link.reply(call_id, encode(answer), self.channel.app_id)

    def _vouched(self, read: Read, node_key: bytes) -> Vouched:
        opened, stream = (
            self._buckets.by_name.get(read.bucket),
            self._streams.get(read.bucket),
        )
        if opened is None or stream is None or node_key not in stream.subscribers:
            return Vouched(NO_STREAM)
        slot = slot_of(opened.seed, read.key)
        if self.claims.routes.status[slot] != SETTLED:
            return Vouched(NO_STREAM)
        now = self.runtime.now()
        entry = opened.store.entry(slot, read.key, now)
        if entry is None or entry.value is None:
            return Vouched(stream.id, stream.sequence)
        left_ms = remaining_ms(entry.deadline, now)
        return Vouched(stream.id, stream.sequence, entry.value, entry.stamp, left_ms)

    def received(self, payloads: list[bytes], link: Link) -> None:
        """A primary tells of changes."""
        for payload in payloads:
            news = decode_changed(payload)
            copies = self.copies.get(news.bucket)
            if copies is not None:
                copies.changed(link.node_key, news.stream, news.sequence, news.key)

    def cancelled(self, call_id: int, link: Link) -> None:
        """The caller waits no more; all was answered at once."""


class NearRead:
    """
    One read of a value of which a copy is to be kept, if its primary vouches
    for it; else it goes the way of all reads.
    """

    __slots__ = (
        "_call", "_copies", "_deadline", "_done", "_get", "_near", "_operation",
        "_reading", "_slot",
    )  # fmt: skip

    def __init__(
        self,
        near: Near,
        copies: NearCopies,
        get: Get,
        slot: int,
        deadline: float,
        done: OnDone,
    ) -> None:
        self._near = near
        self._copies = copies
        self._get = get
        self._slot = slot
        self._deadline = deadline
        self._done: OnDone | None = done
        self._operation: Operation | None = None
        self._call: tuple[Link, int] | None = None
        self._reading: Reading | None = None
        if not self._ask():
            self._ask_as_everybody_does()

    def _ask(self) -> bool:
        near, get = self._near, self._get
        primary = near.claims.routes.primaries[self._slot]
        link = None if primary is None else near.link_to(primary)
        if primary is None or link is None:
            return False
        self._reading = self._copies.begin(get.key, primary, near.runtime.now())
        if self._reading is None:
            return False
        payload = encode(Read(get.bucket, get.key))
        call_id = near.channel.call(link, payload, self._answered, self._deadline)
        if call_id:
            self._call = (link, call_id)
        else:
            self._copies.end(self._reading)
        return bool(call_id)

    def _ask_as_everybody_does(self) -> None:
        if self._done is not None:
            self._operation = self._near.router.route(
                self._get, self._slot, self._deadline, self._done
            )

    def _answered(self, how: int, payload: bytes) -> None:
        self._call = None
        reading = self._reading
        assert reading is not None
        self._copies.end(reading)
        if self._done is None:
            return
        if how == TIMED_OUT:
            self._done(Refused(INDETERMINATE, "no answer in time"))
            return
        vouched = Vouched(NO_STREAM)
        try:
            if how == ANSWERED:
                vouched = decode_vouched(payload)
        finally:
            if vouched.stream == NO_STREAM:
                self._ask_as_everybody_does()
            else:
                self._take(reading, vouched)

    def _take(self, reading: Reading, vouched: Vouched) -> None:
        value, left_ms = vouched.value, vouched.remaining_ms
        if value is not None:
            self._copies.keep(reading, vouched.stream, vouched.sequence, value, left_ms)
        if self._done is not None:
            self._done(Found(value, vouched.stamp, b"", left_ms))

    def cancel(self) -> None:
        """Nobody waits for the value any more."""
        self._done = None
        if self._operation is not None:
            self._operation.cancel()
        if self._call is not None:
            link, call_id = self._call
            link.cancel(call_id)
            if self._reading is not None:
                self._copies.end(self._reading)
