# -*- test-case-name: benchmarks.tests.test_processes -*-
"""
The processes of one measurement, and their certain end.

A child that runs our code speaks in lines of JSON on its standard output, one
object with one key each (see ``child.py``); a foreign server only runs. All of
them are ended by their pid when the crew is left, whatever happened; they also
end with us if we are killed, and our own children carry a time limit inside.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import attrs

PROJECT_ROOT = Path(__file__).resolve().parent.parent

#: A child that was asked to end is killed after so long.
END_GRACE_S = 2.0
#: How often a silent child is looked at, so that its death is noticed soon.
LOOK_INTERVAL_S = 0.1
#: How much of a failed child's standard error is shown.
ERROR_TAIL_BYTES = 2000

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class MeasurementFailed(Exception):
    """A child died, reported a failure or was too slow; the text says which."""


@attrs.frozen
class Usage:
    """What one process cost while it was measured."""

    cpu_s: float
    #: The most memory it had resident since its start.
    rss_bytes_max: int


@attrs.define(eq=False)
class Child:
    """One process of a crew."""

    name: str
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    _unread: bytes = b""
    cpu_start_s: float = 0.0

    @property
    def pid(self) -> int:
        return self.process.pid

    def error_tail(self) -> str:
        size = self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, size - ERROR_TAIL_BYTES))
        return self.errors.read().decode("utf-8", "replace").strip()

    def next_line(self) -> bytes | None:
        """
        :return: the next whole line it wrote, waiting a little; None if there is none.
        """
        stdout = self.process.stdout
        assert stdout is not None, (
            f"{self.name} is a foreign program and does not report"
        )
        if b"\n" not in self._unread:
            if not select.select([stdout], [], [], LOOK_INTERVAL_S)[0]:
                return None
            self._unread += os.read(stdout.fileno(), 65536)
        line, newline, rest = self._unread.partition(b"\n")
        if not newline:
            return None
        self._unread = rest
        return line

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_GRACE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.errors.close()


class Crew:
    """The processes that together make one measurement of one peer."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._deadline_s = time.monotonic() + timeout_s
        self._children: list[Child] = []
        self._folder = tempfile.TemporaryDirectory(prefix="mycorrizal-benchmark-")

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for child in reversed(self._children):
                child.end()
        finally:
            self._folder.cleanup()

    @property
    def folder(self) -> Path:
        """A folder that lasts as long as the crew."""
        return Path(self._folder.name)

    def start(self, name: str, entry: str, /, **arguments: Any) -> Child:
        """
        Start one of our own children.

        :param entry: ``module:function``, called with the arguments.
        :param arguments: whatever JSON can carry.
        """
        limit_s = str(math.ceil(self._timeout_s))
        command = [
            sys.executable,
            "-m",
            "benchmarks.child",
            limit_s,
            entry,
            json.dumps(arguments),
        ]
        return self._start(name, command, stdout=subprocess.PIPE)

    def start_program(self, name: str, command: list[str]) -> Child:
        """
        Start a foreign server; the caller finds out when it is ready.
        """
        return self._start(name, command, stdout=subprocess.DEVNULL)

    def _start(self, name: str, command: list[str], stdout: int) -> Child:
        # A real file cannot fill up and block the child, as a pipe would.
        errors = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=errors,
            cwd=PROJECT_ROOT,
            preexec_fn=_end_with_parent,
        )
        child = Child(name, process, errors)
        self._children.append(child)
        return child

    def expect(self, child: Child, key: str) -> Any:
        """
        Wait for a child to say something.

        :return: the value it said under this key.
        :raises MeasurementFailed: if any child of the crew died, if this one
            said something else, or at the time limit.
        """
        while (line := child.next_line()) is None:
            self.check(f"{child.name} to say {key!r}")
        message = json.loads(line)
        if key not in message:
            raise MeasurementFailed(f"{child.name} said {message}, not {key!r}")
        return message[key]

    def await_file(self, path: Path, what: str) -> bytes:
        """
        Wait until a file exists and holds something.
        """
        while not (path.exists() and path.stat().st_size > 0):
            self.check(what)
            time.sleep(LOOK_INTERVAL_S / 10)
        return path.read_bytes()

    def wait(self, seconds: float) -> None:
        """
        Let the crew alone for so long.
        """
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            self.check(f"{seconds:g} s to pass")
            time.sleep(min(left_s, LOOK_INTERVAL_S))

    def check(self, awaited: str) -> None:
        """
        :raises MeasurementFailed: if a child died, or the time is over.
        """
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                raise MeasurementFailed(
                    f"{child.name} ended with {code} while waiting for {awaited}"
                    f"\n{child.error_tail()}"
                )
        if time.monotonic() > self._deadline_s:
            tails = "\n".join(
                filter(None, (child.error_tail() for child in self._children))
            )
            raise MeasurementFailed(
                f"waited {self._timeout_s:g} s in all, last for {awaited}\n{tails}"
            )

    def start_usage(self) -> None:
        """
        Count CPU time from here on.
        """
        for child in self._children:
            child.cpu_start_s = _cpu_s(child.pid)

    def usage(self) -> dict[str, Usage]:
        """
        :return: by child, its CPU time since `start_usage` and its peak memory;
            empty where the system has no ``/proc``.
        """
        if not Path("/proc/self/stat").exists():
            return {}
        return {
            child.name: Usage(
                cpu_s=_cpu_s(child.pid) - child.cpu_start_s,
                rss_bytes_max=_rss_bytes_max(child.pid),
            )
            for child in self._children
        }


def _end_with_parent() -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _cpu_s(pid: int) -> float:
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return 0.0
    # The program name, in parentheses, may hold spaces; user and system time
    # are the 12th and 13th field behind it.
    fields = path.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_bytes_max(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
