# -*- test-case-name: tests.nodosum.test_rounds -*-
"""
The rounds of discovery: when to look, and what to make of the answers.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, zip_longest
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mycorrizal.backoff import doubled_s, jittered_s
from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.config import Address, canonical, is_dialable
from mycorrizal.nodosum.discovery import (
    Announcement,
    IAnnouncing,
    IDiscovery,
    IPartial,
)
from mycorrizal.runtime import Runtime, Timer

#: How many addresses of one answer are looked at.
ADDRESSES_MAX = 256
#: First and longest pause after a round of discovery that failed.
PAUSE_MIN_S = 1.0
PAUSE_MAX_S = 30.0


class Rounds:
    """
    All ways of discovery of one node, each of which looks again and again.

    The last good answer of each is kept, whatever comes later.  Those that
    tell others of this node are told what to tell, and when it is over.

    :param found: Called with all addresses that are known, after each answer.
    :ivar problem: Why the last round that failed did.
    """

    _log = Logger()

    def __init__(
        self, runtime: Runtime, found: Callable[[list[Address]], object]
    ) -> None:
        self.running = False
        self.problem = "no answer yet"
        self._runtime = runtime
        self._tell = found
        self._discoveries: list[IDiscovery] = []
        self._found: dict[IDiscovery, list[Address]] = {}
        self._timers: dict[IDiscovery, Timer] = {}
        self._lookups: dict[IDiscovery, Deferred[Any]] = {}
        self._problems: dict[IDiscovery, str] = {}
        self._announcement: Announcement | None = None
        self._announcing: list[Any] = []

    def add(self, discovery: IDiscovery) -> None:
        """Look in this way too."""
        self._discoveries.append(discovery)
        if self.running:
            self._begin(discovery)

    def start(self, announcement: Announcement) -> None:
        """
        Begin to look.

        :param announcement: What others may be told of this node.
        """
        self.running = True
        self._announcement = announcement
        for discovery in list(self._discoveries):
            self._begin(discovery)

    def stop(self) -> Deferred[None]:
        """
        Look no more; what is under way is cancelled.

        :return: Fires when nobody is told of this node any more.
        """
        self.running = False
        for timer in self._timers.values():
            timer.cancel()
        for lookup in list(self._lookups.values()):
            lookup.cancel()
        announcing, self._announcing = self._announcing, []
        withdrawn = gatherResults([self._withdraw(one) for one in announcing])
        return withdrawn.addCallback(lambda _: None)

    @property
    def complete(self) -> bool:
        """Whether each way has answered once."""
        return all(discovery in self._found for discovery in self._discoveries)

    def problems(self) -> list[tuple[str, str]]:
        """
        The ways that failed last time, wholly or in part: their names, and what
        was wrong.
        """
        found: dict[IDiscovery, str] = {}
        for way in self._discoveries:
            partial: Any = way
            if IPartial.providedBy(way) and partial.left_out:
                found[way] = partial.left_out
        found.update(self._problems)
        return [(way.name, problem) for way, problem in found.items()]

    def _begin(self, discovery: IDiscovery) -> None:
        if IAnnouncing.providedBy(discovery):
            announcing: Any = discovery
            self._announcing.append(announcing)
            try:
                announcing.announce(self._announcement)
            except Exception:
                self._log.failure(
                    "{name} could not announce this node", name=discovery.name
                )
        self._look(discovery, 0)

    def _withdraw(self, announcing: Any) -> Deferred[Any]:
        withdrawn: Deferred[Any] = maybeDeferred(announcing.withdraw)
        return withdrawn.addErrback(
            lambda failure: self._log.failure(
                "{name} could not withdraw this node", failure, name=announcing.name
            )
        )

    def _look(self, discovery: IDiscovery, failures: int) -> None:
        if not self.running:
            return
        # Anybody may write one: what it raises is a failure like any other.
        looking: Deferred[Any] = maybeDeferred(discovery.discover)
        self._lookups[discovery] = looking
        looking.addCallback(self._sound, discovery)
        looking.addBoth(self._looked, discovery, failures)

    def _looked(self, result: Any, discovery: IDiscovery, failures: int) -> None:
        self._lookups.pop(discovery, None)
        if not self.running:
            return
        if isinstance(result, Failure):
            failures += 1
            self._failed(result, discovery)
            pause_s = doubled_s(PAUSE_MIN_S, PAUSE_MAX_S, failures - 1)
        else:
            failures = 0
            if self._problems.pop(discovery, None) is not None:
                self._log.info("Discovery by {name} works", name=discovery.name)
            self._found[discovery] = result
            # In turn, so that one with many leaves room for the others'.
            mixed = chain.from_iterable(zip_longest(*self._found.values()))
            self._tell(list(dict.fromkeys(it for it in mixed if it is not None)))
            pause_s = discovery.round_s
        pause_s = jittered_s(pause_s, self._runtime.random)
        self._timers[discovery] = self._runtime.call_later(
            pause_s, self._look, discovery, failures
        )

    def _failed(self, failure: Failure, discovery: IDiscovery) -> None:
        self.problem = failure.getErrorMessage()
        if failure.check(DiscoveryError) is None:
            self._log.failure(
                "Discovery by {name} failed", failure, name=discovery.name
            )
        elif self._problems.get(discovery) != self.problem:
            self._log.warn(
                "Discovery by {name} failed: {problem}; it is tried again, and what "
                "was found before is kept",
                name=discovery.name,
                problem=self.problem,
            )
        self._problems[discovery] = self.problem

    def _sound(self, result: Any, discovery: IDiscovery) -> list[Address]:
        """The addresses of an answer that somebody can be reached at."""
        if not isinstance(result, (list, tuple)):
            raise DiscoveryError(f"it gave {type(result).__name__}, not a list")
        found = [canonical(it) for it in result[:ADDRESSES_MAX] if is_dialable(it)]
        left_out = [it for it in result[:ADDRESSES_MAX] if not is_dialable(it)]
        if left_out:
            self._log.debug(
                "Discovery by {name} gave {left_out}, where nobody can be",
                name=discovery.name,
                left_out=left_out,
            )
        return list(dict.fromkeys(found))
