# -*- test-case-name: benchmarks.tests.test_rows -*-
"""
P1: 100-byte application messages one way between two processes.
"""

from __future__ import annotations

import attrs

from benchmarks import ours
from benchmarks.peers import floor, nats_bus, zmq_pipe
from benchmarks.rows import Bar, Better, Rival, Row
from benchmarks.workloads.one_way import Load


def load(quick: bool) -> Load:
    return Load(
        payload_bytes=100,
        warmup=20_000,
        measured=1_000_000 if quick else 2_000_000,
    )


def p1(quick: bool) -> Row:
    many = load(quick)
    # NATS is slower by far; with fewer messages its clock runs about as long.
    fewer = attrs.evolve(many, measured=many.measured // 5)
    return Row(
        id="P1",
        title="application messages of 100 B, one way, two processes, plain TCP",
        unit="msgs/s",
        better=Better.HIGHER,
        ours=(ours.one_way(many, call="post"), ours.one_way(many, call="send")),
        rivals=(
            Rival(floor.one_way(many), Bar(aim=0.7)),
            Rival(zmq_pipe.one_way(many), Bar(must=1.0)),
            Rival(nats_bus.one_way(fewer), Bar(must=4.0)),
        ),
    )
