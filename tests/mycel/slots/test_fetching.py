"""
A new primary fetches what others hold of its slots, and serves on meanwhile.
"""

from __future__ import annotations

from mycorrizal.mycel.messages import UNKNOWN_BUCKET, Answer, Found, Refused
from mycorrizal.mycel.slot_messages import Compare, Compared, Page, Paged
from mycorrizal.mycel.slots.fetching import COMPARED_MAX, FETCH_PAUSE_S, Fetching
from mycorrizal.mycel.slots.leveling import PUSH_ENTRIES
from mycorrizal.mycel.slots.routes import SETTLED, UNSETTLED
from mycorrizal.mycel.slots.slotset import NO_SLOTS, from_bytes, slots_of
from tests.mycel.parts import ME, A, B
from tests.mycel.slots.errands_case import ErrandsTestCase, keys_in


class FetchingTestCase(ErrandsTestCase):
    """This node has just become primary of its share."""

    def setUp(self) -> None:
        super().setUp()
        self.done = 0
        parts = self.parts
        self.fetching = Fetching(
            self.errands,
            parts.claims,
            parts.buckets,
            parts.hybrid,
            parts.now,
            self._done,
        )
        self.share = parts.view.shares[ME]

    def _done(self) -> None:
        self.done += 1

    def fetch(self, *holders: bytes) -> None:
        """Others hold something: fetch it."""
        self.unsettle(*holders)
        for holder in holders:
            self.fetching.begin(holder)


class FetchingTests(FetchingTestCase):
    """One other node holds something."""

    def test_all_that_it_holds(self) -> None:
        """Afterwards it is here, with versions and times, and the slots settled."""
        one, two = self.keys(self.share, 2)
        slot = self.others[A].store(one, b"value", 7, ttl_s=60)
        self.others[A].store(two, None, 8, ttl_s=3600)
        self.fetch(A)
        self.assertEqual(self.parts.claims.routes.status[slot], UNSETTLED)
        self.run_errands()
        entry = self.parts.bucket.store.peek(slot, one, self.parts.now())
        assert entry is not None
        self.assertEqual((entry.value, entry.version), (b"value", (7, A)))
        self.assertEqual(entry.deadline, self.parts.now() + 60)
        self.assertEqual(self.parts.bucket.store.stats().tombstones, 1)
        self.assertEqual(self.parts.claims.unsettled, NO_SLOTS)
        self.assertEqual(self.parts.claims.routes.status[slot], SETTLED)
        self.assertEqual(self.done, 1)

    def test_newer_here(self) -> None:
        """What is newer here stays."""
        (key,) = self.keys(self.share, 1)
        self.others[A].store(key, b"old", 7)
        self.parts.store(key, b"new", 8)
        self.fetch(A)
        self.run_errands()
        self.assertEqual(self.parts.held(key), b"new")

    def test_only_our_slots(self) -> None:
        """Nothing is fetched of slots whose primary is another."""
        (key,) = self.keys(self.parts.view.shares[A], 1)
        self.others[A].store(key, b"value", 7)
        self.fetch(A)
        self.run_errands()
        self.assertIsNone(self.parts.held(key))

    def test_what_is_equal(self) -> None:
        """Slots that are equal here are compared, and not sent."""
        one, two = self.keys(self.share, 2)
        for key in (one, two):
            slot = self.others[A].store(key, b"value", 7)
        self.parts.store(one, b"value", 7, origin=A)
        self.fetch(A)
        self.run_errands()
        (page,) = self.requests(Page)
        assert isinstance(page, Page)
        self.assertEqual(slots_of(from_bytes(page.slots)), [slot])
        self.assertEqual(self.parts.held(two), b"value")

    def test_some_at_a_time(self) -> None:
        """So many slots are compared at once, and no more."""
        self.fetch(A)
        self.run_errands()
        sizes = [
            from_bytes(it.slots).bit_count()
            for it in self.requests(Compare)
            if isinstance(it, Compare)
        ]
        self.assertEqual(sum(sizes), self.share.bit_count())
        self.assertEqual({*sizes[:-1]}, {COMPARED_MAX})

    def test_page_by_page(self) -> None:
        """More than a page comes in pages."""
        slot = slots_of(self.share)[0]
        store = self.others[A].buckets.by_name["b"].store
        for key in keys_in(self.parts.bucket.seed, slot, PUSH_ENTRIES + 1):
            store.merge(slot, key, b"", 7, A, float("inf"), 0.0)
        self.fetch(A)
        self.run_errands()
        self.assertEqual(len(self.requests(Page)), 2)
        self.assertEqual(self.parts.bucket.store.count(slot), PUSH_ENTRIES + 1)

    def test_about_to_expire(self) -> None:
        """What has little time left is fetched all the same."""
        (key,) = self.keys(self.share, 1)
        self.others[A].store(key, b"value", 7, ttl_s=1)
        self.fetch(A)
        self.run_errands()
        self.assertEqual(self.parts.held(key), b"value")

    def test_clock(self) -> None:
        """What this node writes next is above all that it has fetched."""
        high = self.parts.hybrid.tick() + 10**12
        self.others[A].store(self.keys(self.share, 1)[0], b"value", high)
        self.fetch(A)
        self.run_errands()
        self.assertGreater(self.parts.hybrid.tick(), high)

    def test_written_meanwhile(self) -> None:
        """A value that is written here while its old self comes is not overwritten."""
        (key,) = self.keys(self.share, 1)
        self.others[A].store(key, b"old", 7)
        self.fetch(A)
        while not isinstance(self.step(), Compare):
            pass
        self.parts.store(key, b"new", 9)
        self.run_errands()
        self.assertEqual(self.parts.held(key), b"new")

    def test_bucket_unknown_there(self) -> None:
        """Who does not know a bucket holds nothing of it."""
        self.parts.open("c")
        (key,) = self.keys(self.share, 1)
        self.others[A].store(key, b"value", 7)
        self.fetch(A)
        self.run_errands()
        self.assertEqual(self.parts.held(key), b"value")
        self.assertEqual(self.done, 1)

    def test_all_buckets(self) -> None:
        """All buckets are fetched."""
        bucket = self.parts.open("c")
        self.others[A].buckets.merge([bucket.entry])
        slot = self.others[A].store(b"k", b"value", 7, name="c")
        while not self.share >> slot & 1:
            bucket.seed += 1
            self.others[A].buckets.by_name["c"].seed = bucket.seed
            slot = self.others[A].store(b"k", b"value", 7, name="c")
        self.fetch(A)
        self.run_errands()
        self.assertIsNotNone(bucket.store.peek(slot, b"k", 0.0))


