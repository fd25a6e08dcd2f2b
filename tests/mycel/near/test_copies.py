"""
What near copies are served, and what ends that.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.mycel.near.copies import CHECK_S, FRESH_S, NearCopies, Reading
from mycorrizal.mycel.near.streams import Stream
from mycorrizal.mycel.store.sizing import entry_bytes
from tests.mycel.parts import A, B

STREAM = 77


class CopiesTestCase(SynchronousTestCase):
    """Copies of a bucket whose primary A is trusted."""

    def setUp(self) -> None:
        self.copies = NearCopies(100, 10**6)
        self.copies.checked(A, STREAM, 5, 0)

    def keep(
        self,
        key: bytes = b"k",
        value: bytes = b"v",
        *,
        primary: bytes = A,
        stream: int = STREAM,
        sequence: int = 5,
        remaining_ms: int = -1,
        now: float = 0,
    ) -> None:
        """Ask for a value, and keep it."""
        reading = self.copies.begin(key, primary, now)
        if reading is not None:
            self.copies.end(reading)
            self.copies.keep(reading, stream, sequence, value, remaining_ms)

    def served(self, key: bytes = b"k", now: float = 0) -> bytes | None:
        """What is served."""
        return self.copies.get(key, now)


class TrustTests(CopiesTestCase):
    """Copies are served while their primary vouches for them."""

    def test_served(self) -> None:
        """A copy is served, and counted."""
        self.assertIsNone(self.served())
        self.keep()
        self.assertEqual(self.served(), b"v")
        self.assertIsNone(self.served(b"another"))
        stats = self.copies.stats()
        self.assertEqual((stats.entries, stats.hits, stats.misses), (1, 1, 2))
        self.assertEqual(stats.size_bytes, entry_bytes(1, 1))

    def test_changed(self) -> None:
        """A change that is told of ends it."""
        self.keep()
        self.keep(b"other")
        self.copies.changed(A, STREAM, 6, b"k")
        self.copies.changed(A, STREAM, 7, b"not here")
        self.assertIsNone(self.served())
        self.assertEqual(self.served(b"other"), b"v")
        self.assertEqual(self.copies.stats().invalidated, 1)

    def test_gap(self) -> None:
        """A change that was not told of ends all that came from there."""
        self.copies.checked(B, 1, 0, 0)
        self.keep()
        self.keep(b"of B", primary=B, stream=1)
        self.copies.changed(A, STREAM, 7, b"not here")
        self.assertIsNone(self.served())
        self.assertEqual(self.served(b"of B"), b"v")
        self.assertEqual(self.copies.stats().voided, 1)
        self.keep()
        self.assertIsNone(self.served(), "it is trusted when it was asked")
        self.copies.checked(A, STREAM, 7, 0)
        self.keep()
        self.assertEqual(self.served(), b"v")

    def test_change_twice(self) -> None:
        """So does one that was told of before."""
        self.keep()
        self.copies.changed(A, STREAM, 5, b"not here")
        self.assertIsNone(self.served())

    def test_gap_found_by_asking(self) -> None:
        """A change that was lost is found when the primary is asked."""
        self.keep()
        self.copies.checked(A, STREAM, 5, 1)
        self.assertEqual(self.served(), b"v")
        self.copies.checked(A, STREAM, 6, 2)
        self.assertIsNone(self.served())

    def test_overtaken_answer(self) -> None:
        """An answer that a change has overtaken is good."""
        self.keep()
        self.copies.changed(A, STREAM, 6, b"not here")
        self.copies.checked(A, STREAM, 5, 1)
        self.assertEqual(self.served(), b"v")

    def test_other_stream(self) -> None:
        """Another stream, told of or found by asking, ends it."""
        self.keep()
        self.copies.checked(A, STREAM + 1, 5, 1)
        self.assertIsNone(self.served())
        self.keep(stream=STREAM + 1)
        self.assertEqual(self.served(), b"v")
        self.copies.changed(A, STREAM, 6, b"not here")
        self.assertIsNone(self.served())

    def test_no_stream(self) -> None:
        """Who vouches for nothing is not trusted."""
        self.keep()
        self.copies.checked(A, 0, 0, 1)
        self.assertIsNone(self.served())
        self.assertIsNone(self.copies.begin(b"k", A, 1))

    def test_everything_changed(self) -> None:
        """Where all has changed, all goes."""
        self.keep()
        self.copies.changed(A, STREAM, 6, b"")
        self.assertIsNone(self.served())

    def test_silence(self) -> None:
        """It is served so long after its primary was asked, and no longer."""
        self.keep()
        self.assertEqual(self.served(now=FRESH_S - 0.001), b"v")
        self.copies.checked(A, STREAM, 5, 1)
        self.assertEqual(self.served(now=FRESH_S + 0.999), b"v")
        self.assertIsNone(self.served(now=FRESH_S + 1))
        self.assertIsNone(self.copies.begin(b"k", A, FRESH_S + 1))
        self.assertLessEqual(3 * CHECK_S, FRESH_S)

    def test_late_answer(self) -> None:
        """What counts is when a primary was asked, not when it answered."""
        self.copies.checked(A, STREAM, 5, 2)
        self.copies.checked(A, STREAM, 5, 1)
        self.keep()
        self.assertEqual(self.served(now=FRESH_S + 1.9), b"v")
        self.assertIsNone(self.served(now=FRESH_S + 2))

    def test_lost(self) -> None:
        """With its link, or when slots have moved, it is gone."""
        self.keep()
        self.copies.void(B)
        self.assertEqual(self.served(), b"v")
        self.copies.void(A)
        self.assertIsNone(self.served())
        self.copies.checked(A, STREAM, 5, 0)
        self.assertIsNone(self.served(), "the same stream brings nothing back")
        self.keep()
        self.copies.void_all()
        self.assertIsNone(self.served())

    def test_strangers(self) -> None:
        """Changes of one who was never asked mean nothing."""
        self.keep()
        self.copies.changed(B, STREAM, 6, b"k")
        self.assertEqual(self.served(), b"v")


class ReadingTests(CopiesTestCase):
    """Values on their way."""

    def test_changed_meanwhile(self) -> None:
        """A value whose change overtook it is not kept."""
        readings = [self.copies.begin(b"k", A, 0) for _ in range(2)]
        self.copies.changed(A, STREAM, 6, b"k")
        for reading in readings:
            assert reading is not None
            self.copies.end(reading)
            self.copies.keep(reading, STREAM, 5, b"old", -1)
        self.assertIsNone(self.served())
        self.assertEqual(self.copies._readings, {})
        reading = self.copies.begin(b"k", A, 0)
        assert reading is not None
        self.copies.changed(A, STREAM, 7, b"k")
        self.copies.keep(reading, STREAM, 7, b"after the change", -1)
        self.assertEqual(self.served(), b"after the change")
        self.keep(value=b"new")
        self.assertEqual(self.served(), b"new")

    def test_written_here(self) -> None:
        """Nor is one that this node has written meanwhile."""
        reading = self.copies.begin(b"k", A, 0)
        assert reading is not None
        self.copies.forget(b"k")
        self.copies.keep(reading, STREAM, 5, b"old", -1)
        self.assertIsNone(self.served())

    def test_distrusted_meanwhile(self) -> None:
        """Nor is one whose primary was distrusted meanwhile, or restarted."""
        reading = self.copies.begin(b"k", A, 0)
        assert reading is not None
        self.copies.void(A)
        self.copies.checked(A, STREAM, 5, 0)
        self.copies.keep(reading, STREAM, 5, b"old", -1)
        self.assertIsNone(self.served())
        self.keep(stream=STREAM + 1)
        self.assertIsNone(self.served())


class LifeTests(CopiesTestCase):
    """Times to live, and limits."""

    def setUp(self) -> None:
        super().setUp()
        self.copies.checked(A, STREAM, 5, 10**6)

    def test_expiry(self) -> None:
        """It expires with its original, counted from when it was asked for."""
        self.keep(remaining_ms=2000, now=10)
        self.assertEqual(self.served(now=11.999), b"v")
        self.assertIsNone(self.served(now=12))
        self.assertEqual(self.copies.stats().entries, 0)

    def test_almost_expired(self) -> None:
        """What has a millisecond left, or less, is not kept."""
        self.keep(remaining_ms=1)
        self.assertIsNone(self.served())
        self.keep(remaining_ms=2)
        self.assertEqual(self.served(), b"v")

    def test_left(self) -> None:
        """It can be asked for only if it lives on for long enough."""
        self.keep(remaining_ms=2000)
        self.assertEqual(self.copies.get(b"k", 0.9, 1), b"v")
        self.assertIsNone(self.copies.get(b"k", 1, 1))
        self.assertEqual(self.copies.get(b"k", 1), b"v")

    def test_entries_bound(self) -> None:
        """So many are held; the least recently used goes for one more."""
        for number in range(100):
            self.keep(b"%d" % number)
        self.served(b"0")
        self.assertEqual(self.copies.stats().evicted, 0)
        self.keep(b"one more")
        stats = self.copies.stats()
        self.assertEqual((stats.entries, stats.evicted), (100, 1))
        self.assertIsNone(self.served(b"1"))
        self.assertEqual(self.served(b"0"), b"v")

    def test_bytes_bound(self) -> None:
        """They take so much memory, and not more."""
        size_bytes = entry_bytes(1, 1000)
        self.copies.limit(100, 3 * size_bytes)
        for key in (b"a", b"b", b"c"):
            self.keep(key, bytes(1000))
        self.assertEqual(self.copies.stats().size_bytes, 3 * size_bytes)
        self.keep(b"a", bytes(1000))
        self.assertEqual(self.copies.stats().entries, 3)
        self.keep(b"d", bytes(1100))
        stats = self.copies.stats()
        self.assertEqual((stats.entries, stats.evicted), (2, 2))
        self.keep(b"e", bytes(10_000))
        self.assertEqual(self.copies.stats().entries, 2)


class CopiesMachine(RuleBasedStateMachine):
    """
    A primary, and a node that keeps copies, with a network between them that
    loses and delays: no read is older than promised.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.copies = NearCopies(100, 10**6)
        self.stream = Stream("b", 1)
        self.value = 0
        #: When each value was replaced.
        self.replaced_s: dict[int, float] = {}
        self.news: list[tuple[int, int, bytes]] = []
        self.checks: list[tuple[int, int, float]] = []
        self.readings: list[tuple[Reading, int, int, int]] = []
        self.is_primary = True

    @rule(seconds=st.floats(0.1, 2))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(told=st.booleans())
    def write(self, told: bool) -> None:
        self.replaced_s[self.value] = self.now
        self.value += 1
        if not self.is_primary:
            return  # Somebody else took it.
        news = self.stream.changed(b"k")
        if told:
            self.news.append((news.stream, news.sequence, news.key))

    @rule(told=st.booleans(), is_primary=st.booleans())
    def slots_move(self, told: bool, is_primary: bool) -> None:
        self.is_primary = is_primary
        news = self.stream.restart(self.stream.id + 1)
        if told:
            self.news.append((news.stream, news.sequence, news.key))

    @rule()
    def hear(self) -> None:
        if self.news:
            self.copies.changed(A, *self.news.pop(0))

    @rule()
    def check(self) -> None:
        self.checks.append((self.stream.id, self.stream.sequence, self.now))

    @rule(index=st.integers(0, 5))
    def checked(self, index: int) -> None:
        # Answers come in any order, and news may come before or after.
        if index < len(self.checks):
            self.copies.checked(A, *self.checks.pop(index))

    @rule()
    def read(self) -> None:
        reading = self.copies.begin(b"k", A, self.now)
        if reading is not None and self.is_primary:
            stream = self.stream
            self.readings.append((reading, stream.id, stream.sequence, self.value))

    @rule(index=st.integers(0, 3))
    def came(self, index: int) -> None:
        if index < len(self.readings):
            reading, stream, sequence, value = self.readings.pop(index)
            self.copies.end(reading)
            self.copies.keep(reading, stream, sequence, b"%d" % value, -1)

    @invariant()
    def never_older(self) -> None:
        value = self.copies.get(b"k", self.now)
        if value is not None:
            replaced_s = self.replaced_s.get(int(value), self.now)
            assert self.now - replaced_s < FRESH_S


class ModelTests(SynchronousTestCase):
    """Copies and a model of the network."""

    def test_never_older(self) -> None:
        """Whatever the network loses or delays, no read is older than promised."""
        run_state_machine_as_test(CopiesMachine)
