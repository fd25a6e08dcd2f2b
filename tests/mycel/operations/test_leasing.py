"""
What a primary answers to those who want a key, loaded if need be.
"""

from __future__ import annotations

from mycorrizal.mycel.leases import LEASES_MAX
from mycorrizal.mycel.messages import (
    INDETERMINATE,
    LOAD_FAILED,
    NEVER,
    NOT_OWNER,
    TOO_MANY,
    UNKNOWN_BUCKET,
    Answer,
    Done,
    Fill,
    Forgo,
    Found,
    Leased,
    Load,
    Refused,
)
from tests.mycel.operations.test_primary import PrimaryTestCase
from tests.mycel.parts import ME, A, B, members


class LeasingTestCase(PrimaryTestCase):
    """Wishes to have one key."""

    def load(
        self,
        token: int,
        *,
        asker: bytes = B,
        wait_s: float = 5,
        stale_ms: int = 0,
        anew: bool = False,
    ) -> list[Answer]:
        """Wish to have the key; the answer comes into the list."""
        answers: list[Answer] = []
        load = Load("b", self.key, asker, token, 1, stale_ms, anew)
        until = self.parts.now() + wait_s
        self.primary.perform(load, self.slot, until, answers.append)
        return answers

    def fill(self, token: int, value: bytes | None, ttl_ms: int = NEVER) -> Answer:
        """Fill the key."""
        self.perform(Fill("b", self.key, token, value, ttl_ms, 0))
        while self.ask.asked:
            self.ask.answer(Done())
        return self.answers.pop()

    def forgo(self, token: int, problem: str | None = None) -> None:
        """Load or wait no more."""
        forgo = Forgo("b", self.key, token, problem)
        self.assertEqual(self.answer_to(forgo), Done())


class LoadTests(LeasingTestCase):
    """Without other owners."""

    def test_found(self) -> None:
        """A value that is there is given, and nobody loads."""
        self.perform(self.put(b"v", 1500))
        (found,) = self.load(1)
        assert isinstance(found, Found)
        self.assertEqual((found.value, found.remaining_ms), (b"v", 1500))
        self.assertEqual(len(self.primary.leasing.leases), 0)

    def test_one_loads(self) -> None:
        """One loads, the others get what it has loaded, and it can be read."""
        self.assertEqual(self.load(1), [Leased()])
        two, three = self.load(2), self.load(3)
        self.assertEqual((two, three), ([], []))
        self.assertEqual(self.fill(1, b"v", 2000), Done(copies=1))
        self.assertEqual((two, three), ([Found(b"v")], [Found(b"v")]))
        self.assertEqual(self.read(), (b"v", 2000))
        self.assertEqual(len(self.primary.leasing.leases), 0)

    def test_unknown_bucket(self) -> None:
        """An unknown bucket is named."""
        for request in (
            Load("x", b"k", ME, 1, 1),
            Fill("x", b"k", 1, b"v", 0, 0),
            Forgo("x", b"k", 1),
        ):
            self.assertEqual(self.answer_to(request), Refused(UNKNOWN_BUCKET, "x"))

    def test_deleted_meanwhile(self) -> None:
        """What was loaded before a delete goes to those who waited before it."""
        self.load(1)
        before = self.load(2)
        # There is nothing to delete, and the delete counts all the same.
        self.assertEqual(self.answer_to(self.put(None)), Done(existed=False))
        after = self.load(3)
        self.assertEqual(after, [Leased()])
        last = self.load(4)
        self.assertEqual(self.fill(1, b"old"), Done(existed=False))
        self.assertEqual((before, last), ([Found(b"old")], []))
        self.assertIsNone(self.read()[0])
        self.fill(3, b"new")
        self.assertEqual(last, [Found(b"new")])
        self.assertEqual(self.read()[0], b"new")

    def test_put_meanwhile(self) -> None:
        """What was put meanwhile stays."""
        self.load(1)
        waited = self.load(2)
        self.perform(self.put(b"put"))
        self.assertEqual(self.fill(1, b"loaded"), Done(existed=False))
        self.assertEqual(waited, [Found(b"loaded")])
        self.assertEqual(self.read()[0], b"put")

    def test_touch_changes_nothing(self) -> None:
        """A new time to live is no write of a value."""
        self.perform(self.put(b"old", 500))
        self.load(1, stale_ms=1000)
        self.perform(self.touch(700))
        self.assertEqual(self.fill(1, b"new"), Done(copies=1))
        self.assertEqual(self.read()[0], b"new")

    def test_loader_fails(self) -> None:
        """Those who waited are told what the loader failed with; later ones load."""
        self.load(1)
        two = self.load(2)
        self.forgo(1, "KeyError: 7")
        self.assertEqual(two, [Refused(LOAD_FAILED, "KeyError: 7")])
        self.assertEqual(self.load(3), [Leased()])

    def test_forgone(self) -> None:
        """If one loads no more, the next one does, and the others wait for that."""
        self.load(1)
        two, three, four = self.load(2), self.load(3), self.load(4)
        self.forgo(3)
        self.forgo(1)
        self.assertEqual((two, three, four), ([Leased()], [], []))
        self.fill(2, b"v")
        self.assertEqual((three, four), ([], [Found(b"v")]))

    def test_node_lost(self) -> None:
        """If its node can't be reached any more, the same holds."""
        self.load(1, asker=A)
        two, three = self.load(2, asker=A), self.load(3)
        self.primary.leasing.node_lost(A)
        self.assertEqual((two, three), ([], [Leased()]))

    def test_out_of_time(self) -> None:
        """The next one loads when the time of the first is over."""
        self.load(1, wait_s=5)
        two, three = self.load(2, wait_s=9), self.load(3, wait_s=4)
        self.parts.clock.advance(4)
        self.primary.leasing.expire()
        (refused,) = three
        assert isinstance(refused, Refused)
        self.assertEqual(refused.reason, INDETERMINATE)
        self.assertEqual(two, [])
        self.parts.clock.advance(1)
        self.primary.leasing.expire()
        self.assertEqual(two, [Leased()])
        self.assertEqual(self.fill(1, b"late"), Done(existed=False))
        self.assertIsNone(self.read()[0])

    def test_full(self) -> None:
        """Too many loads are refused with a sentence."""
        for number in range(LEASES_MAX):
            load = Load("b", b"%d" % number, ME, number, 1)
            self.assertEqual(self.answer_to(load), Leased())
        self.answers.clear()
        (refused,) = self.load(LEASES_MAX)
        assert isinstance(refused, Refused)
        self.assertEqual(refused.reason, TOO_MANY)
        self.assertIn("too many loads", refused.text)


