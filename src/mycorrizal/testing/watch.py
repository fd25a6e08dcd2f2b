# -*- test-case-name: tests.testing.test_watch -*-
"""
What must hold at every moment of a storm, looked at twice a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

from twisted.logger import LogLevel

from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.mycel.slots.slotset import slots_of
from mycorrizal.mycel.store.bucket import FOLLOWED_SHARE_MAX
from mycorrizal.mycel.store.versions import TOMBSTONE_BYTES_SHARE
from mycorrizal.nodosum import Link, MemberDied
from mycorrizal.nodosum.calls import CALLS_MAX
from mycorrizal.nodosum.choice import WAITING_LINKS_MAX
from mycorrizal.nodosum.wire.version import Role
from mycorrizal.service import Mycorrizal
from mycorrizal.testing.arena import Arena, number_of
from mycorrizal.testing.conditions import Conditions
from mycorrizal.testing.history import Operation, Version
from mycorrizal.testing.host import HostState

#: How often it looks, in seconds.
LOOK_S: Final = 0.5
#: Two links of one pair may be up for so long.
SECOND_LINK_S: Final = 1.0
#: A process that began so lately may be taken for its predecessor.
BORN_S: Final = 12.0
#: A death is noticed within this, by whoever has been awake as long.
DEATH_S: Final = 10.0
#: Problems that are remembered.
PROBLEMS_MAX: Final = 20
#: Bounds of a node's tables.
TIMERS_MAX: Final = 2_000
CONNECTIONS_MAX: Final = 64
#: What is logged as an error because a storm's application raised it.
_OURS: Final = ("The receive function of", "The request function of")

#: Of an entry: its stamp, its origin and its deadline.
_Seen = tuple[int, bytes, float]


class Watch:
    """
    One who looks into all nodes of a storm.

    :ivar problems: What was wrong: when, which invariant, and how.
    """

    def __init__(self, arena_of: Any, conditions: Conditions) -> None:
        self.problems: list[tuple[float, str, str]] = []
        self.over = False
        self._arena_of = arena_of
        self._conditions = conditions
        self._unmet: dict[tuple[int, int], float] = {}
        self._second_links: dict[tuple[str, bytes], float] = {}
        self._changed: dict[Link, None] = {}
        self._clocks: dict[tuple[int, int], int] = {}
        #: By number: the process that was looked at last, and what it had.
        self._versions: dict[int, tuple[int, dict[tuple[str, bytes], _Seen]]] = {}

    @property
    def arena(self) -> Arena:
        """The cluster; there only when all of its nodes are made."""
        arena: Arena = self._arena_of()
        return arena

    def problem(self, invariant: str, text: str) -> None:
        """Something is wrong."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append((self.arena.world.now_s, invariant, text))

    def begin(self) -> None:
        """Look, and again and again."""
        if not self.over:
            self.look()
            self.arena.world.later(LOOK_S, self.begin)

    # -- looking --------------------------------------------------------------

    def look(self) -> None:
        """Look once."""
        arena = self.arena
        if arena.formed() and arena.converged():
            staying = len(arena.running) - len(arena.leaving)
            self._conditions.well(arena.world.now_s, staying)
        self._look_for_groups()
        for number, node in enumerate(arena.nodes):
            if arena.live(number) and arena.hosts[number].state is HostState.UP:
                self._look_at_links(node)
                self._look_at_dead(number, node)
                for text in _beyond_bounds(node):
                    self.problem("bounds", f"{node.node_id}: {text}")
                self._look_at_clock(number, node)
                self._look_at_versions(number, node)

    def _look_for_groups(self) -> None:
        """Nodes that serve and have not met yet: each may be primary of a slot."""
        arena, now = self.arena, self.arena.world.now_s
        awake = [number for number in range(len(arena)) if arena.awake(number)]
        before, self._unmet = self._unmet, {}
        for a, b in combinations(awake, 2):
            if self._takes_for_member(arena[a], b):
                continue
            if not self._takes_for_member(arena[b], a):
                since = self._unmet[a, b] = before.get((a, b), now - LOOK_S)
                if (a, b) in before:
                    self._conditions.suspect(since)

    def _look_at_links(self, node: Mycorrizal) -> None:
        now, counts = self.arena.world.now_s, dict[bytes, int]()
        known = {peer.node_id for peer in self.arena.nodes}
        for link in node.nodosum.mesh.protocols:
            if link.up and link.remote.role is Role.NODE:
                counts[link.node_key] = counts.get(link.node_key, 0) + 1
                transport: Any = link._transport
                if transport.connection_id in self.arena.world.rewritten:
                    self._over_changed_greeting(node, link)
                if link.peer_id not in known:
                    self.problem("strangers", f"{node.node_id} has {link.peer_id}")
        for node_key, count in counts.items():
            pair = node.node_id, node_key
            if count < 2:
                self._second_links.pop(pair, None)
            elif now - self._second_links.setdefault(pair, now) > SECOND_LINK_S:
                self.problem("one-link", f"{node.node_id} has {count} links to one")

    def _over_changed_greeting(self, node: Mycorrizal, link: Link) -> None:
        if link not in self._changed:
            self._changed[link] = None
            text = f"{node.node_id} is linked to {link.peer_id} all the same"
            self.problem("greetings", text)

    def _look_at_dead(self, number: int, node: Mycorrizal) -> None:
        arena, now = self.arena, self.arena.world.now_s
        since = now - DEATH_S
        paused = self._conditions.paused_s(since, now)
        if arena.born_at[number] > since or paused or number in arena.leaving:
            return
        for dead in arena.crashed:
            died_at = arena.died_at[dead]
            if died_at <= since and self._takes_for_member(node, dead):
                text = f"{node.node_id} has n{dead} for a member since {died_at:.3f}"
                self.problem("death", text)

    def _takes_for_member(self, node: Mycorrizal, number: int) -> bool:
        node_key = self.arena[number].nodosum.me.node_key
        peer = node.nodosum.membership.peers.get(node_key)
        return peer is not None and peer.member

    def _look_at_clock(self, number: int, node: Mycorrizal) -> None:
        process = number, self.arena.lives[number]
        last = node.mycel.clock.last
        if last < self._clocks.get(process, 0):
            self.problem("clock", f"{node.node_id}: {last} after a higher stamp")
        self._clocks[process] = last

    def _look_at_versions(self, number: int, node: Mycorrizal) -> None:
        life = self.arena.lives[number]
        was_life, before = self._versions.get(number, (life, {}))
        if life != was_life:
            before = {}
        now, clock = dict[tuple[str, bytes], _Seen](), node.runtime.now()
        view, serving = node.mycel.view, node.mycel.claims.serving
        for name, bucket in node.mycel.buckets.by_name.items():
            # Others may drop what they hold, and be given an older one again.
            owned = view.owned(bucket.owners).get(view.me, 0) | serving
            for slot in slots_of(bucket.store.held() & owned):
                table = bucket.store._tables[slot]
                for key, entry in table.items():
                    place = name, key
                    seen = now[place] = entry.stamp, entry.origin, entry.deadline
                    last = before.get(place, seen)
                    # What has expired leaves nothing that an older one could
                    # be compared with.
                    if seen[:2] < last[:2] and last[2] > clock:
                        self._went_back(node, name, key, (last[0], last[1].hex()))
        self._versions[number] = life, now

    def _went_back(
        self, node: Mycorrizal, name: str, key: bytes, before: Version
    ) -> None:
        evicted = node in self.arena.evictions.by(name, key, before)
        invariant = "evicted" if evicted else "versions"
        self.problem(invariant, f"{node.node_id}: {name}/{key!r} was {before}")

    # -- being told -----------------------------------------------------------

    def set_up(self, node: Mycorrizal) -> None:
        """Hear what a new process says of others."""

        def hear(event: object) -> None:
            if isinstance(event, MemberDied):
                self._declared_dead(node, number_of(event.node.id))

        node.subscribe(hear)

    def _declared_dead(self, node: Mycorrizal, number: int) -> None:
        arena = self.arena
        now = arena.world.now_s
        young = now - arena.born_at[number] < BORN_S
        if arena.awake(number) and not young and arena.live(arena.number(node)):
            self._conditions.suspect(now)
            text = f"{node.node_id} took n{number} for dead, which lives"
            self.problem("life", text)

    def acknowledged(self, write: Operation) -> None:
        """A client is told that a write is on so many nodes."""
        ttl_s = float("inf") if write.ttl_s is None else write.ttl_s * 0.95
        if write.ended - write.began > ttl_s or write.version is None:
            return
        arena, began = self.arena, write.began
        gone_from = arena.evictions.gone_from(
            write.bucket, write.key.encode(), write.version, began
        )
        holders = sum(
            node in gone_from or _holds(node, write) for node in arena.running
        )
        # Who has died since, or left, may have been one of them.
        gone = sum(t >= began for t in self._conditions.deaths)
        gone += len(arena.leaving)
        gone += sum(t >= began for t in arena.stopped_at.values())
        gone += sum(born_at > began for born_at in arena.born_at.values())
        if holders + gone < write.copies:
            text = f"{write} is on {holders} nodes, not {write.copies}"
            self.problem("copies-at-ack", text)

    def logged(self, event: dict[str, Any]) -> None:
        """Something was logged, somewhere in this process."""
        text = str(event.get("log_format") or "")
        if text.startswith("Not all of the cache was handed over"):
            self._conditions.died(self.arena.world.now_s)
        if event.get("log_level") is LogLevel.critical and not text.startswith(_OURS):
            failure = event.get("log_failure")
            why = "" if failure is None else f": {failure.getTraceback()}"
            self.problem("errors", f"{text}{why}")


