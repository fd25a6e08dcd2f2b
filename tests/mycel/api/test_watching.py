"""
Watches: what happens to keys, wherever it happens.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from mycorrizal import (
    CacheBusy,
    CacheError,
    CacheWatch,
    ConfigError,
    EventKind,
    Indeterminate,
    NotRunning,
    UnknownBucket,
    WatchEvent,
)
from mycorrizal.mycel.api import watching
from mycorrizal.mycel.operations.watching import IDLE_S
from tests.mycel.cases import ClusterTestCase

PUT, DELETE, LOST = EventKind.PUT, EventKind.DELETE, EventKind.LOST


class WatchTestCase(ClusterTestCase):
    """A cluster of three, the first of which watches users."""

    def setUp(self) -> None:
        super().setUp()
        self.watch = self.watch_on(0)

    def watch_on(self, number: int, bucket: str = "b") -> CacheWatch:
        """Begin to watch users on a node."""
        watch: CacheWatch = self.result_of(self.cache(number).watch(bucket, "user:"))
        self.addCleanup(watch.close)
        return watch

    def events(self, count: int) -> list[WatchEvent]:
        """The next so many events."""
        return [self.result_of(self.watch.next()) for _ in range(count)]

    def check_nothing(self) -> None:
        """Nothing more is told."""
        waiting = self.watch.next()
        self.cluster.advance(1)
        self.assertNoResult(waiting)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)


class WatchTests(WatchTestCase):
    """What is told."""

    def test_writes(self) -> None:
        """Writes through any node, of any owner, are told in their order."""
        for number in range(12):
            key = f"user:{number}"
            self.result_of(self.cache(number % 3).put("b", key, b"v"))
            self.result_of(self.cache(1).put_ttl("b", key, 60))
            self.result_of(self.cache(2).delete("b", key))
            self.result_of(self.cache(1).put("b", f"page:{number}", b"v"))
            raw = key.encode()
            expected = [WatchEvent(kind, raw) for kind in (PUT, PUT, DELETE)]
            self.assertEqual(self.events(3), expected)
        self.result_of(self.cache(0).delete("b", "user:none"))
        self.result_of(self.cache(0).replace("b", "user:none", b"v"))
        self.check_nothing()

    def test_many(self) -> None:
        """So are calls about many keys."""
        keys = [b"user:%d" % number for number in range(100)]
        self.result_of(self.cache(1).put_many("b", dict.fromkeys(keys, b"")))
        self.assertCountEqual(self.events(100), [WatchEvent(PUT, key) for key in keys])
        self.check_nothing()

    def test_expiry(self) -> None:
        """Values that expire are told soon, each once."""
        keys = [b"user:%d" % number for number in range(20)]
        for key in keys:
            self.result_of(self.cache(1).put("b", key, b"v", ttl_s=2))
        self.events(20)
        self.check_nothing()
        expected = [WatchEvent(EventKind.EXPIRE, key) for key in keys]
        self.assertCountEqual(self.events(20), expected)
        self.check_nothing()

    def test_eviction(self) -> None:
        """Values that go for want of room are told by the primary, each once."""
        self.result_of(self.cache(0).create_bucket("small", max_entries=5))
        self.watch = self.watch_on(0, "small")
        for number in range(30):
            key = f"user:{number}"
            self.result_of(self.cache(1).put("small", key, b"v"))
        self.cluster.advance(1)
        told: list[EventKind] = []
        following = self.watch._following
        assert following is not None
        while (event := following.take()) is not None:
            told.append(event.kind)
        self.assertEqual(told.count(PUT), 30)
        evicted = told.count(EventKind.EVICT)
        self.assertEqual(len(told), 30 + evicted)
        self.assertGreater(evicted, 10)

    def test_clear_and_drop(self) -> None:
        """Values that are cleared are told, and those of a bucket that is dropped."""
        for drop in (False, True):
            for number in range(5):
                self.result_of(self.cache(1).put("b", f"user:{number}", b"v"))
            self.events(5)
            here = self.cache(0)
            self.result_of(here.drop_bucket("b") if drop else here.clear("b"))
            expected = [
                WatchEvent(EventKind.CLEAR, b"user:%d" % number) for number in range(5)
            ]
            self.assertCountEqual(self.events(5), expected)

    def test_created_again(self) -> None:
        """A watch goes on with the next bucket of that name, and says what it lost."""
        self.result_of(self.cache(0).drop_bucket("b"))
        self.cluster.advance(1)
        self.result_of(self.cache(0).create_bucket("b"))
        self.cluster.advance(12)
        self.assertEqual(self.events(1), [WatchEvent(LOST)])
        self.result_of(self.cache(1).put("b", "user:1", b"v"))
        self.assertEqual(self.events(1), [WatchEvent(PUT, b"user:1")])

    def test_two(self) -> None:
        """Each watch is told all, on whichever node it is."""
        others = [self.watch_on(0), self.watch_on(1), self.watch_on(2)]
        self.result_of(self.cache(1).put("b", "user:1", b"v"))
        for watch in [self.watch, *others]:
            self.assertEqual(self.result_of(watch.next()), WatchEvent(PUT, b"user:1"))


class LossTests(WatchTestCase):
    """What can't be told."""

    def test_slow(self) -> None:
        """One who does not ask loses what is beyond a bound, and is told so."""
        count = 0
        while self.cluster[0].mycel.cache._in_flight < 1 and count < 12_000:
            keys = [b"user:%d" % number for number in range(4000)]
            self.result_of(self.cache(1).put_many("b", dict.fromkeys(keys, b"")))
            count += 4000
        self.cluster.advance(15)
        told: list[WatchEvent] = []
        waiting = self.watch.next()
        while waiting.called:
            told.append(self.successResultOf(waiting))
            self.cluster.advance(0.001)
            waiting = self.watch.next()
        kinds = [event.kind for event in told]
        self.assertIn(LOST, kinds)
        self.assertLess(kinds.count(PUT), 12_000)
        self.assertGreater(kinds.count(PUT), 2000)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.result_of(self.cache(1).put("b", "user:last", b""))
        self.assertEqual(self.events(1), [WatchEvent(PUT, b"user:last")])

    def test_member_dies(self) -> None:
        """When a member dies that is told, and what happens then is told, too."""
        self.cluster.crash(2)
        self.assertEqual(self.events(1), [WatchEvent(LOST)])
        self.cluster.until(self.cluster.converged)
        for number in range(12):
            self.result_of(self.cache(1).put("b", f"user:{number}", b""))
        told = [event for event in self.events(12) if event.kind is not LOST]
        while len(told) < 12:
            told += [event for event in self.events(1) if event.kind is not LOST]
        self.assertEqual(
            told, [WatchEvent(PUT, b"user:%d" % number) for number in range(12)]
        )

    def test_newcomer(self) -> None:
        """When a newcomer takes slots over that is told, and so is what it does."""
        late = self.cluster.add()
        self.result_of(late.when_ready())
        self.cluster.until(self.cluster.converged)
        self.cluster.advance(1)
        self.assertEqual(self.events(1), [WatchEvent(LOST)])
        for number in range(12):
            self.result_of(self.cache(1).put("b", f"user:{number}", b""))
        self.assertEqual(
            self.events(12),
            [WatchEvent(PUT, b"user:%d" % number) for number in range(12)],
        )

    def test_silent_member(self) -> None:
        """A watch does not begin while a member does not answer."""
        self.cluster.pause(2)
        call = self.cache(1).watch("b", timeout_s=1)
        self.failure_of(Indeterminate, call)
        self.assertEqual(self.cache(1)._watches, {})


