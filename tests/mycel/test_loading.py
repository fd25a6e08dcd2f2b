"""
Values that are loaded once in the whole cluster.
"""

from __future__ import annotations

import asyncio
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import capturedLogs

from mycorrizal import (
    CacheError,
    ConfigError,
    Indeterminate,
    KeyTooLarge,
    LoadFailed,
    NotRunning,
    TooManyLoads,
    UnknownBucket,
    ValueTooLarge,
)
from mycorrizal.mycel.config import LOAD_MS_MAX, LOAD_TIMEOUT_S, VALUE_BYTES_MAX
from mycorrizal.mycel.leases import LEASES_MAX
from mycorrizal.mycel.operations.loading import FILL_WAIT_S
from tests.mycel.loaders import LoadingTestCase


class OneLoadTests(LoadingTestCase):
    """Many want a key, and one loads it."""

    def test_thousand_misses(self) -> None:
        """A thousand misses at the same time on three nodes are one load."""
        waiting = [self.load(number % 3) for number in range(1000)]
        loaded = self.called(1)
        self.cluster.advance(3)
        loaded.callback(b"v")
        for result in waiting:
            self.assertEqual(self.result_of(result), b"v")
        self.assertEqual(len(self.loader.calls), 1)
        for number in range(3):
            self.assertEqual(self.read(number), b"v")
        self.nothing_is_left()

    def test_trickle(self) -> None:
        """So are those that come one after the other while it is being loaded."""
        waiting = []
        for number in range(100):
            waiting.append(self.load(number % 3))
            self.cluster.advance(0.05)
        self.called(1).callback(b"v")
        for result in waiting:
            self.assertEqual(self.result_of(result), b"v")
        self.assertEqual(len(self.loader.calls), 1)

    def test_hits(self) -> None:
        """What is there is not loaded, and is counted as read."""
        self.result_of(self.cache(0).put("b", self.key, b"there"))
        for number in range(3):
            self.assertEqual(self.result_of(self.load(number)), b"there")
        self.assertEqual(self.loader.calls, [])
        stats = self.cache(0).stats("b")
        self.assertEqual((stats.hits, stats.misses), (3, 0))

    def test_misses_are_counted(self) -> None:
        """Each who does not find it is a miss."""
        for number in range(3):
            self.load(number)
        self.cluster.advance(1)
        stats = self.cache(0).stats("b")
        self.assertEqual((stats.hits, stats.misses), (0, 3))
        self.called(1).callback(b"v")

    def test_other_keys(self) -> None:
        """Loads of different keys do not wait for each other."""
        self.load(0)
        other = self.cache(0).get_or_load("b", "another", lambda: b"v")
        self.assertEqual(self.result_of(other), b"v")
        self.called(1).callback(None)

    def test_kinds_of_loader(self) -> None:
        """A loader returns bytes, a Deferred, a coroutine or a future."""

        async def coroutine() -> bytes:
            return await succeed(b"coroutine")

        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        future: asyncio.Future[bytes] = loop.create_future()
        loaders: list[Any] = [
            lambda: b"plain",
            lambda: succeed(b"deferred"),
            coroutine,
            lambda: future,
        ]
        values = []
        for number, loader in enumerate(loaders):
            result = self.cache(number % 3).get_or_load("b", b"%d" % number, loader)
            self.cluster.advance(0.1)
            if loader is loaders[-1]:
                future.set_result(b"future")
                loop.run_until_complete(asyncio.sleep(0))
            values.append(self.result_of(result))
        self.assertEqual(values, [b"plain", b"deferred", b"coroutine", b"future"])

    def test_stored_when_it_fires(self) -> None:
        """When the value is given it can be read on each node."""
        for number in range(3):
            self.result_of(self.load(number, lambda: b"v"))
            self.assertEqual(self.read((number + 1) % 3), b"v")
            self.result_of(self.cache(0).delete("b", self.key))

    def test_owner_silent(self) -> None:
        """If it can't be stored soon, the value is given all the same."""
        self.cluster.pause(1)
        began_s = self.cluster.world.now_s
        self.assertEqual(self.result_of(self.load(2, lambda: b"v")), b"v")
        self.assertLess(self.cluster.world.now_s - began_s, FILL_WAIT_S + 0.2)


