"""
What belongs elsewhere is let go when all who own it hold it, and not before.
"""

from __future__ import annotations

from mycorrizal.mycel.slot_messages import Compare, Push
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.dropping import DROP_PAUSE_S, Dropping
from mycorrizal.mycel.slots.slotset import slots_of
from tests.mycel.parts import ME, A, B, C, let_claim, members, slot_owned_by, view_of
from tests.mycel.slots.errands_case import ErrandsTestCase


class DroppingTestCase(ErrandsTestCase):
    """This node holds two slots that belong to A and B."""

    names: tuple[bytes, ...] = (A, B)

    def setUp(self) -> None:
        super().setUp()
        parts = self.parts
        self.attempts = 0
        self.dropping = Dropping(
            parts.view,
            parts.claims,
            parts.buckets,
            self.leveling,
            self.errands,
            parts.now,
            self._dropped,
        )
        owned = parts.view.owned(2)
        self.foreign = owned[A] & owned[B] & ~owned[ME]
        self.key, self.other = self.keys(self.foreign, 2)
        self.slot = parts.store(self.key, b"value", 7)
        parts.store(self.other, b"other", 7)

    def _dropped(self) -> None:
        self.attempts += 1

    def go_on(self) -> None:
        """Try once to let go what there is."""
        self.dropping.go_on()
        self.run_errands()

    def both(self, key: bytes) -> list[bytes | None]:
        """What A and B hold of a key."""
        return [self.others[it].held(key) for it in (A, B)]


class DroppingTests(DroppingTestCase):
    """All owners answer, and agree."""

    def test_given_and_let_go(self) -> None:
        """The owners are given what they lack; then it goes here."""
        self.assertEqual(self.dropping.left(), 2)
        self.go_on()
        self.assertEqual(self.both(self.key), [b"value", b"value"])
        self.assertEqual(self.both(self.other), [b"other", b"other"])
        self.assertEqual((self.dropping.left(), self.attempts), (0, 1))
        self.assertEqual(self.parts.bucket.store.stats().moved, 2)

    def test_tombstone(self) -> None:
        """A delete is given on, too."""
        self.parts.store(self.key, None, 8, ttl_s=3600)
        self.go_on()
        self.assertEqual(self.dropping.left(), 0)
        store = self.others[A].buckets.by_name["b"].store
        self.assertEqual(store.stats().tombstones, 1)

    def test_newer_there(self) -> None:
        """Where owners hold a newer version theirs stays."""
        for node_key in (A, B):
            self.others[node_key].store(self.key, b"newer", 9)
        self.go_on()
        self.assertEqual(self.both(self.key), [b"newer"] * 2)
        self.assertEqual(self.dropping.left(), 0)

    def test_ours_stays(self) -> None:
        """What this node owns, or is still primary of, is not let go."""
        parts = self.parts
        replica = slot_owned_by(parts.view, A, ME)
        serving = slot_owned_by(parts.view, ME, A)
        for key in self.keys(1 << replica, 1) + self.keys(1 << serving, 1):
            parts.store(key, b"mine", 7)
        self.go_on()
        self.assertEqual(parts.bucket.store.entries, 2)
        self.assertEqual(self.dropping.left(), 0)

    def test_still_primary(self) -> None:
        """Not even if others are to own it: who is primary serves until then."""
        parts = self.parts
        parts.view.leaves(ME)
        self.assertEqual(parts.view.owned(2).get(ME, 0), 0)
        slot = slots_of(parts.claims.serving)[0]
        (key,) = self.keys(1 << slot, 1)
        parts.store(key, b"mine", 7)
        self.go_on()
        self.assertEqual(parts.held(key), b"mine")
        let_claim(parts.claims, parts.view.owners(slot, 1)[0], 1 << slot)
        self.parts.clock.advance(DROP_PAUSE_S)
        self.go_on()
        self.assertIsNone(parts.held(key))
        self.assertEqual(self.both(key), [b"mine", b"mine"])

    def test_one_at_a_time(self) -> None:
        """Attempts follow each other at a distance."""
        self.others[A].silent = True
        self.go_on()
        self.go_on()
        self.assertEqual(self.attempts, 1)
        self.parts.clock.advance(DROP_PAUSE_S - 0.01)
        self.go_on()
        self.assertEqual(self.attempts, 1)
        self.parts.clock.advance(0.01)
        self.go_on()
        self.assertEqual(self.attempts, 2)

    def test_nothing_to_do(self) -> None:
        """Where nothing belongs elsewhere nobody is asked."""
        self.go_on()
        self.parts.clock.advance(DROP_PAUSE_S)
        self.asked.clear()
        self.go_on()
        self.assertEqual((self.asked, self.attempts), ([], 1))
        self.assertNotIn("drop", self.errands)

    def test_stops_all(self) -> None:
        """An attempt may be the last: then all errands have been stopped."""
        self.dropping._dropped = self.errands.stop
        self.go_on()
        self.assertNotIn("drop", self.errands)
        self.assertEqual(self.parts.runtime.pending_timers(), 0)


