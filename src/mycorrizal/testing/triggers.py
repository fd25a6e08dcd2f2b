# -*- test-case-name: tests.testing.test_reactor -*-
"""
The system events of a simulated reactor: startup, shutdown, persist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

_PHASES = ("before", "during", "after")

#: A call and its arguments, as `Triggers.add` was given them.
Trigger = tuple[str, str, Callable[..., Any], tuple[object, ...], dict[str, object]]


class Triggers:
    """
    What is to be called on system events, in three phases each.

    :param report: Called with a sentence while an exception is being handled.
    """

    def __init__(self, report: Callable[[str], object]) -> None:
        self._report = report
        self._triggers: list[Trigger] = []

    def add(
        self,
        phase: str,
        event: str,
        call: Callable[..., Any],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> Trigger:
        """Call it in that phase of the event. Raises KeyError for no phase."""
        if phase not in _PHASES:
            raise KeyError("invalid phase")
        trigger = (phase, event, call, args, kwargs)
        self._triggers.append(trigger)
        return trigger

    def remove(self, trigger: Trigger) -> None:
        """Do not call it. Raises ValueError when it is unknown."""
        self._triggers.remove(trigger)

    def fire(self, event: str) -> None:
        """Call what is there for the event; Deferreds of "before" first."""
        results = self._call("before", event)
        awaited = [result for result in results if isinstance(result, Deferred)]
        DeferredList(awaited).addCallback(self._go_on, event)

    def _go_on(self, _: object, event: str) -> None:
        self._call("during", event)
        self._call("after", event)

    def _call(self, phase: str, event: str) -> list[Any]:
        results: list[Any] = []
        while True:
            chosen = [it for it in self._triggers if it[:2] == (phase, event)]
            if not chosen:
                return results
            self._triggers.remove(chosen[0])
            _, _, call, args, kwargs = chosen[0]
            try:
                results.append(call(*args, **kwargs))
            except Exception:
                self._report("A system event trigger failed")
