# -*- test-case-name: tests.mycel.slots.test_leveling -*-
"""
How one node makes sure that another holds all that it holds itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import attrs

from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.messages import (
    UNKNOWN_BUCKET,
    Buckets,
    Done,
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
    :ivar steady: Those whose primary, as it sees it, is settled.
    :ivar epoch: Of its view, see `View.epoch`.
    """

    slots: int
    steady: int
    epoch: int


class Leveling:
    """
    The bringing of others up to what this node holds.

    Digests tell which slots differ; of those only, versions are offered, and
    what is news to the other is pushed.

    :param now: The monotonic clock.
    :param news: The buckets that this node knows.
    """

    def __init__(
        self,
        errands: Errands,
        now: Callable[[], float],
        news: Callable[[], Buckets],
    ) -> None:
        self._errands = errands
        self._now = now
        self._news = news

    async def level(
        self, node_key: bytes, bucket: OpenBucket, slots: int
    ) -> Leveled | None:
        """
        Let a node have what this one holds of some slots of a bucket.

        :param slots: `COMPARED_MAX` at most.
        :return: None if it did not answer, or the bucket was news to it.
        """
        name = bucket.settings.name
        answer = await self._asked(node_key, Compare(name, to_bytes(slots)))
        each = slots_of(slots)
        if not isinstance(answer, Compared) or len(answer.digests) != len(each):
            return None
        level = slots
        for slot, digest in zip(each, answer.digests, strict=True):
            if digest == bucket.store.digest(slot, self._now()):
                continue
            if not await self._level_slot(node_key, bucket, slot):
                level &= ~(1 << slot)
        return Leveled(level, from_bytes(answer.steady), answer.epoch)

    async def _asked(
        self, node_key: bytes, request: Compare | Offer | Push
    ) -> object | None:
        answer = await self._errands.ask(node_key, request, LEVEL_TIMEOUT_S)
        if isinstance(answer, Refused) and answer.reason == UNKNOWN_BUCKET:
            await self._errands.ask(node_key, self._news(), LEVEL_TIMEOUT_S)
        return answer

    async def _level_slot(self, node_key: bytes, bucket: OpenBucket, slot: int) -> bool:
        store, name, after = bucket.store, bucket.settings.name, b""
        while found := store.scan(slot, after, PUSH_ENTRIES):
            after = found[-1].key
            offered = tuple(Offered(it.key, it.stamp, it.origin) for it in found)
            answer = await self._asked(node_key, Offer(name, offered))
            if not isinstance(answer, Lacking):
                return False
            lacking = [found[it] for it in answer.places if it < len(found)]
            # By key: an entry belongs to its store, which changes it meanwhile.
            for keys in [[it.key for it in part] for part in cut(lacking)]:
                now = self._now()
                held = [store.peek(slot, key, now) for key in keys]
                push = Push(name, pushed([it for it in held if it is not None], now))
                if not isinstance(await self._asked(node_key, push), Done):
                    return False
        return True


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
    leveling: Leveling, node_key: bytes, bucket: OpenBucket, slots: int
) -> Leveled | None:
    """As `Leveling.level`, for any number of slots."""
    level, steady, epoch = NO_SLOTS, NO_SLOTS, 0
    for part in parts_of(slots, COMPARED_MAX):
        found = await leveling.level(node_key, bucket, part)
        if found is None:
            return None
        level |= found.slots
        steady |= found.steady
        epoch = found.epoch
    return Leveled(level, steady, epoch)
