# -*- test-case-name: tests.pulse.test_progress -*-
"""
How far a command is that takes its time: a bar on a terminal, lines elsewhere.
"""

from __future__ import annotations

import shutil
import sys
from typing import Final, TextIO

from mycorrizal.pulse.render import printable

#: Between two looks at how far something is.
LOOK_S: Final = 0.5
#: Characters of the bar itself.
BAR_WIDTH: Final = 20
#: Where there is no terminal, a line for each such part that is done.
PARTS: Final = 4
# ECMA-48: erase from here to the end of the line.
_TO_END_OF_LINE: Final = "\x1b[K"


class Progress:
    """
    One line that tells how far a command is, on stderr.

    On a terminal it is drawn over and over, and gone at the end.  Elsewhere a line
    is written at the beginning and for each quarter that is done.

    :param quiet: Nothing is told at all.
    :param lines: Whether anything is told where there is no terminal.
    """

    def __init__(
        self, *, quiet: bool = False, lines: bool = True, out: TextIO | None = None
    ) -> None:
        self._out = sys.stderr if out is None else out
        self._bar = not quiet and self._out.isatty()
        self._lines = not quiet and lines and not self._bar
        self._part = -1
        self._drawn = False

    @property
    def seen(self) -> bool:
        """Whether there is a bar, or there are lines."""
        return self._bar or self._lines

    def show(self, done: float, text: str) -> None:
        """
        Tell.

        :param done: From 0 to 1.
        :param text: What is being done.
        """
        done = min(1.0, max(0.0, done))
        text = printable(text)
        if self._bar:
            filled = int(done * BAR_WIDTH)
            bar = "#" * filled + "-" * (BAR_WIDTH - filled)
            line = f"[{bar}] {done:4.0%}  {text}"
            # A line that wraps could not be drawn over.
            line = line[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r{line}{_TO_END_OF_LINE}")
            self._drawn = True
        elif self._lines and int(done * PARTS) > self._part:
            self._part = int(done * PARTS)
            self._write(f"{done:4.0%}  {text}\n")

    def end(self) -> None:
        """It is done, or has failed; the bar goes."""
        if self._drawn:
            self._write(f"\r{_TO_END_OF_LINE}")
            self._drawn = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
