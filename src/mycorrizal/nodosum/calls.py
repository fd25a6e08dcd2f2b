# -*- test-case-name: tests.nodosum.test_calls -*-
"""
The requests of one link that wait for an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mycorrizal.runtime import Runtime, Timer

#: Requests of one link that may wait at once; more fail with `PeerBusy`.
CALLS_MAX = 65_536

#: How a call ends: 0 with a reply, an `ErrorCode`, or one of these.
ANSWERED = 0
TIMED_OUT = 254
LINK_LOST = 255

#: Called once: how the call ended, and the reply or the error's text.
OnReply = Callable[[int, bytes], None]


class Asked(Protocol):
    """Where a request went, and where nobody waits for it any more."""

    def cancel(self, call_id: int, at: int) -> None: ...


class Calls:
    """
    A table of calls with one timer for all their deadlines.
    """

    __slots__ = ("_runtime", "_pending", "_last_id", "_soonest", "_timer")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._pending: dict[int, tuple[OnReply, float, Asked, int]] = {}
        self._last_id = 0
        self._soonest = float("inf")
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def begun(self) -> int:
        """How many calls there were so far."""
        return self._last_id

    def begin(self, on_reply: OnReply, deadline: float, asked: Asked, at: int) -> int:
        """
        Register a call.

        :param deadline: When it fails with `TIMED_OUT`, monotonic.
        :param asked: What is told when nobody waits for the answer any more,
            before whoever waited is.
        :param at: Where the request begins there.
        :return: Its id, new on this link; 0 if too many are waiting.
        """
        if len(self._pending) >= CALLS_MAX:
            return 0
        self._last_id = call_id = self._last_id + 1
        self._pending[call_id] = (on_reply, deadline, asked, at)
        if deadline < self._soonest:
            self._arm(deadline)
        return call_id

    def end(self, call_id: int, how: int, payload: bytes) -> None:
        """
        A call has ended.  An id that waits no more is ignored: its answer
        came too late.
        """
        call = self._pending.pop(call_id, None)
        if call is not None:
            call[0](how, payload)

    def forget(self, call_id: int) -> None:
        """A call was not made after all."""
        self._pending.pop(call_id, None)

    def cancel(self, call_id: int) -> None:
        """Nobody waits for this call any more."""
        call = self._pending.pop(call_id, None)
        if call is not None:
            call[2].cancel(call_id, call[3])

    def link_lost(self) -> None:
        """End every call: the link is gone."""
        pending, self._pending = self._pending, {}
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._soonest = None, float("inf")
        for on_reply, *_ in pending.values():
            on_reply(LINK_LOST, b"")

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._soonest = deadline
        delay_s = deadline - self._runtime.now()
        self._timer = self._runtime.call_later(delay_s, self._sweep)

    def _sweep(self) -> None:
        # The deadline that armed the timer has mostly been met long since, so
        # a sweep is rare: about one in the time that a call may take.
        now = self._runtime.now()
        self._timer = None
        self._soonest = float("inf")
        due = [key for key, (_, end, *_) in self._pending.items() if end <= now]
        for call_id in due:
            call = self._pending.pop(call_id, None)
            if call is not None:
                call[2].cancel(call_id, call[3])
                call[0](TIMED_OUT, b"")
        if self._pending:
            soonest = min(end for _, end, *_ in self._pending.values())
            if soonest < self._soonest:
                self._arm(soonest)
