"""
Waiting until a node is ready.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import NotReady, NotRunning
from mycorrizal.nodosum.readiness import Readiness


class ReadinessTests(SynchronousTestCase):
    """One outcome, many who wait."""

    def setUp(self) -> None:
        self.readiness = Readiness()

    def test_ready(self) -> None:
        """All who wait are told, and who asks later at once."""
        waiters = [self.readiness.when_ready() for _ in range(3)]
        for waiter in waiters:
            self.assertNoResult(waiter)
        self.assertTrue(self.readiness.pending)
        self.readiness.succeeded()
        for waiter in (*waiters, self.readiness.when_ready()):
            self.assertIsNone(self.successResultOf(waiter))
        self.assertEqual((self.readiness.pending, self.readiness.ready), (False, True))

    def test_failed(self) -> None:
        """If it can't become ready all hear why, and later ones too."""
        waiter = self.readiness.when_ready()
        self.readiness.failed(Failure(NotReady("no")))
        for one in (waiter, self.readiness.when_ready(), self.readiness.when_ready()):
            self.failureResultOf(one, NotReady)
        self.assertFalse(self.readiness.ready)

    def test_first_outcome_counts(self) -> None:
        """What was ready can't fail to become so, and the other way round."""
        self.readiness.succeeded()
        self.readiness.failed(Failure(NotReady("late")))
        self.successResultOf(self.readiness.when_ready())
        other = Readiness()
        other.failed(Failure(NotReady("no")))
        other.succeeded()
        self.failureResultOf(other.when_ready(), NotReady)

    def test_stopped(self) -> None:
        """After the end nobody is told that it is ready."""
        waiter = self.readiness.when_ready()
        self.readiness.ended(Failure(NotRunning()))
        self.failureResultOf(waiter, NotRunning)
        other = Readiness()
        other.succeeded()
        other.ended(Failure(NotRunning()))
        self.failureResultOf(other.when_ready(), NotRunning)
        self.assertFalse(other.ready)

    def test_cancel(self) -> None:
        """Who cancels harms nobody else."""
        first, second = self.readiness.when_ready(), self.readiness.when_ready()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.readiness.succeeded()
        self.successResultOf(second)

    def test_cancelled_by_another_waiter(self) -> None:
        """Who is told may cancel another one that is to be told next."""
        first, second = self.readiness.when_ready(), self.readiness.when_ready()
        third = self.readiness.when_ready()
        first.addCallback(lambda _: second.cancel())
        self.readiness.succeeded()
        self.assertIsNone(self.successResultOf(first))
        self.failureResultOf(second, CancelledError)
        self.successResultOf(third)
