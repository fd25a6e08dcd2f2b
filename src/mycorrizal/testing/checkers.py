# -*- test-case-name: tests.testing.test_checkers -*-
"""
What must hold of a cluster when nothing has happened for a while.

Each checker looks into all nodes at once, which only a simulation can do, and
returns one line for each thing that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.service import Mycorrizal
from mycorrizal.testing.evictions import Evictions

#: Copies with less to live than this, in seconds, need not be anywhere: they
#: live from when they arrive, and by clocks of their own.
ABOUT_TO_EXPIRE_S: Final = 2.0


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


def copies_are_wrong(
    nodes: Sequence[Mycorrizal], evictions: Evictions | None = None
) -> Iterator[str]:
    """
    Each key is on exactly its owners, in one version with one value.

    :param evictions: What nodes have let go: an owner need not have that.
    """
    by_key = {node.nodosum.me.node_key: node for node in nodes}
    buckets = {name for node in nodes for name in node.mycel.buckets.by_name}
    for name in sorted(buckets):
        for slot in range(SLOTS):
            held = {
                node_key: _held(node, name, slot) for node_key, node in by_key.items()
            }
            if any(held.values()):
                yield from _compare(name, slot, held, by_key, evictions)


@attrs.frozen
class _Copy:
    """What one node holds of a key; `remaining_s` is its time to live."""

    version: tuple[int, bytes]
    value: bytes | None
    remaining_s: float


_Held = dict[bytes, dict[bytes, _Copy]]


def _held(node: Mycorrizal, name: str, slot: int) -> dict[bytes, _Copy]:
    bucket = node.mycel.buckets.by_name.get(name)
    if bucket is None or not bucket.store.count(slot):
        return {}
    now = node.runtime.now()
    return {
        entry.key: _Copy(entry.version, entry.value, entry.deadline - now)
        for entry in bucket.store.scan(slot, b"", bucket.store.count(slot))
        if entry.deadline > now
    }


def _compare(
    name: str,
    slot: int,
    held: _Held,
    by_key: dict[bytes, Mycorrizal],
    evictions: Evictions | None,
) -> Iterator[str]:
    # Not all know the bucket where something is wrong.
    node = next(it for it in by_key.values() if name in it.mycel.buckets.by_name)
    owners = set(
        node.mycel.view.placement.owners(slot, node.mycel.buckets.by_name[name].owners)
    )
    for key in sorted({key for copies in held.values() for key in copies}):
        found = {owner: copies[key] for owner, copies in held.items() if key in copies}
        last = {o: c for o, c in found.items() if c.remaining_s > ABOUT_TO_EXPIRE_S}
        if not last or _lapsed(name, key, last, by_key, evictions):
            continue
        place = f"{name}/{key!r} in slot {slot}"
        lacking = {by_key[owner] for owner in owners - found.keys()}
        if evictions is not None:
            stamp, origin = max(copy.version for copy in last.values())
            version = stamp, origin.hex()
            evicted = evictions.by(name, key, version)
            # A copy that was long on its way lives longer than others.
            lacking -= evictions.gone_from(name, key, version, 0.0)
            primary = node.mycel.view.placement.primary(slot)
            if primary is not None and by_key[primary] in evicted:
                # Who came later could not get it from there; an older one may
                # have come back.
                continue
        if lacking or last.keys() - owners:
            on = sorted(by_key[node_key].node_id for node_key in found)
            wanted = sorted(by_key[node_key].node_id for node_key in owners)
            yield f"{place} is on {on}, its owners are {wanted}"
        versions = {(copy.version, copy.value) for copy in last.values()}
        if len(versions) > 1:
            some = sorted(versions, key=repr)[:3]
            yield f"{place} has {len(versions)} versions: {some}"


def _lapsed(
    name: str,
    key: bytes,
    found: dict[bytes, _Copy],
    by_key: dict[bytes, Mycorrizal],
    evictions: Evictions | None,
) -> bool:
    """
    Whether what is left is what keeps an older value from coming back.

    Who never had the one that has expired may hold that older one, given by a
    node that lets it go, until all is compared.
    """
    last = max(found.values(), key=lambda copy: copy.version)
    if last.value is not None:
        return False
    if evictions is not None:
        stamp, origin = last.version
        if evictions.has_expired(name, key, (stamp, origin.hex())):
            return True
    if any(copy.value is not None for copy in found.values()):
        return False
    tables = [node.mycel.buckets.by_name.get(name) for node in by_key.values()]
    return any(table is not None and table.store.lapsed(key) for table in tables)
