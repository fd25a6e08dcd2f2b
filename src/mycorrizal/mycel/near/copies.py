# -*- test-case-name: tests.mycel.near.test_copies -*-
"""
The near copies that one node keeps of one bucket, and why it may serve them.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Final

import attrs

from mycorrizal.mycel.store.sizing import entry_bytes

#: How long copies may be served after their primary was last asked whether all
#: changes were heard of: no read is older than that.
FRESH_S: Final = 3.0
#: How often primaries are asked; twice may be lost.
CHECK_S: Final = 1.0


@attrs.frozen
class NearStats:
    """
    What one node holds and has counted of its near copies of one bucket.

    The first two are what it holds now, copies included that may not be served
    any more and go when they are looked at or room is needed.
    """

    entries: int  # copies held
    size_bytes: int  # memory they take
    hits: int  # reads that were answered by a copy
    misses: int  # reads that asked the primary
    invalidated: int  # copies that went because the primary told of a change
    voided: int  # times that all copies from one primary were given up
    evicted: int  # copies that went for want of room


class Trust:
    """
    The ground on which copies from one primary are served.

    :ivar stream: Whose changes are heard of.
    :ivar sequence: The last change that was heard of.
    :ivar until: When it ends unless the primary is asked again, monotonic.
    """

    __slots__ = ("sequence", "stream", "until")

    def __init__(self, stream: int, sequence: int, until: float) -> None:
        self.stream = stream
        self.sequence = sequence
        self.until = until


class Copy:
    """
    One near copy.
    """

    __slots__ = ("deadline", "size_bytes", "trust", "value")

    def __init__(
        self, value: bytes, deadline: float, trust: Trust, size_bytes: int
    ) -> None:
        self.value = value
        self.deadline = deadline
        self.trust = trust
        self.size_bytes = size_bytes


class Reading:
    """
    A value on its way here.

    :ivar changed: The last change of it that was heard of meanwhile.
    """

    __slots__ = ("asked_s", "changed", "key", "trust")

    def __init__(self, key: bytes, trust: Trust, asked_s: float) -> None:
        self.key = key
        self.trust = trust
        self.asked_s = asked_s
        self.changed = 0


class NearCopies:
    """
    Near copies of one bucket: a core.

    A copy is served while its primary vouches for it.  For each primary there
    is a `Trust` in one of its streams of changes.  It ends with a gap in the
    stream, with another stream (the primary has restarted, or its slots have
    moved), with the link, and when the primary has not been asked for
    `FRESH_S`.  All its copies are worthless with it, in one step.

    All times are monotonic seconds of this node.

    :param max_entries: Copies that may be held; the least recently used go.
    :param max_bytes: Memory that they may take.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.limit(max_entries, max_bytes)
        self._copies: OrderedDict[bytes, Copy] = OrderedDict()
        self._trusts: dict[bytes, Trust] = {}
        self._readings: dict[bytes, list[Reading]] = {}
        self._size_bytes = 0
        self._hits = self._misses = self._evicted = 0
        self._invalidated = self._voided = 0

    def limit(self, max_entries: int, max_bytes: int) -> None:
        """Change the limits; the next copy makes room."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes

    def stats(self) -> NearStats:
        """What is held and was counted, now."""
        return NearStats(
            len(self._copies),
            self._size_bytes,
            self._hits,
            self._misses,
            self._invalidated,
            self._voided,
            self._evicted,
        )

    # -- reading ----------------------------------------------------------------

    def get(self, key: bytes, now: float, left_s: float = 0) -> bytes | None:
        """
        The value, None if there is no copy that may be served.

        :param left_s: It must have more than this to live.
        """
        copy = self._copies.get(key)
        if copy is not None:
            if now < copy.trust.until and now < copy.deadline - left_s:
                self._hits += 1
                self._copies.move_to_end(key)
                return copy.value
            if not left_s:
                self._drop(key)
        self._misses += 1
        return None

    def begin(self, key: bytes, primary: bytes, now: float) -> Reading | None:
        """
        A value is about to be asked for.

        :return: What `keep` wants; None if the primary is not trusted: the
            value can't be kept.
        """
        trust = self._trusts.get(primary)
        if trust is None or trust.until <= now:
            return None
        reading = Reading(key, trust, now)
        self._readings.setdefault(key, []).append(reading)
        return reading

    def end(self, reading: Reading) -> None:
        """A value has come, or will not come."""
        readings = self._readings.get(reading.key)
        if readings is not None and reading in readings:
            readings.remove(reading)
            if not readings:
                del self._readings[reading.key]

    def keep(
        self,
        reading: Reading,
        stream: int,
        sequence: int,
        value: bytes,
        remaining_ms: int,
    ) -> None:
        """
        Keep a value that has come, if all that happens to it will be heard of.

        :param stream: Where its primary tells of that.
        :param sequence: The last change that is in it.
        :param remaining_ms: What it had to live; negative: for ever.
        """
        trust, key = reading.trust, reading.key
        # One of 1 ms may have had less.
        if trust.stream != stream or 0 <= remaining_ms <= 1:
            return
        if reading.changed > sequence:
            return
        # From when it was asked for: no copy outlives its original.
        deadline = float("inf")
        if remaining_ms >= 0:
            deadline = reading.asked_s + remaining_ms / 1000
        size_bytes = entry_bytes(len(key), len(value))
        if size_bytes > self._max_bytes:
            return
        self._drop(key)
        self._copies[key] = Copy(value, deadline, trust, size_bytes)
        self._size_bytes += size_bytes
        while (
            len(self._copies) > self._max_entries or self._size_bytes > self._max_bytes
        ):
            self._evicted += 1
            self._drop(next(iter(self._copies)))

    # -- what ends it -----------------------------------------------------------

    def forget(self, key: bytes, sequence: int = sys.maxsize) -> bool:
        """
        A key has changed.

        :param sequence: Of the change, if its primary has told of it.
        :return: Whether there was a copy.
        """
        for reading in self._readings.get(key, ()):
            reading.changed = sequence
        return self._drop(key)

    def changed(self, primary: bytes, stream: int, sequence: int, key: bytes) -> None:
        """A primary tells of a change."""
        trust = self._trusts.get(primary)
        if trust is None:
            return
        if trust.stream != stream or sequence != trust.sequence + 1 or not key:
            self.void(primary)
            return
        trust.sequence = sequence
        self._invalidated += self.forget(key, sequence)

    def checked(
        self, primary: bytes, stream: int, sequence: int, asked_s: float
    ) -> None:
        """
        A primary has said how far its stream is.

        :param stream: 0 if it has none for this bucket.
        :param asked_s: When it was asked.
        """
        trust = self._trusts.get(primary)
        until = asked_s + FRESH_S
        if trust is not None and stream == trust.stream and sequence <= trust.sequence:
            trust.until = max(trust.until, until)
            return
        self.void(primary)
        if stream:
            self._trusts[primary] = Trust(stream, sequence, until)

    def void(self, primary: bytes) -> None:
        """Nothing that came from this primary may be served any more."""
        trust = self._trusts.pop(primary, None)
        if trust is not None:
            self._voided += 1
            trust.until = float("-inf")
            trust.stream = 0

    def void_all(self) -> None:
        """Nothing may be served any more: slots have moved."""
        for primary in list(self._trusts):
            self.void(primary)

    def clear(self) -> None:
        """The bucket was emptied: nothing may be served, and nothing is held."""
        self.void_all()
        self._copies.clear()
        self._size_bytes = 0

    def _drop(self, key: bytes) -> bool:
        copy = self._copies.pop(key, None)
        if copy is None:
            return False
        self._size_bytes -= copy.size_bytes
        return True
