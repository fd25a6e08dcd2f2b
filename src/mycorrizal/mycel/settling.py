# -*- test-case-name: tests.mycel.test_settling -*-
"""
How nodes come to know that all slots are where they belong.
"""

from __future__ import annotations

from collections.abc import Callable

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.messages import Answer, AskSettled, Done
from mycorrizal.mycel.operations.asking import Ask
from mycorrizal.mycel.slots.handoff import Handoff
from mycorrizal.mycel.slots.view import SlotMember, View

#: How long a question whether a node is through waits for a yes.
SETTLED_WAIT_S = 1.0


class Settling:
    """
    One node's questions to the others, and its answers to theirs, whether all
    that has moved was pushed.

    :param now: The monotonic clock.
    :ivar leavers: Members that are about to leave.
    """

    def __init__(
        self,
        view: View,
        handoff: Handoff,
        clock: HybridClock,
        ask: Ask,
        now: Callable[[], float],
    ) -> None:
        self.leavers: set[SlotMember] = set()
        self._view = view
        self._handoff = handoff
        self._clock = clock
        self._ask = ask
        self._now = now
        self._asking: set[bytes] = set()
        self._asked: list[tuple[AskSettled, float, Callable[[Answer], None]]] = []

    @property
    def settled(self) -> bool:
        """Whether this node and all others have pushed all that has moved."""
        through = self._handoff.epoch == self._view.epoch
        return through and not self._view.waiting_for

    def members_changed(self) -> None:
        """Slots have other owners: ask when they are through."""
        self.leavers.intersection_update(self._view.members.values())
        self.ask()

    def ask(self) -> None:
        """Ask those whose answer is missing."""
        epoch = self._view.epoch
        for node_key in sorted(self._view.waiting_for - self._asking):
            self._asking.add(node_key)
            self._ask(
                node_key,
                AskSettled(epoch, self._clock.last),
                SETTLED_WAIT_S * 2,
                lambda answer, node_key=node_key: self._told(  # type: ignore[misc]
                    node_key, epoch, answer
                ),
            )

    def _told(self, node_key: bytes, epoch: int, answer: Answer | None) -> None:
        self._asking.discard(node_key)
        if isinstance(answer, Done) and answer.existed:
            if self._view.through(node_key, epoch):
                self.drop_moved()

    def asked(self, question: AskSettled, done: Callable[[Answer], None]) -> None:
        """Another node asks: answer when we are through, or after a while."""
        self._clock.observe(question.clock)
        self._asked.append((question, self._now() + SETTLED_WAIT_S, done))
        self.answer()

    def answer(self) -> None:
        """Answer the questions that can be answered now."""
        asked, self._asked = self._asked, []
        for question, until, done in asked:
            if question.epoch == self._view.epoch == self._handoff.epoch:
                done(Done(existed=True))
            elif until <= self._now():
                done(Done(existed=False))
            else:
                self._asked.append((question, until, done))

    def drop_moved(self) -> None:
        """
        If all is settled, let go what others own now; but nothing while
        somebody leaves: heirs hold what they don't own yet.
        """
        if self.settled and not self.leavers and self._handoff.drop():
            self._handoff.begin()
