# -*- test-case-name: tests.testing.test_checkers -*-
"""
What must hold of a cluster when nothing has happened for a while.

Each checker looks into all nodes at once, which only a simulation can do, and
returns one line for each thing that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.service import Mycorrizal


def views_differ(nodes: Sequence[Mycorrizal]) -> Iterator[str]:
    """All nodes see all others alive, and agree on who owns what."""
    everybody = {node.node_id for node in nodes}
    epochs = {node.node_id: node.mycel.view.epoch for node in nodes}
    for node in nodes:
        alive = {seen.id for seen in node.nodes() if seen.state == "alive"}
        if alive != everybody:
            yield f"{node.node_id} sees {sorted(alive)} alive, not {sorted(everybody)}"
    if len(set(epochs.values())) > 1:
        yield f"nodes disagree on the members that own slots: {epochs}"
    tables = {node.node_id: node.cache().buckets() for node in nodes}
    for node_id, table in tables.items():
        if table != tables[nodes[0].node_id]:
            yield f"{node_id} knows buckets {table}, not {tables[nodes[0].node_id]}"


def copies_are_wrong(nodes: Sequence[Mycorrizal]) -> Iterator[str]:
    """Each key is on exactly its owners, in one version with one value."""
    by_key = {node.nodosum.me.node_key: node for node in nodes}
    buckets = {name for node in nodes for name in node.mycel.buckets.by_name}
    for name in sorted(buckets):
        for slot in range(SLOTS):
            held = {
                node_key: _held(node, name, slot) for node_key, node in by_key.items()
            }
            if any(held.values()):
                yield from _compare(name, slot, held, by_key)


def _held(
    node: Mycorrizal, name: str, slot: int
) -> dict[bytes, tuple[int, bytes, bytes | None]]:
    bucket = node.mycel.buckets.by_name.get(name)
    if bucket is None or not bucket.store.count(slot):
        return {}
    now = node.runtime.now()
    return {
        entry.key: (entry.stamp, entry.origin, entry.value)
        for entry in bucket.store.scan(slot, b"", bucket.store.count(slot))
        # What is about to expire may be gone from one node and not another.
        if entry.deadline > now + 2
    }


def _compare(
    name: str,
    slot: int,
    held: dict[bytes, dict[bytes, tuple[int, bytes, bytes | None]]],
    by_key: dict[bytes, Mycorrizal],
) -> Iterator[str]:
    # Not all know the bucket where something is wrong.
    node = next(it for it in by_key.values() if name in it.mycel.buckets.by_name)
    owners = set(
        node.mycel.view.placement.owners(slot, node.mycel.buckets.by_name[name].owners)
    )
    for key in sorted({key for copies in held.values() for key in copies}):
        if _lapsed(name, key, held, by_key):
            continue
        holders = {node_key for node_key, copies in held.items() if key in copies}
        place = f"{name}/{key!r} in slot {slot}"
        if holders != owners:
            on = sorted(by_key[node_key].node_id for node_key in holders)
            wanted = sorted(by_key[node_key].node_id for node_key in owners)
            yield f"{place} is on {on}, its owners are {wanted}"
        versions = {copies[key] for copies in held.values() if key in copies}
        if len(versions) > 1:
            yield f"{place} has {len(versions)} versions: {sorted(versions, key=repr)[:3]}"


def _lapsed(
    name: str,
    key: bytes,
    held: dict[bytes, dict[bytes, tuple[int, bytes, bytes | None]]],
    by_key: dict[bytes, Mycorrizal],
) -> bool:
    """Whether all that is left is what keeps an older value from coming back."""
    tables = [node.mycel.buckets.by_name.get(name) for node in by_key.values()]
    values = [copies[key][2] for copies in held.values() if key in copies]
    return not any(value is not None for value in values) and any(
        table is not None and table.store.lapsed(key) for table in tables
    )
