# -*- test-case-name: benchmarks.tests.test_asking -*-
"""
P2, P3 and P6: the cache of another process, beside the servers that do only that.
"""

from __future__ import annotations

import attrs

from benchmarks import ours_remote as ours
from benchmarks.peers import floor_asking, remote_caches
from benchmarks.peers.remote_caches import OWN_PARSER, PIPELINE, SET
from benchmarks.rows import Bar, Better, Rival, Row
from benchmarks.workloads.asking import Load

IN_FLIGHT = 64
CURIOUS = Bar()
#: Redis's client without hiredis is slower; with fewer questions its clock runs about
#: as long as that of others.
OWN_PARSER_PART = 4


def p2(quick: bool) -> Row:
    load = many(quick)
    return Row(
        id="P2",
        title=f"get of 100 B from another process, {IN_FLIGHT} in flight, plain TCP",
        unit="gets/s",
        better=Better.HIGHER,
        ours=(ours.getting(load),),
        rivals=(
            Rival(floor_asking.asking(load), Bar(aim=0.7)),
            Rival(remote_caches.memcached(load), Bar(must=1.0, aim=1.5)),
            Rival(remote_caches.redis(load), Bar(must=4.0)),
            Rival(remote_caches.redis(fewer(load), way=OWN_PARSER), Bar(must=4.0)),
            Rival(remote_caches.redis(load, way=PIPELINE), CURIOUS),
        ),
    )


def p3(quick: bool) -> Row:
    load = one_at_a_time(quick)
    return Row(
        id="P3",
        title="get of 100 B from another process, one at a time, plain TCP; p50",
        unit="µs",
        better=Better.LOWER,
        ours=(ours.getting(load),),
        rivals=(
            Rival(floor_asking.asking(load), Bar(aim=1.1)),
            Rival(remote_caches.memcached(load), Bar(must=1.3)),
            Rival(remote_caches.redis(load), Bar(must=1.0)),
            Rival(remote_caches.redis(load, way=OWN_PARSER), CURIOUS),
        ),
    )


def p6(quick: bool) -> Row:
    load = many(quick)
    redis = remote_caches.redis
    return Row(
        id="P6",
        title="put of 100 B into another process, with a replica on a third one,"
        f" {IN_FLIGHT} in flight, plain TCP; Redis replicates nothing",
        unit="puts/s",
        better=Better.HIGHER,
        ours=(ours.putting(load),),
        rivals=(
            Rival(redis(load, SET), Bar(must=0.7, aim=1.0)),
            Rival(redis(fewer(load), SET, OWN_PARSER), Bar(must=0.7, aim=1.0)),
            Rival(redis(load, SET, PIPELINE), CURIOUS),
        ),
    )


def many(quick: bool) -> Load:
    return Load(
        in_flight=IN_FLIGHT, warmup=8_000, measured=40_000 if quick else 120_000
    )


def fewer(load: Load) -> Load:
    return attrs.evolve(
        load,
        warmup=load.warmup // OWN_PARSER_PART,
        measured=load.measured // OWN_PARSER_PART,
    )


def one_at_a_time(quick: bool) -> Load:
    measured = 5_000 if quick else 20_000
    return Load(in_flight=1, warmup=1_000, measured=measured, by_time=True)
