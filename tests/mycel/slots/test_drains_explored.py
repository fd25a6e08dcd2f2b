"""
Claims hold also where nodes are drained and brought back in the midst of it all.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.moves import ASK_AGAIN_S
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.placement import rank
from mycorrizal.mycel.slots.slotset import ALL_SLOTS
from tests.mycel.slots.claims_world import (
    OWNERS,
    SLOTS_SEEN,
    ClaimsWorld,
    Node,
    Wrong,
)

SEEDS = 100
INF = float("inf")


@attrs.frozen
class Drains:
    """A node says whether it is drained."""

    drained: bool
    turn: int


class DrainingWorld(ClaimsWorld):
    """
    Nodes of which some are drained, and some of these brought back.

    :ivar says: What each life has said last.
    :ivar again_at: When each life asks all again.
    :cvar asks_again: Whether they do that.
    """

    asks_again = True

    def __init__(self, seed: int, make: Any = Claims) -> None:
        super().__init__(seed, make)
        self.says: dict[tuple[bytes, int], Drains] = {}
        self.again_at: dict[tuple[bytes, int], float] = {}

    def _introduce(self, node: Node) -> None:
        # Who leaves may be gone before it has named the others.
        settled = [it for it in self.nodes.values() if it.claims.begun]
        stay = [it for it in settled if not it.leaving]
        if settled:
            self._meet(node, self.random.choice(stay or settled))

    def turn_over(self, node: Node) -> None:
        """A node is drained; or brought back, if it was."""
        said = self.says.get(node.life, Drains(False, 0))
        says = Drains(not said.drained, said.turn + 1)
        self.tell(f"{node.key[0]} says {says}")
        self.says[node.life] = says
        for other in sorted(node.linked):
            self._send(node, other, says)
        self._drains(node, node.key, says)

    def drained(self, node: Node) -> bool:
        """Whether a node is drained."""
        return node.life in self.says and self.says[node.life].drained

    def link(self, one: Node, other: Node) -> None:
        """Each tells the other what it has said to all."""
        linked = other.key in one.linked
        super().link(one, other)
        for a, b in ((one, other), (other, one)):
            if a.life in self.says and not linked:
                self._send(a, b.key, self.says[a.life])

    def whole(self) -> bool:
        """As before; who is drained need hold nothing, unless all are."""
        staying = [it for it in self.nodes.values() if not it.leaving]
        count = [it for it in staying if not self.drained(it)] or staying
        for slot in SLOTS_SEEN:
            ranked = sorted(count, key=lambda it: -rank(slot, it.key))
            stamps = {it.stamps.get(slot, 0) for it in ranked[:OWNERS]}
            if len(stamps) > 1 or min(stamps) < self.acknowledged[slot]:
                return False
        return True

    def _agreed(self) -> bool:
        out = [it for it in self.nodes.values() if self.drained(it)]
        handed_over = not any(it.claims.serving for it in out)
        return super()._agreed() and (handed_over or len(out) == len(self.nodes))

    def _receive(self, node: Node, sender: Node, message: object) -> None:
        if isinstance(message, Drains):
            self._drains(node, sender.key, message)
        else:
            super()._receive(node, sender, message)

    def _drains(self, node: Node, key: bytes, says: Drains) -> None:
        if node.view.drains(key, says.drained, says.turn):
            self.again_at[node.life] = self.now + ASK_AGAIN_S
            self._do(node, node.claims.nodes_changed(dict(node.met), self.now))
            self._advance(node)

    def tick(self, node: Node) -> None:
        """As before; a while after such news, a node asks all again."""
        super().tick(node)
        due = self.now >= self.again_at.get(node.life, INF)
        if due and self.asks_again and not node.claims.unsettled:
            del self.again_at[node.life]
            for other in sorted(node.met):
                self._do(node, node.claims.doubted(other, ALL_SLOTS, self.now))


def storm(seed: int, world_of: type[DrainingWorld] = DrainingWorld) -> DrainingWorld:
    """
    One storm: nodes join, die, leave, are drained and brought back.

    :raises Wrong: Something happened that must not.
    """
    world = world_of(seed)
    world.play((3, 6), 0.04, lambda: _something_happens(world))
    return world


def _something_happens(world: DrainingWorld) -> None:
    dice = world.random
    node = world.nodes[dice.choice(sorted(world.nodes))]
    what = dice.random()
    if what < 0.2:
        world.join(dice.randint(1, 6))
    elif what < 0.35:
        # One at a time, as long as copies are missing.
        staying = [it for it in world.nodes.values() if not it.leaving]
        if len(staying) > 2 and world.whole():
            world.crash(node)
    elif what < 0.45:
        world.leave(node)
    else:
        world.turn_over(node)


class DrainsExploredTests(SynchronousTestCase):
    """A hundred storms in which nodes are drained, none of which breaks a promise."""

    def test_nothing_is_wrong(self) -> None:
        """No write is lost, no read is stale, and all agree in the end."""
        said, acknowledged = 0, 0
        for seed in range(SEEDS):
            world = storm(seed)
            acknowledged += sum(world.acknowledged.values())
            said += sum(says.turn for says in world.says.values())
        self.assertGreater(acknowledged, SEEDS)
        self.assertGreater(said, SEEDS)

    def test_all_must_hear_it(self) -> None:
        """Where links that come up later are not told, some storm never ends."""

        class TellsNoLateLinks(DrainingWorld):
            link = ClaimsWorld.link

        self.goes_wrong(TellsNoLateLinks)

    def test_all_are_asked_again(self) -> None:
        """Nor where others stick to whom they promised what was never taken."""

        class AsksNobody(DrainingWorld):
            asks_again = False

        self.goes_wrong(AsksNobody)

    def goes_wrong(self, world_of: type[DrainingWorld]) -> None:
        """Some storm does."""
        with self.assertRaises(Wrong):
            for seed in range(SEEDS):
                storm(seed, world_of)
