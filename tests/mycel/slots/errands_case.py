"""
One node on its errands among others, each of which holds what it holds.
"""

from __future__ import annotations

import itertools
from functools import cache

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.buckets import BucketTable
from mycorrizal.mycel.messages import Answer, Buckets, Done, Request
from mycorrizal.mycel.operations.asking import Errands
from mycorrizal.mycel.operations.replica import Asked, Replica
from mycorrizal.mycel.slots.leveling import Leveling
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.mycel.slots.slotset import ALL_SLOTS, slots_of
from tests.mycel.parts import ME, A, Parts, agree, key_in

INF = float("inf")


@cache
def keys_in(seed: int, slot: int, count: int) -> list[bytes]:
    """So many keys of 8 bytes that fall in a slot, ascending."""
    every = (b"%08d" % number for number in itertools.count())
    return list(
        itertools.islice((it for it in every if slot_of(seed, it) == slot), count)
    )


class Other:
    """
    Another node, which sees the same members and knows the same bucket.

    :ivar silent: Whether it answers nothing.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.silent = False
        self.buckets = BucketTable()
        self.buckets.merge([parts.bucket.entry])
        self.replica = Replica(
            parts.view, parts.claims, self.buckets, parts.hybrid, parts.now
        )

    def answer(self, request: Request) -> Answer | None:
        """What it says."""
        if self.silent:
            return None
        if isinstance(request, Buckets):
            self.buckets.merge(request.buckets)
            return Done()
        assert isinstance(request, Asked)
        return self.replica.answer(request, (ME, 1))

    def store(
        self,
        key: bytes,
        value: bytes | None,
        stamp: int,
        *,
        origin: bytes = A,
        ttl_s: float = INF,
        name: str = "b",
    ) -> int:
        """Let it hold a version of a key; returns the slot."""
        bucket, now = self.buckets.by_name[name], self._parts.now()
        slot = slot_of(bucket.seed, key)
        bucket.store.merge(slot, key, value, stamp, origin, now + ttl_s, now)
        return slot

    def held(self, key: bytes, name: str = "b") -> bytes | None:
        """The value that it holds of a key."""
        bucket = self.buckets.by_name[name]
        slot = slot_of(bucket.seed, key)
        entry = bucket.store.peek(slot, key, self._parts.now())
        return None if entry is None else entry.value


class ErrandsTestCase(SynchronousTestCase):
    """This node and others, where all is settled."""

    names: tuple[bytes, ...] = (A,)
    replicas = 1

    def setUp(self) -> None:
        self.parts = Parts(*self.names, replicas=self.replicas)
        self.others = {name: Other(self.parts) for name in self.names}
        self.errands = Errands(self.parts.runtime, self.parts.ask)
        self.leveling = Leveling(
            self.errands,
            self.parts.hybrid,
            self.parts.now,
            lambda: Buckets(self.parts.buckets.entries(), 0),
        )
        #: All that was asked, and of whom.
        self.asked: list[tuple[bytes, Request]] = []
        self.addCleanup(self.check_nothing_is_left)

    def check_nothing_is_left(self) -> None:
        """What is stopped leaves no timer."""
        self.errands.stop()
        self.assertEqual(self.parts.runtime.pending_timers(), 0)

    def step(self) -> Request | None:
        """Let one node answer; returns what it was asked, if anything."""
        self.parts.clock.advance(0)
        if not self.parts.ask.asked:
            return None
        node_key, request = (
            self.parts.ask.asked[0].node_key,
            self.parts.ask.asked[0].request,
        )
        self.asked.append((node_key, request))
        self.parts.ask.answer(self.others[node_key].answer(request), node_key)
        return request

    def run_errands(self) -> None:
        """Let others answer until nobody is asked any more."""
        for _ in range(1000):
            if self.step() is None:
                return
        self.fail("it goes on and on")

    def requests(self, kind: type) -> list[Request]:
        """What was asked so far, of one kind."""
        return [request for _, request in self.asked if isinstance(request, kind)]

    def keys(self, slots: int, count: int) -> list[bytes]:
        """Keys of the bucket, in so many different slots of a set."""
        found = [key_in(self.parts.bucket, slot) for slot in slots_of(slots)[:count]]
        self.assertEqual(len(found), count)
        return found

    def unsettle(self, *holders: bytes) -> None:
        """Others say that they hold something of the slots of this node."""
        claims, now = self.parts.claims, self.parts.now()
        for holder in holders:
            agree(claims, claims.link_up(holder, now), now, ALL_SLOTS)
