# -*- test-case-name: tests.mycel.slots.test_repair -*-
"""
A primary sees to it that every owner holds what it holds.
"""

from __future__ import annotations

from collections.abc import Callable

from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.operations.asking import Errands
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.leveling import Leveling, level_all
from mycorrizal.mycel.slots.slotset import ALL_SLOTS, NO_SLOTS, slots_of
from mycorrizal.mycel.slots.view import View

#: All is compared this often, jitter apart, also if nothing is known to lack.
REPAIR_S = 10.0
#: So long after owners have changed, all is compared.
CHANGED_S = 1.0
#: Pause before an owner that did not answer is asked again.
REPAIR_PAUSE_S = 0.1


class Repair:
    """
    What each owner of this node's slots is known to hold.

    An owner that was one all along has had every write.  One that is new, or
    did not answer a write, is behind until it was compared with this node.

    :param random: Returns a float in [0, 1), for jitter.
    :param errands: Of this node; one at a time for each owner.
    :param now: The monotonic clock.
    :param doubted: Called with an owner and slots of ours, if it takes another
        node for their primary.
    """

    def __init__(
        self,
        view: View,
        claims: Claims,
        buckets: BucketTable,
        leveling: Leveling,
        errands: Errands,
        random: Callable[[], float],
        now: Callable[[], float],
        doubted: Callable[[bytes, int], None],
    ) -> None:
        self._view = view
        self._claims = claims
        self._buckets = buckets
        self._leveling = leveling
        self._errands = errands
        self._random = random
        self._now = now
        self._doubted = doubted
        #: For each bucket and owner, the slots in which it holds all.
        self._level: dict[tuple[str, bytes], int] = {}
        #: What is being compared now, and in which slots that may be out of date.
        self._missed: dict[tuple[str, bytes], int] = {}
        self._next_at = 0.0

    # -- what is so -------------------------------------------------------------

    def missing(self) -> int:
        """
        Copies that owners lack, as far as this node can tell.

        Of a slot that is about to be this node's, or whose copies it has not
        fetched yet, it knows only that there may be some: each counts as one.
        """
        return self.moving() + sum(
            bucket.store.count(slot)
            for bucket in self._buckets.by_name.values()
            for _, slots in self._behind(bucket)
            for slot in slots_of(slots)
        )

    def moving(self) -> int:
        """The slots that are about to be this node's, or not fetched yet."""
        return (self._claims.wanted | self._claims.unsettled).bit_count()

    def doubled(self) -> bool:
        """Whether of all that is here there is, or should be, another copy."""
        serving, steady = self._claims.serving, self._claims.steady
        alone = len(self._view.placement) < 2
        return all(
            not bucket.store.held() & (serving if alone or bucket.owners < 2 else 0)
            and not bucket.store.held() & ~serving & ~steady
            for bucket in self._buckets.by_name.values()
        )

    def _behind(self, bucket: OpenBucket) -> list[tuple[bytes, int]]:
        """The owners of our slots, and in which of them each may lack copies."""
        name, found = bucket.settings.name, list[tuple[bytes, int]]()
        serving = self._claims.serving
        for node_key, owned in self._view.owned(bucket.owners).items():
            slots = owned & serving & ~self._level.get((name, node_key), NO_SLOTS)
            if slots and node_key != self._view.me:
                found.append((node_key, slots))
        return found

    def _owned(self, bucket: OpenBucket, node_key: bytes) -> int:
        """The slots of ours that a node owns, too."""
        owned = self._view.owned(bucket.owners).get(node_key, NO_SLOTS)
        return owned & self._claims.serving

    # -- what happens -----------------------------------------------------------

    def owners_changed(self) -> None:
        """
        Owners, or slots of ours, have changed, or a bucket is new.

        Who is no owner of a slot any more is behind when it is one again; of
        what is empty, nobody lacks anything.
        """
        self._next_at = min(self._next_at, self._now() + CHANGED_S)
        level, self._level = self._level, {}
        serving, unsettled = self._claims.serving, self._claims.unsettled
        for bucket in self._buckets.by_name.values():
            name, empty = bucket.settings.name, ~bucket.store.held() & ~unsettled
            for node_key, owned in self._view.owned(bucket.owners).items():
                known = level.get((name, node_key), NO_SLOTS) | empty
                self._level[name, node_key] = known & owned & serving
        for name, node_key in self._missed:
            opened = self._buckets.by_name.get(name)
            if opened is not None:
                self._miss((name, node_key), ~self._owned(opened, node_key))

    def lost(self, node_key: bytes) -> None:
        """A node has begun another life, or was away."""
        for name, other in [*self._level, *self._missed]:
            if other == node_key:
                self._level.pop((name, other), None)
                self._miss((name, other), ALL_SLOTS)

    def fetches(self, slots: int) -> None:
        """What a node holds of slots of ours is news to other owners, too."""
        for place in self._level:
            self._level[place] &= ~slots
            self._miss(place, slots)

    def behind(self, bucket: OpenBucket, node_key: bytes, slot: int) -> None:
        """An owner has not taken a write that counts without it."""
        place = bucket.settings.name, node_key
        self._level[place] = self._level.get(place, NO_SLOTS) & ~(1 << slot)
        self._miss(place, 1 << slot)

    def _miss(self, place: tuple[str, bytes], slots: int) -> None:
        if place in self._missed:
            self._missed[place] |= slots

    def go_on(self, now: float) -> None:
        """Compare with each owner that may lack something; call this often."""
        if now >= self._next_at:
            self._next_at = now + REPAIR_S * (0.75 + self._random() / 2)
            owners = {
                node_key
                for bucket in self._buckets.by_name.values()
                for node_key in self._view.owned(bucket.owners)
            } - {self._view.me}
            for node_key in sorted(owners):
                self._begin(node_key, everything=True)
        for bucket in self._buckets.by_name.values():
            for node_key, _ in self._behind(bucket):
                self._begin(node_key, everything=False)

    def _begin(self, node_key: bytes, *, everything: bool) -> None:
        name = "repair", node_key
        if name not in self._errands:
            self._errands.begin(name, self._repair(node_key, everything))

    async def _repair(self, node_key: bytes, everything: bool) -> None:
        for bucket in list(self._buckets.by_name.values()):
            if everything:
                slots = self._owned(bucket, node_key)
            else:
                slots = dict(self._behind(bucket)).get(node_key, NO_SLOTS)
            # What is not here yet is compared when it is.
            slots &= ~self._claims.unsettled
            if not await self._level_bucket(node_key, bucket, slots):
                await self._errands.pause(REPAIR_PAUSE_S)
                return

    async def _level_bucket(
        self, node_key: bytes, bucket: OpenBucket, slots: int
    ) -> bool:
        place = bucket.settings.name, node_key
        self._missed[place] = NO_SLOTS
        try:
            found = await level_all(self._leveling, node_key, bucket, slots, take=True)
        finally:
            missed = self._missed.pop(place)
        if found is None:
            return False
        # All later writes go to it too, so it keeps up from here; unless it
        # was away or no owner meanwhile, or has missed one.
        still = self._owned(bucket, node_key) & found.slots & ~missed
        doubtful = still & self._claims.steady & ~found.steady
        if doubtful and found.epoch == self._view.epoch:
            self._doubted(node_key, doubtful)
        self._level[place] = self._level.get(place, NO_SLOTS) | still
        if found.taken:
            # What it held, and this node did not, is news to other owners.
            self.fetches(found.taken)
        return found.slots == slots
