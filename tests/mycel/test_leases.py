"""
Who loads a key, who waits, and whose value may be stored.
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
from mycorrizal.mycel.leases import (
    ABSENT_MAX,
    LEASES_MAX,
    WAITERS_MAX,
    Lease,
    Leases,
    Verdict,
    Wish,
)
from mycorrizal.mycel.messages import Load
from tests.mycel.parts import A, B, C


def wish(
    token: int,
    key: bytes = b"k",
    *,
    asker: bytes = A,
    until: float = 10,
    slot: int = 1,
    bucket: str = "b",
) -> Wish:
    """A wish to have a key."""
    load = Load(bucket, key, asker, token, 1000)
    return Wish(load, slot, until, lambda answer: None)


class LeasesTests(SynchronousTestCase):
    """One key, and those who want it."""

    def setUp(self) -> None:
        self.leases = Leases()

    def granted(self, token: int, key: bytes = b"k", **terms: object) -> Lease:
        """A lease that was granted."""
        verdict = self.leases.ask(wish(token, key, **terms))  # type: ignore[arg-type]
        self.assertIs(verdict, Verdict.LEASED)
        return self.leases.current["b", key]

    def waiting(self, token: int, **terms: object) -> Wish:
        """A wish that waits."""
        made = wish(token, **terms)  # type: ignore[arg-type]
        self.assertIs(self.leases.ask(made), Verdict.WAITS)
        return made

    def test_one_loads(self) -> None:
        """The first to miss a key loads it, and the others wait, in order."""
        lease = self.granted(1)
        two, three = self.waiting(2, asker=B), self.waiting(3)
        self.granted(4, b"another key")
        self.assertIs(self.leases.fill(1), lease)
        self.assertTrue(lease.current)
        four = self.waiting(5)
        self.assertEqual(self.leases.end(lease), [two, three, four])
        self.granted(6)

    def test_filled_once(self) -> None:
        """A value is taken once, and only from who holds the lease."""
        lease = self.granted(1)
        self.waiting(2)
        self.assertIsNone(self.leases.fill(2))
        self.assertIs(self.leases.fill(1), lease)
        self.assertIsNone(self.leases.fill(1))
        self.leases.end(lease)
        self.assertIsNone(self.leases.fill(1))

    def test_written_meanwhile(self) -> None:
        """After a write the lease is void; who comes later does not wait for it."""
        lease = self.granted(1)
        waited = self.waiting(2)
        self.leases.written("b", b"another key")
        self.assertTrue(lease.current)
        self.leases.written("b", b"k")
        self.assertFalse(lease.current)
        later = self.granted(3)
        self.assertIs(self.leases.fill(1), lease)
        self.assertEqual(self.leases.end(lease), [waited])
        self.assertIs(self.leases.fill(3), later)
        self.assertTrue(later.current)

    def test_written_while_stored(self) -> None:
        """Also after a write that comes while the value is being stored."""
        lease = self.granted(1)
        self.leases.fill(1)
        self.leases.written("b", b"k")
        self.granted(2)
        self.assertEqual(self.leases.end(lease), [])
        self.assertIn(("b", b"k"), self.leases.current)

    def test_cleared(self) -> None:
        """Clearing a bucket makes its leases void, and no others."""
        other = wish(2, bucket="c")
        self.leases.ask(other)
        lease = self.granted(1)
        self.leases.remember_absent("b", b"x", 1, 10)
        self.leases.remember_absent("c", b"x", 1, 10)
        self.leases.cleared("b")
        self.assertFalse(lease.current)
        self.assertFalse(self.leases.known_absent("b", b"x", 0))
        self.assertTrue(self.leases.known_absent("c", b"x", 0))
        self.assertIn(("c", b"k"), self.leases.current)

    def test_forgone(self) -> None:
        """Who forgoes a lease gives those back who waited for it."""
        self.granted(1)
        two, three = self.waiting(2), self.waiting(3)
        self.assertEqual(self.leases.forgo(1), [two, three])
        self.assertEqual(self.leases.forgo(1), [])
        self.granted(4)

    def test_waiter_forgoes(self) -> None:
        """Who waits no more is not told, and harms nobody."""
        self.granted(1)
        self.waiting(2)
        three = self.waiting(3)
        self.assertEqual(self.leases.forgo(2), [])
        self.assertEqual(self.leases.forgo(1), [three])

    def test_forgone_too_late(self) -> None:
        """A value that is being stored is stored."""
        lease = self.granted(1)
        self.leases.fill(1)
        self.assertEqual(self.leases.forgo(1), [])
        self.assertTrue(lease.current)

    def test_asked_again(self) -> None:
        """A question that is asked twice is answered twice, and is one wish."""
        self.granted(1)
        self.assertIs(self.leases.ask(wish(1)), Verdict.LEASED)
        self.waiting(2)
        again = self.waiting(2)
        self.assertEqual(self.leases.forgo(1), [again])

    def test_node_lost(self) -> None:
        """A lost node loads no more and waits no more."""
        self.granted(1, asker=A)
        self.waiting(2, asker=A)
        waited = self.waiting(3, asker=B)
        self.granted(4, b"x", asker=B)
        self.assertEqual(self.leases.lost(C), [])
        self.assertEqual(self.leases.lost(A), [waited])
        self.assertEqual(list(self.leases.current), [("b", b"x")])

    def test_moved(self) -> None:
        """Of a slot that moves nothing stays."""
        lease = self.granted(1, slot=1)
        waited = self.waiting(2, slot=1)
        self.granted(3, b"x", slot=2)
        self.leases.remember_absent("b", b"y", 1, 10)
        self.leases.remember_absent("b", b"z", 2, 10)
        self.assertEqual(self.leases.moved(lambda slot: slot == 2), [waited])
        self.assertFalse(lease.current)
        self.assertIsNone(self.leases.fill(1))
        self.assertIsNotNone(self.leases.fill(3))
        self.assertFalse(self.leases.known_absent("b", b"y", 0))
        self.assertTrue(self.leases.known_absent("b", b"z", 0))

    def test_expire(self) -> None:
        """A lease is good until its time is over, and then another's."""
        self.granted(1, until=5)
        patient, hasty = self.waiting(2, until=9), self.waiting(3, until=4)
        self.assertEqual(self.leases.expire(3.9), ([], []))
        self.assertEqual(self.leases.expire(4), ([], [hasty]))
        self.assertEqual(self.leases.expire(4.9), ([], []))
        self.assertEqual(self.leases.expire(5), ([patient], []))
        self.assertIsNone(self.leases.fill(1))

    def test_absent(self) -> None:
        """That there is nothing is remembered until then, or until a write."""
        self.leases.remember_absent("b", b"k", 1, 5)
        self.assertTrue(self.leases.known_absent("b", b"k", 4.9))
        self.assertFalse(self.leases.known_absent("b", b"k", 5))
        self.assertFalse(self.leases.known_absent("b", b"x", 0))
        self.leases.written("b", b"k")
        self.assertFalse(self.leases.known_absent("b", b"k", 0))

    def test_absent_is_freed(self) -> None:
        """What is not remembered any more takes no memory."""
        self.leases.remember_absent("b", b"k", 1, 5)
        self.leases.expire(4.9)
        self.assertEqual(len(self.leases), 1)
        self.leases.expire(5)
        self.assertEqual(len(self.leases), 0)