class DisagreedTests(DroppingTestCase):
    """Not all owners agree: nothing is let go."""

    def stays(self) -> None:
        """After an attempt all is here still."""
        self.go_on()
        self.assertEqual(self.parts.held(self.key), b"value")
        self.assertEqual((self.dropping.left(), self.attempts), (2, 1))

    def test_one_is_silent(self) -> None:
        """One that does not answer may hold nothing."""
        self.others[B].silent = True
        self.stays()

    def test_other_members_in_mind(self) -> None:
        """One that sees other members may name other owners."""
        self.others[B].replica._view = view_of(A, B, C)
        self.stays()

    def test_primary_is_not_settled(self) -> None:
        """One that knows of no settled primary may be about to lose it."""
        parts = self.parts
        self.others[B].replica._claims = Claims(parts.view, 1, lambda: 0)
        self.stays()

    def test_does_not_take_all(self) -> None:
        """One that has not taken what it lacked lacks it."""
        self.dropping.go_on()
        for _ in range(100):
            self.parts.clock.advance(0)
            if not self.parts.ask.asked:
                break
            asked = self.parts.ask.asked[0]
            if asked.node_key == B and isinstance(asked.request, Push):
                self.parts.ask.answer(None, B)
            else:
                self.step()
        self.assertEqual(self.dropping.left(), 2)

    def test_members_change_meanwhile(self) -> None:
        """What was agreed to with other members in mind is not agreed to."""
        self.dropping.go_on()
        while not isinstance(self.step(), Compare):
            pass
        self.parts.view.change(members(A, B, C))
        self.run_errands()
        self.assertEqual(self.parts.held(self.key), b"value")

    def test_one_slot(self) -> None:
        """A slot in doubt stays; the other goes."""
        self.parts.claims._promises.take(1 << self.slot, None)
        self.go_on()
        self.assertEqual(self.parts.held(self.key), b"value")
        self.assertIsNone(self.parts.held(self.other))
        self.assertEqual(self.dropping.left(), 1)

    def test_changed_meanwhile(self) -> None:
        """What has come while the owners were asked was not compared."""
        self.dropping.go_on()
        while (request := self.step()) is not None:
            if isinstance(request, Compare) and self.asked[-1][0] == B:
                self.parts.store(self.key, b"new", 9)
        self.assertEqual(self.parts.held(self.key), b"new")
        self.assertIsNone(self.parts.held(self.other))
        self.parts.clock.advance(DROP_PAUSE_S)
        self.go_on()
        self.assertEqual(self.both(self.key), [b"new"] * 2)
        self.assertEqual(self.dropping.left(), 0)

    def test_owned_again_meanwhile(self) -> None:
        """What this node has become an owner of is not let go."""
        self.dropping.go_on()
        while not isinstance(self.step(), Compare):
            pass
        self.parts.change(A)
        self.run_errands()
        self.assertEqual(self.parts.held(self.key), b"value")
        self.assertEqual(self.dropping.left(), 0)

    def test_no_owners(self) -> None:
        """When all are about to leave there is nobody to give it to."""
        for node_key in (ME, A, B):
            self.parts.view.leaves(node_key)
        self.assertGreaterEqual(self.dropping.left(), 2)
        self.go_on()
        self.assertEqual(self.parts.held(self.key), b"value")
        self.assertEqual(self.asked, [])

    def test_stopped(self) -> None:
        """A node that stops lets nothing more go."""
        self.dropping.go_on()
        self.step()
        self.errands.stop()
        self.run_errands()
        self.assertEqual((self.dropping.left(), self.attempts), (2, 0))
