"""
Claims while links come late, promises turn out wrong, and lives end and begin.
"""

from __future__ import annotations

from mycorrizal.mycel.slot_messages import Claim, Denied, Moved
from mycorrizal.mycel.slots.claims import (
    AWAY_S,
    ELSEWHERE,
    SETTLED,
    UNSETTLED,
    Began,
    Ended,
    Fetchable,
    Tell,
)
from mycorrizal.mycel.slots.slotset import (
    ALL_SLOTS,
    NO_SLOTS,
    slots_of,
    to_bytes,
)
from tests.mycel.parts import ME, YES, A, B, C
from tests.mycel.slots.test_claims import LATER, ClaimsTestCase, asked


class LinkTests(ClaimsTestCase):
    """R4: a primary tells those who link later."""

    def test_late_link(self) -> None:
        """Who links later is asked about all, while this node goes on."""
        self.begin(A)
        share = self.claims.serving
        self.assertEqual(asked(self.claims.link_up(A, LATER)), {A: share})
        self.assertEqual(self.claims.serving, share)

    def test_holder(self) -> None:
        """If it holds something, the slots are unsettled until that is here."""
        self.begin(A)
        share = self.claims.serving
        self.claims.link_up(A, LATER)
        held = 1 << slots_of(share)[3]
        effects = self.answer(A, share, held=held, now=LATER)
        self.assertEqual(effects, (Fetchable(A),))
        slot = slots_of(held)[0]
        self.assertEqual(self.claims.status[slot], UNSETTLED)
        self.assertEqual(self.claims.holders_of(slot), [A])
        self.assertEqual(self.claims.held_by(A), held)
        self.claims.fetched(A, held)
        self.assertEqual(self.claims.status[slot], SETTLED)
        self.assertEqual(self.claims.holders_of(slot), [])

    def test_denied(self) -> None:
        """If it says no, this node is primary no more."""
        self.begin(A)
        share = self.claims.serving
        self.claims.link_up(A, LATER)
        effects = self.answer(
            A, share, denied=[Denied(C, 1, to_bytes(share))], now=LATER
        )
        self.assertEqual(effects[0], Ended(share))
        self.assertEqual(self.claims.serving, NO_SLOTS)

    def test_unknown(self) -> None:
        """Who is not known, or is dead, is not asked."""
        self.begin(A)
        self.assertEqual(self.claims.link_up(B, LATER), ())

    def test_question_lost_with_its_link(self) -> None:
        """A new link is a new question, though the old one was not answered."""
        self.meet(A)
        self.assertEqual(len(asked(self.claims.begin(0.0))), 1)
        self.assertEqual(len(asked(self.claims.link_up(A, 0.0))), 1)

    def test_holder_dies(self) -> None:
        """What a holder takes to its grave is not waited for."""
        self.begin(A, B)
        share = self.claims.serving
        self.claims.link_up(A, LATER)
        self.answer(A, share, held=share, now=LATER)
        self.assertEqual(self.claims.unsettled, share)
        self.meet(B, now=LATER)
        self.assertEqual(self.claims.unsettled, NO_SLOTS)


class SettledTests(ClaimsTestCase):
    """R5: what others hold is fetched first."""

    def test_unsettled_from_the_start(self) -> None:
        """Who holds something says so when it agrees."""
        self.meet(A)
        effects = self.claims.begin(0.0)
        share = self.view.shares[ME]
        effects = self.answer(A, share, held=share)
        self.assertEqual(effects, (Began(share), Fetchable(A)))
        self.assertEqual(self.claims.unsettled, share)
        self.assertEqual(self.claims.steady & share, NO_SLOTS)

    def test_steady(self) -> None:
        """A slot is steady when its best-ranked node is primary and settled."""
        self.begin(A, B)
        self.assertEqual(self.claims.steady, ALL_SLOTS)
        self.meet(B, now=LATER)
        self.assertEqual(
            self.claims.steady & self.view.shares[ME],
            NO_SLOTS | self.claims.serving & self.view.shares[ME],
        )
        self.assertNotEqual(self.claims.steady, ALL_SLOTS)

    def test_a_promise_that_is_not_the_best(self) -> None:
        """A slot that was promised to one who leaves is not steady."""
        self.begin(A, B)
        share = self.view.shares[A]
        self.view.leaves(A)
        self.claims.nodes_changed(self.met, LATER)
        self.assertEqual(self.claims.steady & share, NO_SLOTS)


