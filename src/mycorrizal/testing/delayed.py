# -*- test-case-name: tests.testing.test_reactor -*-
"""
The delayed calls of a simulated reactor.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from mycorrizal.testing.timeline import TICK_S, ticks_of

#: Cancelled calls are swept out when there are more of them than this, and
#: more than calls that are still to come.
_SWEEP_AT = 50


@implementer(IDelayedCall)
class SimDelayedCall:
    """
    One call of a simulated reactor, due at a time of its host's wall clock.
    """

    __slots__ = ("_agenda", "due_ticks", "call", "args", "kw", "cancelled", "called")

    def __init__(
        self,
        agenda: Agenda,
        due_ticks: int,
        call: Callable[..., object],
        args: tuple[object, ...],
        kw: dict[str, object],
    ) -> None:
        self._agenda = agenda
        self.due_ticks = due_ticks
        self.call = call
        self.args = args
        self.kw = kw
        self.cancelled = False
        self.called = False

    def getTime(self) -> float:
        """When it is due, in seconds of the reactor's clock."""
        return self.due_ticks * TICK_S

    def cancel(self) -> None:
        """See `IDelayedCall.cancel`."""
        self._check()
        self.cancelled = True
        self._forget()
        self._agenda.call_cancelled()

    def reset(self, secondsFromNow: float) -> None:
        """See `IDelayedCall.reset`."""
        self._check()
        self._move(self._agenda.wall_ticks() + ticks_of(secondsFromNow))

    def delay(self, secondsLater: float) -> None:
        """See `IDelayedCall.delay`."""
        self._check()
        self._move(self.due_ticks + ticks_of(secondsLater))

    def active(self) -> bool:
        """Whether it is still to come."""
        return not (self.cancelled or self.called)

    def fire(self) -> None:
        """Make the call."""
        call, args, kw = self.call, self.args, self.kw
        self.called = True
        self._forget()
        call(*args, **kw)

    def _check(self) -> None:
        if self.cancelled:
            raise AlreadyCancelled
        if self.called:
            raise AlreadyCalled

    def _move(self, due_ticks: int) -> None:
        sooner = due_ticks < self.due_ticks
        self.due_ticks = due_ticks
        if sooner:
            self._agenda.add(self)

    def _forget(self) -> None:
        self.call, self.args, self.kw = _nothing, (), {}

    def __repr__(self) -> str:
        state = "cancelled" if self.cancelled else "called" if self.called else "due"
        name = getattr(self.call, "__qualname__", repr(self.call))
        return f"<SimDelayedCall {name} {state} at {self.getTime():.6f}>"


def _nothing() -> None:
    pass


class Agenda:
    """
    The delayed calls of one reactor, by time of the wall clock.

    Calls that were set in the same turn for the same time are made in the
    order in which they were set, as in a real reactor, whose clock moves on
    between them. Otherwise the order of the same time is drawn.

    :param wall_ticks: Returns the present on the wall clock.
    :param tie: Draws the order of calls of the same time.
    :param turn: Returns a number that is another one in each turn.
    :param sooner: Called when the first call is another one than before.
    """

    def __init__(
        self,
        wall_ticks: Callable[[], int],
        tie: Callable[[], float],
        turn: Callable[[], int],
        sooner: Callable[[], object],
    ) -> None:
        self.wall_ticks = wall_ticks
        self._draw = tie
        self._turn = turn
        self._sooner = sooner
        self._heap: list[tuple[int, float, int, SimDelayedCall]] = []
        self._sequence = 0
        self._cancelled = 0
        self._tie = 0.0
        self._tie_turn = -1

    def set(
        self,
        delay_s: float,
        call: Callable[..., object],
        args: tuple[object, ...],
        kw: dict[str, object],
    ) -> SimDelayedCall:
        """Make the call `delay_s` from now."""
        due = self.wall_ticks() + ticks_of(delay_s)
        delayed = SimDelayedCall(self, due, call, args, kw)
        self.add(delayed)
        return delayed

    def add(self, delayed: SimDelayedCall) -> None:
        """Put a call where it belongs, possibly for a second time."""
        turn = self._turn()
        if turn != self._tie_turn:
            self._tie_turn = turn
            self._tie = self._draw()
        self._sequence += 1
        entry = (delayed.due_ticks, self._tie, self._sequence, delayed)
        heapq.heappush(self._heap, entry)
        if self._heap[0] is entry:
            self._sooner()

    def first_ticks(self) -> int | None:
        """When the first call is due, or None when there is none."""
        heap = self._heap
        while heap:
            due, _, _, delayed = heap[0]
            if not delayed.active():
                heapq.heappop(heap)
            elif delayed.due_ticks > due:
                # It was moved back; it is put there only now.
                heapq.heappop(heap)
                self.put_back(delayed)
            else:
                return due
        return None

    def take_due(self) -> list[SimDelayedCall]:
        """Remove and return the calls that are due; new ones wait a turn."""
        now = self.wall_ticks()
        due: list[SimDelayedCall] = []
        heap = self._heap
        while True:
            first = self.first_ticks()
            if first is None or first > now:
                return due
            due.append(heapq.heappop(heap)[3])

    def calls(self) -> list[SimDelayedCall]:
        """The calls that are still to come."""
        them = dict.fromkeys(entry[3] for entry in sorted(self._heap))
        return [delayed for delayed in them if delayed.active()]

    def call_cancelled(self) -> None:
        """Count a cancelled call, and sweep them out when there are many."""
        self._cancelled += 1
        if self._cancelled > max(_SWEEP_AT, len(self._heap) // 2):
            self._cancelled = 0
            self._heap = [entry for entry in self._heap if entry[3].active()]
            heapq.heapify(self._heap)

    def clear(self) -> None:
        """Forget every call; the process is gone."""
        self._heap.clear()

    def put_back(self, delayed: SimDelayedCall) -> None:
        """Put a call that was taken too early where it belongs by now."""
        self._sequence += 1
        entry = (delayed.due_ticks, self._draw(), self._sequence, delayed)
        heapq.heappush(self._heap, entry)
