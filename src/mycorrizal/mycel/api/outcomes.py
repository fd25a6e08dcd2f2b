# -*- test-case-name: tests.mycel.api.test_outcomes -*-
"""
What has come of a write.
"""

from __future__ import annotations

from functools import lru_cache

from mycorrizal.errors import Degraded


class Copies(int):
    """
    How many nodes hold a value that was written: a number like any other.

    :ivar wanted: How many the bucket asks for, the primary included.
    """

    wanted: int

    def __new__(cls, copies: int, wanted: int) -> Copies:
        self = super().__new__(cls, copies)
        self.wanted = wanted
        return self

    @property
    def degraded(self) -> bool:
        """
        Whether they are fewer than the bucket asks for, since there are not as
        many members, or because it does not wait for all of them.
        """
        return self < self.wanted


#: The same few numbers all the time.
_copies = lru_cache(maxsize=256)(Copies)


def copies_of(copies: int, wanted: int, copies_min: int) -> Copies:
    """
    The copies that a write was acknowledged with.

    :param wanted: What the bucket asks for.
    :param copies_min: What the caller demands.
    :raises Degraded: There are fewer than that.
    """
    if copies < copies_min:
        raise Degraded(copies, copies_min)
    return _copies(copies, wanted)