class NegativeTests(LeasingTestCase):
    """Loaders that find nothing."""

    def test_remembered(self) -> None:
        """That there is nothing is remembered for as long as was asked."""
        self.load(1)
        waited = self.load(2)
        self.assertEqual(self.fill(1, None, 2000), Done())
        self.assertEqual(waited, [Found(None)])
        self.parts.clock.advance(1.99)
        self.assertEqual(self.load(3), [Found(None)])
        self.assertEqual(self.read()[0], None)
        self.parts.clock.advance(0.01)
        self.assertEqual(self.load(4), [Leased()])

    def test_not_remembered(self) -> None:
        """If that was not asked, the next one loads."""
        self.load(1)
        self.fill(1, None, 0)
        self.assertEqual(self.load(2), [Leased()])

    def test_for_ever(self) -> None:
        """It can be remembered until the key is written."""
        self.load(1)
        self.fill(1, None, NEVER)
        self.parts.clock.advance(1e6)
        self.assertEqual(self.load(2), [Found(None)])
        self.perform(self.put(None))
        self.assertEqual(self.load(3), [Leased()])

    def test_put(self) -> None:
        """What is put is there at once, and nowhere again when it has expired."""
        self.load(1)
        self.fill(1, None, 60_000)
        self.perform(self.put(b"v", 1000))
        (found,) = self.load(2)
        assert isinstance(found, Found)
        self.assertEqual(found.value, b"v")
        self.parts.clock.advance(1)
        self.assertEqual(self.load(3), [Leased()])

    def test_written_meanwhile(self) -> None:
        """It is not remembered if the key was written meanwhile."""
        self.load(1)
        self.perform(self.put(None))
        self.assertEqual(self.fill(1, None, 60_000), Done(existed=False))
        self.assertEqual(self.load(2), [Leased()])


class StaleTests(LeasingTestCase):
    """Values that are about to expire."""

    def test_one_loads_again(self) -> None:
        """The first to read it loads it again; until then all get the old one."""
        self.perform(self.put(b"old", 3000))
        self.assertIsInstance(self.load(1, stale_ms=1000)[0], Found)
        self.parts.clock.advance(2)
        (leased,) = self.load(2, stale_ms=1000)
        assert isinstance(leased, Leased)
        self.assertEqual(leased.value, b"old")
        (found,) = self.load(3, stale_ms=1000)
        assert isinstance(found, Found)
        self.assertEqual((found.value, found.remaining_ms), (b"old", 1000))
        self.fill(2, b"new", 3000)
        self.assertEqual(self.read(), (b"new", 3000))

    def test_not_served_when_expired(self) -> None:
        """When it has expired nobody gets it, also if nobody has loaded it again."""
        self.perform(self.put(b"old", 1000))
        self.load(1, stale_ms=1000)
        self.parts.clock.advance(1)
        waited = self.load(2, stale_ms=1000)
        self.assertEqual(waited, [])
        self.fill(1, b"new")
        self.assertEqual(waited, [Found(b"new")])

    def test_asked_again(self) -> None:
        """One whose answer was lost gets the lease that it has."""
        self.perform(self.put(b"old", 1000))
        self.assertEqual(self.load(1, stale_ms=1000), self.load(1, stale_ms=1000))

    def test_gone(self) -> None:
        """If there is nothing any more, the old value goes."""
        self.perform(self.put(b"old", 1000))
        self.load(1, stale_ms=1000)
        self.fill(1, None, 500)
        self.assertIsNone(self.read()[0])
        self.assertEqual(self.load(2), [Found(None)])


