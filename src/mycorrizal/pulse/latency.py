# -*- test-case-name: tests.pulse.test_latency -*-
"""
How long gets and puts took between two looks at a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from mycorrizal.histogram import TIMES_S, quantile
from mycorrizal.pulse.messages import Status

KINDS: Final = ("get", "put")
#: Counts of nothing.
_NONE: Final = (0,) * (len(TIMES_S) + 1)

#: For each of `KINDS`, how many took how long, as `mycorrizal.histogram` counts.
Counts = dict[str, list[int]]


@attrs.frozen
class Latency:
    """
    How long operations of one kind took.

    :ivar timed: How many of them were timed.
    :ivar p50_ms: Half of those took no longer.
    :ivar p99_ms: Of a hundred, all but one.
    """

    timed: int
    p50_ms: float
    p99_ms: float


def between(before: Status | None, now: Status) -> Counts:
    """What a node has counted between two looks; nothing at the first one."""
    if before is None or before.node.incarnation != now.node.incarnation:
        return {}
    found: Counts = {}
    for kind in KINDS:
        old, new = before.latencies.get(kind, _NONE), now.latencies.get(kind, _NONE)
        if len(old) == len(new) == len(_NONE):
            # A version with other bounds is one that can't be read.
            found[kind] = [max(0, b - a) for a, b in zip(old, new, strict=True)]
    return found


def together(counted: Iterable[Counts]) -> Counts:
    """What several nodes have counted."""
    found: Counts = {}
    for counts in counted:
        for kind, count in counts.items():
            so_far = found.get(kind, _NONE)
            found[kind] = [a + b for a, b in zip(so_far, count, strict=True)]
    return found


def latency(counts: Counts, kind: str) -> Latency | None:
    """Of one kind; None: none was timed."""
    count = counts.get(kind, [])
    p50_s, p99_s = (quantile(TIMES_S, count, share) for share in (0.5, 0.99))
    if p50_s is None or p99_s is None:
        return None
    return Latency(sum(count), round(p50_s * 1000, 3), round(p99_s * 1000, 3))