class BoundTests(SynchronousTestCase):
    """Each bound holds, at the bound and one past it."""

    def test_leases(self) -> None:
        """So many loads are under way, and no more."""
        leases = Leases()
        for number in range(LEASES_MAX):
            verdict = leases.ask(wish(number, b"%d" % number))
            self.assertIs(verdict, Verdict.LEASED)
        self.assertIs(leases.ask(wish(LEASES_MAX)), Verdict.FULL)
        self.assertIs(leases.ask(wish(LEASES_MAX + 1, b"0")), Verdict.WAITS)
        leases.forgo(5)
        self.assertIs(leases.ask(wish(LEASES_MAX)), Verdict.LEASED)

    def test_waiters(self) -> None:
        """So many wait, for whichever loads, and no more."""
        leases = Leases()
        leases.ask(wish(0))
        leases.ask(wish(1, b"x"))
        self.assertIs(leases.ask(wish(2)), Verdict.WAITS)
        for number in range(3, WAITERS_MAX + 2):
            self.assertIs(leases.ask(wish(number, b"x")), Verdict.WAITS)
        self.assertIs(leases.ask(wish(WAITERS_MAX + 2)), Verdict.FULL)
        self.assertIs(leases.ask(wish(3, b"x")), Verdict.WAITS)
        leases.forgo(2)
        self.assertIs(leases.ask(wish(WAITERS_MAX + 2)), Verdict.WAITS)

    def test_absent(self) -> None:
        """Beyond the bound the oldest is forgotten."""
        leases = Leases()
        for number in range(ABSENT_MAX):
            leases.remember_absent("b", b"%d" % number, 1, 5)
        leases.remember_absent("b", b"5", 1, 6)
        self.assertEqual(len(leases.absent), ABSENT_MAX)
        self.assertTrue(leases.known_absent("b", b"0", 0))
        leases.remember_absent("b", b"one more", 1, 5)
        self.assertEqual(len(leases.absent), ABSENT_MAX)
        self.assertFalse(leases.known_absent("b", b"0", 0))
        self.assertTrue(leases.known_absent("b", b"1", 0))


