"""
What callers give the cache: all of it is checked, and nothing raises at once.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import (
    CacheError,
    ConfigError,
    InvalidKey,
    KeyTooLarge,
    UnknownBucket,
    ValueTooLarge,
)
from mycorrizal.mycel import Cache
from mycorrizal.mycel.arguments import key_bytes, ttl_ms, value_bytes
from mycorrizal.mycel.config import (
    KEY_BYTES_MAX,
    TIMEOUT_S_MAX,
    TTL_S_MAX,
    VALUE_BYTES_MAX,
)
from mycorrizal.mycel.messages import DEFAULT_TTL, NEVER
from tests.mycel.cases import ClusterTestCase

#: A name that came out of a file system, half of whose last character is lost.
HALF = "caf\udcc3"


class ArgumentTests(SynchronousTestCase):
    """One check for each kind of argument."""

    def test_keys(self) -> None:
        """A key is text or bytes, 1 to 1024 of them."""
        longest = b"k" * KEY_BYTES_MAX
        for key, raw in (("ä", b"\xc3\xa4"), (b"\xff", b"\xff"), (longest, longest)):
            self.assertEqual(key_bytes(key), raw)
        for key in ("", b"", longest + b"k", "k" * (KEY_BYTES_MAX + 1)):
            self.assertRaises(KeyTooLarge, key_bytes, key)
        odd: list[Any] = [5, None, 1.5, bytearray(b"k"), memoryview(b"k"), ("k",)]
        for wrong in odd:
            error = self.assertRaises(InvalidKey, key_bytes, wrong)
            self.assertIn(type(wrong).__name__, str(error))
        error = self.assertRaises(InvalidKey, key_bytes, HALF)
        self.assertIn(r"'caf\udcc3'", str(error))

    def test_values(self) -> None:
        """A value is bytes, up to what a message holds."""
        largest = bytes(VALUE_BYTES_MAX)
        self.assertIs(value_bytes(largest), largest)
        self.assertRaises(ValueTooLarge, value_bytes, largest + b"v")
        self.assertRaises(CacheError, value_bytes, "text")

    def test_times_to_live(self) -> None:
        """A time to live is a number of seconds, for ever, or the bucket's."""
        for ttl_s, milliseconds in (
            (None, NEVER),
            (0, DEFAULT_TTL),
            (0.0001, 1),
            (1.5, 1500),
            (TTL_S_MAX, round(TTL_S_MAX * 1000)),
        ):
            self.assertEqual(ttl_ms(ttl_s), milliseconds)
        for wrong in (-1, TTL_S_MAX + 1, float("nan"), "5", b"5", [5]):
            error = self.assertRaises(ConfigError, ttl_ms, wrong)
            self.assertEqual(error.field, "ttl_s")


class CallTestCase(ClusterTestCase):
    """Calls that can't be made."""

    def failures(
        self, calls: list[Deferred[Any]], kind: type[Exception]
    ) -> list[Exception]:
        """What each fails with, at once."""
        return [self.failureResultOf(call, kind).value for call in calls]

    def by_key(self, cache: Cache, key: Any, **more: Any) -> list[Deferred[Any]]:
        """Every call about one key."""
        return [
            cache.get("b", key, **more),
            cache.entry("b", key, **more),
            cache.put("b", key, b"v", **more),
            cache.put_ttl("b", key, 1, **more),
            cache.delete("b", key, **more),
        ]


class OddCallTests(CallTestCase):
    """On each node a call fails in the same way, whoever owns the key."""

    size = 2

    def test_odd_keys(self) -> None:
        """What is no key fails as such, and never raises."""
        for cache in (self.cache(0), self.cache(1)):
            for key in (5, None, bytearray(b"k"), ["k"], {}, object(), HALF):
                self.failures(self.by_key(cache, key), InvalidKey)

    def test_odd_times(self) -> None:
        """Nor does a time to wait that is none; also where nobody need wait."""
        odd: list[Any] = [None, -1, 0, float("nan"), float("inf"), "5", [5]]
        for timeout_s in odd:
            for cache in (self.cache(0), self.cache(1)):
                calls = self.by_key(cache, "k", timeout_s=timeout_s)
                calls.append(cache.create_bucket("c", timeout_s=timeout_s))
                for error in self.failures(calls, ConfigError):
                    assert isinstance(error, ConfigError)
                    self.assertEqual(error.field, "timeout_s")

    def test_longest_time(self) -> None:
        """A call may wait for a day, and no longer."""
        for number in range(8):
            here = self.cache(0)
            self.result_of(here.put("b", f"{number}", b"v", timeout_s=TIMEOUT_S_MAX))
            self.result_of(here.get("b", f"{number}", timeout_s=TIMEOUT_S_MAX))
            late = here.get("b", f"{number}", timeout_s=TIMEOUT_S_MAX + 1)
            self.failureResultOf(late, ConfigError)

    def test_odd_buckets(self) -> None:
        """Nor does a bucket's name that is none."""
        here = self.cache(0)
        names: list[Any] = [5, None, ["b"], b"b", HALF]
        for name in names:
            calls: list[Deferred[Any]] = [
                here.get(name, "k"),
                here.put(name, "k", b"v"),
            ]
            self.failures(calls, UnknownBucket)
            self.failures([here.create_bucket(name)], ConfigError)

    def test_odd_times_to_live(self) -> None:
        """Nor does a time to live that is none."""
        here = self.cache(0)
        odd: list[Any] = ["5", b"5", [5], float("nan")]
        for ttl_s in odd:
            calls: list[Deferred[Any]] = [
                here.put("b", "k", b"v", ttl_s),
                here.put_ttl("b", "k", ttl_s),
                here.create_bucket("c", ttl_s=ttl_s),
            ]
            self.failures(calls, ConfigError)


class LimitLogTests(CallTestCase):
    """A bucket without any limit gets one, and the log says so."""

    size = 1

    def logged(self, **settings: Any) -> list[str]:
        """What the log says of a bucket that is created."""
        with capturedLogs() as logs:
            created = self.cache(0).create_bucket(**settings)
            created.addErrback(lambda failure: failure.trap(CacheError, ConfigError))
            self.result_of(created)
        return [
            str(event["bucket"])
            for event in logs
            if event["log_level"] is LogLevel.info and "bucket" in event
        ]

    def test_said_once(self) -> None:
        """When it is created, and not when it is there."""
        self.assertEqual(self.logged(name="c"), ["c"])
        self.assertEqual(self.logged(name="c"), [])
        self.assertEqual(self.logged(name="d", max_entries=5), [])

    def test_not_of_what_is_refused(self) -> None:
        """Nothing is said of a bucket that can't be created."""
        self.assertEqual(self.logged(name="\x1b[2J"), [])
        self.assertEqual(self.logged(name="c", replicas=99), [])
