# -*- test-case-name: tests.testing.test_canaries -*-
"""
Bugs to plant, to see whether the swarm would find them.

Each is put into the code from outside, as a test would patch it: no node that
is not simulated can ever have one.  `CANARIES` says which storm finds each, so
that it can be played again, and how many seeds the search for it took; nothing
is wrong in the same storm without the bug.

A search: ``python -m mycorrizal.testing.search``.  One storm with one of them:
``python -m mycorrizal.testing.swarm --canary NAME --profile P``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import attrs
import msgspec

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.leases import Leases
from mycorrizal.mycel.messages import NEVER, Done
from mycorrizal.mycel.operations import replica
from mycorrizal.mycel.operations.primary import Primary
from mycorrizal.mycel.operations.writing import Writes
from mycorrizal.mycel.slots import leveling
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.dropping import Dropping
from mycorrizal.mycel.slots.slotset import slots_of
from mycorrizal.mycel.store import Bucket, Cause
from mycorrizal.nodosum import liveness
from mycorrizal.nodosum.flow import FRAME_COST_BYTES, Flow
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.wire import handshake
from mycorrizal.nodosum.wire.handshake import Handshake
from mycorrizal.nodosum.wire.limits import FrameType
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


def _ask_nobody(
    original: Any, primary: Primary, bucket: Any, slot: int, request: Any, *rest: Any
) -> None:
    primary._perform_settled(bucket, slot, request, *rest)


def _no_tombstones_sent(original: Any, entries: Any, now: float) -> Any:
    return original([it for it in entries if it.value is not None], now)


def _drop_at_once(original: Any, dropping: Dropping) -> None:
    for bucket in dropping._buckets.by_name.values():
        for slot in slots_of(dropping._foreign(bucket)):
            bucket.store.drop_slot(slot, Cause.MOVED)


def _win_at_once(original: Any, claims: Claims) -> Any:
    claims._owed.clear()
    return original(claims)


def _no_late_links(original: Any, claims: Claims, node_key: bytes, now: float) -> Any:
    claims._asking.discard(node_key)
    return claims._go_on(now)


def _nothing_held(original: Any, claims: Claims, *about: Any) -> Any:
    answer, effects = original(claims, *about)
    return msgspec.structs.replace(answer, held=bytes(len(answer.held))), effects


def _never_expires(original: Any, deadline: float, now: float) -> int:
    return NEVER


def _one_more(original: Any, bucket: Bucket, kept: Any, now: float) -> None:
    original(bucket, kept, now)
    oldest = bucket._led.newer
    if oldest is not bucket._led and oldest is not kept:
        bucket._lose(oldest, Cause.MOVED)


def _keep_lease(original: Any, leases: Leases, name: str, key: bytes) -> None:
    leases.absent.pop((name, key), None)


def _load_twice(original: Any, leases: Leases, wish: Any) -> Any:
    leases.current.pop((wish.load.bucket, wish.load.key), None)
    return original(leases, wish)


def _forget_clocks(original: Any, clock: HybridClock, stamp: int) -> None:
    return None


def _wall_stamps(original: Any, clock: HybridClock) -> int:
    # A clock that follows the wall clock back.
    clock.last = 0
    stamp: int = original(clock)
    return stamp


# -- links, members, time ------------------------------------------------------------


def _lose_a_frame(original: Any, link: Link) -> None:
    # What waited while the transport was full is what gets lost.
    for flow in link.lanes.flows.values():
        if flow.queued_bytes:
            first = flow._frames[flow._start + 1]
            flow.take(FRAME_COST_BYTES + len(first))
    original(link)


def _twice(original: Any, flow: Any, head: bytes, payload: bytes) -> bool:
    sent: bool = original(flow, head, payload)
    # Requests have ids, by which a second one would be told apart.
    if sent and head[1] == FrameType.APP and flow.line._runtime.random() < 0.1:
        original(flow, head, payload)
    return sent


def _trust_initiators(original: Any, shake: Handshake, proof: bytes) -> Any:
    # Whatever was proved is what was expected.
    return original(shake, shake._proof(handshake._INITIATOR)[1])


def _trust_responders(original: Any, shake: Handshake, proof: bytes) -> Any:
    return original(shake, shake._proof(handshake._RESPONDER)[1])


def _no_transcript(original: Any, shake: Handshake) -> bytes:
    # What was said is not part of the proof.
    return bytes(32)


def _never_dead(original: Any, peer: Any, *arguments: Any) -> list[Any]:
    return []


class _WallTimer:
    """A reactor's call in place of a `mycorrizal.runtime.Timer`."""

    def __init__(self, call: Any) -> None:
        self.active = call.active
        self._call = call

    def cancel(self) -> None:
        """Forget the call."""
        if self._call.active():
            self._call.cancel()


