# -*- test-case-name: benchmarks.tests.test_rows -*-
"""
P7: 64 KiB messages one way between two processes, which no compression helps.
"""

from __future__ import annotations

from benchmarks import ours
from benchmarks.peers import floor
from benchmarks.rows import Bar, Better, Rival, Row
from benchmarks.workloads.one_way import Load


def load(quick: bool) -> Load:
    return Load(
        payload_bytes=64 * 1024,
        warmup=500,
        measured=10_000 if quick else 20_000,
    )


def p7(quick: bool) -> Row:
    large = load(quick)
    return Row(
        id="P7",
        title="application messages of 64 KiB, one way, two processes, plain TCP",
        unit="msgs/s",
        better=Better.HIGHER,
        ours=(ours.one_way(large, call="send"), ours.one_way(large, call="post")),
        rivals=(Rival(floor.one_way(large), Bar(must=0.7, aim=0.9)),),
    )
