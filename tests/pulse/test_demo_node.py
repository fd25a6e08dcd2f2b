"""
What the demonstration learns of a node's process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.demo_node import (
    LINE_BYTES_MAX,
    LOG_LINES_MAX,
    DemoNode,
    twist_command,
)
from tests.places import fresh_path

LISTENS = b"Node a of cluster c listens on 127.0.0.1:7001, TCP and UDP\n"


class Process:
    """A process that notes its signals."""

    pid: int | None = 17

    def __init__(self) -> None:
        self.signals: list[str] = []

    def signalProcess(self, name: str) -> None:
        if self.pid is None:
            raise ProcessExitedAlready
        self.signals.append(name)


class CommandTests(SynchronousTestCase):
    """What a user is told to type."""

    def command(self, executable: Path) -> str:
        """With this Python."""
        self.patch(sys, "executable", str(executable))
        return twist_command()

    def test_beside_this_python(self) -> None:
        """``twist`` of this Python, wherever that is: it need not be on the PATH."""
        place = fresh_path(self) / "a b" / "bin"
        place.mkdir(parents=True)
        (place / "twist").touch()
        self.assertEqual(self.command(place / "python"), f"'{place}/twist'")

    def test_below_the_present_directory(self) -> None:
        """It is shown as short as it can be."""
        place = fresh_path(self)
        (place / ".venv" / "bin").mkdir(parents=True)
        (place / ".venv" / "bin" / "twist").touch()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(place)
        self.assertEqual(
            self.command(place / ".venv" / "bin" / "python"), ".venv/bin/twist"
        )

    def test_without_a_program(self) -> None:
        """Where there is no such program Python runs the module."""
        place = fresh_path(self)
        place.mkdir()
        self.assertEqual(self.command(place / "python"), f"{place}/python -m twisted")


class DemoNodeTests(SynchronousTestCase):
    """A node whose process we play."""

    def setUp(self) -> None:
        self.node = DemoNode("a")
        self.process = Process()
        transport: Any = self.process
        self.node.transport = transport

    def test_listening(self) -> None:
        """The address is read from the log, in whatever portions that comes."""
        for byte in b"Something else\n" + LISTENS[:-1]:
            self.node.outReceived(bytes([byte]))
        self.assertNoResult(self.node.listening)
        self.node.outReceived(b"\n" + LISTENS)
        self.assertEqual(self.successResultOf(self.node.listening), ("127.0.0.1", 7001))
        self.assertIsNone(self.node.page)

    def test_page(self) -> None:
        """So is where its status page is, which is told before."""
        page = b"Status page at http://127.0.0.1:8080/, metrics at /metrics\n"
        self.node.outReceived(page + LISTENS)
        self.assertEqual(self.node.page, "http://127.0.0.1:8080/")

    def test_end_before_listening(self) -> None:
        """A process that ends at once never listens; its last words are kept."""
        self.node.errReceived(b"no such option")
        self.node.processEnded(Failure(ProcessTerminated(64)))
        self.assertIsNone(self.successResultOf(self.node.listening))
        self.successResultOf(self.node.ended)
        self.assertEqual(list(self.node.log), ["no such option"])
        self.assertEqual(self.node.exit, "exit code 64")

    def test_how_it_ended(self) -> None:
        """A signal is told from an exit code."""
        self.node.processEnded(Failure(ProcessTerminated(signal=9)))
        self.assertEqual(self.node.exit, "signal 9")
        other = DemoNode("b")
        other.processEnded(Failure(ProcessDone(0)))
        self.assertEqual(other.exit, "exit code 0")

    def test_log_is_bounded(self) -> None:
        """A few lines are kept, and of each line so many bytes."""
        for number in range(LOG_LINES_MAX + 1):
            self.node.outReceived(b"line %d\n" % number)
        self.assertEqual(len(self.node.log), LOG_LINES_MAX)
        self.assertEqual(self.node.log[0], "line 1")
        for _ in range(3):
            self.node.outReceived(b"x" * LINE_BYTES_MAX)
        self.node.outReceived(b"\n")
        self.assertEqual(self.node.log[-1], "x" * LINE_BYTES_MAX)

    def test_signals(self) -> None:
        """Signals go to a process that is there, and to no other."""
        self.node.signal("TERM")
        self.process.pid = None
        self.node.signal("KILL")
        self.node.processEnded(Failure(ProcessDone(0)))
        self.node.signal("KILL")
        DemoNode("never started").signal("KILL")
        self.assertEqual(self.process.signals, ["TERM"])
