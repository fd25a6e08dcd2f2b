"""
A small world in which claims are explored: nodes that are nothing but their
claims and a few values, links that keep the order each way, and chance.

What it watches: outside of deaths that nobody died, who is primary and settled
holds the last value that was acknowledged, versions rise with every one that
is, and when all is quiet each slot has one primary on whom all agree.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

import attrs

from mycorrizal.mycel.slot_messages import Claim, Claimed, Moved
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.effects import AskClaim, Began, Effects, Ended, Fetchable
from mycorrizal.mycel.slots.placement import rank
from mycorrizal.mycel.slots.routes import ELSEWHERE, SETTLED
from mycorrizal.mycel.slots.slotset import slotset
from mycorrizal.mycel.slots.view import SlotMember, View

#: The slots that are looked at; all others go the same ways.
SLOTS_SEEN = (3, 400, 777)
#: Of a storm.
STEPS = 500
#: Owners of each slot.
OWNERS = 2


#: Messages that one moment of quiet may take.
TALK_MAX = 20_000


class Wrong(Exception):
    """What must never be, was."""


@attrs.frozen
class Copy:
    """A version for an owner to hold."""

    slot: int
    stamp: int


@attrs.frozen
class Taken:
    """It does."""

    slot: int
    stamp: int


@attrs.frozen
class Refused:
    """It does not: the slot was promised to another."""

    slot: int
    promised: tuple[bytes, int]


@attrs.frozen
class Fetch:
    """What do you hold?"""


@attrs.frozen
class Fetched:
    """This, for each slot."""

    stamps: dict[int, int]


@attrs.frozen
class Push:
    """Hold this, too; we see these members."""

    slot: int
    stamp: int
    epoch: int


@attrs.frozen
class Doubted:
    """We see the same members, and take another for the primary of a slot."""

    slot: int


@attrs.frozen
class Known:
    """Nodes that somebody knows, and their incarnations."""

    nodes: dict[bytes, int]


@attrs.frozen
class Leaves:
    """A node is about to leave."""


@attrs.define(eq=False)
class Node:
    """
    One life of a node.

    :ivar stamps: What it holds of each slot.
    :ivar writes: Its writes under way: by slot, the stamp and who holds it.
    :ivar met: Who it knows.
    """

    key: bytes
    incarnation: int
    view: View
    claims: Claims
    clock: int = 0
    stamps: dict[int, int] = attrs.field(factory=dict)
    writes: dict[int, tuple[int, set[bytes]]] = attrs.field(factory=dict)
    met: dict[bytes, int] = attrs.field(factory=dict)
    buried: dict[bytes, int] = attrs.field(factory=dict)
    linked: set[bytes] = attrs.field(factory=set)
    leaving: bool = False

    @property
    def life(self) -> tuple[bytes, int]:
        """What it is known by."""
        return self.key, self.incarnation


class ClaimsWorld:
    """
    All nodes and what is on its way between them.

    :param make: Makes the claims of a node, so that a rule can be taken out.
    :cvar copies_per_link: An acknowledgement counts while its link lives (R6).
    :cvar leaves_nothing: Who leaves waits until others hold all (R7).
    """

    copies_per_link = True
    leaves_nothing = True

    def __init__(self, seed: int, make: Any = Claims) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.now = 0.0
        self.nodes: dict[bytes, Node] = {}
        self.acknowledged = dict.fromkeys(SLOTS_SEEN, 0)
        self.story: list[str] = []
        self.messages = 0
        self._make = make
        self._wires: dict[tuple[bytes, bytes], deque[object]] = {}
        self._lives: dict[bytes, int] = {}
        #: Who has not noticed yet that a life is over.
        self._unnoticed: set[tuple[bytes, tuple[bytes, int]]] = set()

    def tell(self, text: str) -> None:
        """Remember what happened."""
        self.story.append(f"{self.now:.3f} {text}")

    def play(
        self, nodes: tuple[int, int], chance: float, happens: Callable[[], None]
    ) -> None:
        """
        One storm: nodes join at nearly the same time, then things happen to them.

        :param nodes: Of how many it begins with, the fewest and one more than most.
        :param chance: That something happens in a step.
        :raises Wrong: Something happened that must not.
        """
        dice = self.random
        try:
            for number in range(1, dice.randint(*nodes)):
                self.join(number)
                for _ in range(dice.choice((0, 3, 60))):
                    self.step()
            for _ in range(STEPS):
                self.step()
                if dice.random() < chance:
                    happens()
            self.quiet()
            for slot in SLOTS_SEEN:
                for node in self.nodes.values():
                    self.read(node, slot)
        except Wrong as wrong:
            story = "\n".join(self.story[-40:])
            raise Wrong(f"seed {self.seed}: {wrong}\n{story}") from None

    # -- nodes --------------------------------------------------------------------

    def join(self, number: int) -> None:
        """A process begins, empty; somebody is known to it."""
        key = bytes([number]) * 16
        if key in self.nodes:
            return
        self._lives[key] = self._lives.get(key, 0) + 1
        view = View(SlotMember(key, self._lives[key]))
        node = Node(key, self._lives[key], view, None)  # type: ignore[arg-type]
        node.claims = self._make(
            view,
            node.incarnation,
            lambda: node.clock,
            lambda k, life: node.buried.get(k, -1) >= life,
        )
        self.nodes[key] = node
        self.tell(f"{number} joins as {node.incarnation}")
        if len(self.nodes) == 1:
            self._do(node, node.claims.begin(self.now))
        else:
            self._introduce(node)

    def _introduce(self, node: Node) -> None:
        """Tell a node of one that is settled: else they would be two clusters."""
        settled = [it for it in self.nodes.values() if it.claims.begun]
        if settled:
            self._meet(node, self.random.choice(settled))

    def _meet(self, one: Node, other: Node) -> None:
        for a, b in ((one, other), (other, one)):
            if b.incarnation > a.buried.get(b.key, -1):
                a.met[b.key] = max(b.incarnation, a.met.get(b.key, 0))

    def link(self, one: Node, other: Node) -> None:
        """A link comes up; each tells whom it knows."""
        if other.key in one.linked:
            return
        self._meet(one, other)
        for a, b in ((one, other), (other, one)):
            a.linked.add(b.key)
            self._wires[a.key, b.key] = deque()
        for a, b in ((one, other), (other, one)):
            self._send(a, b.key, Known(dict(a.met)))
            a.clock = max(a.clock, b.clock)
            if a.leaving:
                self._send(a, b.key, Leaves())
        for a, b in ((one, other), (other, one)):
            self._look(a)
            if b.leaving:
                self._leaves(a, b.key)
            self._do(a, a.claims.link_up(b.key, self.now))
            for third in sorted(a.linked - {b.key}):
                self._send(a, third, Known({b.key: b.incarnation}))
            self._advance(a)

    def crash(self, node: Node) -> None:
        """A process ends; others notice one after the other."""
        self.tell(f"{node.key[0]} dies")
        self._gone(node)
        self._write_off()

    def _write_off(self) -> None:
        """What nobody has any more, nobody can lose."""
        for slot in SLOTS_SEEN:
            held = max(it.stamps.get(slot, 0) for it in self.nodes.values())
            self.acknowledged[slot] = min(held, self.acknowledged[slot])

    def _gone(self, node: Node) -> None:
        del self.nodes[node.key]
        for wire in [wire for wire in self._wires if node.key in wire]:
            del self._wires[wire]
        for other in self.nodes.values():
            other.linked.discard(node.key)
            if self.copies_per_link:
                for _, held in other.writes.values():
                    held.discard(node.key)
            if other.met.get(node.key) == node.incarnation:
                self._unnoticed.add((other.key, node.life))

    def notice(self) -> None:
        """Somebody finds out that somebody is dead."""
        if not self._unnoticed:
            return
        who, life = self.random.choice(sorted(self._unnoticed))
        self._unnoticed.discard((who, life))
        node = self.nodes.get(who)
        if node is None:
            return
        node.buried[life[0]] = max(life[1], node.buried.get(life[0], -1))
        if node.met.get(life[0]) == life[1]:
            del node.met[life[0]]
        self._look(node)
        self._advance(node)

    def leave(self, node: Node) -> None:
        """A node says that it is about to leave."""
        if node.leaving or sum(not it.leaving for it in self.nodes.values()) < 2:
            return
        self.tell(f"{node.key[0]} leaves")
        node.leaving = True
        for other in sorted(node.linked):
            self._send(node, other, Leaves())
        self._leaves(node, node.key)

    def _leaves(self, node: Node, key: bytes) -> None:
        if node.view.leaves(key):
            self._do(node, node.claims.nodes_changed(dict(node.met), self.now))
            self._advance(node)

    def depart(self, node: Node) -> None:
        """Who leaves goes, when others hold all that it holds (rule R7)."""
        if not node.leaving or node.claims.serving or len(self.nodes) < 2:
            return
        for slot, stamp in node.stamps.items() if self.leaves_nothing else ():
            for owner in node.view.owners(slot, OWNERS):
                other = self.nodes.get(owner)
                if (
                    other is None
                    or other.view.epoch != node.view.epoch
                    or not other.claims.steady >> slot & 1
                    or other.stamps.get(slot, 0) < stamp
                ):
                    return
        self.tell(f"{node.key[0]} has left")
        self._gone(node)
        if not len(node.view.placement):
            self._write_off()

    def _look(self, node: Node) -> None:
        members = [
            SlotMember(key, life)
            for key, life in sorted(node.met.items())
            if key in node.linked or key in node.view.members
        ]
        node.view.change([SlotMember(node.key, node.incarnation), *members])
        self._do(node, node.claims.nodes_changed(dict(node.met), self.now))

    # -- messages -----------------------------------------------------------------

    def _send(self, node: Node, to: bytes, message: object) -> bool:
        wire = self._wires.get((node.key, to))
        if wire is None:
            return False
        self.messages += 1
        wire.append(message)
        return True

    def deliver(self) -> bool:
        """One message arrives; which wire it is on is chance."""
        full = sorted(wire for wire, waiting in self._wires.items() if waiting)
        if not full:
            return False
        wire = self.random.choice(full)
        message = self._wires[wire].popleft()
        self._receive(self.nodes[wire[1]], self.nodes[wire[0]], message)
        return True

    def _receive(self, node: Node, sender: Node, message: object) -> None:
        claims, key = node.claims, sender.key
        if isinstance(message, Claim):
            node.clock = max(node.clock, message.clock)
            held = slotset({*node.stamps, *node.writes})
            answer, effects = claims.claimed(sender.life, message, held, self.now)
            self._do(node, effects)
            self._send(node, key, (message, answer))
        elif isinstance(message, tuple):
            claim, answer = message
            assert isinstance(answer, Claimed)
            node.clock = max(node.clock, answer.clock)
            self._do(node, claims.answered(key, claim, answer, self.now))
        elif isinstance(message, Known):
            for other, life in message.nodes.items():
                alive = other != node.key and life > node.buried.get(other, -1)
                if alive and node.met.get(other, -1) < life:
                    node.met[other] = life
                    if (it := self.nodes.get(other)) is None or it.incarnation > life:
                        self._unnoticed.add((node.key, (other, life)))
            self._look(node)
        elif isinstance(message, Leaves):
            self._leaves(node, key)
        elif isinstance(message, Moved):
            claims.moved(sender.life, message)
        else:
            self._receive_data(node, sender, message)

    def _receive_data(self, node: Node, sender: Node, message: object) -> None:
        key = sender.key
        if isinstance(message, Copy):
            promised = node.claims.takes_copy(sender.life, message.slot)
            if promised is None:
                self._hold(node, message.slot, message.stamp)
                self._send(node, key, Taken(message.slot, message.stamp))
            else:
                self._send(node, key, Refused(message.slot, promised))
        elif isinstance(message, Taken):
            stamp, held = node.writes.get(message.slot, (0, set()))
            if stamp == message.stamp:
                held.add(key)
                self._advance(node)
        elif isinstance(message, Refused):
            effects = node.claims.refused(message.slot, message.promised, self.now)
            self._do(node, effects)
        elif isinstance(message, Fetch):
            self._send(node, key, Fetched(dict(node.stamps)))
        elif isinstance(message, Fetched):
            for slot, stamp in message.stamps.items():
                self._hold(node, slot, stamp)
            node.claims.fetched(key, node.claims.held_by(key))
            self._repair(node)
        elif isinstance(message, Push):
            self._hold(node, message.slot, message.stamp)
            steady = node.claims.steady >> message.slot & 1
            if not steady and node.view.epoch == message.epoch:
                self._send(node, key, Doubted(message.slot))
        elif isinstance(message, Doubted):
            self._do(node, node.claims.doubted(key, 1 << message.slot, self.now))

    def _hold(self, node: Node, slot: int, stamp: int) -> None:
        node.clock = max(node.clock, stamp)
        node.stamps[slot] = max(stamp, node.stamps.get(slot, 0))

    def _do(self, node: Node, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, AskClaim):
                if not self._send(node, effect.node_key, effect.claim):
                    self._do(
                        node,
                        node.claims.answered(
                            effect.node_key, effect.claim, None, self.now
                        ),
                    )
            elif isinstance(effect, Began):
                self._repair(node)
            elif isinstance(effect, Ended):
                for slot in [it for it in node.writes if effect.slots >> it & 1]:
                    self._hold(node, slot, node.writes.pop(slot)[0])
            elif isinstance(effect, Fetchable):
                self._send(node, effect.node_key, Fetch())
            else:
                self._send(node, effect.node_key, effect.moved)

    # -- values -------------------------------------------------------------------

    def write(self, node: Node, slot: int) -> None:
        """A primary writes, if it has no write of that slot under way."""
        if node.claims.routes.status[slot] == ELSEWHERE or slot in node.writes:
            return
        node.clock += 1
        node.writes[slot] = node.clock, set()
        self._advance(node)

    def _advance(self, node: Node) -> None:
        for slot, (stamp, held) in list(node.writes.items()):
            missing = [
                owner
                for owner in node.view.owners(slot, OWNERS)
                if owner != node.key and owner not in held
            ]
            for owner in missing:
                self._send(node, owner, Copy(slot, stamp))
            if not missing:
                del node.writes[slot]
                self._hold(node, slot, stamp)
                if stamp <= self.acknowledged[slot]:
                    raise Wrong(f"{node.key[0]} acknowledges {stamp} of {slot} late")
                self._check_copies(node, slot, stamp)
                self.acknowledged[slot] = stamp
                self.tell(f"{node.key[0]} acknowledges {stamp} of {slot}")

    def _check_copies(self, node: Node, slot: int, stamp: int) -> None:
        for owner in node.view.owners(slot, OWNERS):
            other = self.nodes.get(owner)
            if other is None or other.stamps.get(slot, 0) < stamp:
                raise Wrong(f"{owner[0]} does not hold {stamp} of {slot}")

    def read(self, node: Node, slot: int) -> None:
        """A primary that is settled has the last value that was acknowledged."""
        if node.claims.routes.status[slot] != SETTLED:
            return
        if node.stamps.get(slot, 0) < self.acknowledged[slot]:
            raise Wrong(
                f"{node.key[0]} reads {node.stamps.get(slot, 0)} of {slot}, not "
                f"{self.acknowledged[slot]}"
            )

    def _repair(self, node: Node) -> None:
        for slot in SLOTS_SEEN:
            if node.claims.routes.status[slot] == SETTLED and slot in node.stamps:
                for owner in node.view.owners(slot, OWNERS):
                    if owner != node.key:
                        self._send(
                            node, owner, Push(slot, node.stamps[slot], node.view.epoch)
                        )

    # -- time ---------------------------------------------------------------------

    def tick(self, node: Node) -> None:
        """Time has passed for a node; whom it has heard of it links with."""
        if not node.claims.begun and not any(
            self.nodes[key].claims.begun for key in node.met if key in self.nodes
        ):
            # Whom it was told of at its start is gone; there are others.
            self._introduce(node)
            self._look(node)
        alone = len(self.nodes) > 1 and not node.met
        if not node.claims.begun and node.met.keys() <= node.linked and not alone:
            self._do(node, node.claims.begin(self.now))
        self._do(node, node.claims.tick(self.now))
        self._advance(node)
        self._repair(node)

    def step(self) -> None:
        """Something happens, mostly that a message arrives."""
        self.now += self.random.random() * 0.01
        for node in self.nodes.values():
            for slot in SLOTS_SEEN:
                self.read(node, slot)
        dice = self.random.random()
        nodes = [self.nodes[key] for key in sorted(self.nodes)]
        node = self.random.choice(nodes)
        if dice < 0.6 and self.deliver():
            return
        if dice < 0.75:
            self.write(node, self.random.choice(SLOTS_SEEN))
        elif dice < 0.82:
            self.tick(node)
        elif dice < 0.93:
            strangers = sorted(node.met.keys() & self.nodes.keys() - node.linked)
            if strangers:
                self.link(node, self.nodes[self.random.choice(strangers)])
        elif dice < 0.97:
            self.notice()
        else:
            self.depart(node)

    def whole(self) -> bool:
        """Whether every owner holds what the primary holds."""
        for slot in SLOTS_SEEN:
            ranked = sorted(self.nodes.values(), key=lambda it: -rank(slot, it.key))
            best = [it for it in ranked if not it.leaving][:OWNERS]
            stamps = {it.stamps.get(slot, 0) for it in best}
            if len(stamps) > 1 or min(stamps) < self.acknowledged[slot]:
                return False
        return True

    def quiet(self, steps: int = 4000) -> None:
        """
        Nothing changes any more: wait until all is settled.

        :raises Wrong: It does not become so, or not everywhere.
        """
        for _ in range(steps):
            self.now += 0.02
            for key in sorted(self.nodes):
                self.tick(self.nodes[key])
                node = self.nodes[key]
                for other in sorted(node.met.keys() & self.nodes.keys() - node.linked):
                    self.link(node, self.nodes[other])
            while self._unnoticed:
                self.notice()
            for _ in range(TALK_MAX):
                if not self.deliver():
                    break
            else:
                raise Wrong("they talk for ever")
            for node in [it for it in self.nodes.values() if it.leaving]:
                self.depart(node)
            if self._agreed():
                return
        raise Wrong("it does not come to rest")

    def _agreed(self) -> bool:
        for slot in SLOTS_SEEN:
            serving = [
                it
                for it in self.nodes.values()
                if it.claims.routes.status[slot] == SETTLED
            ]
            if len(serving) != 1:
                return False
            primary = serving[0].key
            if any(
                it.claims.routes.primaries[slot] != primary
                for it in self.nodes.values()
            ):
                return False
        return not any(it.leaving for it in self.nodes.values()) and self.whole()
