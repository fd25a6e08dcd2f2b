# -*- test-case-name: tests.pulse.test_watches -*-
"""
What users of Pulse watch.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from mycorrizal.errors import CacheError
from mycorrizal.mycel import Cache, CacheWatch, WatchEvent
from mycorrizal.nodosum import Link, Route
from mycorrizal.pulse.messages import AskWatch, Watched, WatchedEvent
from mycorrizal.runtime import Runtime

#: How long a question waits for something to happen: less than Pulse waits.
PATIENCE_S: Final = 2.0
#: Changes in one answer.
EVENTS_MAX: Final = 256


class PulseWatches:
    """
    The watches of Pulse's connections.

    Each belongs to the call that began it, which stays open as long: when it
    is cancelled, or its link is gone, the watch is closed.

    :param route: Of the application whose calls they are.
    """

    def __init__(self, runtime: Runtime, cache: Cache, route: Route) -> None:
        self._runtime = runtime
        self._cache = cache
        self._route = route
        self._watches: dict[tuple[Link, int], tuple[str, CacheWatch]] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def ask(self, question: AskWatch, call_id: int, link: Link) -> Deferred[Watched]:
        """Begin a watch, or wait for what happens."""
        if not question.watch:
            begun = self._cache.watch(question.bucket, question.prefix)
            return begun.addCallback(self._begun, question.bucket, call_id, link)
        bucket, watch = self._watches.get((link, question.watch), ("", None))
        # A permission for one bucket is none for a watch of another.
        if watch is None or bucket != question.bucket:
            raise CacheError("there is no such watch; begin another")
        return self._next(watch, question.watch)

    def _begun(
        self, watch: CacheWatch, bucket: str, call_id: int, link: Link
    ) -> Watched:
        if link.closed:
            watch.close()
        else:
            self._watches[link, call_id] = bucket, watch
            link.serving[call_id] = self._route
        return Watched(call_id)

    def _next(self, watch: CacheWatch, number: int) -> Deferred[Watched]:
        waiting = watch.next()
        if waiting.called:
            return waiting.addCallback(self._told, watch, number)
        timer = self._runtime.call_later(PATIENCE_S, waiting.cancel)

        def ended(result: WatchEvent | Failure) -> Watched | Failure:
            timer.cancel()
            if not isinstance(result, Failure):
                return self._told(result, watch, number)
            return Watched(number) if result.check(CancelledError) else result

        return waiting.addBoth(ended)

    def _told(self, event: WatchEvent, watch: CacheWatch, number: int) -> Watched:
        events = [event]
        while len(events) < EVENTS_MAX:
            more = watch.next()
            if not more.called:
                more.addErrback(lambda failure: failure.trap(CancelledError))
                more.cancel()
                break
            more.addCallbacks(events.append, lambda failure: None)
        return Watched(number, [WatchedEvent(it.kind.value, it.key) for it in events])

    def cancelled(self, call_id: int, link: Link) -> None:
        """The call that began a watch was cancelled, or its link is gone."""
        _, watch = self._watches.pop((link, call_id), ("", None))
        if watch is not None:
            watch.close()
