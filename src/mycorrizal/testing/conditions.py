# -*- test-case-name: tests.testing.test_conditions -*-
"""
What was going on while a history was made: when promises were narrower.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import attrs


@attrs.define
class Spans:
    """
    Stretches of time, in order; the last one may still go on.
    """

    spans: list[tuple[float, float]] = attrs.field(factory=list)
    since: float | None = None

    def begin(self, t: float) -> None:
        """It begins, unless it goes on already."""
        if self.since is None:
            self.since = t

    def end(self, t: float) -> None:
        """It is over, if it went on."""
        if self.since is not None:
            self.spans.append((self.since, t))
            self.since = None

    def touch(self, begin: float, end: float) -> bool:
        """Whether any of it falls into a stretch from `begin` to `end`."""
        if self.since is not None and self.since <= end:
            return True
        return any(since <= end and begin <= until for since, until in self.spans)


@attrs.define
class Conditions:
    """
    The weather that promises depend on, as it was seen.

    A node that two others cannot both see, or a pause of seconds, splits the
    cluster until it has converged again.  A death may lose what had too few
    copies by then.

    :ivar replicas: Copies that each write should have beyond the first.
    :ivar splits: While nodes may have been primary apart from each other.
    :ivar failing: While a death may not have been noticed.
    :ivar pauses: When processes stood still, whichever.
    :ivar deaths: When nodes died, ascending.
    :ivar well_at: When all was seen to be well, ascending.
    :ivar upset: Whether owners may have changed between two times.
    :ivar lost_before: What was written before this may be lost: more nodes had
        died than there were further copies.
    """

    replicas: int
    splits: Spans = attrs.field(factory=Spans)
    failing: Spans = attrs.field(factory=Spans)
    pauses: list[tuple[float, float]] = attrs.field(factory=list)
    deaths: list[float] = attrs.field(factory=list)
    well_at: list[float] = attrs.field(factory=list)
    upset: Callable[[float, float], bool] = lambda since, until: False
    lost_before: float = float("-inf")
    _causes: set[object] = attrs.field(factory=set)
    _spare: int = 0

    def split(self, cause: object, t: float) -> None:
        """Something that splits the cluster begins."""
        self._causes.add(cause)
        self.splits.begin(t)

    def mended(self, cause: object) -> None:
        """It is over; the split is when the cluster has converged."""
        self._causes.discard(cause)

    def all_mended(self) -> None:
        """All that splits the cluster is over."""
        self._causes.clear()

    def suspect(self, t: float) -> None:
        """Nodes that live don't know each other: each may be primary of a slot."""
        self.splits.begin(t)

    def died(self, t: float) -> None:
        """A node and all that it held is gone; say `well` before if all was."""
        self.deaths.append(t)
        self.failing.begin(t)
        self._spare -= 1
        if self._spare < 0:
            self.lost_before = t

    def left(self, members: int) -> None:
        """A node has handed over and is gone; so many nodes stay."""
        self._spare = min(self._spare, members - 1)

    def well(self, t: float, members: int) -> None:
        """The cluster was seen to have converged, with that many members."""
        self.well_at.append(t)
        self._spare = min(self.replicas, members - 1)
        self.failing.end(t)
        if not self._causes:
            self.splits.end(t)

    def paused_s(self, begin: float, end: float) -> float:
        """How much an operation may be late for pauses that fall into it."""
        return sum(
            until - since
            for since, until in self.pauses
            if since <= end and begin <= until
        )

    def may_be_lost(self, began: float, ended: float, copies: int) -> bool:
        """Whether a write that had so many copies when it ended may be lost."""
        if ended <= self.lost_before:
            return True
        after = bisect_left(self.well_at, ended)
        until = self.well_at[after] if after < len(self.well_at) else float("inf")
        died = sum(began <= death <= until for death in self.deaths)
        return died > max(0, copies - 1)
