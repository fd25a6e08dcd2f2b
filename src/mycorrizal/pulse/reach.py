# -*- test-case-name: tests.pulse.test_probing -*-
"""
Which nodes can't be reached from which others, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mycorrizal.pulse.cluster_messages import Vitals
from mycorrizal.pulse.findings import Finding

#: Names of nodes in one sentence; of the others there is a count.
NAMED_MAX: Final = 5


def unreachable(found: Sequence[Vitals]) -> Iterator[Finding]:
    """
    The findings about ports that are closed to others.

    A way counts as closed if the address that a node tells others does not answer,
    or none of those at which somebody knows it.
    """
    told = {vital.node_id: vital.address for vital in found}
    closed: dict[tuple[str, str, str], list[str]] = {}
    tried: dict[str, set[str]] = {}
    for vital in found:
        reached = {one.node_id for one in vital.probes if not one.problem}
        for one in vital.probes:
            tried.setdefault(one.node_id, set()).add(vital.node_id)
            if one.problem and (
                one.address == told.get(one.node_id) or one.node_id not in reached
            ):
                way = one.node_id, one.address, one.problem
                closed.setdefault(way, []).append(vital.node_id)
    for (node_id, address, problem), who in sorted(closed.items()):
        if len(who) == len(tried[node_id]) > 1:
            whose = "none of the others can reach it"
        else:
            whose = f"{names(who)} can't reach it"
        yield Finding(
            node_id,
            f"{whose} at {address}: {problem}",
            "have its --advertise name where others reach it, and open that port for "
            "TCP and UDP between all nodes",
        )


def names(node_ids: Sequence[str]) -> str:
    """Some nodes in a sentence, and how many more there are."""
    shown, more = list(node_ids[:NAMED_MAX]), len(node_ids) - NAMED_MAX
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown)
