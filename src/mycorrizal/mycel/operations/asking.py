# -*- test-case-name: tests.mycel.operations.test_asking -*-
"""
How the parts of Mycel reach other nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import Logger

from mycorrizal.mycel.messages import Answer, Request
from mycorrizal.runtime import Runtime, Timer

#: Pause before who could not ask may ask again.
ASK_PAUSE_S = 0.02

#: Called once with the answer; None: it is not known whether the other side
#: acted (its link was lost, its time ran out, or it was too busy).
OnAnswer = Callable[[Answer | None], None]


class Waiter:
    """
    Who waits for the answer of an operation, and may give up; one that was not
    begun by then is not done.

    :ivar wanted: Whether the answer is still waited for.
    :ivar origin: The node that asks, if it may ask again.
    """

    __slots__ = ("wanted",)
    origin: bytes | None = None

    def __init__(self) -> None:
        self.wanted = True

    def __call__(self, answer: Answer) -> None:
        """Take the answer."""
        raise NotImplementedError


class Ask(Protocol):
    """Asks one node something, once."""

    def __call__(
        self, node_key: bytes, request: Request, timeout_s: float, done: OnAnswer
    ) -> None: ...


class Unasked:
    """
    Those who could not ask, and are told so in a while: they may ask again.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: list[OnAnswer] = []
        self._timer: Timer | None = None

    def add(self, done: OnAnswer) -> None:
        """Tell one more, after `ASK_PAUSE_S`."""
        self._waiting.append(done)
        if len(self._waiting) == 1:
            self._timer = self._runtime.call_later(ASK_PAUSE_S, self._tell)

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(None)

    def stop(self) -> None:
        """Tell nobody any more."""
        if self._timer is not None:
            self._timer.cancel()


class Errands:
    """
    What this node does with others step by step, in no hurry: one errand for
    each name at a time.
    """

    _log = Logger()

    def __init__(self, runtime: Runtime, ask: Ask) -> None:
        self.running = True
        self._runtime = runtime
        self._ask = ask
        self._under_way: dict[object, Deferred[None]] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._under_way

    def begin(self, name: object, errand: Coroutine[Any, Any, None]) -> None:
        """Do something step by step, unless all has been stopped."""
        if not self.running:
            errand.close()
            return
        # In a turn of its own: what begins it may be in the middle of much.
        start: Deferred[None] = Deferred()
        timer = self._runtime.call_later(0, start.callback, None)

        async def run() -> None:
            try:
                await start
                await errand
            finally:
                timer.cancel()
                errand.close()
                del self._under_way[name]

        done = Deferred.fromCoroutine(run())
        if not done.called:
            self._under_way[name] = done
        done.addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self._log.failure("An errand of the cache failed", failure)

    def ask(
        self, node_key: bytes, request: Request, timeout_s: float
    ) -> Deferred[Answer | None]:
        """Ask one node something; fires with what `OnAnswer` is called with."""
        asked: Deferred[Answer | None] = Deferred()

        def answered(answer: Answer | None) -> None:
            if not asked.called:
                asked.callback(answer)

        self._ask(node_key, request, timeout_s, answered)
        return asked

    def pause(self, delay_s: float) -> Deferred[None]:
        """Fires in a while, if errands go on then."""
        if not self.running:
            # One of them is what stopped them all.
            return fail(CancelledError())
        timer = self._runtime.call_later(delay_s, lambda: over.callback(None))
        over: Deferred[None] = Deferred(lambda _: timer.cancel())
        return over

    def stop(self) -> None:
        """End all errands where they are."""
        self.running = False
        for errand in list(self._under_way.values()):
            errand.cancel()
