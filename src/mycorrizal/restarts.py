# -*- test-case-name: tests.test_restarts -*-
"""
A node that is restarted again and again waits before it joins once more: each time
it comes and goes, all others move copies to it and away from it.
"""

from __future__ import annotations

from typing import Final

from mycorrizal.backoff import doubled_s

#: A life that ends sooner than this after the node has opened its ports is a
#: short one.
SHORT_LIFE_S: Final = 10.0
#: Starts in a row, each after a short life, without a pause.
STARTS_MAX: Final = 4
#: First and longest pause after that; it doubles.
PAUSE_MIN_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0


def pause_s(starts: int) -> float:
    """
    How long to wait before the ports are opened.

    :param starts: In a row, each after a short life, this one included.
    """
    if starts <= STARTS_MAX:
        return 0.0
    return doubled_s(PAUSE_MIN_S, PAUSE_MAX_S, starts - STARTS_MAX - 1)


def in_a_row(starts: int, started_ms: int, now_ms: int) -> int:
    """
    How many starts it is now.

    :param starts: What it was at the last start.
    :param started_ms: When that was, by the wall clock; now, if it went back, is
        not taken for soon after it.
    """
    passed_s = (now_ms - started_ms) / 1000
    short = 0 <= passed_s < pause_s(starts) + SHORT_LIFE_S
    return starts + 1 if short else 1
