# -*- test-case-name: tests.mycel.store.test_bucket -*-
"""
One node's share of one bucket.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from mycorrizal.mycel.store.counts import Cause
from mycorrizal.mycel.store.lru import INF, Entry
from mycorrizal.mycel.store.sizing import entry_bytes
from mycorrizal.mycel.store.table import SLOT_NUMBERS, SlotTable
from mycorrizal.mycel.store.versions import (
    TOMBSTONE_BYTES_SHARE,
    TOMBSTONE_TTL_S,
    TOMBSTONES_MAX,
)

#: How far above its limits a bucket may go before this node evicts what other
#: nodes are primary of, on its own: they decide, but only so much memory is
#: lent to them meanwhile.
FOLLOWED_SHARE_MAX: Final = 1.1


class Bucket(SlotTable):
    """
    One node's share of one bucket: what may be read, what a write changes,
    and what goes for want of room or time.

    Least recently used and expiry are exact: a full bucket evicts the value
    whose last read or write is the longest ago, and no read serves a value at
    or after its deadline.  Such a value's memory is freed by `pop_due`, which
    the bucket's owner calls at `next_due_s`; until then, at most a second, it
    counts as held.  (Every step is O(1), but for what it evicts.)

    Callers work out the slot with `slot_of`, once, for placement and for this.
    All times are monotonic seconds.

    :param name: The bucket's name.
    :param max_entries: Values that it may hold; None: any number.
    :param max_bytes: Memory it may take, tombstones included; None: any.
    :param tombstones_max: Deletes it may remember, and as many values that
        live shorter than older ones of their keys.
    :param gone: Called with each value that goes other than by a `merge`, and
        the cause; the bucket is in order by then and may be called.
    """

    __slots__ = (
        "_bytes_max", "_entries_max", "_tombstone_bytes_max", "name",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        *,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        tombstones_max: int = TOMBSTONES_MAX,
        gone: Callable[[Entry, Cause], None] | None = None,
    ) -> None:
        super().__init__(gone, tombstones_max)
        self.name = name
        self.limit(max_entries, max_bytes)

    def limit(self, max_entries: int | None, max_bytes: int | None) -> None:
        """Change the limits; `trim`, or the next write, makes room."""
        self._entries_max = sys.maxsize if max_entries is None else max_entries
        self._bytes_max = sys.maxsize if max_bytes is None else max_bytes
        self._tombstone_bytes_max = int(self._bytes_max * TOMBSTONE_BYTES_SHARE)

    # -- reading --------------------------------------------------------------

    def get(self, slot: int, key: bytes, now: float) -> bytes | None:
        """The value, which is then the last used; None if there is none."""
        entry = self._tables[slot].get(key)
        if entry is None or entry.deadline <= now or entry.value is None:
            self.misses += 1
            return None
        self.hits += 1
        end = self._ends[slot]
        newer = entry.newer
        if newer is not end:
            # take_off and push, without the calls.
            older = entry.older
            older.newer = newer
            newer.older = older
            newest = end.older
            newest.newer = entry
            entry.older = newest
            entry.newer = end
            end.older = entry
        return entry.value

    def entry(self, slot: int, key: bytes, now: float) -> Entry | None:
        """As `get`, but the whole entry, which may be a tombstone (a miss)."""
        if self.get(slot, key, now) is None:
            return self.peek(slot, key, now)
        return self._tables[slot][key]

    # -- writing --------------------------------------------------------------

    def merge(
        self,
        slot: int,
        key: bytes,
        value: bytes | None,
        stamp: int,
        origin: bytes,
        deadline: float,
        now: float,
    ) -> bool:
        """
        Take a version of a key, unless one as high is held: the one way in,
        for a primary, a replica and a move alike.

        :param value: None deletes: a tombstone is kept until `deadline`.
        :param deadline: Monotonic seconds; inf: never expires.
        :return: Whether it was higher than what was held.
        """
        held = self._tables[slot].get(key)
        if held is None:
            if stamp <= self.cleared[slot]:
                self.refused += 1
                return False
            if value is None:
                self.deletes += 1
            else:
                self.puts += 1
            held = self._add(slot, key, value, stamp, origin, deadline, now)
        elif held.deadline <= now:
            # What is over refuses nothing, whether it was freed by now or not.
            self._expire(held, now)
            return self.merge(slot, key, value, stamp, origin, deadline, now)
        elif stamp <= held.stamp and (stamp < held.stamp or origin <= held.origin):
            self.refused += 1
            return False
        else:
            self._replace(held, value, stamp, origin, deadline, now)
        if self.size_bytes > self._bytes_max or self.entries > self._entries_max:
            self._make_room(held, now)
        return True

    def _replace(
        self,
        held: Entry,
        value: bytes | None,
        stamp: int,
        origin: bytes,
        deadline: float,
        now: float,
    ) -> None:
        """Take a higher version of a key that is held, and has not expired."""
        held.stamp = stamp
        held.origin = origin
        if deadline < held.deadline:
            if value is not None:
                # Who has missed this one could bring the old one back later.
                self._outlive(held.key, held.deadline)
            self._due.bring_forward(held, deadline, now)
        else:
            # Looked at when the old one has come, and filed again then.
            held.deadline = deadline
        self._digests[held.slot] = None
        was = held.value
        if value is None or was is None:
            self._turn(held, value)
            return
        self.puts += 1
        self.replaced += 1
        held.value = value
        if len(value) != len(was):
            key_bytes = len(held.key)
            self.size_bytes += entry_bytes(key_bytes, len(value))
            self.size_bytes -= entry_bytes(key_bytes, len(was))
        end = self._ends[held.slot]
        newer = held.newer
        if newer is not end:
            # As in get.
            older = held.older
            older.newer = newer
            newer.older = older
            newest = end.older
            newest.newer = held
            held.older = newest
            held.newer = end
            end.older = held

    def _add(
        self,
        slot: int,
        key: bytes,
        value: bytes | None,
        stamp: int,
        origin: bytes,
        deadline: float,
        now: float,
    ) -> Entry:
        """Take a key that is not held."""
        entry = Entry(
            value, deadline, None, None, key, SLOT_NUMBERS[slot], stamp, origin
        )
        table = self._tables[slot]
        if table is self._no_table:
            table = self._tables[slot] = {}
            self._held |= 1 << slot
        table[key] = entry
        if table.__sizeof__() != self._table_bytes[slot]:
            self._grown(slot, table)
        if deadline != INF:
            self._due.file(entry, now)
        self._digests[slot] = None
        self._gain(entry)
        if value is None:
            self._forget()
        return entry

    def _turn(self, entry: Entry, value: bytes | None) -> None:
        """Make a tombstone of a value or tombstone, or a value of the latter."""
        if entry.value is not None:
            self.deleted += 1
        self._give_up(entry)
        entry.value = value
        self._gain(entry)
        if value is None:
            self.deletes += 1
            self._drop_outlived(entry.key)
            self._forget()
        else:
            self.puts += 1

    # -- going ----------------------------------------------------------------

    def _forget(self) -> None:
        """Forget the oldest tombstones, if there are too many."""
        while (
            self.tombstones > self._tombstones_max
            or self._tombstone_bytes > self._tombstone_bytes_max
        ):
            self.tombstones_dropped += 1
            self._lose(self._dead.newer, Cause.EVICTED)

    def trim(self, now: float) -> None:
        """Evict what is above the limits."""
        self._make_room(None, now)

    def _make_room(self, kept: Entry | None, now: float) -> None:
        """Evict the least recently used until the limits are met."""
        entries_max, bytes_max = self._entries_max, self._bytes_max
        if kept is not None and kept.value is not None:
            if entry_bytes(len(kept.key), len(kept.value)) > bytes_max:
                # It does not fit even alone: the others need not go for it.
                self._lose(kept, Cause.EVICTED)
        for end in (self._led, self._followed):
            while self.entries > entries_max or self.size_bytes > bytes_max:
                oldest: Entry = end.newer
                if oldest is end or oldest is kept:
                    break
                if oldest.deadline <= now:
                    self._expire(oldest, now)
                    continue
                if end is self._followed:
                    self.capped.add(oldest.slot)
                self._lose(oldest, Cause.EVICTED)
            entries_max = int(entries_max * FOLLOWED_SHARE_MAX)
            bytes_max = int(bytes_max * FOLLOWED_SHARE_MAX)

    def _expire(self, entry: Entry, now: float) -> None:
        """
        Let an expired entry go; where an older version would have lived longer
        a tombstone stays for that time, or a node that was away brings it back.
        """
        key, slot = entry.key, entry.slot
        until = min(self._outlived.get(key, 0.0), now + TOMBSTONE_TTL_S)
        lapsed = entry.value is not None and entry.newer is not None and until > now
        self._lose(entry, Cause.EXPIRED)
        if lapsed and key not in self._tables[slot]:
            self._outlive(key, until)
            self._add(slot, key, None, entry.stamp, entry.origin, until, now)

    def expire(self, slot: int, key: bytes, now: float) -> None:
        """
        If the time of a key is over, let it go now, not when its second is:
        whoever is to be told what is held, is told of what stays for it.
        """
        entry = self._tables[slot].get(key)
        if entry is not None and entry.deadline <= now:
            self._expire(entry, now)

    def pop_due(self, now: float, limit: int) -> int:
        """
        Free entries and tombstones of the seconds that are over.

        :param limit: How many to look at, at most (about 1 µs each).
        :return: How many were looked at; if that is `limit`, call again.
        """
        due, looked_at = self._due.take_due(now, limit)
        for entry in due:
            if entry.deadline <= now:
                self._expire(entry, now)
            elif entry.earlier is None and entry.deadline != INF:
                # Whoever was told of an earlier one has written this anew.
                self._due.file(entry, now)
        return looked_at

    def next_due_s(self) -> float:
        """When to call `pop_due` next, at the latest; inf: no need to."""
        return self._due.next_due_s()