class WrittenMeanwhileTests(LoadingTestCase):
    """Writes of a key that is being loaded."""

    def test_delete(self) -> None:
        """What was loaded before a delete is given, and not stored."""
        for holder in range(3):
            result = self.load(holder)
            loaded = self.called(holder + 1)
            self.result_of(self.cache((holder + 1) % 3).delete("b", self.key))
            loaded.callback(b"old")
            self.assertEqual(self.result_of(result), b"old")
            self.assertIsNone(self.read())
        self.nothing_is_left()

    def test_no_one_gets_what_is_older(self) -> None:
        """Who asks after a delete gets what was loaded after it, on each node."""
        before = [self.load(number) for number in range(3)]
        old = self.called(1)
        self.result_of(self.cache(2).delete("b", self.key))
        after = [self.load(number) for number in range(3)]
        new = self.called(2)
        old.callback(b"old")
        self.cluster.advance(1)
        new.callback(b"new")
        for result in before:
            self.assertEqual(self.result_of(result), b"old")
        for result in after:
            self.assertEqual(self.result_of(result), b"new")
        self.assertEqual(self.read(), b"new")

    def test_put(self) -> None:
        """What was put meanwhile stays."""
        result = self.load(2)
        loaded = self.called(1)
        self.result_of(self.cache(1).put("b", self.key, b"put"))
        loaded.callback(b"loaded")
        self.assertEqual(self.result_of(result), b"loaded")
        self.assertEqual(self.read(), b"put")


class FailureTests(LoadingTestCase):
    """Loaders that fail."""

    def test_who_gets_what(self) -> None:
        """The loader's caller gets the error itself, the others its name and text."""
        own = self.load(2)
        loaded = self.called(1)
        others = [self.load(number) for number in range(3)]
        self.cluster.advance(0.5)
        loaded.errback(KeyError("no user 7"))
        self.failure_of(KeyError, own)
        for result in others:
            error = self.failure_of(LoadFailed, result)
            self.assertEqual(error.bucket, "b")
            self.assertEqual(error.problem, "KeyError: 'no user 7'")
        self.assertEqual(len(self.loader.calls), 1)
        self.nothing_is_left()

    def test_not_remembered(self) -> None:
        """Who comes after a failure loads again."""
        self.failure_of(ValueError, self.load(1, lambda: fail(ValueError())))
        self.assertEqual(self.result_of(self.load(1, lambda: b"v")), b"v")

    def test_raises(self) -> None:
        """A loader that raises is one that fails."""

        def raises() -> bytes:
            raise ValueError("at once")

        async def coroutine() -> bytes:
            raise ValueError("at once")

        loaders: list[Any] = [raises, coroutine]
        for loader in loaders:
            error = self.failure_of(ValueError, self.load(1, loader))
            self.assertEqual(str(error), "at once")
        self.nothing_is_left()

    def test_not_bytes(self) -> None:
        """What is no value is refused with a sentence."""
        loader: Any = lambda: "text"  # noqa: E731
        error = self.failure_of(CacheError, self.load(2, loader))
        self.assertIn("a loader returns bytes or None, not str", str(error))
        large = self.load(2, lambda: bytes(VALUE_BYTES_MAX + 1))
        self.failure_of(ValueTooLarge, large)
        value = self.result_of(self.load(2, lambda: bytes(VALUE_BYTES_MAX)))
        self.assertEqual(len(value), VALUE_BYTES_MAX)

    def test_long_text(self) -> None:
        """Of a very long error those who waited get the beginning."""
        own = self.load(2)
        loaded = self.called(1)
        other = self.load(1)
        self.cluster.advance(0.5)
        loaded.errback(ValueError("\ud800" + "x" * 10_000))
        self.failure_of(ValueError, own)
        error = self.failure_of(LoadFailed, other)
        self.assertEqual(len(error.problem), 256)
        self.cluster.check_invariants()


