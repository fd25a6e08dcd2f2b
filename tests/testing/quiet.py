"""
Storms that are run by tests, without what their nodes log.

Trial counts each failure that is logged as an error of the test, and storms
log failures on purpose; a storm's own watch sees all of them.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.logger import globalLogPublisher

from mycorrizal.testing.plans import Plan, draw_plan


class Quiet:
    """
    A test whose storms log for nobody but their watch.
    """

    def setUp(self) -> None:
        self._observers = list(globalLogPublisher._observers)
        for observer in self._observers:
            globalLogPublisher.removeObserver(observer)
        case: Any = self
        case.addCleanup(self._observe)

    def _observe(self) -> None:
        for observer in self._observers:
            globalLogPublisher.addObserver(observer)


def a_plan(**changes: Any) -> Plan:
    """A plan of three nodes in which nothing goes wrong, but for `changes`."""
    return attrs.evolve(draw_plan(1, "calm"), size=3, replicas=1, **changes)
