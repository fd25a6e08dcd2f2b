# -*- test-case-name: tests.nodosum.discovery.test_pacing -*-
"""
How long to wait: before a try that follows failures, before a request that
follows too many, and for an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mycorrizal.backoff import doubled_s, jittered_s
from mycorrizal.errors import DiscoveryError
from mycorrizal.runtime import Runtime

#: First and longest pause after a failure.
RETRY_MIN_S = 1.0
RETRY_MAX_S = 30.0

T = TypeVar("T")


def retry_pause_s(failures: int, random: Callable[[], float]) -> float:
    """
    How long to wait after so many failures in a row, in seconds: doubled each
    time, with jitter, so that many nodes don't come back in one moment.
    """
    pause_s = doubled_s(RETRY_MIN_S, RETRY_MAX_S, max(failures, 1) - 1)
    return jittered_s(pause_s, random)


class TokenBucket:
    """
    A limit on how often something is done that lets a few pass at once.

    :param burst: How many pass without a pause.
    :param refill_s: Seconds until one more may.
    """

    def __init__(self, burst: int, refill_s: float, now: float) -> None:
        self._burst = float(burst)
        self._refill_s = refill_s
        self._tokens = float(burst)
        self._at = now

    def take(self, now: float) -> float:
        """
        Take a token, which may be one of the future.

        :return: Seconds until it may be used.
        """
        refilled = self._tokens + (now - self._at) / self._refill_s
        self._tokens = min(self._burst, refilled) - 1
        self._at = now
        return max(0.0, -self._tokens * self._refill_s)


def pause(runtime: Runtime, pause_s: float) -> Deferred[None]:
    """
    :return: Fires with None after so many seconds; can be cancelled.
    """
    waited: Deferred[None] = Deferred(lambda _: timer.cancel())
    timer = runtime.call_later(pause_s, waited.callback, None)
    return waited


def within(
    runtime: Runtime, timeout_s: float, waited_for: Deferred[T], problem: str
) -> Deferred[T]:
    """
    Bound the time until a Deferred fires, on monotonic time.

    :param timeout_s: After which it is cancelled.
    :param problem: What to say then.
    :return: The same one; fails with `DiscoveryError` when it was too late.
    """
    timer = runtime.call_later(timeout_s, waited_for.cancel)

    def in_time(result: T | Failure) -> T | Failure:
        late = not timer.active()
        timer.cancel()
        if late and isinstance(result, Failure):
            raise DiscoveryError(problem) from None
        return result

    waited_for.addBoth(in_time)
    return waited_for