class CancelTests(LoadingTestCase):
    """Callers that wait no more."""

    def test_waiters_cancel_alone(self) -> None:
        """A waiter that is cancelled takes nobody along."""
        first = self.load(2)
        loaded = self.called(1)
        waiting = [self.load(number) for number in (0, 1, 2, 0, 1, 2)]
        self.cluster.advance(0.5)
        for result in waiting[::2]:
            result.cancel()
            self.failureResultOf(result, CancelledError)
        loaded.callback(b"v")
        for result in (first, *waiting[1::2]):
            self.assertEqual(self.result_of(result), b"v")
        self.nothing_is_left()

    def test_the_one_who_loads(self) -> None:
        """If the one who loads is cancelled, so is its loader; the next one loads."""
        for number in range(3):
            first = self.load(number)
            loaded = self.called(2 * number + 1)
            second, third = self.load((number + 1) % 3), self.load((number + 2) % 3)
            self.cluster.advance(0.5)
            first.cancel()
            self.failureResultOf(first, CancelledError)
            self.assertEqual(self.loader.cancelled, number + 1)
            self.called(2 * number + 2).callback(b"v")
            self.assertEqual(self.result_of(second), b"v")
            self.assertEqual(self.result_of(third), b"v")
            self.assertTrue(loaded.called)
            self.result_of(self.cache(0).delete("b", self.key))
        self.nothing_is_left()

    def test_at_once(self) -> None:
        """A call that is cancelled before it was sent leaves nothing behind."""
        for number in range(3):
            call = self.load(number)
            call.cancel()
            self.failureResultOf(call, CancelledError)
        self.nothing_is_left()

    def test_lease_on_its_way(self) -> None:
        """If the lease crosses with the cancel, the next one gets it all the same."""
        for step_ms in range(12):
            call = self.load(2)
            self.cluster.advance(step_ms / 10_000)
            call.cancel()
            self.failureResultOf(call, CancelledError)
            began_s = self.cluster.world.now_s
            self.assertEqual(self.result_of(self.load(1, lambda: b"v")), b"v")
            self.assertLess(self.cluster.world.now_s - began_s, 1)
            self.result_of(self.cache(0).delete("b", self.key))
        self.nothing_is_left()

    def test_by_the_loader(self) -> None:
        """A loader may cancel the call that it loads for."""
        calls: list[Deferred[Any]] = []
        inner: Deferred[bytes] = Deferred()

        def loader() -> Deferred[bytes]:
            calls[0].cancel()
            return inner

        calls.append(self.load(2, loader))
        self.failure_of(CancelledError, calls[0])
        self.assertTrue(inner.called)
        self.nothing_is_left()

    def test_canceller_fails(self) -> None:
        """A loader that can't be cancelled is logged, and harms nothing."""

        def canceller(_: object) -> None:
            raise RuntimeError("no")

        call = self.load(2, lambda: Deferred(canceller))
        self.cluster.advance(0.5)
        call.cancel()
        self.failureResultOf(call, CancelledError)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.nothing_is_left()


class TimeTests(LoadingTestCase):
    """Loads that take too long."""

    def test_own_loader(self) -> None:
        """A loader has the time of its caller; then another one's is called."""
        call = self.load(2, timeout_s=2)
        self.called(1)
        other = self.load(1)
        began_s = self.cluster.world.now_s
        error = self.failure_of(Indeterminate, call)
        self.assertIn("the loader took longer than 2 s", str(error))
        self.assertAlmostEqual(self.cluster.world.now_s - began_s, 2, 0)
        self.assertEqual(self.loader.cancelled, 1)
        self.called(2).callback(b"v")
        self.assertEqual(self.result_of(other), b"v")
        self.nothing_is_left()

    def test_waiters(self) -> None:
        """A waiter has its own time, on each node."""
        self.load(2)
        self.called(1)
        for number in range(3):
            began_s = self.cluster.world.now_s
            call = self.load(number, timeout_s=1.5)
            error = self.failure_of(Indeterminate, call)
            self.assertIn("1.5 s", str(error))
            self.assertAlmostEqual(self.cluster.world.now_s - began_s, 1.5, 0)
        self.called(1).callback(b"v")
        self.nothing_is_left()

    def test_default(self) -> None:
        """Unless told otherwise it is half a minute."""
        self.assertEqual(LOAD_TIMEOUT_S, 30)
        call = self.load(2)
        self.cluster.advance(29.9)
        self.assertNoResult(call)
        self.failure_of(Indeterminate, call)

    def test_stop(self) -> None:
        """When the node stops, its callers get NotRunning and loaders are cancelled."""
        calls = [self.load(0), self.load(0), self.load(2), self.load(2)]
        self.cluster.advance(0.5)
        self.cluster[0].mycel.stopService()
        for call in calls[:2]:
            self.failureResultOf(call, NotRunning)
        self.assertEqual(self.loader.cancelled, 1)
        call = self.load(0)
        self.failureResultOf(call, NotRunning)


