# -*- test-case-name: tests.mycel.operations.test_administering -*-
"""
Buckets as a whole: created, altered, cleared and dropped, everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace
from twisted.logger import Logger

from mycorrizal.clock import HybridClock
from mycorrizal.errors import ConfigError
from mycorrizal.mycel.bucket_messages import (
    NO_LIMIT,
    Administered,
    AlterBucket,
    BucketEntry,
    Buckets,
    ClearBucket,
    CreateBucket,
)
from mycorrizal.mycel.buckets import BucketTable, OpenBucket, settings_of
from mycorrizal.mycel.config import BUCKETS_MAX
from mycorrizal.mycel.messages import (
    CONFLICT,
    INDETERMINATE,
    SENSELESS,
    TOO_MANY,
    UNKNOWN_BUCKET,
    Answer,
    Done,
    Refused,
)
from mycorrizal.mycel.operations.asking import Ask
from mycorrizal.mycel.operations.sweeping import Sweeper
from mycorrizal.mycel.slots.view import View

OnDone = Callable[[Answer], None]

_LIMITS = ("max_entries", "max_bytes")


class Administration:
    """
    What is done to whole buckets at this node: as primary of a bucket's name,
    and when it is told by others.

    Each change is an entry of the `BucketTable` with a version, which the
    primary of the bucket's name makes and every member is told of.  Who was not
    there is told when it links.

    :param now: The monotonic clock.
    :param moved: Called when values have other owners now.
    :param emptied: Called with a bucket that is cleared or dropped, and whether
        all of it is gone: once at once, and once when it is.
    :param conflicted: Called with the name of a bucket that was created twice,
        and how the two differ.
    """

    _log = Logger()

    def __init__(
        self,
        view: View,
        buckets: BucketTable,
        clock: HybridClock,
        ask: Ask,
        now: Callable[[], float],
        sweeper: Sweeper,
        moved: Callable[[], None],
        emptied: Callable[[OpenBucket, bool], None] = lambda bucket, gone: None,
        conflicted: Callable[[str, str], None] = lambda name, difference: None,
    ) -> None:
        self._view = view
        self._buckets = buckets
        self._clock = clock
        self._ask = ask
        self._now = now
        self._sweeper = sweeper
        self._moved = moved
        self._emptied = emptied
        self._conflicted = conflicted

    # -- asked ------------------------------------------------------------------

    def perform(self, request: Administered, deadline: float, done: OnDone) -> None:
        """
        Do what is asked, as primary of the bucket's name.

        :param deadline: When it becomes indeterminate, monotonic.
        :param done: Called once, with `Done` when every member has done it.
        """
        self._clock.observe(request.clock)
        if isinstance(request, CreateBucket):
            entry = self._create(request)
        else:
            bucket = self._buckets.by_name.get(request.name)
            if bucket is None:
                entry = Refused(UNKNOWN_BUCKET, request.name)
            elif isinstance(request, AlterBucket):
                entry = self._alter(bucket, request)
            elif isinstance(request, ClearBucket):
                entry = replace(bucket.entry, cleared=self._clock.tick())
            else:
                stamp = self._clock.tick()
                entry = replace(
                    bucket.entry, stamp=stamp, origin=self._view.me, dropped=True
                )
        if isinstance(entry, Refused):
            done(entry)
        else:
            self._spread(entry, deadline, done)

    def _create(self, request: CreateBucket) -> BucketEntry | Refused:
        stamp = self._clock.tick()
        entry = BucketEntry(
            request.name,
            request.ttl_ms,
            request.max_entries,
            request.max_bytes,
            request.replicas,
            stamp,
            self._view.me,
            request.write,
            created=stamp,
            # Who was away may bring what another bucket of this name held.
            cleared=max(0, self._buckets.dropped_at(request.name)),
        )
        bucket = self._buckets.by_name.get(request.name)
        if bucket is None:
            if len(self._buckets.by_name) >= BUCKETS_MAX:
                return Refused(TOO_MANY, f"there are {BUCKETS_MAX} buckets already")
            return entry
        difference = settings_of(entry).difference(bucket.settings)
        return Refused(CONFLICT, difference) if difference else bucket.entry

    def _alter(self, bucket: OpenBucket, asked: AlterBucket) -> BucketEntry | Refused:
        entry = bucket.entry
        changes = {
            field: None if value == NO_LIMIT and field in _LIMITS else value
            for field in ("ttl_ms", "max_entries", "max_bytes", "replicas", "write")
            if (value := getattr(asked, field)) is not None
        }
        altered = replace(entry, **changes)
        if altered == entry:
            return entry
        if altered.max_entries is None and altered.max_bytes is None:
            return Refused(SENSELESS, "needs max_entries or max_bytes: one must stay")
        try:
            settings_of(altered).validate()
        except ConfigError as error:
            return Refused(SENSELESS, str(error))
        return replace(altered, stamp=self._clock.tick(), origin=self._view.me)

    def _spread(self, entry: BucketEntry, deadline: float, done: OnDone) -> None:
        """Do it here, have every member do it, and answer when all have."""
        missing = self._view.members.keys() - {self._view.me}
        news = Buckets((entry,), self._clock.last)
        over = False

        def end(answer: Answer) -> None:
            nonlocal over
            if not over:
                over = True
                done(answer)

        def tell(node_key: bytes) -> None:
            left_s = deadline - self._now()
            self._ask(node_key, news, left_s, lambda answer: told(node_key, answer))

        def told(node_key: bytes, answer: Answer | None) -> None:
            gone = node_key not in self._view.members
            if answer is None and not gone:
                if self._now() < deadline:
                    tell(node_key)
                else:
                    end(Refused(INDETERMINATE, "not all members answered in time"))
                return
            settle(node_key)

        def settle(node_key: bytes) -> None:
            missing.discard(node_key)
            if not missing:
                end(Done(copies=len(self._view.members)))

        others = sorted(missing)
        missing.add(self._view.me)
        self.told(news, lambda: settle(self._view.me))
        for node_key in others:
            tell(node_key)

    # -- told -------------------------------------------------------------------

    def told(self, news: Buckets, done: Callable[[], None]) -> None:
        """
        Take what another node knows.

        :param done: Called when what was cleared or dropped is gone.
        """
        self._clock.observe(news.clock)
        merged = self._buckets.merge(news.buckets)
        for sweep, buckets in (
            (self._sweeper.clear, merged.cleared),
            (self._sweeper.free, merged.dropped),
            (self._sweeper.limit, merged.limited),
        ):
            for bucket in buckets:
                sweep(bucket)
        for bucket in [*merged.cleared, *merged.dropped]:
            self._emptied(bucket, False)
            self._sweeper.then(partial(self._emptied, bucket, True))
        self._sweeper.then(done)
        if merged.moved:
            self._moved()
        for name, difference in merged.conflicts:
            self._conflicted(name, difference)
            self._log.warn(
                "Bucket {bucket} was created twice with other settings "
                "({difference}); the later ones are in force",
                bucket=name,
                difference=difference,
            )
