# -*- test-case-name: tests.pulse.test_top_command -*-
"""
A terminal that shows one page after the other, and tells which keys are pressed.
"""

from __future__ import annotations

import os
import re
import shutil
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TextIO

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

# xterm's control sequences: the alternate screen leaves what was there before as
# it was; a page is written over the last, line by line, so that nothing flickers.
ENTER: Final = "\x1b[?1049h\x1b[?25l"
LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_TO_END_OF_LINE: Final = "\x1b[K"
_TO_END: Final = "\x1b[J"
#: What keys without a character send (ECMA-48, and SS3 of the VT100).
_SEQUENCE: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]?|O.?)?")
#: Keys that are read at once.
_KEYS_MAX: Final = 64


def frame(lines: Sequence[str]) -> str:
    """What a terminal is sent to show these lines, and nothing of those before."""
    body = f"{_TO_END_OF_LINE}\r\n".join(lines)
    return f"{_HOME}{body}{_TO_END_OF_LINE}{_TO_END}"


@implementer(IReadDescriptor)
class Keyboard:
    """
    The keys of a terminal, as the reactor reads them.

    :param pressed: Is told each key.
    :param gone: Is called when the terminal is.
    """

    def __init__(
        self, number: int, pressed: Callable[[str], None], gone: Callable[[], None]
    ) -> None:
        self._number = number
        self._pressed = pressed
        self._gone = gone

    def fileno(self) -> int:
        """The terminal's file descriptor."""
        return self._number

    def logPrefix(self) -> str:
        return "keyboard"

    def doRead(self) -> Any:
        try:
            keys = os.read(self._number, _KEYS_MAX)
        except OSError:
            keys = b""
        if not keys:
            self._gone()
            return
        # An arrow or the like: none of its letters was meant.
        for key in _SEQUENCE.sub(b"", keys).decode(errors="replace"):
            self._pressed(key)

    def connectionLost(self, reason: Failure) -> None:
        pass


class Screen:
    """A terminal of which a program has all, until it gives it back."""

    def __init__(self, keys: TextIO, out: TextIO) -> None:
        self._keys = keys
        self._out = out

    @property
    def usable(self) -> bool:
        """Whether both are terminals."""
        return self._keys.isatty() and self._out.isatty()

    def size(self) -> tuple[int, int]:
        """Columns and lines, now."""
        found = shutil.get_terminal_size()
        return found.columns, found.lines

    @contextmanager
    def taken(self) -> Iterator[int]:
        """Take it; gives the file descriptor to read keys from."""
        number = self._keys.fileno()
        before = termios.tcgetattr(number)
        # Keys come at once and are not shown; Ctrl-C stays what it is, but Ctrl-Z
        # would leave the shell with a screen that is not its own.
        tty.setcbreak(number)
        modes = termios.tcgetattr(number)
        modes[6][termios.VSUSP] = os.fpathconf(number, "PC_VDISABLE").to_bytes()
        termios.tcsetattr(number, termios.TCSANOW, modes)
        try:
            self._send(ENTER)
            yield number
        finally:
            self._send(LEAVE)
            termios.tcsetattr(number, termios.TCSADRAIN, before)

    def show(self, lines: Sequence[str]) -> None:
        """Show a page, in one write."""
        self._send(frame(lines))

    def _send(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
