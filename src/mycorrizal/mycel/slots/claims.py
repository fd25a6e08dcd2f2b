# -*- test-case-name: tests.mycel.slots.test_claims -*-
"""
Who is primary of which slot, and how that passes from hand to hand: a core.

Nobody leads.  The best-ranked node that another knows *claims* its slots: it
asks every node it knows, and becomes primary of a slot when each of them has
said yes or is dead.  Who says yes *promises*: it takes copies of that slot from
nobody else, stops being its primary, and says whether it holds something of it,
which the claimant then fetches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mycorrizal.mycel.slot_messages import Claim, Claimed, Denied, Moved
from mycorrizal.mycel.slots.effects import (
    AskClaim,
    Began,
    Effect,
    Effects,
    Ended,
    Fetchable,
    Tell,
)
from mycorrizal.mycel.slots.known import Known
from mycorrizal.mycel.slots.placement import outranks
from mycorrizal.mycel.slots.promises import Life, Promises
from mycorrizal.mycel.slots.routes import Routes
from mycorrizal.mycel.slots.slotset import ALL_SLOTS, NO_SLOTS, from_bytes, to_bytes
from mycorrizal.mycel.slots.view import View

#: Slots are added to what is claimed no more often than this, so that many
#: changes of members at once lead to few claims.
CLAIM_PAUSE_S: Final = 0.2
#: A node that was away claims nothing for so long.
AWAY_S: Final = 1.0


class Claims:
    """
    One node's claims on slots, and its answers to those of others.

    Sets of slots are integers, see `slotset`.

    :param clock: Returns the hybrid clock's last stamp.
    :param dead: Whether this node has found a life of a node dead.
    :ivar view: The members, and who of them should own what.
    :ivar routes: Where operations go, by slot.
    :ivar serving: The slots this node is primary of.
    :ivar claiming: Those it will be when all have agreed.
    :ivar begun: Whether it may claim: whom it was told of at its start has
        linked or failed once.
    """

    def __init__(
        self,
        view: View,
        incarnation: int,
        clock: Callable[[], int],
        dead: Callable[[bytes, int], bool] = lambda node_key, incarnation: False,
    ) -> None:
        self.routes = Routes()
        self.serving = NO_SLOTS
        self.claiming = NO_SLOTS
        self.begun = False
        self._me: Life = view.me, incarnation
        self.view = view
        self._clock = clock
        self._known = Known(view.me, dead)
        #: Whom this node promised slots to: itself what it is primary of.
        self._promises = Promises()
        #: Whom others promised them to, who said no for that reason.
        self._told = Promises()
        #: The slots that a node has not agreed to yet, and who is asked now.
        self._owed: dict[bytes, int] = {}
        self._asking: set[bytes] = set()
        #: What is claimed anew since it was asked: its answer is to an old claim.
        self._anew: dict[bytes, int] = {}
        #: The slots of which a node holds something that was not fetched.
        self._holders: dict[bytes, int] = {}
        self._claims_at = 0.0

    # -- what is so -------------------------------------------------------------

    @property
    def me(self) -> bytes:
        """This node's key."""
        return self._me[0]

    @property
    def wanted(self) -> int:
        """The slots this node should be primary of, and is not."""
        return self._best() & ~self.serving

    @property
    def unsettled(self) -> int:
        """The slots of ours that others hold something of."""
        held = NO_SLOTS
        for slots in self._holders.values():
            held |= slots
        return held & self.serving

    @property
    def steady(self) -> int:
        """The slots whose best-ranked node is their primary, and settled."""
        steady = self.serving & ~self.unsettled & self._best()
        for life, slots in self._promises.items():
            if life != self._me and self._alive(life):
                steady |= slots & self.view.shares.get(life[0], NO_SLOTS)
        return steady

    def holders_of(self, slot: int) -> list[bytes]:
        """Who holds something of a slot that was not fetched."""
        return [key for key, slots in self._holders.items() if slots >> slot & 1]

    def held_by(self, node_key: bytes) -> int:
        """The slots of ours of which a node holds something not yet fetched."""
        return self._holders.get(node_key, NO_SLOTS) & self.serving

    def _best(self) -> int:
        """The slots for which this node is the best-ranked one that it knows."""
        mine = self._me[0]
        best = self.view.shares.get(mine, NO_SLOTS)
        for node_key in self._known.lives:
            if node_key not in self.view.members:
                best &= ~outranks(node_key, mine)
        return best

    def _alive(self, life: Life) -> bool:
        return life == self._me or self._known.lives.get(life[0]) == life[1]

    # -- what happens -----------------------------------------------------------

    def begin(self, now: float) -> Effects:
        """Whom this node was told of at its start has linked or failed once."""
        self.begun = True
        return self._go_on(now)

    def nodes_changed(self, met: dict[bytes, int], now: float) -> Effects:
        """
        Members or their ranks have changed.

        :param met: The incarnations of all nodes that are known, linked or not,
            and not found dead; this node is not among them.
        """
        self._known.meet(met)
        return self._know(now)

    def _know(self, now: float) -> Effects:
        gone, new = self._known.change(now)
        for node_key in gone:
            self._owed.pop(node_key, None)
            self._holders.pop(node_key, None)
        for node_key in new:
            self._owed[node_key] = self.claiming
        return self._go_on(now)

    def reincarnated(self, incarnation: int) -> None:
        """This node begins another life, in which it knows what it knew."""
        if incarnation == self._me[1]:
            return
        self._me = self._me[0], incarnation
        self._promises.take(self.serving, self._me)

    def link_up(self, node_key: bytes, now: float) -> Effects:
        """A node may have been away, and is asked about all (R4, late links)."""
        if node_key in self._known.lives:
            self._owed[node_key] = self.claiming | self.serving
        self._asking.discard(node_key)
        return self._go_on(now)

    def doubted(self, node_key: bytes, slots: int, now: float) -> Effects:
        """A node takes another for the primary of slots of ours: ask it again."""
        if node_key in self._known.lives:
            owed = self._owed.get(node_key, NO_SLOTS)
            self._owed[node_key] = owed | slots & self.serving & self.steady
        return self._go_on(now)

    def forget(self, now: float) -> Effects:
        """
        This node was away for so long that others have taken its slots.

        They tell it so when they link again; it claims nothing before that, or
        for a while.
        """
        ended = self._end(self.serving, now)
        self.claiming = NO_SLOTS
        self._claims_at = now + AWAY_S
        return (*ended, *self._go_on(now))

    def tick(self, now: float) -> Effects:
        """Time has passed; call this a few times a second."""
        return self._know(now)

    def fetched(self, node_key: bytes, slots: int) -> None:
        """What a node held of these slots is here."""
        self._holders[node_key] = self._holders.get(node_key, NO_SLOTS) & ~slots
        self._show()

    def _end(self, slots: int, now: float) -> Effects:
        """Be primary no more of what of these this node is primary of."""
        ended = self.serving & slots
        if not ended:
            return ()
        self.serving &= ~ended
        self._promises.take(ended, None)
        self._claims_at = max(self._claims_at, now + CLAIM_PAUSE_S)
        return (Ended(ended),)

    # -- claiming (R1) ------------------------------------------------------------

    def _go_on(self, now: float) -> Effects:
        """Claim what is ours, begin what all agree to, ask who has not."""
        best = self._best()
        self.claiming &= best
        more = best & ~self.serving & ~self.claiming
        if more and self.begun and now >= self._claims_at:
            self._claims_at = now + CLAIM_PAUSE_S
            self.claiming |= more
            for node_key in self._known.lives:
                self._owed[node_key] = self._owed.get(node_key, NO_SLOTS) | more
                if node_key in self._asking:
                    self._anew[node_key] = self._anew.get(node_key, NO_SLOTS) | more
        effects = [*self._win(), *self._ask()]
        self._show()
        return tuple(effects)

    def _win(self) -> Effects:
        won = self.claiming
        for slots in self._owed.values():
            won &= ~slots
        if not won:
            return ()
        self.claiming &= ~won
        self.serving |= won
        self._promises.take(won, self._me)
        holders = [key for key, slots in self._holders.items() if slots & won]
        return (Began(won), *map(Fetchable, holders))

    def _ask(self) -> Effects:
        effects: list[Effect] = []
        ours = self.claiming | self.serving
        for node_key in sorted(self._owed):
            owed = self._owed[node_key] & ours
            if not owed:
                del self._owed[node_key]
            elif node_key not in self._asking:
                self._asking.add(node_key)
                claim = Claim(to_bytes(owed), self._clock())
                effects.append(AskClaim(node_key, claim))
        return tuple(effects)

    def answered(
        self, node_key: bytes, claim: Claim, answer: Claimed | None, now: float
    ) -> Effects:
        """
        A node has answered a claim.

        :param answer: None if it has not: it is asked again in a while.
        """
        self._asking.discard(node_key)
        anew = self._anew.pop(node_key, NO_SLOTS)
        if answer is None or node_key not in self._known.lives:
            return ()
        asked = from_bytes(claim.slots) & ~anew
        self._owed[node_key] = self._owed.get(node_key, NO_SLOTS) & ~asked
        denied = NO_SLOTS
        for no in answer.denied:
            slots = from_bytes(no.slots) & asked
            denied |= slots
            self._told.take(slots, (no.node_key, no.incarnation))
            self._known.name((no.node_key, no.incarnation), now)
        for life in answer.known:
            self._known.name(life, now)
        if denied & self.claiming:
            self.claiming &= ~denied
            self._claims_at = max(self._claims_at, now + CLAIM_PAUSE_S)
        ended = self._end(denied, now)
        held = from_bytes(answer.held) & asked & (self.serving | self.claiming)
        self._holders[node_key] = self._holders.get(node_key, NO_SLOTS) | held
        fetchable = (Fetchable(node_key),) if held & self.serving else ()
        moved = self._moved(node_key, asked & ~denied)
        return (*ended, *fetchable, *moved, *self._know(now))

    def _moved(self, node_key: bytes, promised: int) -> Effects:
        """Slots were promised to this node that it has let go since."""
        left = promised & ~self.serving & ~self.claiming
        effects: list[Effect] = []
        for life, slots in self._promises.items():
            if slots & left:
                effects.append(Tell(node_key, Moved(to_bytes(slots & left), life)))
                left &= ~slots
        if left:
            effects.append(Tell(node_key, Moved(to_bytes(left))))
        return tuple(effects)

    def moved(self, life: Life, moved: Moved) -> None:
        """Who was promised slots has let them go, to another or to nobody."""
        slots = self._promises.of(life) & from_bytes(moved.slots)
        promised = moved.promised
        alive = promised is not None and promised != self._me and self._alive(promised)
        self._promises.take(slots, promised if alive else None)
        self._show()

    # -- answering (R2) -----------------------------------------------------------

    def claimed(
        self, life: Life, claim: Claim, held: int, now: float
    ) -> tuple[Claimed, Effects]:
        """
        Another node claims slots.

        :param life: Of the claimant.
        :param held: The slots of which this node holds anything.
        :return: What to answer, and what to do.
        """
        agreed = from_bytes(claim.slots)
        denied: list[Denied] = []
        for (node_key, incarnation), promised in self._promised():
            counts = node_key != life[0] and not self.view.stands_back(node_key)
            if counts and self._alive((node_key, incarnation)):
                slots = promised & agreed & outranks(node_key, life[0])
                if slots:
                    agreed &= ~slots
                    denied.append(Denied(node_key, incarnation, to_bytes(slots)))
        ended = self.serving & agreed
        self.serving &= ~agreed
        self.claiming &= ~agreed
        self._promises.take(agreed, life)
        answer = Claimed(
            tuple(denied),
            to_bytes(agreed & held),
            self._known.entries(),
            self._clock(),
        )
        effects: Effects = (Ended(ended),) if ended else ()
        return answer, (*effects, *self._go_on(now))

    def _promised(self) -> list[tuple[Life, int]]:
        """Promises to others, and what this node is primary of or claims."""
        others = [(life, slots) for life, slots in self._promises.items()]
        return [*others, (self._me, self.claiming)]

    # -- copies (R3) --------------------------------------------------------------

    def takes_copy(self, life: Life, slot: int) -> Life | None:
        """
        A node sends a copy.

        :return: None if it may: the slot was promised to it, or is so now, if
            it was promised to nobody; else whom it was promised to.
        """
        if self._promises.of(life) >> slot & 1:
            return None
        promised = self._promises.whose(slot)
        if promised is None:
            self._promises.take(1 << slot, life)
            self._show()
        return promised

    def promised_to(self, life: Life) -> int:
        """The slots whose primary a life of a node is, as far as this node knows."""
        return self._promises.of(life)

    def refused(self, slot: int, promised: Life, now: float) -> Effects:
        """A copy of ours was refused: the slot was promised to another."""
        ended = self._end(1 << slot, now)
        if ended:
            self._told.take(1 << slot, promised)
            self._known.name(promised, now)
        return (*ended, *self._know(now))

    # -- showing ------------------------------------------------------------------

    def _show(self) -> None:
        """Bring `routes` up to date."""
        ours = self.serving | self.claiming
        self._holders = {
            node_key: slots & ours
            for node_key, slots in self._holders.items()
            if slots & ours
        }
        self.routes.show(self.serving, self.unsettled, self._route())

    def _route(self) -> dict[bytes, int]:
        """The slots whose operations go to each node."""
        routes = {self._me[0]: self.serving}
        left = ALL_SLOTS & ~self.serving
        for promises in (self._promises, self._told):
            for life, slots in promises.items():
                if life != self._me and self._alive(life):
                    routes[life[0]] = routes.get(life[0], NO_SLOTS) | slots & left
            for slots in routes.values():
                left &= ~slots
        for node_key, slots in self.view.shares.items():
            routes[node_key] = routes.get(node_key, NO_SLOTS) | slots & left
        return routes
