# -*- test-case-name: tests.mycel.api.test_watching -*-
"""
Calls that tell what happens to keys.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from mycorrizal.errors import (
    CacheBusy,
    CacheError,
    Indeterminate,
    MycorrizalError,
    NotRunning,
)
from mycorrizal.mycel.api.calls import Calls, Insides, Running
from mycorrizal.mycel.arguments import prefix_bytes
from mycorrizal.mycel.config import OPERATION_TIMEOUT_S, WATCHES_MAX
from mycorrizal.mycel.operations.following import Following
from mycorrizal.mycel.watch_messages import Event, EventKind
from mycorrizal.runtime import Runtime, Timer


@attrs.frozen
class WatchEvent:
    """
    One change.

    :ivar kind: What has happened; `EventKind.LOST`: changes that are not told,
        of any key.
    :ivar key: Of which key; empty if events were lost.
    """

    kind: EventKind
    key: bytes = b""


class CacheWatch:
    """
    A watch: its events, one after the other.

    It is its own asynchronous iterator, which ends when it is closed.
    """

    def __init__(self, closed: Callable[[CacheWatch], object]) -> None:
        self._closed = closed
        self._following: Following | None = None
        self._waiter: Deferred[WatchEvent] | None = None

    def next(self) -> Deferred[WatchEvent]:
        """
        Wait for the next event; one may wait at a time.

        :return: Fires with it.  Fails with `NotRunning` when the watch is
            closed, or its node stops.  It may be cancelled, and no event is
            lost by that.
        """
        following = self._following
        if following is None:
            return fail(NotRunning("the watch", "is closed"))
        if self._waiter is not None:
            return fail(CacheError("somebody waits for the next event already"))
        event = following.take()
        if event is not None:
            return succeed(_told(event))
        self._waiter = Deferred(self._given_up)
        return self._waiter

    def close(self) -> None:
        """End it; whoever waits for an event fails with `NotRunning`."""
        following, self._following = self._following, None
        if following is None:
            return
        following.close()
        self._closed(self)
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.errback(NotRunning("the watch", "was closed"))

    def __aiter__(self) -> CacheWatch:
        return self

    async def __anext__(self) -> WatchEvent:
        try:
            return await self.next()
        except NotRunning:
            raise StopAsyncIteration from None

    def _given_up(self, waiter: Deferred[WatchEvent]) -> None:
        self._waiter = None

    def _tell(self) -> None:
        """There is an event."""
        if self._waiter is None or self._following is None:
            return
        event = self._following.take()
        if event is not None:
            waiter, self._waiter = self._waiter, None
            waiter.callback(_told(event))


def _told(event: Event) -> WatchEvent:
    return WatchEvent(event.kind, event.key)


class _Beginning:
    """A watch until every member keeps what happens for it."""

    def __init__(
        self,
        runtime: Runtime,
        watch: CacheWatch,
        timeout_s: float,
        done: Callable[[bool], None],
    ) -> None:
        self._runtime = runtime
        self._watch = watch
        self._timeout_s = timeout_s
        self._done = done
        self._timer: Timer | None = None

    def begin(self) -> None:
        """Ask all members."""
        self._timer = self._runtime.call_later(self._timeout_s, self._end, False)
        if self._watch._following is not None:
            self._watch._following.begin()

    def begun(self) -> None:
        """All have answered."""
        self._end(True)

    def _end(self, begun: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not begun:
            self._watch.close()
        self._done(begun)

    def cancel(self) -> None:
        """Nobody wants it any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._watch.close()


class WatchCalls(Calls):
    """
    The calls that tell what happens to keys.
    """

    def __init__(self, insides: Insides) -> None:
        super().__init__(insides)
        self._watches: dict[CacheWatch, None] = {}
        self._last_watch = 0

    def watch(
        self,
        bucket: str,
        prefix: str | bytes = b"",
        timeout_s: float = OPERATION_TIMEOUT_S,
    ) -> Deferred[CacheWatch]:
        """
        Be told what happens to keys, in the whole cluster.

        Each change is told once, those of one key in their order, soon after it
        has happened.  Only so many are kept for one who does not ask for them,
        and some may go with a member that dies, or before a newcomer knows who
        watches: then an event of kind `EventKind.LOST` stands in their place,
        and what matters must be read anew.

        :param prefix: Only of keys that begin so.
        :return: Fires with a watch that is told of all that happens from then
            on; close it when it is no longer needed.  Fails with
            `UnknownBucket`, `ConfigError` (of `prefix`), `CacheBusy` (256
            watches), `NotRunning`, or with `Indeterminate` if not every member
            answers.
        """
        try:
            self._check(bucket, timeout_s)
            raw = prefix_bytes(prefix)
        except MycorrizalError as error:
            return fail(error)
        if len(self._watches) >= WATCHES_MAX:
            return fail(CacheBusy("on this node as watches", WATCHES_MAX))
        self._last_watch += 1
        insides, number = self._insides, self._last_watch
        watch = CacheWatch(lambda closed: self._watches.pop(closed, None))

        def make(done: Callable[[bool], None]) -> Running:
            beginning = _Beginning(self._runtime, watch, timeout_s, done)
            watch._following = Following(
                insides.router, insides.outboxes, bucket, raw, number,
                beginning.begun, watch._tell,
            )  # fmt: skip
            self._watches[watch] = None
            return beginning

        def finish(result: Deferred[CacheWatch], begun: bool) -> None:
            if begun:
                result.callback(watch)
            else:
                sentence = f"not all members answered within {timeout_s:g} s"
                result.errback(Indeterminate(sentence))

        return self._run(1, make, finish)

    def members_changed(self) -> None:
        """Others are to be asked what has happened."""
        for watch in list(self._watches):
            if watch._following is not None:
                watch._following.members_changed()

    def stop(self) -> None:
        """Fail all that still waits."""
        super().stop()
        for watch in list(self._watches):
            watch.close()
