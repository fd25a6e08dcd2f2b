# -*- test-case-name: tests.pulse.test_bench_command -*-
"""
What Pulse asks a node to measure, and what the node found.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

#: Puts, and gets, of one measurement: a few seconds' work.
OPERATIONS_MAX: Final = 100_000
#: At once.
WORKERS_MAX: Final = 256
#: With `KEYS_MAX` keys: 64 MB, and as much for each copy.
VALUE_BYTES_MAX: Final = 65_536
KEYS_MAX: Final = 1000


class AskBench(msgspec.Struct, tag="bench"):
    """
    How fast is the cluster, from where you are?  Answered by `Benched`.

    :ivar operations: Puts, and then as many gets, unless the time is up before.
    :ivar workers: Operations that are under way at once.
    :ivar look: 0: answer when all is done.  1: begin, and say how far you are, by
        `Benching`; any other number: how far is the measurement of that number?
    """

    operations: Annotated[int, Meta(ge=1, le=OPERATIONS_MAX)] = 5000
    workers: Annotated[int, Meta(ge=1, le=WORKERS_MAX)] = 16
    value_bytes: Annotated[int, Meta(ge=0, le=VALUE_BYTES_MAX)] = 100
    replicas: Annotated[int, Meta(ge=0, le=7)] = 1
    look: Annotated[int, Meta(ge=0)] = 0


class Benching(msgspec.Struct, tag="benching"):
    """
    How far a measurement is.

    :ivar look: With which to ask again.
    :ivar done: From 0 to 1.
    """

    look: int
    phase: str
    done: float


class Pace(msgspec.Struct):
    """
    How fast operations of one kind were.

    :ivar count: Those that were done.
    :ivar failed: Those that were not, and `problem` says why the first was not.
    :ivar took_s: For all.
    :ivar per_s: Of those that were done.
    """

    count: int
    failed: int
    problem: str
    took_s: float
    per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float


class Benched(msgspec.Struct, tag="benched"):
    """
    What a measurement found.

    :ivar missed: Gets that found nothing, though something had been put.
    """

    node_id: str
    nodes: int
    puts: Pace
    gets: Pace
    missed: int
