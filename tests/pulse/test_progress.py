"""
How far a command is, on a terminal and elsewhere.
"""

from __future__ import annotations

import io

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.progress import BAR_WIDTH, PARTS, Progress


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class ProgressTests(SynchronousTestCase):
    """A command that takes its time."""

    def test_terminal(self) -> None:
        """One line is drawn over and over, and nothing of it is left at the end."""
        out = Terminal()
        with Progress(out=out) as progress:
            progress.show(0.0, "100 of b left")
            progress.show(0.5, "50 of b left")
            progress.show(1.0, "nothing left")
        half = BAR_WIDTH // 2
        self.assertEqual(
            out.getvalue(),
            f"\r[{'-' * BAR_WIDTH}]   0%  100 of b left\x1b[K"
            f"\r[{'#' * half}{'-' * half}]  50%  50 of b left\x1b[K"
            f"\r[{'#' * BAR_WIDTH}] 100%  nothing left\x1b[K"
            "\r\x1b[K",
        )

    def test_narrow(self) -> None:
        """A long line is cut before it would wrap, and steers nothing."""
        self.patch(
            __import__("shutil"), "get_terminal_size", lambda *_: _Size(columns=40)
        )
        out = Terminal()
        Progress(out=out).show(0.3, "\x1b[2J" + "x" * 100)
        (shown,) = out.getvalue().split("\x1b[K")[:-1]
        self.assertEqual(len(shown), len("\r") + 39)
        self.assertNotIn("\x1b", shown)

    def test_lines(self) -> None:
        """Where there is no terminal, a line is written for each part that is done."""
        out = io.StringIO()
        with Progress(out=out) as progress:
            for done in range(101):
                progress.show(done / 100, f"{done} done")
        lines = out.getvalue().splitlines()
        self.assertEqual(len(lines), PARTS + 1)
        self.assertEqual(lines[:2], ["  0%  0 done", " 25%  25 done"])

    def test_silent(self) -> None:
        """A command may want no lines, and one whose output is for programs no bar."""
        out, terminal = io.StringIO(), Terminal()
        for progress in (
            Progress(lines=False, out=out),
            Progress(quiet=True, out=out),
            Progress(quiet=True, out=terminal),
        ):
            with progress:
                progress.show(0.5, "half")
        self.assertEqual((out.getvalue(), terminal.getvalue()), ("", ""))

    def test_nothing_drawn(self) -> None:
        """What was never drawn is not taken away; more than all is all."""
        out = Terminal()
        with Progress(out=out):
            pass
        self.assertEqual(out.getvalue(), "")
        Progress(out=out).show(1.5, "")
        self.assertIn("100%", out.getvalue())


class _Size:
    """Of a terminal."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
