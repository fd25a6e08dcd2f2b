# -*- test-case-name: tests.mycel.operations.test_latencies -*-
"""
How long operations take that go to another node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mycorrizal.histogram import Histogram
from mycorrizal.mycel.messages import Get, Put, PutIf, Routed

#: One of so many operations is timed: the others pay an addition.
SAMPLED_EVERY: Final = 8
_KINDS: Final = {Get: "get", Put: "put", PutIf: "put"}


class Latencies:
    """
    The times of a sample of operations, by what they do.

    :param now: The monotonic clock, seconds.
    :ivar by_kind: For get, put and other.
    """

    __slots__ = ("by_kind", "_begun", "_now")

    def __init__(self, now: Callable[[], float]) -> None:
        self.by_kind = {kind: Histogram() for kind in ("get", "put", "other")}
        self._begun = 0
        self._now = now

    def begin(self) -> float:
        """When an operation began, monotonic; 0 if it is not timed."""
        self._begun += 1
        return 0.0 if self._begun % SAMPLED_EVERY else self._now()

    def ended(self, request: Routed, began_at: float) -> None:
        """A timed operation has its answer."""
        kind = _KINDS.get(type(request), "other")
        self.by_kind[kind].observe(self._now() - began_at)
