# -*- test-case-name: tests.test_backoff -*-
"""
How long to wait before something that has failed is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: A pause is doubled so often at most: by then it is as long as it may be, and a
#: count that goes on for ever makes no number that is none.
DOUBLINGS_MAX: Final = 9


def doubled_s(first_s: float, longest_s: float, times: int) -> float:
    """
    A pause, in seconds, that has been doubled.

    :param times: How often, 0 or more.
    """
    doubled: float = first_s * 2.0 ** min(times, DOUBLINGS_MAX)
    return min(longest_s, doubled)


def jittered_s(pause_s: float, random: Callable[[], float]) -> float:
    """
    A pause of half to all of its length, so that many don't come in one moment.

    :param random: Returns a float in [0, 1).
    """
    return pause_s * (0.5 + random() / 2)
