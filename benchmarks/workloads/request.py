# -*- test-case-name: benchmarks.tests.test_requests -*-
"""
P2-REQUEST and P3-REQUEST: an application asks the same one in another process.

A question of 100 B is answered with 100 B that belong to it, as P2 and P3 do it with a
cache; here the peers are what else Twisted has for calls.
"""

from __future__ import annotations

import attrs

from benchmarks import ours_requests as ours
from benchmarks.peers import floor_asking, foolscap_calls, twisted_calls
from benchmarks.rows import Bar, Better, Rival, Row
from benchmarks.workloads import remote
from benchmarks.workloads.asking import Load

QUESTION_BYTES = 100
#: Those that are slower by far get fewer questions; their clocks run about as long.
CALLS_PART, FOOLSCAP_PART = 4, 10
#: What is promised of Foolscap, where everything is encrypted, is promised here, too.
CALLS_TIMES = 3.0
ENCRYPTED = ", which encrypts always"


def p2_request(quick: bool) -> Row:
    load = _asked(remote.many(quick))
    calls = attrs.evolve(load, warmup=2000, measured=load.measured // CALLS_PART)
    fewer = attrs.evolve(load, warmup=1000, measured=load.measured // FOOLSCAP_PART)
    bar = Bar(must=CALLS_TIMES)
    return Row(
        id="P2-REQUEST",
        title=f"request and reply of {QUESTION_BYTES} B between two processes,"
        f" {load.in_flight} in flight, plain TCP; but Foolscap{ENCRYPTED}",
        unit="requests/s",
        better=Better.HIGHER,
        ours=(ours.asking(load),),
        rivals=(
            Rival(floor_asking.asking(load), Bar(aim=0.7)),
            Rival(twisted_calls.asking(calls, "AMP"), bar),
            Rival(twisted_calls.asking(calls, "PB"), bar),
            Rival(foolscap_calls.asking(fewer), Bar()),
        ),
    )


def p3_request(quick: bool) -> Row:
    load = _asked(remote.one_at_a_time(quick))
    fewer = attrs.evolve(load, measured=load.measured // FOOLSCAP_PART)
    return Row(
        id="P3-REQUEST",
        title=f"request and reply of {QUESTION_BYTES} B between two processes, one at a"
        f" time, plain TCP; but Foolscap{ENCRYPTED}; p50",
        unit="µs",
        better=Better.LOWER,
        ours=(ours.asking(load),),
        rivals=(
            Rival(floor_asking.asking(load), Bar(aim=1.1)),
            Rival(twisted_calls.asking(load, "AMP"), Bar(must=1.0)),
            Rival(twisted_calls.asking(load, "PB"), Bar(must=1.0)),
            Rival(foolscap_calls.asking(fewer), Bar()),
        ),
    )


def _asked(load: Load) -> Load:
    return attrs.evolve(load, key_bytes=QUESTION_BYTES)
