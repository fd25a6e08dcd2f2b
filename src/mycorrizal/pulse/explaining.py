# -*- test-case-name: tests.pulse.test_explain_command -*-
"""
Why a value is there, or is not, from what all nodes know of its key.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import attrs

from mycorrizal.clock import COUNTER_BITS
from mycorrizal.pulse.cluster_messages import HeldVersion, Known
from mycorrizal.pulse.everybody import Said
from mycorrizal.pulse.render import (
    Column,
    duration,
    folded,
    printable,
    size,
    table,
)


@attrs.frozen
class Explanation:
    """
    What is so, and why.

    :ivar found: Whether a get would find a value.
    :ivar why: Sentences, the first of which is the answer.
    """

    bucket: str
    key: str
    slot: int
    owners: list[str]
    primary: str
    found: bool
    why: list[str]
    nodes: dict[str, Known | None]


def moment(stamp: int) -> str:
    """When a version was written, by the cluster's clock, in UTC."""
    at = datetime.fromtimestamp((stamp >> COUNTER_BITS) / 1000, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} UTC"


def explained(bucket: str, key: str, said: Sequence[Said[Known]]) -> Explanation | None:
    """
    Put together what all nodes said.

    :return: None: no node knows the bucket.
    """
    nodes = {one.node_id: one.reply for one in said}
    known = {
        one.node_id: one.reply for one in said if one.reply and one.reply.slot >= 0
    }
    if not known:
        return None
    serving = [node_id for node_id, it in known.items() if it.serving]
    primary = serving[0] if serving else ""
    first = known.get(primary) or next(iter(known.values()))
    versions = {it.version.stamp: it.version for it in known.values() if it.version}
    newest = versions[max(versions)] if versions else None
    at_primary = known[primary].version if primary else newest
    found = at_primary is not None and at_primary.value_bytes is not None
    why = [_answer(at_primary, newest, first, known)]
    why += _doubts(known, serving, first.owners, newest, nodes)
    return Explanation(
        bucket, key, first.slot, first.owners, primary, found, why, nodes
    )


def _answer(
    held: HeldVersion | None,
    newest: HeldVersion | None,
    first: Known,
    known: dict[str, Known],
) -> str:
    if held is not None and held.value_bytes is not None:
        return f"A get finds the value that {held.origin} put at {moment(held.stamp)}"
    if held is not None and held.expired:
        return f"A get misses: the value of {moment(held.stamp)} has expired"
    if held is not None:
        return f"A get misses: {held.origin} deleted it at {moment(held.stamp)}"
    if newest is not None and newest.value_bytes is not None:
        return (
            "A get misses on the primary, though another node holds a value; it is "
            "repaired within seconds, or was evicted by the primary"
        )
    reasons = ["it was never put", "it has expired"]
    evicted = sum(it.evicted for it in known.values())
    if evicted:
        full = " and is full now" if first.full else ""
        reasons.append(
            f"it was evicted for want of room (the bucket has lost {evicted:,} "
            f"values so{full}; `pulse cache alter` gives it more)"
        )
    if first.cleared >= 0:
        reasons.append(f"it went with the clear of {moment(first.cleared)}")
    return f"A get misses, as no node knows of the key: {', or '.join(reasons)}"


def _doubts(
    known: dict[str, Known],
    serving: list[str],
    owners: list[str],
    newest: HeldVersion | None,
    nodes: dict[str, Known | None],
) -> list[str]:
    doubts: list[str] = []
    if not serving:
        doubts.append(
            "The slot has no primary now: it is on the move, gets wait for it"
        )
    elif len(serving) > 1:
        doubts.append(f"Several nodes serve the slot: {', '.join(serving)}")
    elif not known[serving[0]].settled:
        doubts.append(f"{serving[0]} is still fetching what others hold of the slot")
    elif owners and serving[0] != owners[0]:
        doubts.append(f"The slot is to move from {serving[0]} to {owners[0]}")
    if newest is not None and newest.value_bytes is not None:
        for owner in owners:
            it = known.get(owner)
            if it is not None and (
                it.version is None or it.version.stamp < newest.stamp
            ):
                doubts.append(
                    f"{owner} should have the value, and has not: a copy misses"
                )
    silent = [node_id for node_id, it in nodes.items() if it is None]
    if silent:
        doubts.append(f"Not heard: {', '.join(silent)}")
    strange = [node_id for node_id, it in nodes.items() if it and it.slot < 0]
    if strange:
        doubts.append(f"These don't know the bucket yet: {', '.join(strange)}")
    return doubts


def page(found: Explanation, width: int) -> str:
    """All of it, for people."""
    columns = [
        Column("NODE"),
        Column("ROLE"),
        Column("HOLDS"),
        Column("SIZE", right=True),
        Column("LIVES", right=True),
        Column("VERSION OF"),
        Column("BY", optional=True),
    ]
    rows = [_row(found, node_id, it) for node_id, it in sorted(found.nodes.items())]
    lines = [
        f"Key {found.key!r} of bucket {found.bucket} is in slot {found.slot}",
        f"Owners: {', '.join(found.owners)}; primary: {found.primary or 'none now'}",
        "",
        table(columns, rows, width),
    ]
    why = [folded(printable(line), sys.stdout, 2) for line in found.why]
    return "\n".join([*map(printable, lines[:3]), lines[3], "", *why])


def _row(found: Explanation, node_id: str, it: Known | None) -> list[str]:
    if it is None:
        return [node_id, "not heard", "", "", "", "", ""]
    role = "replica" if node_id in found.owners else "-"
    if it.serving:
        role = "primary"
    held = it.version
    if held is None:
        return [node_id, role, "nothing", "", "", "", ""]
    what = "value" if held.value_bytes is not None else "delete"
    return [
        node_id,
        role,
        "expired" if held.expired else what,
        "" if held.value_bytes is None else size(held.value_bytes),
        "for ever" if held.remaining_s is None else duration(held.remaining_s),
        moment(held.stamp)[11:23],
        held.origin,
    ]