class TermsTests(LoadingTestCase):
    """For how long what was loaded is kept."""

    def remaining_s(self) -> float | None:
        """How long the value has to live."""
        entry = self.result_of(self.cache(0).entry("b", self.key))
        left_s: float | None = entry.remaining_s
        return left_s

    def test_ttl(self) -> None:
        """What is loaded lives as long as was asked, exactly."""
        for number in range(3):
            self.result_of(self.load(number, lambda: b"v", ttl_s=2))
            left_s = self.remaining_s()
            assert left_s is not None
            self.assertAlmostEqual(left_s, 2, 1)
            self.cluster.advance(left_s - 0.01)
            self.assertEqual(self.read(0), b"v")
            self.cluster.advance(0.011)
            self.assertIsNone(self.read(0))

    def test_default_ttl(self) -> None:
        """Unless asked it lives as long as the bucket says; None is for ever."""
        self.result_of(self.cache(0).create_bucket("t", ttl_s=60))
        self.result_of(self.cache(1).get_or_load("t", "a", lambda: b"v"))
        entry = self.result_of(self.cache(1).entry("t", "a"))
        self.assertAlmostEqual(entry.remaining_s, 60, 0)
        self.result_of(self.cache(1).get_or_load("t", "c", lambda: b"v", ttl_s=None))
        entry = self.result_of(self.cache(1).entry("t", "c"))
        self.assertIsNone(entry.remaining_s)
        self.result_of(self.load(1, lambda: b"v"))
        self.assertIsNone(self.remaining_s())

    def test_jitter(self) -> None:
        """With jitter, values loaded together expire apart, none later than asked."""
        lives = []
        for number in range(50):
            load = self.cache(1).get_or_load(
                "b", b"j%d" % number, lambda: b"v", ttl_s=100, jitter=0.2
            )
            self.result_of(load)
            entry = self.result_of(self.cache(1).entry("b", b"j%d" % number))
            lives.append(entry.remaining_s)
        self.assertTrue(all(79.9 < life_s <= 100 for life_s in lives), lives)
        self.assertLess(min(lives), 84)
        self.assertGreater(max(lives), 96)

    def test_negative(self) -> None:
        """That there is nothing is known on each node, for as long as was asked."""
        for number in range(3):
            self.assertIsNone(
                self.result_of(self.load(number, lambda: None, negative_ttl_s=5))
            )
            for other in range(3):
                self.assertIsNone(self.result_of(self.load(other)))
            self.assertEqual(self.loader.calls, [])
            self.cluster.advance(5)
        call = self.load(1)
        self.called(1).callback(b"there now")
        self.assertEqual(self.result_of(call), b"there now")

    def test_negative_until_put(self) -> None:
        """A put is seen at once."""
        self.result_of(self.load(1, lambda: None, negative_ttl_s=None))
        self.result_of(self.cache(2).put("b", self.key, b"v"))
        self.assertEqual(self.result_of(self.load(1)), b"v")

    def test_none_is_not_remembered(self) -> None:
        """Unless asked, each who finds nothing asks its loader."""
        self.assertIsNone(self.result_of(self.load(1, lambda: None)))
        self.assertEqual(self.result_of(self.load(2, lambda: b"v")), b"v")

    def test_senseless(self) -> None:
        """Terms that make no sense are refused, and named."""
        for terms in (
            {"ttl_s": -1},
            {"ttl_s": float("nan")},
            {"negative_ttl_s": -1},
            {"stale_s": -1},
            {"stale_s": 1e10},
            {"jitter": 1},
            {"jitter": -0.1},
            {"timeout_s": 0},
            {"timeout_s": LOAD_MS_MAX / 1000 + 1},
        ):
            call = self.load(0, **terms)
            error = self.failureResultOf(call, ConfigError).value
            self.assertEqual([error.field], list(terms))
        self.assertEqual(self.loader.calls, [])

    def test_problems(self) -> None:
        """Other mistakes are named as get names them."""
        cache = self.cache(0)
        call = cache.get_or_load("x", "k", self.loader)
        self.failureResultOf(call, UnknownBucket)
        call = cache.get_or_load("b", "k" * 1025, self.loader)
        self.failureResultOf(call, KeyTooLarge)

    def test_too_many(self) -> None:
        """What one node can't keep track of is refused by name."""
        leases = self.cluster[0].mycel._primary.leasing.leases
        self.load(0)
        self.called(1)
        (lease,) = leases._held.values()
        leases._held.update((-number, lease) for number in range(1, LEASES_MAX))
        key = self.keys_owned_by(0, count=2)[1]
        call = self.cache(2).get_or_load("b", key, self.loader)
        self.failure_of(TooManyLoads, call)


