"""
Claims hold in whatever order things happen; and each of their rules is needed.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.slot_messages import Claim, Claimed
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.effects import Effects, Ended
from mycorrizal.mycel.slots.promises import Life
from mycorrizal.mycel.slots.slotset import NO_SLOTS
from tests.mycel.slots.claims_world import ClaimsWorld, Wrong

#: Storms that are looked at, unless one is found to be wrong before.
SEEDS = 100
#: Storms in which another one is looked for, when that which has shown what a
#: rule is good for does so no more.
SEEDS_MAX = 4000


def storm(
    seed: int,
    make: Callable[..., Claims] = Claims,
    world_of: type[ClaimsWorld] = ClaimsWorld,
) -> ClaimsWorld:
    """
    One storm: nodes join at nearly the same time, die, return empty, leave.

    :raises Wrong: Something happened that must not.
    """
    world = world_of(seed, make)
    world.play((2, 5), 0.03, lambda: _something_happens(world))
    return world


def _something_happens(world: ClaimsWorld) -> None:
    dice = world.random
    key = dice.choice(sorted(world.nodes))
    what = dice.random()
    if what < 0.4:
        world.join(dice.randint(1, 6))
    elif what < 0.75:
        # One at a time, as long as copies are missing.
        staying = [node for node in world.nodes.values() if not node.leaving]
        if len(staying) > 2 and world.whole():
            world.crash(world.nodes[key])
    else:
        world.leave(world.nodes[key])


class ExploredTests(SynchronousTestCase):
    """Hundreds of storms, none of which breaks a promise."""

    def test_nothing_is_wrong(self) -> None:
        """No write is lost, no read is stale, and all agree in the end."""
        acknowledged = 0
        for seed in range(SEEDS):
            world = storm(seed)
            acknowledged += sum(world.acknowledged.values())
        self.assertGreater(acknowledged, SEEDS)


class AgreesToAll(Claims):
    """Every claim is agreed to, whoever was promised the slot (R2)."""

    def _promised(self) -> list[tuple[Life, int]]:
        return []


class WinsAtOnce(Claims):
    """A claimant waits for nobody's answer (R1)."""

    def _win(self) -> Effects:
        self._owed.clear()
        return super()._win()


class ServesOn(Claims):
    """Who agrees to a claim goes on as primary (R2)."""

    def claimed(
        self, life: Life, claim: Claim, held: int, now: float
    ) -> tuple[Claimed, Effects]:
        before = self.serving
        answer, effects = super().claimed(life, claim, held, now)
        self.serving = before
        self._show()
        return answer, tuple(it for it in effects if not isinstance(it, Ended))


class HoldsNothing(Claims):
    """Who agrees to a claim does not say what it holds (R2)."""

    def claimed(
        self, life: Life, claim: Claim, held: int, now: float
    ) -> tuple[Claimed, Effects]:
        return super().claimed(life, claim, NO_SLOTS, now)


class IsNeverDoubted(Claims):
    """Who takes another for the primary is not asked again."""

    def doubted(self, node_key: bytes, slots: int, now: float) -> Effects:
        return ()


class TellsNoLateLinks(IsNeverDoubted):
    """A primary says nothing to those who link later (R4), nor to who doubts it."""

    def link_up(self, node_key: bytes, now: float) -> Effects:
        self._asking.discard(node_key)
        return self._go_on(now)


class SettledAtOnce(Claims):
    """A new primary answers before it has fetched what others hold (R5)."""

    @property
    def unsettled(self) -> int:
        return NO_SLOTS


class KeepsTheWrongPromise(IsNeverDoubted):
    """Nobody tells a node that it has promised to the wrong one."""

    def _moved(self, node_key: bytes, promised: int) -> Effects:
        return ()


class CopiesForEver(ClaimsWorld):
    """A copy counts though its holder has begun anew (R6)."""

    copies_per_link = False


class LeavesAtOnce(ClaimsWorld):
    """Who leaves takes with it what nobody else holds (R7)."""

    leaves_nothing = False


class EachRuleIsNeededTests(SynchronousTestCase):
    """Without any one of the rules, some storm goes wrong."""

    def missed(
        self,
        seed: int,
        make: Callable[..., Claims] = Claims,
        world_of: type[ClaimsWorld] = ClaimsWorld,
    ) -> None:
        """
        A storm goes wrong, and that very storm does not with all the rules.

        :param seed: Of the first storm that shows it.
        """
        storm(seed)
        try:
            storm(seed, make, world_of)
        except Wrong:
            return
        self.fail(f"not with seed {seed}; but {first_missed(make, world_of)}")

    def test_r1_wait_for_all(self) -> None:
        """A claimant that does not wait for all answers."""
        self.missed(1, WinsAtOnce)

    def test_r2_promises(self) -> None:
        """A node that forgets whom it promised a slot to."""
        self.missed(473, AgreesToAll)

    def test_r2_stop(self) -> None:
        """A node that agrees, and goes on as primary all the same."""
        self.missed(0, ServesOn)

    def test_r2_say_what_is_held(self) -> None:
        """A node that does not say that it holds something."""
        self.missed(0, HoldsNothing)

    def test_r4_late_links(self) -> None:
        """A primary of which those who come later do not hear."""
        self.missed(33, TellsNoLateLinks)

    def test_r5_unsettled(self) -> None:
        """A primary that answers before it holds everything."""
        self.missed(0, SettledAtOnce)

    def test_r6_copies_per_link(self) -> None:
        """A write that counts the copy of a life that is over."""
        self.missed(755, world_of=CopiesForEver)

    def test_r7_drop(self) -> None:
        """A node that leaves before others hold what it holds."""
        self.missed(100, world_of=LeavesAtOnce)

    def test_wrong_promise(self) -> None:
        """A promise to one who has let the slot go, and says nothing."""
        self.missed(52, KeepsTheWrongPromise)

    def test_doubted(self) -> None:
        """A promise to one who leaves, made after that to who comes after it."""
        self.missed(83, IsNeverDoubted)


def first_missed(make: Callable[..., Claims], world_of: type[ClaimsWorld]) -> str:
    """Look for the first storm that goes wrong without a rule, and only so."""
    for seed in range(SEEDS_MAX):
        try:
            storm(seed, make, world_of)
        except Wrong:
            try:
                storm(seed)
            except Wrong as wrong:
                return f"with all the rules, too: {wrong}"
            return f"with seed {seed}"
    return f"with none of {SEEDS_MAX}"