def _holds(node: Mycorrizal, write: Operation) -> bool:
    bucket = node.mycel.buckets.by_name.get(write.bucket)
    if bucket is None or write.version is None:
        return False
    key = write.key.encode()
    entry = bucket.store._tables[slot_of(bucket.seed, key)].get(key)
    if entry is None:
        return False
    return (entry.stamp, entry.origin.hex()) >= write.version


def _beyond_bounds(node: Mycorrizal) -> Iterator[str]:
    mesh, mycel = node.nodosum.mesh, node.mycel
    queue_bytes_max = node.nodosum.config.queue_bytes_max
    for link in mesh.protocols:
        if link.queued_bytes > 3 * queue_bytes_max:
            yield f"{link.queued_bytes} bytes are queued to {link.peer_id}"
        if len(link.calls) > CALLS_MAX:
            yield f"{len(link.calls)} calls wait for {link.peer_id}"
    for peer in node.nodosum.membership.peers.values():
        if len(peer.waiting) > WAITING_LINKS_MAX:
            yield f"{len(peer.waiting)} links of one peer wait"
    if len(mesh.admission.connections) > CONNECTIONS_MAX:
        yield f"{len(mesh.admission.connections)} connections are open"
    for name, bucket in mycel.buckets.by_name.items():
        yield from _beyond_limits(name, bucket)
    timers = node.runtime.pending_timers()
    if timers > TIMERS_MAX:
        yield f"{timers} timers are set"


def _beyond_limits(name: str, bucket: OpenBucket) -> Iterator[str]:
    settings, store = bucket.settings, bucket.store
    entries_max, bytes_max = settings.max_entries, settings.max_bytes
    # A value that is alone may be as large as all.
    if entries_max is not None:
        if store.entries > max(1, int(entries_max * FOLLOWED_SHARE_MAX)):
            yield f"{name} has {store.entries} entries, {entries_max} at most"
    if bytes_max is not None:
        if store.size_bytes > bytes_max * (FOLLOWED_SHARE_MAX + TOMBSTONE_BYTES_SHARE):
            yield f"{name} has {store.size_bytes} bytes, {bytes_max} at most"
