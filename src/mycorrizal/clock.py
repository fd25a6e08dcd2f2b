# -*- test-case-name: tests.test_clock -*-
"""
The hybrid logical clock that orders what the nodes of a cluster write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mycorrizal.errors import LocalProtocolError, RemoteProtocolError

#: Bits of a stamp below the milliseconds: 65,536 stamps a millisecond before
#: the clock runs ahead of the wall, which it may.
COUNTER_BITS: Final = 16

#: The first number that is no stamp.  Milliseconds since the epoch reach it
#: in the year 6429; until then such a number can only be an error.
STAMP_LIMIT: Final = 1 << 63


class HybridClock:
    """
    A hybrid logical clock: a counter that is never behind the wall clock nor
    behind any stamp it has been shown.

    A stamp is one integer, milliseconds since the epoch in the upper 48 bits
    and a counter in the lower 16; the counter may carry into the milliseconds.
    So stamps order what happened after hearing of one another, whatever the
    wall clocks say, and otherwise are about as right as the wall clocks are.
    (Kulkarni, Demirbas et al.: Logical Physical Clocks and Consistent
    Snapshots in Globally Distributed Databases, 2014; theirs keeps the counter
    apart and bounds it, ours lets it carry, which needs no bound.)

    :param wall: Returns seconds since the epoch; may step either way.
    :ivar last: The highest stamp issued or seen.
    """

    __slots__ = ("_wall", "last")

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self.last = 0

    def tick(self) -> int:
        """
        A new stamp, above every stamp issued or seen.

        :raises LocalProtocolError: There is none below `STAMP_LIMIT`.
        """
        stamp = int(self._wall() * 1000) << COUNTER_BITS
        if stamp <= self.last:
            stamp = self.last + 1
        if stamp >= STAMP_LIMIT:
            raise LocalProtocolError("the clock has run out of stamps")
        self.last = stamp
        return stamp

    def unique(self) -> int:
        """
        A number that names one operation of this node, above every stamp seen;
        as `tick`, without the look at the wall clock.
        """
        stamp = self.last + 1
        if stamp >= STAMP_LIMIT:
            raise LocalProtocolError("the clock has run out of stamps")
        self.last = stamp
        return stamp

    def observe(self, stamp: int) -> None:
        """
        Move up to a stamp that another node has sent.

        :raises RemoteProtocolError: It is not a stamp; the clock stays.
        """
        if stamp > self.last:
            if stamp >= STAMP_LIMIT:
                raise RemoteProtocolError(f"{stamp} is beyond every stamp")
            self.last = stamp
        elif stamp < 0:
            raise RemoteProtocolError(f"{stamp} is not a stamp")
