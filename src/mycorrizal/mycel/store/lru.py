# -*- test-case-name: tests.mycel.store.test_lru -*-
"""
Entries, and the rings that keep them in order of use.
"""

from __future__ import annotations

from typing import Any

import msgspec

INF = float("inf")


class Entry(msgspec.Struct, gc=False, eq=False):
    """
    One copy of one key: a value, or a tombstone that says it was deleted.

    It belongs to its `Bucket`, which changes it in place: read it, don't keep
    it.  Each entry is on a ring of use (`older`, `newer`) and, if it has a
    deadline, on a ring of entries that are due together (`earlier`, `later`).

    A Struct without garbage collection, because a million tracked objects cost
    a pause of 600 to 850 ms in each full collection, these 7 to 9 ms.  The
    price: an entry that leaves must be taken off its rings, or it is never
    freed.

    :ivar key: The key.
    :ivar value: The value; None for a tombstone.
    :ivar stamp: The version's stamp.
    :ivar origin: The version's node key, 16 bytes.
    :ivar deadline: When it expires, in monotonic seconds; inf for never.
    :ivar slot: The key's slot.
    """

    # What a read touches comes first, for the sake of the processor's cache.
    value: bytes | None
    deadline: float
    # The neighbours, None outside a ring; Any, since neither is asked for
    # where it can be None.
    older: Any
    newer: Any
    key: bytes
    slot: int
    stamp: int
    origin: bytes
    earlier: Any = None
    later: Any = None

    @property
    def version(self) -> tuple[int, bytes]:
        """What decides between copies of a key: the higher one wins."""
        return self.stamp, self.origin

    def __repr__(self) -> str:
        # The generated one would print the whole ring.
        value = "deleted" if self.value is None else f"{len(self.value)} bytes"
        return f"<Entry {self.key!r}: {value}, stamp {self.stamp}>"


def ring_end(number: int = 0) -> Entry:
    """
    What stands between the newest and the oldest of a ring, linked to nothing.

    :param number: Anything, kept as its `Entry.stamp`.
    """
    return Entry(None, INF, None, None, b"", -1, number, b"")


def new_ring() -> Entry:
    """An empty ring of use, as its end."""
    end = ring_end()
    end.older = end.newer = end
    return end


def push(ring: Entry, entry: Entry) -> None:
    """Put an entry that is on no ring of use on this one, as the newest."""
    newest = ring.older
    newest.newer = entry
    entry.older = newest
    entry.newer = ring
    ring.older = entry


def take_off(entry: Entry) -> None:
    """Take an entry off its ring of use."""
    older = entry.older
    newer = entry.newer
    older.newer = newer
    newer.older = older
    entry.older = entry.newer = None
