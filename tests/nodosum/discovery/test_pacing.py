"""
How long is waited, and that no more is.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.discovery.pacing import (
    RETRY_MAX_S,
    TokenBucket,
    pause,
    retry_pause_s,
    within,
)
from mycorrizal.testing import World


class RetryTests(SynchronousTestCase):
    """The pause after failures."""

    def test_doubled(self) -> None:
        """It begins at a second, is doubled each time, and ends at 30."""
        longest = [retry_pause_s(failures, lambda: 1.0) for failures in range(1, 9)]
        self.assertEqual(longest, [1, 2, 4, 8, 16, 30, 30, 30])
        self.assertEqual(retry_pause_s(10**9, lambda: 1.0), RETRY_MAX_S)

    def test_jitter(self) -> None:
        """Up to half of it is left out, by chance."""
        self.assertEqual(retry_pause_s(3, lambda: 0.0), 2)
        self.assertEqual(retry_pause_s(3, lambda: 0.5), 3)


class TokenBucketTests(SynchronousTestCase):
    """A few at once, then one in a while."""

    def test_burst(self) -> None:
        """The burst passes, one more waits, and all after it in turn."""
        bucket = TokenBucket(2, 15.0, 100.0)
        self.assertEqual([bucket.take(100.0) for _ in range(4)], [0, 0, 15, 30])

    def test_refilled(self) -> None:
        """With time it fills again, up to its burst."""
        bucket = TokenBucket(2, 15.0, 0.0)
        for _ in range(2):
            bucket.take(0.0)
        self.assertEqual(bucket.take(15.0), 0)
        self.assertEqual([bucket.take(1e6) for _ in range(3)], [0, 0, 15])


class WaitTests(SynchronousTestCase):
    """Pauses and bounds, on monotonic time."""

    def setUp(self) -> None:
        self.world = World(1)
        self.host = self.world.host("a")
        self.runtime = self.host.runtime

    def test_pause(self) -> None:
        """A pause ends in time, whatever the wall clock does."""
        waited = pause(self.runtime, 10)
        self.world.advance(9)
        self.assertNoResult(waited)
        self.world.advance(1.1)
        self.successResultOf(waited)

    def test_cancelled_pause(self) -> None:
        """A pause that is given up leaves no timer behind."""
        waited = pause(self.runtime, 10)
        waited.cancel()
        self.failureResultOf(waited, CancelledError)
        self.assertEqual(self.runtime.pending_timers(), 0)

    def test_in_time(self) -> None:
        """What comes in time is passed on, and no timer is left."""
        self.assertEqual(
            self.successResultOf(within(self.runtime, 5, succeed(7), "late")), 7
        )
        failed: Deferred[int] = fail(ValueError("no"))
        self.failureResultOf(within(self.runtime, 5, failed, "late"), ValueError)
        self.assertEqual(self.runtime.pending_timers(), 0)

    def test_late(self) -> None:
        """What is late is cancelled, and said to be late."""
        never: Deferred[int] = Deferred()
        waited = within(self.runtime, 5, never, "it is late")
        self.world.advance(4.9)
        self.assertNoResult(waited)
        self.world.advance(0.2)
        failure = self.failureResultOf(waited, DiscoveryError)
        self.assertEqual(failure.getErrorMessage(), "it is late")

    def test_given_up(self) -> None:
        """Who gives up is told that, and not that it was late."""
        waited: Deferred[int] = within(self.runtime, 5, Deferred(), "late")
        waited.cancel()
        self.failureResultOf(waited, CancelledError)
        self.assertEqual(self.runtime.pending_timers(), 0)
