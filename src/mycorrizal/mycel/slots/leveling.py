# -*- test-case-name: tests.mycel.slots.test_leveling -*-
"""
How one node makes sure that another holds all that it holds itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import attrs

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.messages import (
    UNKNOWN_BUCKET,
    Buckets,
    Done,
    Fetch,
    Found,
    Refused,
    remaining_ms,
)
from mycorrizal.mycel.operations.asking import Errands
from mycorrizal.mycel.slot_messages import (
    Compare,
    Compared,
    Lacking,
    Offer,
    Offered,
    Push,
    Pushed,
)
from mycorrizal.mycel.slots.fetching import COMPARED_MAX
from mycorrizal.mycel.slots.slotset import (
    NO_SLOTS,
    from_bytes,
    parts_of,
    slots_of,
    to_bytes,
)
from mycorrizal.mycel.store.lru import Entry

#: Bytes of values in one push or page: what an operation may have to wait for.
PUSH_BYTES = 256 * 1024
#: Entries offered, or sent, at once.
PUSH_ENTRIES = 512
#: How long a node may take to answer.
LEVEL_TIMEOUT_S = 5.0


@attrs.frozen
class Leveled:
    """
    What another node holds, compared with this one.

    :ivar slots: Those of which it holds all, in that version or a higher one.
    :ivar taken: Those of which it held a higher version, which is here now.
    :ivar steady: Those whose primary, as it sees it, is settled.
    :ivar epoch: Of its view, see `View.epoch`.
    """

    slots: int
    taken: int
    steady: int
    epoch: int


class Leveling:
    """
    The bringing of others up to what this node holds.

    Digests tell which slots differ; of those only, versions are offered, what
    is news to the other is pushed, and what is higher there is fetched.

    :param clock: Moved up to every stamp that comes.
    :param now: The monotonic clock.
    :param news: The buckets that this node knows.
    """

    def __init__(
        self,
        errands: Errands,
        clock: HybridClock,
        now: Callable[[], float],
        news: Callable[[], Buckets],
    ) -> None:
        self._errands = errands
        self._clock = clock
        self._now = now
        self._news = news

    async def level(
        self, node_key: bytes, bucket: OpenBucket, slots: int, *, take: bool
    ) -> Leveled | None:
        """
        Let a node have what this one holds of some slots of a bucket.

        :param slots: `COMPARED_MAX` at most.
        :param take: Whether this node wants what is higher there.
        :return: None if it did not answer, or the bucket was news to it.
        """
        name = bucket.settings.name
        answer = await self._asked(node_key, Compare(name, to_bytes(slots)))
        each = slots_of(slots)
        if not isinstance(answer, Compared) or len(answer.digests) != len(each):
            return None
        level, taken = slots, NO_SLOTS
        for slot, digest in zip(each, answer.digests, strict=True):
            if digest == bucket.store.digest(slot, self._now()):
                continue
            newer = await self._level_slot(node_key, bucket, slot, take)
            if newer is None:
                level &= ~(1 << slot)
            elif newer:
                taken |= 1 << slot
        return Leveled(level, taken, from_bytes(answer.steady), answer.epoch)

    async def _asked(
        self, node_key: bytes, request: Compare | Offer | Push | Fetch
    ) -> object | None:
        answer = await self._errands.ask(node_key, request, LEVEL_TIMEOUT_S)
        if isinstance(answer, Refused) and answer.reason == UNKNOWN_BUCKET:
            await self._errands.ask(node_key, self._news(), LEVEL_TIMEOUT_S)
        return answer

    async def _level_slot(
        self, node_key: bytes, bucket: OpenBucket, slot: int, take: bool
    ) -> int | None:
        """How many higher versions came; None if it did not answer."""
        store, name, after, taken = bucket.store, bucket.settings.name, b"", 0
        while found := store.scan(slot, after, PUSH_ENTRIES):
            after = found[-1].key
            offered = tuple(Offered(it.key, it.stamp, it.origin) for it in found)
            answer = await self._asked(node_key, Offer(name, offered))
            if not isinstance(answer, Lacking):
                return None
            newer = answer.newer if take else ()
            for key in [found[it].key for it in newer if it < len(found)]:
                taken += await self._take(node_key, bucket, slot, key)
            lacking = [found[it] for it in answer.places if it < len(found)]
            # By key: an entry belongs to its store, which changes it meanwhile.
            for keys in [[it.key for it in part] for part in cut(lacking)]:
                now = self._now()
                held = [store.peek(slot, key, now) for key in keys]
                push = Push(name, pushed([it for it in held if it is not None], now))
                if not isinstance(await self._asked(node_key, push), Done):
                    return None
        return taken

    async def _take(
        self, node_key: bytes, bucket: OpenBucket, slot: int, key: bytes
    ) -> bool:
        """Take the version of a key that another holds."""
        found = await self._asked(node_key, Fetch(bucket.settings.name, key))
        if not isinstance(found, Found) or not found.stamp:
            return False
        self._clock.observe(found.stamp)
        return bucket.take_found(slot, key, found, self._now())


def cut(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Cut entries into pushes of bounded size; one large value stays whole."""
    part: list[Entry] = []
    part_bytes = 0
    for entry in entries:
        entry_bytes = len(entry.key) + len(entry.value or b"") + 64
        if part and part_bytes + entry_bytes > PUSH_BYTES:
            yield part
            part, part_bytes = [], 0
        part.append(entry)
        part_bytes += entry_bytes
    if part:
        yield part


def pushed(entries: Iterable[Entry], now: float) -> tuple[Pushed, ...]:
    """Entries as they travel, but for those that have expired."""
    return tuple(
        Pushed(it.key, it.value, it.stamp, it.origin, remaining_ms(it.deadline, now))
        for it in entries
        if it.deadline > now
    )


async def level_all(
    leveling: Leveling, node_key: bytes, bucket: OpenBucket, slots: int, *, take: bool
) -> Leveled | None:
    """As `Leveling.level`, for any number of slots."""
    level, taken, steady, epoch = NO_SLOTS, NO_SLOTS, NO_SLOTS, 0
    for part in parts_of(slots, COMPARED_MAX):
        found = await leveling.level(node_key, bucket, part, take=take)
        if found is None:
            return None
        level |= found.slots
        taken |= found.taken
        steady |= found.steady
        epoch = found.epoch
    return Leveled(level, taken, steady, epoch)
