# -*- test-case-name: tests.nodosum.test_health -*-
"""
How far a node should trust its own judgement.
"""

from __future__ import annotations

import attrs

from mycorrizal.nodosum.liveness import OWN_STALL_S

#: Times are stretched up to eightfold, as Lifeguard has it: a node that is
#: held up for longer than that finds itself given up by the others anyway.
SCORE_MAX = 7


@attrs.define
class LocalHealth:
    """
    A count of how badly this node was held up lately.

    (The local health multiplier of Lifeguard: Dadgar, Phillips and Currey,
    "Lifeguard: Local Health Awareness for More Accurate Failure Detection",
    2018.  Theirs also counts questions that nobody answered; over links that
    keep their order, an answer that is missing says nothing about ourselves.)

    :ivar score: 0 to `SCORE_MAX`.
    """

    score: int = 0

    @property
    def stretch(self) -> int:
        """What the times after which others are suspect are multiplied by."""
        return 1 + self.score

    def stalled(self, stall_s: float) -> None:
        """A look at the clock came so much later than the one before."""
        self.score = min(SCORE_MAX, self.score + int(stall_s / OWN_STALL_S))

    def clean(self) -> None:
        """A second went by without a stall."""
        self.score = max(0, self.score - 1)
