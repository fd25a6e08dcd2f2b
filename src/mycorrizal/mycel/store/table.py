# -*- test-case-name: tests.mycel.store.test_table -*-
"""
What a node holds of a bucket, by slot.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.mycel.store.counts import Cause, Counts
from mycorrizal.mycel.store.expiry import DueRings
from mycorrizal.mycel.store.lru import INF, Entry, new_ring, push, take_off
from mycorrizal.mycel.store.sizing import OUTLIVED_BYTES, entry_bytes
from mycorrizal.mycel.store.versions import DIGEST_MARGIN_S, slot_digest

#: Bytes of a dict for each of its entries that are too many: a dict that has just
#: doubled has 54.  (Below this number of entries it does not matter.)
ROOMY_BYTES: Final = 64
SMALL: Final = 32

#: Entries take their slot's number from here, not an equal integer of their
#: own: 32 bytes saved on each.
SLOT_NUMBERS: Final = tuple(range(SLOTS))


class SlotTable(Counts):
    """
    The entries and tombstones of a bucket, in a dict for each slot; each on a
    ring in order of use, on a ring of those due together, and in the counts.

    Chosen for its pauses.  With a million entries a slot's dict holds about a
    thousand and grows in 20 µs; neither the dicts nor the entries are tracked
    by the garbage collector; the oldest entry is one step away.  Compared, a
    read with 1,000 and with 100,000 entries taking 235 and 290 ns here: one
    OrderedDict for all, 160 and 295 ns, stopped everything for 54 and 58 ms
    when it grew past 350,000 and 700,000 entries (a dict: 27 ms), and for 50 to
    100 ms in each full garbage collection.  Moving an entry to the end of its
    slot's dict by taking it out and putting it back, 180 and 350 ns, makes the
    oldest of all a search among the slots.

    By slot has a second use: moving, clearing or comparing a slot costs its
    entries, not all there are.

    What holds much is emptied with `drop_slot`, slot by slot, before it is let
    go.

    :param gone: Called with each value that goes other than by a newer
        version, and the cause; all is in order by then.
    :ivar cleared: For each slot, the stamp of the last `clear`; what is not
        above it is refused.
    :ivar capped: Slots that lost entries here which their primaries still
        have, for want of room; the owner takes slots out.
    """

    __slots__ = (
        "__weakref__", "_dead", "_digests", "_due", "_ends", "_followed", "_gone",
        "_held", "_led", "_no_table", "_outlived", "_table_bytes", "_tables",
        "_tombstone_bytes", "_tombstones_max", "capped", "cleared",
    )  # fmt: skip

    def __init__(
        self, gone: Callable[[Entry, Cause], None] | None, tombstones_max: int
    ) -> None:
        super().__init__()
        # A slot without entries has no dict of its own: 64 KiB saved.
        self._no_table: dict[bytes, Entry] = {}
        self._tables = [self._no_table] * SLOTS
        #: What each of them takes, to see when it has grown.
        self._table_bytes = [0] * SLOTS
        #: Those that have one, as bits: asked for often, by all who compare.
        self._held = 0
        self._led, self._followed, self._dead = new_ring(), new_ring(), new_ring()
        #: The ring of use of each slot's values: of the slots this node is
        #: primary of, or of the others.
        self._ends = [self._led] * SLOTS
        self._due = DueRings()
        #: The digests that are known, and until when they are right.
        self._digests: list[tuple[int, float] | None] = [(0, INF)] * SLOTS
        self._gone = gone
        self._tombstone_bytes = 0
        self._tombstones_max = tombstones_max
        #: Of keys whose value lives shorter than an older one would have, or is
        #: a tombstone that stays for that time: until when that is.
        self._outlived: dict[bytes, float] = {}
        self.cleared = [-1] * SLOTS
        self.capped: set[int] = set()

    def __del__(self) -> None:
        # Rings are cycles that the garbage collector does not see.
        for table in self._tables:
            for entry in table.values():
                entry.older = entry.newer = entry.earlier = entry.later = None
        for end in (self._led, self._followed, self._dead):
            end.older = end.newer = None

    def peek(self, slot: int, key: bytes, now: float) -> Entry | None:
        """
        The entry, which may be a tombstone, or None; not counted as a use.

        An entry belongs to the bucket, which changes it in place: read it at
        once, don't keep it.
        """
        entry = self._tables[slot].get(key)
        return None if entry is None or entry.deadline <= now else entry

    def remove(self, slot: int, key: bytes, cause: Cause) -> bool:
        """
        Let an entry or tombstone go, leaving nothing.

        :return: Whether it was held.
        """
        entry = self._tables[slot].get(key)
        if entry is None:
            return False
        self._lose(entry, cause)
        return True

    def lapsed(self, key: bytes) -> bool:
        """
        Whether a tombstone stands for a value that has expired, and nobody
        deleted; nodes that were told of that value alone have none.
        """
        return key in self._outlived

    # -- whole slots ----------------------------------------------------------

    def lead(self, slot: int, leads: bool) -> None:
        """
        Say whether this node is the slot's primary, and so decides what of it
        is evicted; it is of every slot until told otherwise.

        A change costs the slot's entries, which become the last used ones.
        """
        end = self._led if leads else self._followed
        if end is self._ends[slot]:
            return
        self._ends[slot] = end
        self.capped.discard(slot)
        for entry in self._tables[slot].values():
            if entry.value is not None:
                take_off(entry)
                push(end, entry)

    def count(self, slot: int) -> int:
        """How many entries and tombstones of a slot are held."""
        return len(self._tables[slot])

    def held(self) -> int:
        """The slots of which anything is held, as the bits of one integer."""
        return self._held

    def scan(
        self, slot: int, after: bytes, limit: int, prefix: bytes = b""
    ) -> list[Entry]:
        """
        A slot's entries and tombstones in order of keys, a bounded number;
        those that have expired but are not yet freed among them.

        :param after: Only keys above this one; empty for the first call, then
            the last key of the call before.
        :param prefix: Only keys that begin so.
        """
        table = self._tables[slot]
        keys = (key for key in table if key > after and key.startswith(prefix))
        return [table[key] for key in heapq.nsmallest(limit, keys)]

    def digest(self, slot: int, now: float, *, everything: bool = False) -> int:
        """
        The `slot_digest` of what is held of a slot.

        :param everything: Also of what is about to expire.

        Worked out when asked, and only if the slot has changed: keeping it up
        with each write would slow a write by a half.
        """
        if everything:
            table = self._tables[slot]
            return slot_digest(table.values(), now - DIGEST_MARGIN_S)[0]
        known = self._digests[slot]
        if known is None or now >= known[1]:
            known = slot_digest(self._tables[slot].values(), now)
            self._digests[slot] = known
        return known[0]

    def drop_slot(self, slot: int, cause: Cause) -> int:
        """Let all of a slot's entries and tombstones go; returns how many."""
        held = list(self._tables[slot].values())
        for entry in held:
            self._lose(entry, cause)
        self.capped.discard(slot)
        return len(held)

    def tell(self, gone: Callable[[Entry, Cause], None] | None) -> None:
        """Call this from now on with each value that goes; see the class."""
        self._gone = gone

    def refuse(self, stamp: int) -> None:
        """Refuse from now on what is not above `stamp`; see `clear`."""
        self.cleared = [max(cleared, stamp) for cleared in self.cleared]

    def clear(self, slot: int, stamp: int) -> int:
        """
        Delete what is not above `stamp`, and refuse it from now on.

        :return: How many values went.
        """
        self.cleared[slot] = max(self.cleared[slot], stamp)
        held = [e for e in self._tables[slot].values() if e.stamp <= stamp]
        for entry in held:
            self._lose(entry, Cause.DELETED)
        return sum(entry.value is not None for entry in held)

    # -- one entry ------------------------------------------------------------

    def _gain(self, entry: Entry) -> None:
        """Put an entry on its ring of use and into the counts."""
        value = entry.value
        if value is None:
            size_bytes = entry_bytes(len(entry.key), 0)
            self.tombstones += 1
            self._tombstone_bytes += size_bytes
            push(self._dead, entry)
        else:
            size_bytes = entry_bytes(len(entry.key), len(value))
            self.entries += 1
            push(self._ends[entry.slot], entry)
        self.size_bytes += size_bytes

    def _grown(self, slot: int, table: dict[bytes, Entry]) -> None:
        """
        A slot's dict has grown; where entries come and go it grows to thrice
        what it holds, so it is made anew if it holds too little for its size.
        """
        count = len(table)
        if count > SMALL and table.__sizeof__() > ROOMY_BYTES * count:
            table = self._tables[slot] = dict(table)
        self._table_bytes[slot] = table.__sizeof__()

    def _give_up(self, entry: Entry) -> None:
        """Take an entry off its ring of use and out of the counts."""
        value = entry.value
        if value is None:
            size_bytes = entry_bytes(len(entry.key), 0)
            self.tombstones -= 1
            self._tombstone_bytes -= size_bytes
        else:
            size_bytes = entry_bytes(len(entry.key), len(value))
            self.entries -= 1
        self.size_bytes -= size_bytes
        take_off(entry)

    def _outlive(self, key: bytes, until: float) -> None:
        """Remember until when an older value of a key would have lived."""
        outlived = self._outlived
        if key in outlived:
            outlived[key] = max(until, outlived[key])
            return
        outlived[key] = until
        self.size_bytes += OUTLIVED_BYTES
        if len(outlived) > self._tombstones_max:
            self._drop_outlived(next(iter(outlived)))

    def _drop_outlived(self, key: bytes) -> None:
        """Forget that an older value of a key would have lived longer."""
        if self._outlived.pop(key, None) is not None:
            self.size_bytes -= OUTLIVED_BYTES

    def _lose(self, entry: Entry, cause: Cause) -> None:
        """Let an entry go from everything, and tell."""
        if entry.newer is None:
            return  # Whoever was told of an earlier one has taken it away.
        if self._outlived:
            self._drop_outlived(entry.key)
        slot = entry.slot
        table = self._tables[slot]
        del table[entry.key]
        if not table:
            self._tables[slot] = self._no_table
            self._held &= ~(1 << slot)
        self._give_up(entry)
        self._due.take_out(entry)
        self._digests[slot] = None
        if entry.value is not None:
            self._count(cause)
            if self._gone is not None:
                self._gone(entry, cause)
