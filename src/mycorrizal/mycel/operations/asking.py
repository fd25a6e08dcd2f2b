# -*- test-case-name: tests.mycel.operations.test_routing -*-
"""
How the parts of Mycel reach other nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mycorrizal.mycel.messages import Answer, Request

#: Called once with the answer; None: it is not known whether the other side
#: acted (its link was lost, its time ran out, or it was too busy).
OnAnswer = Callable[[Answer | None], None]


class Waiter:
    """
    Who waits for the answer of an operation, and may give up; one that was not
    begun by then is not done.

    :ivar wanted: Whether the answer is still waited for.
    """

    __slots__ = ("wanted",)

    def __init__(self) -> None:
        self.wanted = True

    def __call__(self, answer: Answer) -> None:
        """Take the answer."""
        raise NotImplementedError


class Ask(Protocol):
    """Asks one node something, once."""

    def __call__(
        self, node_key: bytes, request: Request, timeout_s: float, done: OnAnswer
    ) -> None: ...
