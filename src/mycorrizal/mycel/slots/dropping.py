# -*- test-case-name: tests.mycel.slots.test_dropping -*-
"""
When a node may let go what others are to hold.
"""

from __future__ import annotations

from collections.abc import Callable

from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.operations.asking import Errands
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.leveling import Leveling, level_all
from mycorrizal.mycel.slots.slotset import NO_SLOTS, slots_of, slotset
from mycorrizal.mycel.slots.view import View
from mycorrizal.mycel.store import Cause

#: Pause between two attempts to let go what others are to hold.
DROP_PAUSE_S = 0.25


class Dropping:
    """
    The letting go of slots that this node does not own, its rule R7.

    A copy goes only when each owner was asked, sees the same members, has a
    primary that is settled, and holds every version of the slot that is here,
    or a higher one.

    :param now: The monotonic clock.
    :param dropped: Called when an attempt is over.
    """

    def __init__(
        self,
        view: View,
        claims: Claims,
        buckets: BucketTable,
        leveling: Leveling,
        errands: Errands,
        now: Callable[[], float],
        dropped: Callable[[], None],
    ) -> None:
        self._view = view
        self._claims = claims
        self._buckets = buckets
        self._leveling = leveling
        self._errands = errands
        self._now = now
        self._dropped = dropped

    def left(self) -> int:
        """How many entries and tombstones are here that belong elsewhere."""
        return sum(self.left_by_bucket().values())

    def left_by_bucket(self) -> dict[str, int]:
        """
        How many of which bucket; of a node that leaves or is drained, also what
        it is primary of until somebody else is.
        """
        back = self._view.stands_back(self._view.me)
        led = self._claims.serving if back else NO_SLOTS
        return {
            name: sum(bucket.store.count(slot) for slot in slots_of(slots))
            for name, bucket in self._buckets.by_name.items()
            if (slots := self._foreign(bucket) | bucket.store.held() & led)
        }

    def _foreign(self, bucket: OpenBucket) -> int:
        """The slots that are here and belong elsewhere."""
        owned = self._view.owned(bucket.owners).get(self._view.me, NO_SLOTS)
        return bucket.store.held() & ~owned & ~self._claims.serving

    def go_on(self) -> None:
        """Try to let go what there is; call this often."""
        if "drop" in self._errands:
            return
        if any(map(self._foreign, self._buckets.by_name.values())):
            self._errands.begin("drop", self._drop())

    async def _drop(self) -> None:
        for bucket in list(self._buckets.by_name.values()):
            slots = self._foreign(bucket)
            if slots:
                await self._drop_of(bucket, slots)
        self._dropped()
        await self._errands.pause(DROP_PAUSE_S)

    async def _drop_of(self, bucket: OpenBucket, slots: int) -> None:
        store, epoch = bucket.store, self._view.epoch
        before = {slot: store.digest(slot, self._now()) for slot in slots_of(slots)}
        for node_key, owned in self._view.owned(bucket.owners).items():
            if not owned & slots:
                continue
            found = await level_all(
                self._leveling, node_key, bucket, owned & slots, take=False
            )
            if found is None or found.epoch != epoch or self._view.epoch != epoch:
                slots &= ~owned
            else:
                slots &= ~owned | found.slots & found.steady
            if not slots:
                return
        unowned = slotset(it for it in before if not self._view.owners(it, 1))
        now = self._now()
        for slot in slots_of(slots & self._foreign(bucket) & ~unowned):
            # What has come since was not compared.
            if before[slot] == store.digest(slot, now):
                store.drop_slot(slot, Cause.MOVED)
