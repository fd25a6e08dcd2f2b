# -*- test-case-name: tests.test_histogram -*-
"""
How often times of which length came up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

#: Upper bounds of buckets for times on a network, from 0.1 ms to 10 s.
TIMES_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip


class Histogram:
    """
    Counts of values by size, in buckets whose bounds never change.

    :param bounds: The highest value of each bucket but the last, ascending.
    :ivar counts: Of each bucket; the last one has no upper bound.
    :ivar total: The sum of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = TIMES_S) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


def quantile(
    bounds: Sequence[float], counts: Sequence[int], share: float
) -> float | None:
    """
    The value below which that share of all counted ones lies, as far as buckets
    tell: within one the values are taken to be spread evenly.

    :param counts: As of a `Histogram`, or the difference of two.
    :param share: Above 0, up to 1.
    :return: None if nothing was counted; the highest bound if it lies above.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    below = 0.0
    for index, bound in enumerate(bounds):
        count = counts[index]
        if count and below + count >= wanted:
            low = bounds[index - 1] if index else 0.0
            return low + (bound - low) * (wanted - below) / count
        below += count
    return bounds[-1]