class TroubleTests(FetchingTestCase):
    """Things that go wrong meanwhile."""

    names = (A, B)

    def test_silent(self) -> None:
        """Who does not answer is asked again after a while; nothing settles before."""
        (key,) = self.keys(self.share, 1)
        self.others[A].store(key, b"value", 7)
        self.others[A].silent = True
        self.fetch(A)
        self.run_errands()
        self.assertEqual(len(self.asked), 1)
        self.assertEqual(self.parts.claims.unsettled, self.share)
        self.others[A].silent = False
        self.parts.clock.advance(FETCH_PAUSE_S)
        self.run_errands()
        self.assertEqual(self.parts.held(key), b"value")
        self.assertEqual((self.parts.claims.unsettled, self.done), (NO_SLOTS, 1))

    def test_nonsense(self) -> None:
        """An answer that can't be right is none."""
        slots = COMPARED_MAX
        nonsense: list[Answer] = [
            Found(None),
            Compared((0,) * (slots - 1), bytes(128), 0),
            Compared((0,) * (slots + 1), bytes(128), 0),
        ]
        for answer in nonsense:
            self.setUp()
            self.fetch(A)
            self.parts.clock.advance(0)
            self.parts.ask.answer(answer, A)
            self.assertEqual(self.parts.ask.asked, [])
            self.assertEqual(self.parts.claims.unsettled, self.share)
            self.parts.clock.advance(FETCH_PAUSE_S)
            self.assertEqual(len(self.parts.ask.asked), 1)
            self.check_nothing_is_left()

    def test_page_without_an_answer(self) -> None:
        """A page that does not come is asked for again, in the end."""
        (key,) = self.keys(self.share, 1)
        self.others[A].store(key, b"value", 7)
        self.fetch(A)
        self.parts.clock.advance(0)
        while not isinstance(self.parts.ask.asked[0].request, Page):
            self.step()
        self.parts.ask.answer(None, A)
        self.assertEqual(self.parts.claims.unsettled, self.share)
        self.parts.clock.advance(FETCH_PAUSE_S)
        self.run_errands()
        self.assertEqual(self.parts.held(key), b"value")

    def test_bucket_dropped_between_pages(self) -> None:
        """A bucket that is dropped there has nothing more to give."""
        (key,) = self.keys(self.share, 1)
        self.others[A].store(key, b"value", 7)
        self.fetch(A)
        self.parts.clock.advance(0)
        while not isinstance(self.parts.ask.asked[0].request, Page):
            self.step()
        self.parts.ask.answer(Refused(UNKNOWN_BUCKET, "b"), A)
        self.run_errands()
        self.assertEqual((self.parts.claims.unsettled, self.done), (NO_SLOTS, 1))

    def test_dies(self) -> None:
        """Who dies holds nothing any more: its errand ends."""
        self.others[A].silent = True
        self.fetch(A)
        self.run_errands()
        self.parts.change(B)
        self.parts.clock.advance(FETCH_PAUSE_S)
        self.run_errands()
        self.assertNotIn(("fetch", A), self.errands)
        self.assertEqual(len(self.asked), 1)

    def test_side_by_side(self) -> None:
        """One that is silent does not hold up what another holds."""
        (key,) = self.keys(self.share, 1)
        self.others[A].silent = True
        self.others[B].store(key, b"value", 7)
        self.fetch(A, B)
        self.run_errands()
        self.assertEqual(self.parts.held(key), b"value")
        self.assertEqual(self.done, 1)
        self.assertEqual(self.parts.claims.holders_of(slots_of(self.share)[0]), [A])

    def test_one_errand_for_each(self) -> None:
        """Told twice, it is fetched once at a time."""
        self.fetch(A)
        self.fetching.begin(A)
        self.parts.clock.advance(0)
        self.assertEqual(len(self.parts.ask.asked), 1)

    def test_more_meanwhile(self) -> None:
        """What it tells of while it is fetched is fetched, too, before it counts."""
        one, two = self.keys(self.share, 2)
        self.others[A].store(one, b"value", 7)
        self.fetch(A)
        while not isinstance(self.step(), Page):
            pass
        self.others[A].store(two, b"value", 7)
        self.fetch(A)
        self.run_errands()
        self.assertEqual(self.parts.held(two), b"value")
        self.assertEqual(self.done, 1)

    def test_stopped(self) -> None:
        """A node that stops takes no more."""
        (key,) = self.keys(self.share, 1)
        self.others[A].store(key, b"value", 7)
        self.fetch(A)
        self.parts.clock.advance(0)
        while not isinstance(self.parts.ask.asked[0].request, Page):
            self.step()
        self.errands.stop()
        self.parts.ask.answer(Paged((), more=False), A)
        self.assertEqual((self.parts.ask.asked, self.done), ([], 0))
        self.assertIsNone(self.parts.held(key))
