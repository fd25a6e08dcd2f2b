# -*- test-case-name: benchmarks.tests.test_at_rest -*-
"""
P11, P12-MEMBERS and P13: what many members cost, what rest costs, and the start.
"""

from __future__ import annotations

from benchmarks import ours_at_rest as ours
from benchmarks import ours_members
from benchmarks.rows import Bar, Better, Row

FEW, SOME, MANY = 3, 5, 100
#: A quick run has no time to form the large cluster: that is a minute of the
#: processor, as each of a hundred nodes talks to each.
QUICK_MANY = 40
MANY_TIMEOUT_S = 600.0
#: What counts is the processor's time of one process, which varies little.
MANY_ROUNDS_MAX = 1
#: To watch nodes that do nothing takes the time that it takes.
IDLE_ROUNDS_MAX, QUICK_IDLE_ROUNDS_MAX = 3, 2


def p11(quick: bool) -> Row:
    return Row(
        id="P11",
        title=f"processor's time of an idle node in a cluster of {SOME}",
        unit="% of a core",
        better=Better.LOWER,
        ours=(ours.idle(SOME, watched_s=10 if quick else 30),),
        bar=Bar(must=0.5),
        timeout_s=120.0,
        rounds_max=QUICK_IDLE_ROUNDS_MAX if quick else IDLE_ROUNDS_MAX,
    )


def p11_simulated(quick: bool) -> Row:
    nodes = QUICK_MANY if quick else MANY
    return Row(
        id="P11-SIM",
        title=f"processor's time of an idle node in a simulated cluster of {nodes}",
        unit="% of a core",
        better=Better.LOWER,
        ours=(ours.idle_simulated(nodes, watched_s=10),),
        bar=Bar(must=5.0),
        timeout_s=MANY_TIMEOUT_S,
        rounds_max=MANY_ROUNDS_MAX,
    )


def p12_members(quick: bool) -> Row:
    nodes = QUICK_MANY if quick else MANY
    return Row(
        id="P12-MEMBERS",
        title=f"time of an operation with {nodes} members ÷ with {FEW}, simulated",
        unit="ratio",
        better=Better.LOWER,
        ours=(ours_members.growth(FEW, nodes),),
        bar=Bar(must=1.3),
        timeout_s=MANY_TIMEOUT_S,
        rounds_max=MANY_ROUNDS_MAX,
    )


def p13(quick: bool) -> Row:
    return Row(
        id="P13",
        title="start of a node that is alone, to ready, in a warm process",
        unit="ms",
        better=Better.LOWER,
        ours=(ours.starting(),),
        bar=Bar(must=150.0),
    )


def p13_simulated(quick: bool) -> Row:
    return Row(
        id="P13-SIM",
        title=f"start of {FEW} nodes in one test's process, simulated",
        unit="ms",
        better=Better.LOWER,
        ours=(ours.starting_simulated(FEW),),
        bar=Bar(must=50.0),
    )
