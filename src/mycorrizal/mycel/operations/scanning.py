# -*- test-case-name: tests.mycel.operations.test_scanning -*-
"""
The keys of a bucket, some at a time: each slot's primary is asked for its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.messages import (
    INDETERMINATE,
    NOT_OWNER,
    UNKNOWN_BUCKET,
    Answer,
    Refused,
    Scan,
    Scanned,
)
from mycorrizal.mycel.operations.routing import RETRY_S, Call, Router
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.placement import SLOTS, slot_of
from mycorrizal.mycel.slots.routes import SETTLED
from mycorrizal.mycel.slots.slotset import from_bytes, slotset, to_bytes
from mycorrizal.runtime import Timer

#: Bytes of keys in one answer.
SCAN_BYTES: Final = 256 * 1024
#: Entries that a node looks at for one answer, but for the rest of a slot: a few
#: milliseconds.
LOOKS_MAX: Final = 20_000
#: Keys that a node is asked for at least, however few are missing.
ASKED_MIN: Final = 16

#: A place in a bucket: the slots before it are done, and in it the keys up to
#: this one.
Place: TypeAlias = tuple[int, bytes]

#: The keys of a page, and where the next one begins.
Page: TypeAlias = tuple[list[bytes], Place]
OnPage: TypeAlias = Callable[[Page | Refused], None]

START: Final[Place] = (0, b"")
END: Final[Place] = (SLOTS, b"")


def answer_scan(
    buckets: BucketTable, claims: Claims, request: Scan, now: float
) -> Scanned | Refused:
    """
    The keys of the slots that this node is asked for, up to the first of which
    it is not primary, or may not have all.
    """
    bucket = buckets.by_name.get(request.bucket)
    if bucket is None:
        return Refused(UNKNOWN_BUCKET, request.bucket)
    store, status = bucket.store, claims.routes.status
    asked = from_bytes(request.slots)
    keys: list[bytes] = []
    after, looks, size_bytes = request.after, 0, 0
    for slot in range(request.slot, SLOTS):
        if asked >> slot & 1 and (status[slot] != SETTLED or looks >= LOOKS_MAX):
            return Scanned(tuple(keys), slot, after)
        if not asked >> slot & 1 or not store.count(slot):
            after = b""
            continue
        while True:
            wanted = request.limit - len(keys)
            if not wanted:
                return Scanned(tuple(keys), slot, after)
            looks += store.count(slot)
            found = store.scan(slot, after, wanted, request.prefix)
            for entry in found:
                after = entry.key
                if entry.value is None or entry.deadline <= now:
                    continue
                keys.append(after)
                size_bytes += len(after)
                if size_bytes >= SCAN_BYTES:
                    return Scanned(tuple(keys), slot, after)
            if len(found) < wanted:
                break
        after = b""
    return Scanned(tuple(keys), *END)


class Scanning:
    """
    One page of a scan: its keys, in order of slots, up to a place.

    All primaries are asked at once, from the place on; what they say counts up
    to where the first of them stopped.

    :param place: Where the page begins.
    :param limit: How many keys it may have.
    :param deadline: When it ends without any, monotonic.
    :param done: Called once with its keys and where the next page begins, or
        with a refusal.
    """

    def __init__(
        self,
        router: Router,
        buckets: BucketTable,
        bucket: OpenBucket,
        prefix: bytes,
        place: Place,
        limit: int,
        deadline: float,
        done: OnPage,
    ) -> None:
        self._router = router
        self._buckets = buckets
        self._bucket = bucket
        self._prefix = prefix
        self._place = place
        self._limit = limit
        self._deadline = deadline
        self._done: OnPage | None = done
        self._missing = 0
        self._reached = END
        self._found: list[bytes] = []
        self._refused: Refused | None = None
        self._calls: dict[Call | None, None] = {}
        self._timer: Timer | None = None

    def begin(self) -> None:
        """Ask all who have slots from the place on."""
        by_primary: dict[bytes | None, list[int]] = {}
        primaries = self._router.claims.routes.primaries
        for slot in range(self._place[0], SLOTS):
            by_primary.setdefault(primaries[slot], []).append(slot)
        # Slots are spread evenly: each node has about its share of the next keys.
        share = self._limit * 5 // (4 * len(by_primary)) if by_primary else 0
        limit = min(self._limit, max(ASKED_MIN, share))
        self._found, self._reached, self._refused = [], END, None
        self._missing = len(by_primary) + 1
        for primary, slots in by_primary.items():
            self._ask(primary, slots, limit)
        self._end_one()

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._done = None
        if self._timer is not None:
            self._timer.cancel()
        for call in self._calls:
            if call is not None:
                call.cancel()
        self._calls.clear()

    def _ask(self, primary: bytes | None, slots: list[int], limit: int) -> None:
        router = self._router
        request = Scan(
            self._bucket.settings.name,
            self._prefix,
            *self._place,
            to_bytes(slotset(slots)),
            limit,
        )
        if primary == router.claims.me:
            now = router.runtime.now()
            self._answered(
                slots, answer_scan(self._buckets, router.claims, request, now)
            )
            return
        call: Call | None = None

        def done(how: int, answer: Answer | None) -> None:
            self._calls.pop(call, None)
            self._answered(slots, answer or Refused(NOT_OWNER))

        if primary is not None:
            call = router.ask(primary, request, self._deadline, done)
        if call is None:
            self._answered(slots, Refused(NOT_OWNER))
        else:
            self._calls[call] = None

    def _answered(self, slots: list[int], answer: Answer) -> None:
        """One node has said what it has, or nothing."""
        if isinstance(answer, Scanned):
            self._found += answer.keys
            self._reached = min(self._reached, (answer.slot, answer.after))
        else:
            assert isinstance(answer, Refused)
            if answer.reason != NOT_OWNER:
                self._refused = answer
            # Nothing is known from the first of its slots on.
            start_slot, after = self._place
            unknown = (slots[0], after if slots[0] == start_slot else b"")
            self._reached = min(self._reached, unknown)
        self._end_one()

    def _end_one(self) -> None:
        self._missing -= 1
        if self._missing or self._done is None:
            return
        seed = self._bucket.seed
        placed = sorted({(slot_of(seed, key), key) for key in self._found})
        placed = [place for place in placed if self._place < place <= self._reached]
        reached = self._reached
        if len(placed) > self._limit:
            del placed[self._limit :]
            reached = placed[-1]
        if placed or reached >= END:
            self._end(([key for _, key in placed], reached))
        elif self._refused is not None:
            self._end(self._refused)
        elif self._router.runtime.now() + RETRY_S >= self._deadline:
            self._end(Refused(INDETERMINATE, "slots are on the move"))
        else:
            # Without a key so far it goes on: at once, unless nobody got on.
            pause_s = RETRY_S if reached == self._place else 0
            self._place = reached
            self._timer = self._router.runtime.call_later(pause_s, self.begin)

    def _end(self, outcome: Page | Refused) -> None:
        done = self._done
        self.cancel()
        if done is not None:
            done(outcome)
