# -*- test-case-name: tests.mycel.operations.test_repeats -*-
"""
Writes that were asked for again, since the link was lost that their answer was
to come on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from mycorrizal.mycel.messages import Answer, Repeatable
from mycorrizal.mycel.operations.writing import Write

#: Writes that are remembered, and as many before those.
REPEATS_MAX: Final = 8192

#: Who asks, the number it gave the write, and what is written.
_Name: TypeAlias = tuple[bytes, int, str, bytes]


class Repeats:
    """
    The last writes that other nodes have asked this one for.

    Each is known by its caller and the number that one gave it, on whatever way
    it comes: so it is made once, as long as the primary of its slot lives.
    """

    def __init__(self) -> None:
        self._last: dict[_Name, Write] = {}
        self._before: dict[_Name, Write] = {}

    def __len__(self) -> int:
        return len(self._last) + len(self._before)

    def began(self, request: Repeatable, origin: bytes, write: Write) -> None:
        """A write begins that a node has asked for."""
        if len(self._last) >= REPEATS_MAX:
            self._before, self._last = self._last, {}
        self._last[origin, request.clock, request.bucket, request.key] = write

    def answer(
        self, request: Repeatable, origin: bytes, done: Callable[[Answer], None]
    ) -> bool:
        """
        Answer what a node has asked for before.

        :param done: Gets the answer, now or when there is one.
        :return: Whether it was, and is made or will be.
        """
        name = origin, request.clock, request.bucket, request.key
        write = self._last.get(name) or self._before.get(name)
        if write is None:
            return False
        answer: Answer | None = write.answer
        if answer is None:
            # Whoever waited for it has lost its link.
            write.done = done
        else:
            done(answer)
        return True

    def forget(self) -> None:
        """Slots have another primary now, which makes anew what is not done."""
        self._last.clear()
        self._before.clear()