def _by_wall_clock(
    original: Any, runtime: Runtime, delay_s: float, call: Any, *arguments: Any
) -> _WallTimer:
    reactor: Any = runtime.reactor
    return _WallTimer(reactor.callLater(max(0.0, delay_s), call, *arguments))


def _canary(
    profile: str, seed: int, seeds: int, invariant: str, about: str, *patches: Patch
) -> Canary:
    return Canary(about, profile, seed, seeds, invariant, patches)


CANARIES: Final[dict[str, Canary]] = {
    "early-ok": _canary(
        "calm", 0, 1, "copies-at-ack",
        "a write is acknowledged before its copies stand",
        (Writes, "begin", _acknowledge_early),
    ),
    "no-tombstone": _canary(
        "crashes", 0, 1, "copies-at-ack",
        "a delete leaves no tombstone",
        (Bucket, "merge", _no_tombstone),
    ),
    "ask-nobody": _canary(
        "restarts", 9, 10, "acknowledged",
        "operations on unsettled slots ask no other holders",
        (Primary, "_fetch", _ask_nobody),
    ),
    "push-no-tombstones": _canary(
        "restarts", 0, 1, "copies",
        "what is sent to new owners leaves out tombstones",
        (leveling, "pushed", _no_tombstones_sent),
        (replica, "pushed", _no_tombstones_sent),
    ),
    "drop-early": _canary(
        "restarts", 18, 19, "acknowledged",
        "slots that have moved are dropped before others hold them",
        (Dropping, "go_on", _drop_at_once),
    ),
    "claim-at-once": _canary(
        "all", 0, 1, "views",
        "a claimant waits for nobody's answer",
        (Claims, "_win", _win_at_once),
    ),
    "no-late-links": _canary(
        "all", 4, 5, "acknowledged",
        "a primary does not tell those who link later",
        (Claims, "link_up", _no_late_links),
    ),
    "nothing-held": _canary(
        "all", 6, 7, "copies",
        "who agrees to a claim does not say that it holds copies",
        (Claims, "claimed", _nothing_held),
    ),
    "immortal-copies": _canary(
        "restarts", 0, 1, "expired",
        "copies that are pushed live for ever",
        (leveling, "remaining_ms", _never_expires),
    ),
    "one-more": _canary(
        "calm", 3, 4, "acknowledged",
        "a bucket that evicts loses one value more, which it does not count",
        (Bucket, "_make_room", _one_more),
    ),
    "lasting-lease": _canary(
        "calm", 0, 1, "late-fill",
        "a write or delete leaves the right to store what was loaded before",
        (Leases, "written", _keep_lease),
    ),
    "load-twice": _canary(
        "calm", 10, 11, "one-flight",
        "who misses a key that is being loaded is told to load it too",
        (Leases, "ask", _load_twice),
    ),
    "deaf-clock": _canary(
        "clocks", 1, 2, "order",
        "a clock does not move up to the stamps of others",
        (HybridClock, "observe", _forget_clocks),
    ),
    "clock-goes-back": _canary(
        "clocks", 1, 2, "clock",
        "stamps follow the wall clock back",
        (HybridClock, "tick", _wall_stamps),
    ),
    "lost-frame": _canary(
        "network", 24, 25, "delivery",
        "a link that was held up goes on with its second frame",
        (Link, "resume", _lose_a_frame),
    ),
    "sent-twice": _canary(
        "calm", 1, 2, "messages",
        "a message is sent twice",
        (Flow, "post", _twice),
        (Flow, "post_patiently", _twice),
    ),
    "no-proof": _canary(
        "network", 1, 2, "strangers",
        "any proof of knowing the secret is taken",
        (Handshake, "_auth_i", _trust_initiators),
        (Handshake, "_auth_r", _trust_responders),
    ),
    "no-transcript": _canary(
        "partitions", 7, 8, "greetings",
        "proofs say nothing of how the nodes greeted each other",
        (Handshake, "_transcript_hash", _no_transcript),
    ),
    "immortal-nodes": _canary(
        "crashes", 2, 3, "death",
        "nobody is ever taken for dead for being silent",
        (liveness, "check", _never_dead),
    ),
    "wall-timers": _canary(
        "clocks", 1, 2, "life",
        "timers follow the wall clock",
        (Runtime, "call_later", _by_wall_clock),
    ),
}  # fmt: skip