class StaleTests(LoadingTestCase):
    """Values that are served while they are loaded again."""

    def setUp(self) -> None:
        super().setUp()
        self.result_of(self.load(1, lambda: b"old", ttl_s=10, stale_s=5))
        self.assertEqual(self.loader.calls, [])

    def test_served_meanwhile(self) -> None:
        """After its time the old value is served, and loaded again by one."""
        self.cluster.advance(9.5)
        for number in range(3):
            self.assertEqual(self.result_of(self.load(number, stale_s=5)), b"old")
        self.assertEqual(self.loader.calls, [])
        self.cluster.advance(0.6)
        for number in (2, 0, 1, 2, 0, 1):
            value = self.result_of(self.load(number, stale_s=5))
            self.assertEqual(value, b"old")
        self.called(1).callback(b"new")
        self.cluster.advance(0.1)
        for number in range(3):
            value = self.result_of(self.load(number, stale_s=5))
            self.assertEqual(value, b"new")
        entry = self.result_of(self.cache(0).entry("b", self.key))
        self.assertIsNone(entry.remaining_s)
        self.nothing_is_left()

    def test_never_expired(self) -> None:
        """Beyond that time nobody gets it: all wait for the new one."""
        self.cluster.advance(12)
        self.result_of(self.load(2, stale_s=5))
        self.called(1)
        self.cluster.advance(3)
        self.assertIsNone(self.read(0))
        waiting = [self.load(number, stale_s=5) for number in range(3)]
        self.cluster.advance(1)
        self.called(1).callback(b"new")
        for result in waiting:
            self.assertEqual(self.result_of(result), b"new")

    def test_refresh_fails(self) -> None:
        """A failure behind the caller's back is logged; the next one tries again."""
        self.cluster.advance(12)
        self.result_of(self.load(2, stale_s=5))
        with capturedLogs() as logs:
            self.called(1).errback(ValueError("database"))
        (event,) = [it for it in logs if "loaded again" in it["log_format"]]
        self.assertEqual(event["bucket"], "b")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.cluster.advance(0.1)
        self.assertEqual(self.result_of(self.load(1, stale_s=5)), b"old")
        self.called(2).callback(b"new")
        self.nothing_is_left()

    def test_refresh_hangs(self) -> None:
        """A loader that hangs is cancelled when its caller's time would be over."""
        self.cluster.advance(10.5)
        self.result_of(self.load(2, stale_s=5, timeout_s=1))
        self.called(1)
        self.cluster.advance(1)
        self.assertEqual(self.loader.cancelled, 1)
        self.assertEqual(len(self.flushLoggedErrors(Indeterminate)), 1)
        self.assertEqual(self.result_of(self.load(0, stale_s=5)), b"old")
        self.called(2).callback(b"new")
        self.nothing_is_left()

    def test_deleted_meanwhile(self) -> None:
        """A delete counts for what is loaded behind the callers too."""
        self.cluster.advance(12)
        self.result_of(self.load(2, stale_s=5))
        loaded = self.called(1)
        self.result_of(self.cache(1).delete("b", self.key))
        loaded.callback(b"new")
        self.cluster.advance(1)
        self.assertIsNone(self.read(0))

    def test_stop(self) -> None:
        """A node that stops loads nothing behind its callers, and logs no error."""
        self.cluster.advance(12)
        self.result_of(self.load(2, stale_s=5))
        self.called(1)
        self.cluster[2].mycel.stopService()
        self.assertEqual(self.loader.cancelled, 1)


class AnewTests(LoadingTestCase):
    """Values that are loaded though they are there."""

    def test_anew(self) -> None:
        """It is loaded on whichever node, and put in the place of the old one."""
        for number in range(3):
            self.result_of(self.cache(0).put("b", self.key, b"old"))
            value = self.result_of(self.load(number, lambda: b"new", anew=True))
            self.assertEqual(value, b"new")
            self.assertEqual(self.read(), b"new")

    def test_after_a_change(self) -> None:
        """A load that began before does not come in its way."""
        first = self.load(1)
        old = self.called(1)
        self.assertEqual(
            self.result_of(self.load(2, lambda: b"new", anew=True)), b"new"
        )
        old.callback(b"old")
        self.assertEqual(self.result_of(first), b"old")
        self.assertEqual(self.read(), b"new")
