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


class Ask(Protocol):
    """Asks one node something, once."""

    def __call__(
        self, node_key: bytes, request: Request, timeout_s: float, done: OnAnswer
    ) -> None: ...
