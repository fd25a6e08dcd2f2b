# -*- test-case-name: tests.pulse.test_demo_node -*-
"""
One node of the demonstration, in a process of its own.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from mycorrizal.nodosum import Address
from mycorrizal.settings import parse_address

#: What ``twist mycorrizal`` is, with the Python that runs us.  -P: a module
#: that happens to lie in the present directory is not ours.
TWIST = (sys.executable, "-P", "-m", "twisted", "mycorrizal")
#: Lines of a node's log that are kept, for when something goes wrong.
LOG_LINES_MAX = 12
#: What is kept of a line.
LINE_BYTES_MAX = 1000

_LISTENS = re.compile(r"listens on (\S+), TCP and UDP")
_PAGE = re.compile(r"Status page at (http://[0-9.:]+/)")


def twist_command() -> str:
    """
    What a user types for ``twist``, whatever the PATH of their shell: ours may
    be another, if a script has started us.
    """
    here = Path(sys.executable)
    beside = here.parent / "twist"
    if not beside.exists():
        return f"{shlex.quote(str(here))} -m twisted"
    if beside.is_relative_to(Path.cwd()):
        beside = beside.relative_to(Path.cwd())
    return shlex.quote(str(beside))


class DemoNode(ProcessProtocol):
    """
    One ``twist mycorrizal``.

    :ivar listening: Fires with the address when the ports are open; None if
        the process ended before.
    :ivar page: Where its status page is, once the ports are open, if it has one.
    :ivar ended: Fires when the process has ended.
    :ivar log: The last lines that it wrote.
    :ivar exit: How it ended, once it has.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.listening: Deferred[Address | None] = Deferred()
        self.page: str | None = None
        self.ended: Deferred[None] = Deferred()
        self.log: deque[str] = deque(maxlen=LOG_LINES_MAX)
        self.exit: str | None = None
        self._rest = b""

    def start(
        self, reactor: Any, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        """Start the process."""
        reactor.spawnProcess(self, command[0], list(command), dict(environment))

    @property
    def pid(self) -> int | None:
        """The process's id; None when it has ended."""
        process: Any = self.transport
        return None if process is None else process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.pid is not None and self.exit is None

    def signal(self, name: str) -> None:
        """Send the process a signal, unless it has ended."""
        process: Any = self.transport
        try:
            if self.running:
                process.signalProcess(name)
        except ProcessExitedAlready:
            pass

    # -- told by the reactor --------------------------------------------------------

    def outReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:LINE_BYTES_MAX]
        for line in lines:
            self._line_received(line[:LINE_BYTES_MAX].decode(errors="replace"))

    def errReceived(self, data: bytes) -> None:
        self.outReceived(data)

    def _line_received(self, line: str) -> None:
        self.log.append(line)
        page = _PAGE.search(line)
        if page is not None:
            self.page = page[1]
        found = _LISTENS.search(line)
        if found is not None and not self.listening.called:
            self.listening.callback(parse_address(found[1], self.name))

    def processEnded(self, reason: Failure) -> None:
        if self._rest:
            self._line_received(self._rest.decode(errors="replace"))
        ended: Any = reason.value
        signal = getattr(ended, "signal", None)
        self.exit = f"signal {signal}" if signal else f"exit code {ended.exitCode}"
        if not self.listening.called:
            self.listening.callback(None)
        self.ended.callback(None)
