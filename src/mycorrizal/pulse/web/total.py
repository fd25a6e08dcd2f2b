# -*- test-case-name: tests.pulse.web.test_total -*-
"""
What a whole cluster does in a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from mycorrizal.pulse.web.pace import rate_per_s
from mycorrizal.pulse.web.survey import Heard

#: What is older is no word about now. Where there are so many nodes that each
#: has its turn to be asked, turns are shorter than this.
FRESH_S: Final = 10.0


class Total(msgspec.Struct, frozen=True):
    """
    The rates of all nodes that have told theirs, added up.

    :ivar nodes: How many these are.
    :ivar puts_per_s: And deletes, each counted on every node that took a copy.
    :ivar bytes_per_s: That went from node to node, each counted once.
    """

    nodes: int
    gets_per_s: float
    puts_per_s: float
    bytes_per_s: float


def total_of(heard: Iterable[Heard], now: float) -> Total | None:
    """
    Add up what nodes have said.

    :param now: Monotonic, as of the reports.
    :return: None: no node has said enough yet.
    """
    told = [
        (before[0], each.report, each.at - before[1])
        for each in heard
        if (before := each.before) is not None and now - each.at < FRESH_S
    ]
    if not told:
        return None
    gets, puts, sent = (
        round(
            sum(rate_per_s(was, is_, elapsed_s, name) for was, is_, elapsed_s in told),
            2,
        )
        for name in ("gets", "puts", "sent_bytes")
    )
    return Total(len(told), gets, puts, sent)