class MovedTests(ClaimsTestCase):
    """A promise to one that has let the slot go since."""

    def test_told(self) -> None:
        """Who agrees too late is told who has it now."""
        self.begin(A, B)
        share = self.view.shares[A]
        effects = self.answer(B, share, now=LATER)
        self.assertEqual(effects, (Tell(B, Moved(to_bytes(share), (A, 1))),))

    def test_nobody(self) -> None:
        """Or that nobody has, as far as is known."""
        self.meet(A)
        effects = self.answer(A, 1)
        self.assertEqual(effects, (Tell(A, Moved(to_bytes(1))),))

    def test_moved(self) -> None:
        """The promise then is to that one, if it is alive."""
        self.begin(A, B)
        share = self.view.shares[A]
        slot = slots_of(share)[0]
        self.claims.moved((A, 1), Moved(to_bytes(1 << slot), (B, 1)))
        self.assertIsNone(self.claims.takes_copy((B, 1), slot))
        self.claims.moved((B, 1), Moved(to_bytes(1 << slot), (C, 1)))
        self.assertIsNone(self.claims.takes_copy((A, 1), slot))

    def test_handed_on(self) -> None:
        """Who agrees with a leaver, maybe too late, is told who comes after it."""
        self.begin(A, B)
        serving = self.claims.serving
        self.view.leaves(ME)
        self.claims.nodes_changed(self.met, LATER)
        for node_key in (A, B):
            self.claims.link_up(node_key, LATER)
            self.answer(node_key, serving, now=LATER)
        taken = self.view.shares[A] & serving
        claim = Claim(to_bytes(taken), 0)
        _, effects = self.claims.claimed((A, 1), claim, NO_SLOTS, LATER)
        moved = Tell(B, Moved(to_bytes(taken), (A, 1)))
        self.assertEqual(effects, (Ended(taken), moved))
        _, effects = self.claims.claimed((A, 1), claim, NO_SLOTS, LATER)
        self.assertEqual(effects, ())

    def test_not_handed_on(self) -> None:
        """Nobody is told before: the others are asked by who comes after it."""
        self.begin(A, B)
        self.view.leaves(ME)
        self.claims.nodes_changed(self.met, LATER)
        taken = self.view.shares[A] & self.claims.serving
        claim = Claim(to_bytes(taken), 0)
        _, effects = self.claims.claimed((A, 1), claim, NO_SLOTS, LATER)
        self.assertEqual(effects, (Ended(taken),))

    def test_not_theirs(self) -> None:
        """Nobody can move what was not promised to it."""
        self.begin(A, B)
        slot = slots_of(self.view.shares[A])[0]
        self.claims.moved((B, 1), Moved(to_bytes(1 << slot), (B, 1)))
        self.assertEqual(self.claims.takes_copy((B, 1), slot), (A, 1))

    def test_never_to_me(self) -> None:
        """Nobody can make this node primary of something."""
        self.begin(A)
        slot = slots_of(self.view.shares[A])[0]
        self.claims.moved((A, 1), Moved(to_bytes(1 << slot), (ME, 1)))
        self.assertEqual(self.claims.status[slot], ELSEWHERE)


class LifeTests(ClaimsTestCase):
    """This node was away, or begins another life."""

    def test_forget(self) -> None:
        """Who was away is primary of nothing, and claims nothing for a while."""
        self.begin(A)
        share = self.claims.serving
        self.assertEqual(self.claims.forget(LATER), (Ended(share),))
        self.assertEqual(self.claims.serving, NO_SLOTS)
        self.assertEqual(asked(self.claims.tick(LATER + AWAY_S - 0.01)), {})
        self.assertEqual(asked(self.claims.tick(LATER + AWAY_S)), {A: share})

    def test_reincarnated(self) -> None:
        """In another life it goes on with what it had."""
        self.begin(A)
        share = self.claims.serving
        self.claims.reincarnated(2)
        self.assertEqual(self.claims.serving, share)
        slot = slots_of(share)[0]
        self.assertEqual(self.claims.takes_copy((A, 1), slot), (ME, 2))

    def test_another_life_of_a_holder(self) -> None:
        """Who begins anew must agree anew, and holds nothing."""
        self.begin(A)
        share = self.claims.serving
        self.claims.link_up(A, LATER)
        self.answer(A, share, held=share, now=LATER)
        self.claims.nodes_changed({A: 2}, LATER)
        self.assertEqual(self.claims.unsettled, NO_SLOTS)
        self.assertEqual(asked(self.claims.link_up(A, LATER)), {A: share})

    def test_late_answer(self) -> None:
        """The answer of one who has died meanwhile changes nothing."""
        self.begin(A)
        share = self.claims.serving
        self.claims.link_up(A, LATER)
        self.meet(now=LATER)
        claim = Claim(to_bytes(share), 0)
        self.assertEqual(self.claims.answered(A, claim, YES, LATER), ())
