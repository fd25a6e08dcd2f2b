# -*- test-case-name: tests.nodosum.test_readiness -*-
"""
Waiting for something that happens once, or fails.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure


class Readiness:
    """
    One outcome and all who wait for it.

    :ivar pending: Whether the outcome is still to come.
    """

    def __init__(self) -> None:
        self.pending = True
        self._failure: Failure | None = None
        self._waiters: list[Deferred[None]] = []

    @property
    def ready(self) -> bool:
        """Whether it is ready now."""
        return not self.pending and self._failure is None

    def when_ready(self) -> Deferred[None]:
        """
        :return: Fires with None when all is ready, at once if it is; fails
            with what made it impossible.  Cancelling it harms no one else.
        """
        if self.pending:
            waiter: Deferred[None] = Deferred(self._cancelled)
            self._waiters.append(waiter)
            return waiter
        return succeed(None) if self._failure is None else fail(self._failure)

    def _cancelled(self, waiter: Deferred[None]) -> None:
        # Another waiter may cancel it while they are being told.
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def succeeded(self) -> None:
        """All is ready."""
        self._settle(None)

    def failed(self, failure: Failure) -> None:
        """It can't become ready; ignored if it has."""
        self._settle(failure)

    def ended(self, failure: Failure) -> None:
        """What was ready is so no more."""
        self._settle(failure)
        self._failure = failure

    def _settle(self, failure: Failure | None) -> None:
        if not self.pending:
            return
        self.pending = False
        self._failure = failure
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if waiter.called:
                continue
            if failure is None:
                waiter.callback(None)
            else:
                waiter.errback(failure)