class EndTests(WatchTestCase):
    """How a watch ends."""

    def test_close(self) -> None:
        """Who waits for the next event is told; nothing is left on any node."""
        waiting = self.watch.next()
        self.failureResultOf(self.watch.next(), CacheError)
        self.watch.close()
        self.watch.close()
        self.failureResultOf(waiting, NotRunning)
        self.failureResultOf(self.watch.next(), NotRunning)
        self.cluster.advance(IDLE_S + 1)
        self.assertEqual([len(it.mycel.outboxes) for it in self.cluster.nodes], [0] * 3)
        for node in self.cluster.nodes:
            self.assertEqual(node.mycel.buckets.by_name["b"].watches, [])

    def test_stop(self) -> None:
        """So it does when its node stops, or dies."""
        waiting = self.watch.next()
        self.cluster[0].mycel.stopService()
        self.failureResultOf(waiting, NotRunning)
        self.failureResultOf(self.cache(0).watch("b"), NotRunning)
        self.cluster.crash(0)
        self.cluster.advance(60)
        self.assertEqual(
            [len(it.mycel.outboxes) for it in self.cluster.running], [0, 0]
        )

    def test_cancel(self) -> None:
        """Who waits may give up, and the event goes to the next who asks."""
        waiting = self.watch.next()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.result_of(self.cache(1).put("b", "user:1", b"v"))
        self.assertEqual(self.events(1), [WatchEvent(PUT, b"user:1")])
        call = self.cache(0).watch("b")
        call.cancel()
        self.failureResultOf(call, CancelledError)
        self.assertEqual(len(self.cache(0)._watches), 1)

    def test_iterate(self) -> None:
        """A watch can be gone through in a loop, which ends when it is closed."""
        told: list[WatchEvent] = []

        async def follow() -> str:
            async for event in self.watch:
                told.append(event)
            return "over"

        following: Deferred[Any] = Deferred.fromCoroutine(follow())
        self.result_of(self.cache(1).put("b", "user:1", b"v"))
        self.cluster.advance(1)
        self.assertEqual(told, [WatchEvent(PUT, b"user:1")])
        self.assertNoResult(following)
        self.watch.close()
        self.assertEqual(self.successResultOf(following), "over")

    def test_refused(self) -> None:
        """What makes no sense is refused, and so is one watch too many."""
        here = self.cache(0)
        self.failureResultOf(here.watch("none"), UnknownBucket)
        self.failureResultOf(here.watch("b", "k" * 1025), ConfigError)
        self.result_of(here.watch("b", "k" * 1024))
        self.patch(watching, "WATCHES_MAX", 3)
        self.result_of(here.watch("b"))
        self.failureResultOf(here.watch("b"), CacheBusy)
