# -*- test-case-name: tests.mycel.test_standing -*-
"""
Whether one node has a part in owning slots, and how all others hear of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from mycorrizal.errors import LastInService, NotRunning
from mycorrizal.mycel.messages import Request
from mycorrizal.mycel.moves import Moves
from mycorrizal.mycel.operations.asking import Ask
from mycorrizal.mycel.slot_messages import Drained, Leaving
from mycorrizal.nodosum import NodosumService, Readiness
from mycorrizal.recorder import Kind

#: How often members are told again that this node is, or was, drained: one that
#: had no link then, or took this node for dead, hears it so.
AGAIN_S: Final = 10.0
#: How long one that is told again may take to say that it has heard.
AGAIN_TIMEOUT_S: Final = 2.0


class Tell(Protocol):
    """Tells a member something until it has heard, or its link is gone."""

    def __call__(self, node_key: bytes, news: Callable[[], Request]) -> None: ...


class Standing:
    """
    One node's part in owning slots: it has one, is drained, or leaves.

    A drained node is a member like any other, and passes on what its
    applications ask of the cache; it only owns nothing, unless every other
    member leaves or is drained, too.  All see that in the same way: each node
    says it of itself, counting how often it did.

    :ivar drained: Whether this node is drained.
    """

    def __init__(
        self, nodosum: NodosumService, moves: Moves, tell: Tell, ask: Ask
    ) -> None:
        self.drained = False
        self._nodosum = nodosum
        self._moves = moves
        self._tell = tell
        self._ask = ask
        self._leaving: Readiness | None = None
        self._turn = 0
        self._again_at = 0.0
        self._noted = True

    # -- leaving ------------------------------------------------------------------

    @property
    def leaving(self) -> bool:
        """Whether this node hands over what it holds, to stop then."""
        return self._leaving is not None

    def leave(self) -> Deferred[None]:
        """
        Hand over all, for good.

        :return: Fires when that is done.
        """
        self._leaving = Readiness()
        self._note("Handing over all that is here")
        for node_key in self._others():
            self._tell(node_key, Leaving)
        self._moves.leaves(self._moves.view.me)
        return self._leaving.when_ready()

    def look(self) -> bool:
        """
        See whether all is handed over.

        :return: Whether it just was, and this node leaves.
        """
        if self._leaving is not None:
            return self._leaving.pending and self._moves.handed_over
        if not self._noted and self.handed_over:
            self._noted = True
            self._note("All is handed over")
        return False

    def left(self) -> None:
        """All is handed over, and this node answers no more."""
        assert self._leaving is not None
        self._note("All is handed over")
        self._leaving.succeeded()

    # -- drained ------------------------------------------------------------------

    @property
    def handed_over(self) -> bool:
        """Whether this node is drained, and nothing is left here."""
        return self.drained and self._moves.handed_over

    def drain(self) -> None:
        """
        Hand over all and own nothing, until `undo` or the end of this life.

        :raises LastInService: Nobody else would own anything.
        :raises NotRunning: This node leaves.
        """
        view = self._moves.view
        if self._leaving is not None:
            raise NotRunning("the node", "hands over what it holds and leaves already")
        if self.drained:
            return
        if not [it for it in view.in_service if it != view.me]:
            raise LastInService(self._nodosum.me.node_id)
        self._noted = False
        self._note("Drained: handing over all that is here")
        self._become(True)

    def undo(self) -> None:
        """
        Own slots again.

        :raises NotRunning: This node leaves.
        """
        if self._leaving is not None:
            raise NotRunning("the node", "hands over what it holds and leaves already")
        if self.drained:
            self._noted = True
            self._note("In service again")
            self._become(False)

    def _become(self, drained: bool) -> None:
        self.drained = drained
        self._turn += 1
        self._again_at = self._nodosum.runtime.now() + AGAIN_S
        # First the others: what this node claims, or stops to claim, comes after.
        for node_key in self._others():
            self._tell(node_key, self._says)
        self._moves.drains(self._moves.view.me, drained, self._turn)

    def _says(self) -> Drained:
        return Drained(self._turn, self.drained)

    # -- being heard --------------------------------------------------------------

    def tell(self, node_key: bytes) -> None:
        """A member is new, or its link is: it may have heard nothing."""
        if self._leaving is not None and self._nodosum.link_to(node_key):
            self._tell(node_key, Leaving)
        elif self._turn:
            self._tell(node_key, self._says)

    def tick(self, now: float) -> None:
        """Time has passed; call this a few times a second."""
        if not self._turn or now < self._again_at:
            return
        self._again_at = now + AGAIN_S
        for node_key in self._others():
            self._ask(node_key, self._says(), AGAIN_TIMEOUT_S, lambda _: None)

    def _others(self) -> list[bytes]:
        view = self._moves.view
        return sorted(view.members.keys() - {view.me})

    def _note(self, text: str) -> None:
        self._nodosum.recorder.note(Kind.DRAIN, text)