TOKENS = st.integers(0, 6)
KEYS = st.sampled_from([b"x", b"y"])


class LeasesMachine(RuleBasedStateMachine):
    """Whatever happens, in whichever order, the table is in order."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = Leases()
        self.now = 0.0
        #: What waits, as it was asked, and the key that each token is for.
        self.waits: dict[int, Wish] = {}
        self.filling: dict[int, Lease] = {}
        self.written_after: dict[int, bool] = {}

    def back(self, wishes: list[Wish]) -> None:
        """These were given back: each waited, and does no more."""
        for made in wishes:
            assert self.waits.pop(made.load.token) is made

    @rule(token=TOKENS, asker=st.sampled_from([A, B]), life_s=st.integers(1, 5))
    def ask(self, token: int, asker: bytes, life_s: int) -> None:
        key = b"x" if token % 2 else b"y"
        made = wish(token, key, asker=asker, until=self.now + life_s, slot=token % 2)
        verdict = self.leases.ask(made)
        if verdict is Verdict.WAITS:
            self.waits[token] = made
        else:
            self.written_after.setdefault(token, False)

    @rule(key=KEYS)
    def write(self, key: bytes) -> None:
        self.leases.written("b", key)
        for token in self.written_after:
            if (b"x" if token % 2 else b"y") == key:
                self.written_after[token] = True

    @rule(token=TOKENS)
    def fill(self, token: int) -> None:
        lease = self.leases.fill(token)
        if lease is not None:
            # The one law that matters: nothing older than a write is stored.
            assert lease.current is not self.written_after[token]
            self.filling[token] = lease

    @rule(token=TOKENS)
    def stored(self, token: int) -> None:
        lease = self.filling.pop(token, None)
        if lease is not None:
            self.back(self.leases.end(lease))

    @rule(token=TOKENS)
    def forgo(self, token: int) -> None:
        self.waits.pop(token, None)
        self.back(self.leases.forgo(token))

    @rule(asker=st.sampled_from([A, B]))
    def lost(self, asker: bytes) -> None:
        self.waits = {
            token: made
            for token, made in self.waits.items()
            if made.load.asker != asker
        }
        self.back(self.leases.lost(asker))

    @rule(slot=st.integers(0, 1))
    def moved(self, slot: int) -> None:
        self.back(self.leases.moved(lambda it: it == slot))

    @rule(seconds=st.integers(1, 3))
    def expire(self, seconds: int) -> None:
        self.now += seconds
        again, over = self.leases.expire(self.now)
        self.back(again)
        self.back(over)

    @invariant()
    def in_order(self) -> None:
        leases = self.leases
        held = leases._held
        assert all(lease.token == token for token, lease in held.items())
        assert all(
            held[it.token] is it and it.current for it in leases.current.values()
        )
        assert leases._waiting.keys() == self.waits.keys()
        waiting = [token for lease in held.values() for token in lease.waiters]
        assert sorted(waiting) == sorted(self.waits)
        for token in list(self.written_after):
            if token not in held:
                del self.written_after[token]


class ModelTests(SynchronousTestCase):
    """The table and its model."""

    def test_any_order(self) -> None:
        """Whatever happens, in whichever order, the table is in order."""
        run_state_machine_as_test(LeasesMachine)
