# -*- test-case-name: tests.testing.test_minimise -*-
"""
The few faults that matter, of the many that a failing seed has drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

#: Runs that one search may take.
TRIES_MAX: Final = 120


def minimise(
    items: Sequence[T],
    fails: Callable[[Sequence[T]], bool],
    tries_max: int = TRIES_MAX,
) -> list[T]:
    """
    Leave out what is not needed for the failure.

    This is ddmin (Zeller and Hildebrandt: Simplifying and Isolating
    Failure-Inducing Input, 2002).  What is left still fails, and, unless the
    tries ran out, does not if any one of it is left out.

    :param items: With all of them it fails.
    :param fails: Whether it does with these, in the same order.
    """
    rest, parts, tries = list(items), 2, 0
    while rest and tries < tries_max:
        size = max(1, -(-len(rest) // parts))
        for start in range(0, len(rest), size):
            fewer = rest[:start] + rest[start + size :]
            tries += 1
            if fails(fewer):
                rest, parts = fewer, max(2, parts - 1)
                break
            if tries >= tries_max:
                break
        else:
            if size == 1:
                break
            parts = min(len(rest), parts * 2)
    return rest
