# -*- test-case-name: tests.testing.test_canaries -*-
"""
Bugs to plant, to see whether the swarm would find them.

Each is put into the code from outside, as a test would patch it: no node that
is not simulated can ever have one.  `CANARIES` says which storm finds each, so
that it can be played again, and how many seeds the search for it took; nothing
is wrong in the same storm without the bug.

A search: ``python -m mycorrizal.testing.swarm --canary NAME --profile P``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import attrs

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.messages import Done, Push
from mycorrizal.mycel.operations.primary import Primary
from mycorrizal.mycel.operations.replica import Replica
from mycorrizal.mycel.operations.writing import Writes
from mycorrizal.mycel.slots.handoff import Handoff
from mycorrizal.mycel.slots.view import View
from mycorrizal.mycel.store import Bucket, Cause
from mycorrizal.nodosum import choice, liveness
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.membership import Membership
from mycorrizal.nodosum.wire import handshake
from mycorrizal.runtime import Runtime

T = TypeVar("T")

#: What is put in place of something: where, what it is called, and what is
#: called instead of it, with the original as first argument.
Patch = tuple[Any, str, Callable[..., Any]]


@attrs.frozen
class Canary:
    """
    One bug to plant.

    :ivar profile: The weather in which it is found.
    :ivar seed: Of the storm that finds it.
    :ivar seeds: How many the search took, from seed 0 on.
    :ivar invariant: What it breaks there.
    """

    about: str
    profile: str
    seed: int
    seeds: int
    invariant: str
    patches: tuple[Patch, ...] = attrs.field(repr=False)


@contextmanager
def planted(name: str) -> Iterator[None]:
    """
    Have a bug for as long as this lasts.

    :raises KeyError: There is no such canary.
    """
    undo: list[tuple[Any, str, Any]] = []
    try:
        for place, attribute, instead in CANARIES[name].patches:
            original = getattr(place, attribute)
            undo.append((place, attribute, original))
            setattr(place, attribute, _bound(instead, original))
        yield
    finally:
        for place, attribute, original in reversed(undo):
            setattr(place, attribute, original)


def _bound(instead: Callable[..., T], original: Any) -> Callable[..., T]:
    def call(*args: Any, **kwargs: Any) -> T:
        return instead(original, *args, **kwargs)

    return call


# -- the cache -------------------------------------------------------------------


def _acknowledge_early(original: Any, writes: Writes, write: Any) -> None:
    done, write.done = write.done, lambda _: None
    me = writes._view.me
    owners = writes._view.placement.owners(write.slot, write.bucket.owners)
    original(writes, write)
    done(Done(write.existed, len(owners), write.stamp, me))


def _no_tombstone(
    original: Any, bucket: Bucket, slot: int, key: bytes, value: Any, *rest: Any
) -> Any:
    merged = original(bucket, slot, key, value, *rest)
    held = bucket._tables[slot].get(key)
    if merged and value is None and held is not None:
        bucket._lose(held, Cause.DELETED)
    return merged


def _stale_primary(original: Any, view: View, members: Any) -> Any:
    was = list(view.placement.primaries)
    changed = original(view, members)
    for slot, primary in enumerate(was):
        if primary in view.members:
            view.placement.primaries[slot] = primary
    return changed


def _ask_nobody(
    original: Any, primary: Primary, bucket: Any, slot: int, request: Any, *rest: Any
) -> None:
    primary._perform_settled(bucket, slot, request, *rest)


def _no_tombstones_pushed(original: Any, handoff: Handoff, batch: Any) -> None:
    values = tuple(it for it in batch.push.entries if it.value is not None)
    original(handoff, attrs.evolve(batch, push=Push(batch.push.bucket, values)))


def _drop_before_push(original: Any, handoff: Handoff, **how: Any) -> None:
    view = handoff._view
    for bucket in handoff._buckets.by_name.values():
        for slot in range(len(view.unsettled)):
            owners = view.placement.owners(slot, bucket.owners)
            if bucket.store.count(slot) and view.me not in owners:
                bucket.store.drop_slot(slot, Cause.MOVED)
    original(handoff, **how)


def _no_merge_by_version(original: Any, replica: Replica, request: Any) -> Any:
    # What comes last wins, however old it is.
    bucket = replica._buckets.by_name.get(getattr(request, "bucket", ""))
    if bucket is not None and isinstance(request, Push):
        for entry in request.entries:
            for table in bucket.store._tables:
                held = table.get(entry.key)
                if held is not None and held.stamp > entry.stamp:
                    held.stamp = entry.stamp - 1
    return original(replica, request)


def _forget_clocks(original: Any, clock: HybridClock, stamp: int) -> None:
    return None


def _wall_stamps(original: Any, clock: HybridClock) -> int:
    # A clock that follows the wall clock back.
    clock.last = 0
    stamp: int = original(clock)
    return stamp


def _reads_uncommitted(original: Any, writes: Writes, write: Any) -> None:
    # Readable before its copies stand.
    bucket, now = write.bucket.store, writes._now()
    me = writes._view.me
    bucket.merge(
        write.slot, write.key, write.value, write.stamp, me, write.deadline, now
    )
    original(writes, write)


# -- links, members, time ------------------------------------------------------------


def _lose_a_frame(original: Any, peer: Any) -> Any:
    contest = peer.contest
    if contest is not None and peer.link is not None and peer.link.queued_bytes:
        del peer.link._queue[:2]
    return original(peer)


def _twice(original: Any, link: Link, head: bytes, payload: bytes) -> bool:
    sent: bool = original(link, head, payload)
    if sent and link._runtime.random() < 0.01:
        original(link, head, payload)
    return sent


def _out_of_order(original: Any, link: Link) -> None:
    # A queue that is cut into bursts goes out from its end.
    original(link)


def _trust_all(original: Any, proof: bytes, expected: bytes) -> bool:
    return True


def _never_dead(original: Any, peer: Any, config: Any, now: float) -> list[Any]:
    return []


def _never_overslept(original: Any, peers: Any, now: float) -> list[Any]:
    return []


def _by_wall_clock(
    original: Any, runtime: Runtime, delay_s: float, call: Any, *arguments: Any
) -> Any:
    """Timers that are checked against the wall clock."""
    due_s = runtime.wall() + delay_s

    def look() -> None:
        left_s = due_s - runtime.wall()
        if left_s > 0.001:
            timer.due_s = runtime.now()  # type: ignore[misc]
            original(runtime, min(left_s, 60.0), look)
        else:
            call(*arguments)

    timer = original(runtime, delay_s, look)
    return timer


CANARIES: Final[dict[str, Canary]] = {}