class AnewTests(LeasingTestCase):
    """Loads of what is there."""

    def test_anew(self) -> None:
        """It is loaded though it is there, and put in its place."""
        self.perform(self.put(b"old"))
        self.assertEqual(self.load(1, anew=True), [Leased()])
        (found,) = self.load(2)
        assert isinstance(found, Found)
        self.assertEqual(found.value, b"old")
        self.fill(1, b"new")
        self.assertEqual(self.read()[0], b"new")

    def test_not_what_is_being_loaded(self) -> None:
        """What was being loaded before does not do, and is not stored after."""
        self.load(1)
        waited = self.load(2)
        self.assertEqual(self.load(3, anew=True), [Leased()])
        self.fill(3, b"new")
        self.fill(1, b"old")
        self.assertEqual(waited, [Found(b"old")])
        self.assertEqual(self.read()[0], b"new")

    def test_asked_again(self) -> None:
        """To ask twice is to ask once."""
        self.load(1, anew=True)
        self.assertEqual(self.load(1, anew=True), [Leased()])
        self.assertEqual(self.fill(1, b"v"), Done(copies=1))

    def test_known_absent(self) -> None:
        """What was nowhere may be there now."""
        self.load(1)
        self.fill(1, None, NEVER)
        self.assertEqual(self.load(2, anew=True), [Leased()])
        self.fill(2, b"v")
        self.assertEqual(self.read()[0], b"v")


class OwnersTests(LeasingTestCase):
    """With another owner."""

    others = (A,)

    def test_readable_when_given(self) -> None:
        """Who waits gets the value when its copies stand; till then all wait."""
        self.load(1)
        two = self.load(2)
        self.perform(Fill("b", self.key, 1, b"v", NEVER, 0))
        three = self.load(3)
        self.assertEqual((two, three, self.answers), ([], [], []))
        self.ask.answer(Done())
        self.assertEqual((two, three), ([Found(b"v")], [Found(b"v")]))
        self.assertEqual(self.answers, [Done(copies=2)])

    def test_owner_silent(self) -> None:
        """Who waits gets the value, also if the other owner does not answer."""
        self.load(1)
        two = self.load(2)
        self.perform(Fill("b", self.key, 1, b"v", NEVER, 0))
        self.parts.clock.advance(5)
        self.writes.expire()
        self.assertEqual(two, [Found(b"v")])
        (refused,) = self.answers
        assert isinstance(refused, Refused)
        self.assertEqual(refused.reason, INDETERMINATE)

    def test_deleted_while_stored(self) -> None:
        """A delete that comes while the value is being stored deletes it."""
        self.load(1)
        self.perform(Fill("b", self.key, 1, b"v", NEVER, 0))
        self.perform(self.put(None))
        self.assertEqual(self.load(2), [Leased()])
        while self.ask.asked:
            self.ask.answer(Done())
        self.assertIsNone(self.read()[0])

    def test_moved(self) -> None:
        """When the slot is another's, who waits is sent there; nothing is filled."""
        self.load(1)
        waited = self.load(2)
        self.parts.view.change(members(A, B)[1:])
        self.primary.members_changed()
        self.assertEqual(waited, [Refused(NOT_OWNER)])
        self.assertEqual(self.fill(1, b"v"), Done(existed=False))

    def test_unsettled(self) -> None:
        """So it is when others may have written while the slot was theirs."""
        self.load(1)
        waited = self.load(2)
        self.parts.view.returned()
        self.primary.members_changed()
        self.assertEqual(waited, [Refused(NOT_OWNER)])

    def test_stays(self) -> None:
        """A change of members that leaves the slot alone leaves its loads alone."""
        self.load(1)
        waited = self.load(2)
        self.parts.view.change(members())
        self.primary.members_changed()
        self.assertEqual(waited, [])
        self.assertEqual(self.fill(1, b"v"), Done(copies=1))
        self.assertEqual(waited, [Found(b"v")])
