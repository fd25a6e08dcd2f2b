# -*- test-case-name: benchmarks.tests.test_rows -*-
"""
P8: the rows P1, P2, P3 and P7 with encrypted links, beside bare Twisted over TLS.
"""

from __future__ import annotations

import attrs

from benchmarks import ours, ours_remote
from benchmarks.peers import floor, floor_asking, foolscap_calls
from benchmarks.rows import Bar, Peer, Rival, Row
from benchmarks.workloads import p1, p7, remote

TLS = "auto"
MUST, AIM = 0.7, 0.9
#: For rows of rates, and for those of times, where less is better.
RATE_BAR, TIME_BAR = Bar(MUST, AIM), Bar(round(1 / MUST, 2), round(1 / AIM, 2))
FOOLSCAP_TIMES = 3.0
#: Foolscap is slower by far; with fewer questions its clock runs about as long.
FOOLSCAP_PART = 10


def p8_p1(quick: bool) -> Row:
    load = p1.load(quick)
    return _encrypted(
        p1.p1(quick),
        ours=(ours.one_way(load, "post", TLS), ours.one_way(load, "send", TLS)),
        rivals=(Rival(floor.one_way(load, tls=True), RATE_BAR),),
    )


def p8_p7(quick: bool) -> Row:
    load = p7.load(quick)
    return _encrypted(
        p7.p7(quick),
        ours=(ours.one_way(load, "send", TLS), ours.one_way(load, "post", TLS)),
        rivals=(Rival(floor.one_way(load, tls=True), RATE_BAR),),
    )


def p8_p2(quick: bool) -> Row:
    load = remote.many(quick)
    fewer = attrs.evolve(load, warmup=1000, measured=load.measured // FOOLSCAP_PART)
    return _encrypted(
        remote.p2(quick),
        ours=(ours_remote.getting(load, TLS),),
        rivals=(
            Rival(floor_asking.asking(load, tls=True), RATE_BAR),
            Rival(foolscap_calls.asking(fewer), Bar(must=FOOLSCAP_TIMES)),
        ),
    )


def p8_p3(quick: bool) -> Row:
    load = remote.one_at_a_time(quick)
    fewer = attrs.evolve(load, measured=load.measured // FOOLSCAP_PART)
    return _encrypted(
        remote.p3(quick),
        ours=(ours_remote.getting(load, TLS),),
        rivals=(
            Rival(floor_asking.asking(load, tls=True), TIME_BAR),
            # A third of its time is less than what the floor needs.
            Rival(foolscap_calls.asking(fewer), Bar()),
        ),
    )


def _encrypted(row: Row, ours: tuple[Peer, ...], rivals: tuple[Rival, ...]) -> Row:
    return attrs.evolve(
        row,
        id=f"P8-{row.id}",
        title=row.title.replace("plain TCP", "TLS 1.3"),
        ours=ours,
        rivals=rivals,
    )
