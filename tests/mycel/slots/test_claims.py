"""
A slot's primary is who claimed it, when everybody agreed; and is so alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.slot_messages import Claim, Claimed, Denied, Moved
from mycorrizal.mycel.slots import known as known_module
from mycorrizal.mycel.slots.claims import AWAY_S, CLAIM_PAUSE_S, Claims
from mycorrizal.mycel.slots.effects import (
    AskClaim,
    Began,
    Effects,
    Ended,
    Fetchable,
    Tell,
)
from mycorrizal.mycel.slots.known import NAMED_S
from mycorrizal.mycel.slots.placement import outranks
from mycorrizal.mycel.slots.routes import ELSEWHERE, SETTLED, UNSETTLED
from mycorrizal.mycel.slots.slotset import (
    ALL_SLOTS,
    NO_SLOTS,
    from_bytes,
    slots_of,
    to_bytes,
)
from mycorrizal.mycel.slots.view import View
from tests.mycel.parts import ME, YES, A, B, C, agree, let_claim, member, members

LATER = 10.0


def asked(effects: Effects) -> dict[bytes, int]:
    """Who is asked to agree, and to which slots."""
    return {
        it.node_key: from_bytes(it.claim.slots)
        for it in effects
        if isinstance(it, AskClaim)
    }


class ClaimsTestCase(SynchronousTestCase):
    """This node, and others as they are met."""

    def setUp(self) -> None:
        self.view = View(member(ME))
        self.dead: set[tuple[bytes, int]] = set()
        self.clock = 77
        self.claims = Claims(
            self.view,
            1,
            lambda: self.clock,
            lambda node_key, incarnation: (node_key, incarnation) in self.dead,
        )
        self.met: dict[bytes, int] = {}

    def meet(self, *others: bytes, now: float = 0.0) -> Effects:
        """These are the members now, in their first lives."""
        self.view.change(members(*others))
        self.met = dict.fromkeys(others, 1)
        return self.claims.nodes_changed(self.met, now)

    def begin(self, *others: bytes) -> None:
        """Be primary of its share beside others, with whom all is settled."""
        agree(self.claims, self.meet(*others))
        for other in others:
            let_claim(self.claims, other, self.view.shares[other])
        agree(self.claims, self.claims.begin(0.0))
        self.assertEqual(self.claims.serving, self.view.shares[ME])
        self.assertEqual(self.claims.wanted, NO_SLOTS)

    def answer(
        self,
        node_key: bytes,
        slots: int,
        *,
        denied: Iterable[Denied] = (),
        held: int = NO_SLOTS,
        known: Iterable[tuple[bytes, int]] = (),
        now: float = 0.0,
    ) -> Effects:
        """A node answers a claim to slots."""
        answer = Claimed(tuple(denied), to_bytes(held), tuple(known), 0)
        claim = Claim(to_bytes(slots), 0)
        return self.claims.answered(node_key, claim, answer, now)


class ClaimTests(ClaimsTestCase):
    """R1: a node claims what it is the best-ranked one for."""

    def test_alone(self) -> None:
        """Alone it is primary of everything, as soon as it may claim."""
        self.assertEqual(self.claims.nodes_changed({}, 0.0), ())
        self.assertEqual(self.claims.wanted, ALL_SLOTS)
        self.assertEqual(set(self.claims.routes.status), {ELSEWHERE})
        self.assertEqual(self.claims.begin(0.0), (Began(ALL_SLOTS),))
        self.assertEqual(set(self.claims.routes.status), {SETTLED})
        self.assertEqual(set(self.claims.routes.primaries), {ME})

    def test_asks_everybody(self) -> None:
        """It asks each node it knows for its share, with its clock."""
        self.meet(A, B)
        effects = self.claims.begin(0.0)
        share = self.view.shares[ME]
        self.assertEqual(asked(effects), {A: share, B: share})
        self.assertEqual(self.claims.claiming, share)
        (ask, _) = effects
        assert isinstance(ask, AskClaim)
        self.assertEqual(ask.claim.clock, 77)

    def test_waits_for_all(self) -> None:
        """It is primary when the last one has agreed, not before."""
        self.meet(A, B)
        self.claims.begin(0.0)
        share = self.view.shares[ME]
        self.assertEqual(self.answer(A, share), ())
        self.assertEqual(self.claims.serving, NO_SLOTS)
        self.assertEqual(self.answer(B, share), (Began(share),))
        self.assertEqual(self.claims.serving, share)
        self.assertEqual(self.claims.claiming, NO_SLOTS)

    def test_the_dead_need_not_agree(self) -> None:
        """Who dies is not waited for, and its share is claimed next."""
        self.meet(A, B)
        self.claims.begin(0.0)
        self.answer(A, self.view.shares[ME])
        effects = self.meet(A, now=LATER)
        self.assertTrue(any(isinstance(it, Began) for it in effects))
        self.assertEqual(asked(effects).keys(), {A})
        agree(self.claims, effects, LATER)
        self.assertEqual(self.claims.serving, self.view.shares[ME])

    def test_who_comes_meanwhile_is_asked(self) -> None:
        """Who is met while others are asked must agree, too."""
        self.meet(A)
        self.claims.begin(0.0)
        was = self.claims.claiming
        effects = self.meet(A, B)
        share = was & self.view.shares[ME]
        self.assertEqual(asked(effects), {B: share})
        self.answer(A, was)
        self.assertEqual(self.claims.serving, NO_SLOTS)
        self.answer(B, share)
        self.assertEqual(self.claims.serving, share)

    def test_no_answer(self) -> None:
        """Who does not answer is asked again at the next tick."""
        self.meet(A)
        effects = self.claims.begin(0.0)
        (ask,) = effects
        assert isinstance(ask, AskClaim)
        self.assertEqual(self.claims.tick(0.1), ())
        self.assertEqual(self.claims.answered(A, ask.claim, None, 0.2), ())
        self.assertEqual(asked(self.claims.tick(0.3)).keys(), {A})

    def test_pause(self) -> None:
        """Claims follow each other at a distance, however members change."""
        self.begin(A, B)
        self.assertEqual(asked(self.meet(A, now=CLAIM_PAUSE_S / 2)), {})
        self.assertEqual(asked(self.claims.tick(CLAIM_PAUSE_S - 0.01)), {})
        self.assertEqual(asked(self.claims.tick(CLAIM_PAUSE_S)).keys(), {A})

    def test_heard_of(self) -> None:
        """What one that is heard of wants more is not claimed, till it is gone."""
        self.meet()
        effects = self.claims.nodes_changed({A: 1}, 0.0)
        effects = self.claims.begin(0.0)
        self.assertEqual(asked(effects), {A: outranks(ME, A)})
        agree(self.claims, effects)
        effects = self.claims.nodes_changed({}, LATER)
        self.assertEqual(self.claims.serving, ALL_SLOTS)

    def test_goes_on_as_primary(self) -> None:
        """Who is heard of takes nothing before it claims."""
        self.begin()
        self.meet(A)
        self.assertEqual(self.claims.serving, ALL_SLOTS)
        self.assertEqual(set(self.claims.routes.status), {SETTLED})


class DeniedTests(ClaimsTestCase):
    """Another says no to a claim."""

    def denied(self, slots: int) -> Denied:
        return Denied(C, 1, to_bytes(slots))

    def test_withdrawn(self) -> None:
        """A claim that is denied is withdrawn, and made again a little later."""
        self.meet(A)
        self.claims.begin(0.0)
        share = self.view.shares[ME]
        self.dead.add((C, 1))
        self.assertEqual(self.answer(A, share, denied=[self.denied(share)]), ())
        self.assertEqual(self.claims.claiming, NO_SLOTS)
        self.assertEqual(asked(self.claims.tick(CLAIM_PAUSE_S - 0.01)), {})
        self.assertEqual(asked(self.claims.tick(CLAIM_PAUSE_S)), {A: share})

    def test_some_only(self) -> None:
        """What is not denied is won."""
        self.meet(A)
        self.claims.begin(0.0)
        share = self.view.shares[ME]
        self.dead.add((C, 1))
        one = 1 << slots_of(share)[0]
        effects = self.answer(A, share, denied=[self.denied(one)])
        self.assertEqual(effects, (Began(share & ~one),))

    def test_who_is_named_is_asked(self) -> None:
        """Who is better-ranked and alive to another is waited for, for a while."""
        self.meet(A)
        self.claims.begin(0.0)
        share = self.view.shares[ME]
        effects = self.answer(A, share, known=[(C, 1), (ME, 1), (A, 1)])
        self.assertEqual(asked(effects), {C: share & outranks(ME, C)})
        self.assertEqual(self.claims.serving, NO_SLOTS)
        agree(self.claims, self.claims.tick(NAMED_S - 0.1), LATER)
        self.assertEqual(self.claims.serving & outranks(C, ME), NO_SLOTS)
        agree(self.claims, self.claims.tick(NAMED_S), LATER)
        agree(self.claims, self.claims.tick(LATER), LATER)
        self.assertEqual(self.claims.serving, share)

    def test_hearsay_ends(self) -> None:
        """Whom this node has only heard of it names to nobody."""
        self.meet(A, B)
        self.claims.begin(0.0)
        self.answer(A, self.view.shares[ME], known=[(C, 1)])
        share = self.view.shares[B]
        answer, _ = self.claims.claimed((B, 1), Claim(to_bytes(share), 0), 0, 0.0)
        self.assertEqual({node_key for node_key, _ in answer.known}, {A, B})

    def test_the_dead_are_not_named(self) -> None:
        """Whom this node knows to be dead it does not wait for."""
        self.meet(A)
        self.claims.begin(0.0)
        self.dead.add((C, 1))
        share = self.view.shares[ME]
        self.assertEqual(self.answer(A, share, known=[(C, 1)]), (Began(share),))

    def test_named_and_met_in_another_life(self) -> None:
        """The later of two lives counts."""
        self.meet(A)
        self.claims.begin(0.0)
        effects = self.answer(A, self.view.shares[ME], known=[(A, 2)])
        self.assertEqual(asked(effects).keys(), {A})

    def test_names_are_bounded(self) -> None:
        """So many nodes may be named, and no more."""
        self.patch(known_module, "NAMED_MAX", 2)
        self.meet(A)
        self.claims.begin(0.0)
        named = [(bytes([number]) * 16, 1) for number in range(50, 53)]
        effects = self.answer(A, self.view.shares[ME], known=named)
        self.assertEqual(asked(effects).keys(), {named[0][0], named[1][0]})

    def test_operations_go_to_who_was_named(self) -> None:
        """What was denied goes to whom it was promised to, if that is alive."""
        self.meet(A, C)
        self.view.leaves(C)
        agree(self.claims, self.claims.begin(0.0))
        share = self.claims.serving
        effects = self.answer(A, share, denied=[self.denied(share)], now=1.0)
        self.assertEqual(effects[0], Ended(share))
        self.assertEqual(self.claims.routes.primaries[slots_of(share)[0]], C)


class AnswerTests(ClaimsTestCase):
    """R2: a node answers a claim."""

    def claim(
        self, node_key: bytes, slots: int, held: int = NO_SLOTS, incarnation: int = 1
    ) -> tuple[Claimed, Effects]:
        """Another node claims slots."""
        claim = Claim(to_bytes(slots), 0)
        return self.claims.claimed((node_key, incarnation), claim, held, LATER)

    def test_yes(self) -> None:
        """It agrees, stops being primary, and says what it holds and knows."""
        self.begin()
        self.meet(A)
        wanted = self.view.shares[A]
        held = ALL_SLOTS & ~1
        answer, effects = self.claim(A, wanted, held)
        self.assertEqual(answer, Claimed((), to_bytes(wanted & held), ((A, 1),), 77))
        self.assertEqual(effects, (Ended(wanted),))
        self.assertEqual(self.claims.serving, self.view.shares[ME])
        self.assertEqual(self.claims.routes.primaries[slots_of(wanted)[0]], A)

    def test_no(self) -> None:
        """Not to one that is worse-ranked than itself, the primary."""
        self.begin(A)
        answer, effects = self.claim(A, ALL_SLOTS)
        share = self.view.shares[ME]
        self.assertEqual(answer.denied, (Denied(ME, 1, to_bytes(share)),))
        self.assertEqual(self.claims.serving, share)
        self.assertEqual(effects, ())

    def test_no_from_a_claimant(self) -> None:
        """Nor while it is about to be primary."""
        self.meet(A)
        self.claims.begin(0.0)
        answer, _ = self.claim(A, ALL_SLOTS)
        self.assertEqual(
            answer.denied, (Denied(ME, 1, to_bytes(self.view.shares[ME])),)
        )

    def test_claimant_gives_way(self) -> None:
        """A claimant agrees to a better one, and claims no more."""
        self.claims.nodes_changed({}, 0.0)
        self.meet(A)
        self.claims.begin(0.0)
        self.met[B] = 1
        self.claims.nodes_changed(self.met, 0.0)
        better = outranks(B, ME)
        answer, _ = self.claim(B, better)
        self.assertEqual(answer.denied, ())
        self.assertEqual(self.claims.claiming & better, NO_SLOTS)

    def test_no_for_another(self) -> None:
        """Nor to one worse-ranked than whom it has promised the slots to."""
        self.begin(A, B)
        share = self.view.shares[A]
        answer, _ = self.claim(B, share)
        self.assertEqual(answer.denied, (Denied(A, 1, to_bytes(share)),))

    def test_a_dead_promise(self) -> None:
        """A promise to one that is dead binds nobody, nor one to another life."""
        self.begin(A, B)
        share = self.view.shares[A]
        self.meet(B, now=LATER)
        self.assertEqual(self.claim(B, share & outranks(B, ME))[0].denied, ())
        self.setUp()
        self.begin(A, B)
        self.claims.nodes_changed({A: 2, B: 1}, LATER)
        self.assertEqual(self.claim(B, share & outranks(B, ME))[0].denied, ())

    def test_a_leaver(self) -> None:
        """A promise to one that leaves binds nobody, nor does its own rank."""
        self.begin(A, B)
        share = self.view.shares[A]
        self.view.leaves(A)
        self.claims.nodes_changed(self.met, LATER)
        agreed = share & outranks(B, ME)
        self.assertEqual(self.claim(B, agreed)[0].denied, ())

    def test_this_node_leaves(self) -> None:
        """Who leaves gives its slots to whoever claims them, and claims none."""
        self.begin(A, B)
        share = self.claims.serving
        self.view.leaves(ME)
        self.assertEqual(self.claims.nodes_changed(self.met, LATER), ())
        self.assertEqual(self.claims.serving, share)
        answer, effects = self.claim(B, share, share)
        self.assertEqual(answer.denied, ())
        self.assertEqual(effects, (Ended(share),))

    def test_again(self) -> None:
        """The same claim again gets the same answer."""
        self.begin(A)
        share = self.view.shares[A]
        first, second = self.claim(A, share), self.claim(A, share)
        self.assertEqual(first, second)


class CopyTests(ClaimsTestCase):
    """R3: copies are taken from whom a slot was promised to."""

    def test_taken(self) -> None:
        """From the primary, and from nobody else."""
        self.begin(A, B)
        slot = slots_of(self.view.shares[A])[0]
        self.assertIsNone(self.claims.takes_copy((A, 1), slot))
        self.assertEqual(self.claims.takes_copy((B, 1), slot), (A, 1))
        self.assertEqual(self.claims.takes_copy((A, 2), slot), (A, 1))

    def test_no_promise(self) -> None:
        """Without a promise the first who sends one is promised the slot."""
        self.meet(A, B)
        self.assertIsNone(self.claims.takes_copy((A, 1), 5))
        self.assertEqual(self.claims.takes_copy((B, 1), 5), (A, 1))
        self.assertEqual(self.claims.routes.primaries[5], A)

    def test_my_own(self) -> None:
        """Nobody sends copies of what this node is primary of."""
        self.begin(A)
        slot = slots_of(self.view.shares[ME])[0]
        self.assertEqual(self.claims.takes_copy((A, 1), slot), (ME, 1))

    def test_refused(self) -> None:
        """Whose copy is refused is primary no more, and claims again later."""
        self.begin(A, B)
        slot = slots_of(self.claims.serving)[0]
        effects = self.claims.refused(slot, (B, 1), LATER)
        self.assertEqual(effects[0], Ended(1 << slot))
        self.assertEqual(self.claims.routes.status[slot], ELSEWHERE)
        self.assertEqual(self.claims.routes.primaries[slot], B)
        self.assertEqual(self.claims.refused(slot, (B, 1), LATER), ())
        effects = self.claims.tick(LATER + CLAIM_PAUSE_S)
        self.assertEqual(asked(effects), {A: 1 << slot, B: 1 << slot})


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
        self.assertEqual(self.claims.routes.status[slot], UNSETTLED)
        self.assertEqual(self.claims.holders_of(slot), [A])
        self.assertEqual(self.claims.held_by(A), held)
        self.claims.fetched(A, held)
        self.assertEqual(self.claims.routes.status[slot], SETTLED)
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
        self.assertEqual(self.claims.routes.status[slot], ELSEWHERE)


class DoubtedTests(ClaimsTestCase):
    """An owner takes another node for the primary of slots of this one."""

    def test_asked_again(self) -> None:
        """It is asked once more to agree, of what this node is primary of."""
        self.begin(A)
        share = self.claims.serving
        self.assertEqual(asked(self.claims.doubted(A, ALL_SLOTS, LATER)), {A: share})
        self.assertEqual(self.claims.serving, share)

    def test_unknown(self) -> None:
        """Who is not known any more is not asked."""
        self.begin(A)
        self.assertEqual(self.claims.doubted(B, ALL_SLOTS, LATER), ())


class DrainedTests(ClaimsTestCase):
    """This node, or another, is to own nothing for a while."""

    def test_old_answer(self) -> None:
        """Who agreed to a claim that was withdrawn since has not to the next one."""
        self.meet(A)
        (ask,) = self.claims.begin(0.0)
        assert isinstance(ask, AskClaim)
        share = self.claims.claiming
        for turn, drained in ((1, True), (2, False)):
            self.view.drains(ME, drained, turn)
            self.assertEqual(self.claims.nodes_changed(self.met, LATER), ())
            self.assertEqual(self.claims.claiming, NO_SLOTS if drained else share)
        effects = self.claims.answered(A, ask.claim, YES, LATER)
        self.assertEqual((asked(effects), self.claims.serving), ({A: share}, NO_SLOTS))
        agree(self.claims, effects)
        self.assertEqual(self.claims.serving, share)

    def test_agrees(self) -> None:
        """A drained node serves on until others claim what it has, and agrees then."""
        self.begin(A)
        share = self.claims.serving
        self.view.drains(ME, True, 1)
        self.claims.nodes_changed(self.met, LATER)
        self.assertEqual(self.claims.serving, share)
        claim = Claim(to_bytes(ALL_SLOTS), 0)
        answer, effects = self.claims.claimed((A, 1), claim, share, LATER)
        self.assertEqual((answer.denied, from_bytes(answer.held)), ((), share))
        self.assertIn(Ended(share), effects)
        self.assertEqual(self.claims.serving, NO_SLOTS)


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
