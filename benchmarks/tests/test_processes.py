# -*- test-case-name: benchmarks.tests.test_processes -*-
"""
Tests of crews, with small real processes.
"""

from __future__ import annotations

import os
import sys
import time

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.child import fail, say
from benchmarks.processes import Child, Crew, MeasurementFailed


def greet(name: str) -> None:
    say("ready", name)
    say("done")
    time.sleep(60)


def break_down() -> None:
    fail("the reason")


def stay_silent() -> None:
    time.sleep(60)


def ignore_sigterm() -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("ready")
    time.sleep(60)


def is_gone(child: Child) -> bool:
    try:
        os.kill(child.pid, 0)
    except ProcessLookupError:
        return True
    return False


class CrewTests(SynchronousTestCase):
    """The life of child processes."""

    def test_lines(self) -> None:
        """A child gets its arguments, and what it says is read in order."""
        with Crew(timeout_s=20) as crew:
            child = crew.start("child", f"{__name__}:greet", name="Ada")
            self.assertEqual(crew.expect(child, "ready"), "Ada")
            self.assertIsNone(crew.expect(child, "done"))
            crew.start_usage()
            self.assertGreaterEqual(crew.usage()["child"].cpu_s, 0)
        self.assertTrue(is_gone(child))

    def test_unexpected_word(self) -> None:
        """A child that says something else than expected is an error."""
        with Crew(timeout_s=20) as crew:
            child = crew.start("child", f"{__name__}:greet", name="Ada")
            self.assertRaises(MeasurementFailed, crew.expect, child, "done")

    def test_death_of_another(self) -> None:
        """If one child dies while another is awaited, its last words are shown."""
        with Crew(timeout_s=20) as crew:
            silent = crew.start("silent", f"{__name__}:stay_silent")
            crew.start("broken", f"{__name__}:break_down")
            error = self.assertRaises(MeasurementFailed, crew.expect, silent, "ready")
        self.assertIn("broken ended with 1", str(error))
        self.assertIn("the reason", str(error))
        self.assertTrue(is_gone(silent))

    def test_time_limit(self) -> None:
        """A child that says nothing is given up at the time limit."""
        with Crew(timeout_s=0.3) as crew:
            child = crew.start("silent", f"{__name__}:stay_silent")
            error = self.assertRaises(MeasurementFailed, crew.expect, child, "ready")
        self.assertIn("waited 0.3 s", str(error))
        self.assertTrue(is_gone(child))

    def test_killed_if_it_does_not_end(self) -> None:
        """A child that ignores the request to end is killed."""
        with Crew(timeout_s=20) as crew:
            child = crew.start("stubborn", f"{__name__}:ignore_sigterm")
            crew.expect(child, "ready")
        self.assertTrue(is_gone(child))

    def test_foreign_program(self) -> None:
        """A foreign program is awaited by the file that it writes, and is ended too."""
        with Crew(timeout_s=20) as crew:
            path = crew.folder / "ports"
            code = f"import time; open({str(path)!r}, 'w').write('1'); time.sleep(60)"
            child = crew.start_program("server", [sys.executable, "-c", code])
            self.assertEqual(crew.await_file(path, "the server"), b"1")
        self.assertTrue(is_gone(child))
