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

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import attrs

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.messages import NEVER, Done, Push
from mycorrizal.mycel.operations.primary import Primary
from mycorrizal.mycel.operations.writing import Writes
from mycorrizal.mycel.settling import Settling
from mycorrizal.mycel.slots import handoff
from mycorrizal.mycel.slots.handoff import Handoff
from mycorrizal.mycel.slots.view import View
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


def _no_tombstones_pushed(original: Any, here: Handoff, batch: Any) -> None:
    values = tuple(it for it in batch.push.entries if it.value is not None)
    original(here, attrs.evolve(batch, push=Push(batch.push.bucket, values)))


def _drop_before_push(original: Any, here: Handoff, **how: Any) -> None:
    view = here._view
    for bucket in here._buckets.by_name.values():
        for slot in range(len(view.unsettled)):
            owners = view.placement.owners(slot, bucket.owners)
            if bucket.store.count(slot) and view.me not in owners:
                bucket.store.drop_slot(slot, Cause.MOVED)
    original(here, **how)


def _through_at_once(
    original: Any, settling: Settling, question: Any, done: Any
) -> None:
    settling._clock.observe(question.clock)
    done(Done(existed=True))


def _never_expires(original: Any, deadline: float, now: float) -> int:
    return NEVER


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


def _never_dead(original: Any, peer: Any, config: Any, now: float) -> list[Any]:
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
    "stale-primary": _canary(
        "restarts", 0, 1, "acknowledged",
        "who was primary of a slot stays so as long as it lives",
        (View, "change", _stale_primary),
    ),
    "ask-nobody": _canary(
        "restarts", 9, 10, "acknowledged",
        "operations on unsettled slots ask no other holders",
        (Primary, "_fetch", _ask_nobody),
    ),
    "push-no-tombstones": _canary(
        "restarts", 0, 1, "copies",
        "a push leaves out tombstones",
        (Handoff, "_send", _no_tombstones_pushed),
    ),
    "drop-early": _canary(
        "restarts", 18, 19, "acknowledged",
        "slots that have moved are dropped before they were pushed",
        (Handoff, "begin", _drop_before_push),
    ),
    "through-early": _canary(
        "crashes", 3, 4, "copies",
        "a node says that it has pushed all before it has",
        (Settling, "asked", _through_at_once),
    ),
    "immortal-copies": _canary(
        "restarts", 4, 5, "expired",
        "copies that are pushed live for ever",
        (handoff, "remaining_ms", _never_expires),
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
        "network", 5, 6, "delivery",
        "a link that was held up goes on with its second frame",
        (Link, "resume", _lose_a_frame),
    ),
    "sent-twice": _canary(
        "calm", 0, 1, "messages",
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
    "immortal-nodes": _canary(
        "crashes", 2, 3, "death",
        "nobody is ever taken for dead for being silent",
        (liveness, "check", _never_dead),
    ),
    "wall-timers": _canary(
        "clocks", 1, 2, "order",
        "timers follow the wall clock",
        (Runtime, "call_later", _by_wall_clock),
    ),
}  # fmt: skip
