"""A bucket against a model of it that is slow and plain."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.mycel.store import Bucket, Cause, Entry, entry_bytes
from mycorrizal.mycel.store.lru import INF
from mycorrizal.mycel.store.sizing import OUTLIVED_BYTES
from mycorrizal.mycel.store.versions import TOMBSTONE_TTL_S

ORIGINS = [b"a" * 16, b"b" * 16]
MAX_ENTRIES = 4
MAX_BYTES = 3 * entry_bytes(1, 100)
TOMBSTONES_MAX = 3
STEPS = settings(settings.default, stateful_step_count=60)

keys = st.sampled_from([b"%d" % number for number in range(8)])
values = st.sampled_from([b"", b"short", bytes(100), bytes(200)])
ttls = st.one_of(st.just(INF), st.floats(0.0, 10.0), st.floats(0.0, 9000.0))
stamps = st.integers(0, 30)


def slot_of(key: bytes) -> int:
    """Three slots, so that rings cross them."""
    return int(key) % 3


@attrs.define
class Copy:
    """What the model knows of a key."""

    value: bytes | None
    version: tuple[int, bytes]
    deadline: float

    def size_bytes(self) -> int:
        """What it is charged."""
        return entry_bytes(1, len(self.value or b""))


class BucketMachine(RuleBasedStateMachine):
    """Both are told the same; a dict in order of use is the model."""

    max_entries: int | None = MAX_ENTRIES
    max_bytes: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.now = 50.0
        self.gone: list[tuple[bytes, Cause]] = []
        self.bucket = Bucket(
            "b",
            max_entries=self.max_entries,
            max_bytes=self.max_bytes,
            tombstones_max=TOMBSTONES_MAX,
            gone=self.told,
        )
        # Least recently used first; so are tombstones, by their last version.
        self.model: dict[bytes, Copy] = {}
        self.expected: list[tuple[bytes, Cause]] = []
        self.cleared = [-1] * 3
        self.outlived: dict[bytes, float] = {}

    def told(self, entry: Entry, cause: Cause) -> None:
        """The bucket says that a value is gone."""
        self.gone.append((entry.key, cause))

    def live(self, key: bytes) -> Copy | None:
        """The model's copy that has not expired."""
        copy = self.model.get(key)
        return None if copy is None or copy.deadline <= self.now else copy

    def lose(self, key: bytes, cause: Cause) -> None:
        """Drop from the model, and expect to be told."""
        self.outlived.pop(key, None)
        if self.model.pop(key).value is not None:
            self.expected.append((key, cause))

    def expire(self, key: bytes) -> None:
        """Drop what has expired; a tombstone stays where it could come back."""
        if self.lapse(key):
            self.bury()

    def lapse(self, key: bytes) -> bool:
        """As `expire`, without the limits; whether a tombstone stays."""
        copy = self.model[key]
        until = min(self.outlived.get(key, 0.0), self.now + TOMBSTONE_TTL_S)
        self.lose(key, Cause.EXPIRED)
        if copy.value is None or until <= self.now:
            return False
        self.outlive(key, until)
        self.model[key] = Copy(None, copy.version, until)
        return True

    def outlive(self, key: bytes, until: float) -> None:
        """Note how long an older value would have lived."""
        self.outlived[key] = max(until, self.outlived.get(key, 0.0))
        if len(self.outlived) > TOMBSTONES_MAX:
            del self.outlived[next(iter(self.outlived))]

    def bury(self) -> None:
        """Apply the limits of tombstones."""
        buried = [k for k, copy in self.model.items() if copy.value is None]
        while buried and (
            len(buried) > TOMBSTONES_MAX
            or sum(self.model[k].size_bytes() for k in buried)
            > (self.max_bytes or 1 << 60) // 8
        ):
            self.lose(buried.pop(0), Cause.EVICTED)

    def size_bytes(self) -> int:
        """What all of it is charged."""
        copies = sum(copy.size_bytes() for copy in self.model.values())
        return copies + len(self.outlived) * OUTLIVED_BYTES

    def bound(self, written: bytes) -> None:
        """Apply the limits to the model."""
        self.bury()
        copy = self.model.get(written)
        bytes_max = self.max_bytes or 1 << 60
        if copy is not None and copy.value is not None:
            if copy.size_bytes() > bytes_max:
                self.lose(written, Cause.EVICTED)
        for key, copy in list(self.model.items()):
            held = [c for c in self.model.values() if c.value is not None]
            entries_max = self.max_entries or 1 << 60
            if self.size_bytes() <= bytes_max and len(held) <= entries_max:
                break
            if copy.value is not None:
                if copy.deadline <= self.now:
                    self.expire(key)
                else:
                    self.lose(key, Cause.EVICTED)

    @rule(
        key=keys,
        value=st.none() | values,
        stamp=stamps,
        origin=st.sampled_from(ORIGINS),
        ttl_s=ttls,
    )
    def merge(
        self, key: bytes, value: bytes | None, stamp: int, origin: bytes, ttl_s: float
    ) -> None:
        """Write or delete, in any order of versions."""
        deadline = self.now + ttl_s
        held = self.model.get(key)
        if held is not None and held.deadline <= self.now:
            self.expire(key)
            held = self.model.get(key)
        version = (stamp, origin)
        taken = self.bucket.merge(
            slot_of(key), key, value, stamp, origin, deadline, self.now
        )
        if held is None:
            assert taken == (stamp > self.cleared[slot_of(key)])
        else:
            assert taken == (version > held.version)
        if not taken:
            return
        if value is None:
            self.outlived.pop(key, None)
        elif held is not None and deadline < held.deadline:
            self.outlive(key, held.deadline)
        self.model.pop(key, None)
        self.model[key] = Copy(value, version, deadline)
        self.bound(key)

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        """Read, which is a use."""
        copy = self.live(key)
        found = self.bucket.get(slot_of(key), key, self.now)
        assert found == (copy.value if copy else None)
        if copy is not None and copy.value is not None:
            self.model[key] = self.model.pop(key)

    @rule(key=keys)
    def peek(self, key: bytes) -> None:
        """Look, which is no use."""
        copy = self.live(key)
        entry = self.bucket.peek(slot_of(key), key, self.now)
        if entry is None:
            assert copy is None
        else:
            assert copy == Copy(entry.value, entry.version, entry.deadline)

    @rule(key=keys, cause=st.sampled_from(Cause))
    def remove(self, key: bytes, cause: Cause) -> None:
        """Take away."""
        held = key in self.model
        assert self.bucket.remove(slot_of(key), key, cause) == held
        if held:
            self.lose(key, cause)

    @rule(slot=st.integers(0, 2), stamp=stamps)
    @precondition(lambda self: len(self.model) > 2)
    def clear(self, slot: int, stamp: int) -> None:
        """Clear a slot up to a stamp."""
        stamp = stamp // 3
        self.bucket.clear(slot, stamp)
        self.cleared[slot] = max(stamp, self.cleared[slot])
        for key, copy in list(self.model.items()):
            if slot_of(key) == slot and copy.version[0] <= stamp:
                self.lose(key, Cause.DELETED)

    @rule(wait_s=st.one_of(st.floats(0, 3), st.floats(0, 4000)))
    def wait(self, wait_s: float) -> None:
        """Let time pass, unseen."""
        self.now += wait_s

    @rule(limit=st.integers(1, 3))
    def sweep(self, limit: int) -> None:
        """Free what is due; all of it is due for less than a second then."""
        before = len(self.gone)
        while self.bucket.pop_due(self.now, limit) == limit:
            pass
        # In the order in which the bucket came upon them.
        lapsed = False
        for key, cause in self.gone[before:]:
            assert cause is Cause.EXPIRED and self.model[key].deadline <= self.now
            lapsed |= self.lapse(key)
        for key, copy in list(self.model.items()):
            held = any(e.key == key for e in self.bucket.scan(slot_of(key), b"", 99))
            late = int(copy.deadline if copy.deadline != INF else 1e9) < int(self.now)
            assert not (held and late)
            if not held:
                # A tombstone may also have made room for one of those.
                assert copy.value is None and (lapsed or copy.deadline <= self.now)
                self.lose(key, Cause.EXPIRED)

    @invariant()
    def same(self) -> None:
        """Both hold the same, in the same order, and count the same."""
        held: dict[bytes, Any] = {}
        for slot in range(3):
            for entry in self.bucket.scan(slot, b"", 99):
                held[entry.key] = Copy(entry.value, entry.version, entry.deadline)
            assert self.bucket.held() >> slot & 1 == (self.bucket.count(slot) > 0)
        assert held == self.model
        stats = self.bucket.stats()
        buried = sum(copy.value is None for copy in held.values())
        assert (stats.entries, stats.tombstones) == (len(held) - buried, buried)
        assert stats.size_bytes == self.size_bytes()
        # A sweep finds what is due together in an order of its own.
        assert sorted(self.gone, key=str) == sorted(self.expected, key=str)
        timed = any(copy.deadline != INF for copy in held.values())
        if timed:
            assert self.bucket.next_due_s() < INF

    def teardown(self) -> None:
        """When nothing is held, nothing is left behind."""
        for slot in range(3):
            self.bucket.drop_slot(slot, Cause.MOVED)
        assert self.bucket.size_bytes == self.bucket.entries == 0
        assert self.bucket.tombstones == 0
        assert self.bucket.next_due_s() == INF


class BytesMachine(BucketMachine):
    """The same, bounded by bytes."""

    max_entries = None
    max_bytes = MAX_BYTES


class ModelTests(SynchronousTestCase):
    """Whatever is done to a bucket, it does as the model does."""

    def test_bounded_by_entries(self) -> None:
        """A bucket of four entries."""
        run_state_machine_as_test(BucketMachine, settings=STEPS)

    def test_bounded_by_bytes(self) -> None:
        """A bucket that holds three entries of 100 bytes."""
        run_state_machine_as_test(BytesMachine, settings=STEPS)
