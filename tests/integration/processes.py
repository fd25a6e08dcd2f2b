"""
The processes of one test: nodes as users start them, and their certain end.

Each crew has a home directory of its own, so that the nodes of one test share
a secret and nothing else. What a test waits for is a condition that is looked
at again and again; no test takes a passed time for a proof.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import attrs

PROJECT_ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent

#: How often a condition is looked at.
LOOK_INTERVAL_S = 0.02
#: What a busy machine may take for anything; a quiet one takes a tenth.
PATIENCE_S = 20.0
#: How much of a log is shown when a test fails.
LOG_TAIL_BYTES = 6000

T = TypeVar("T")


def until(
    condition: Callable[[], T], what: str, timeout_s: float = PATIENCE_S
) -> tuple[T, float]:
    """
    Wait until a condition is true.

    :return: what it gave, and the seconds that it took.
    """
    began_at = time.monotonic()
    while True:
        found = condition()
        elapsed_s = time.monotonic() - began_at
        if found:
            return found, elapsed_s
        if elapsed_s > timeout_s:
            raise AssertionError(f"{what}: not within {timeout_s:g} s")
        time.sleep(LOOK_INTERVAL_S)


def heed_ctrl_c() -> None:
    """
    Let Ctrl-C end a process, to be called in it before it begins: what a shell
    runs in the background ignores it, and so would all that is started there.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Different ports that are free for TCP and UDP at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held: list[socket.socket] = []
    found: list[int] = []
    try:
        while len(found) < count:
            tcp = socket.socket(family, socket.SOCK_STREAM)
            udp = socket.socket(family, socket.SOCK_DGRAM)
            held += [tcp, udp]
            tcp.bind((host, 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind((host, port))
            except OSError:
                continue
            found.append(port)
    finally:
        for held_socket in held:
            held_socket.close()
    return found


@attrs.frozen
class Ended:
    """What a process left behind that ended by itself."""

    code: int
    out: str
    err: str


@attrs.define(eq=False)
class Running:
    """One process and its log: all that it writes to stdout and stderr."""

    name: str
    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def log(self) -> str:
        """All that it has written so far."""
        exists = self.log_path.exists()
        return self.log_path.read_text(errors="replace") if exists else ""

    def said(self, pattern: str, since: int = 0) -> re.Match[str] | None:
        """
        The first place in the log, from a position on, that matches.

        :raises AssertionError: There is none, and the process has ended.
        """
        ended = self.process.poll() is not None
        found = re.compile(pattern, re.MULTILINE).search(self.log, since)
        if found is None and ended:
            raise AssertionError(
                f"{self.name} ended with {self.process.returncode} before it "
                f"said {pattern!r}:\n{self.log[-LOG_TAIL_BYTES:]}"
            )
        return found

    def wait_for(
        self, pattern: str, since: int = 0, timeout_s: float = PATIENCE_S
    ) -> re.Match[str]:
        """Wait for a place in the log that matches."""
        try:
            found, _ = until(
                lambda: self.said(pattern, since),
                f"{self.name} says {pattern!r}",
                timeout_s,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-LOG_TAIL_BYTES:]}") from None
        assert found is not None
        return found

    def wait_for_members(self, count: int, since: int = 0) -> None:
        """Wait until it sees so many members, itself included."""
        self.wait_for(rf"Members \[{count}\]", since)

    @property
    def address(self) -> str:
        """Where a node listens, from the first line of its log."""
        return self.wait_for(r"Node \S+ .*? listens on (\S+),")[1]

    @property
    def node_id(self) -> str:
        """A node's id, from the first line of its log."""
        return self.wait_for(r"Node (\S+) .*? listens on ")[1]

    def wait_ended(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait until it has ended; its exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} still runs after {timeout_s:g} s\n"
                f"{self.log[-LOG_TAIL_BYTES:]}"
            ) from None

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """Ask it to end, with SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """End it for certain, by its pid, whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


class Crew:
    """
    The processes of one test.

    :param home: A directory of the test's own, their HOME and where they run.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._running: list[Running] = []

    @property
    def state_dir(self) -> Path:
        """Where the nodes keep their state by default."""
        return self.home / ".local/state/mycorrizal"

    @property
    def secret(self) -> str:
        """The secret that the nodes share, once one of them runs."""
        return (self.state_dir / "mycorrizal/secret").read_text().strip()

    def secret_file(self, name: str, text: str, mode: int = 0o600) -> str:
        """Write a file with a secret; its path."""
        path = self.home / name
        path.write_text(text + "\n")
        path.chmod(mode)
        return str(path)

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MYCORRIZAL_", "XDG_", "PYTHON"))
        }
        path = os.pathsep.join([str(PROJECT_ROOT / "src"), str(PROJECT_ROOT)])
        return kept | {"HOME": str(self.home), "PYTHONPATH": path} | more

    def start(
        self, name: str, command: Iterable[str], env: dict[str, str] | None = None
    ) -> Running:
        """Start a command whose output goes to a log of its own."""
        log_path = self.home / f"{len(self._running)}-{name}.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                list(command),
                cwd=self.home,
                env=self._environment(env or {}),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=heed_ctrl_c,
            )
        running = Running(name, process, log_path)
        self._running.append(running)
        return running

    def twist(
        self,
        *arguments: str,
        name: str = "node",
        twist: Iterable[str] = (),
        env: dict[str, str] | None = None,
    ) -> Running:
        """
        Start a node with ``twist mycorrizal``.

        :param twist: Options of ``twist`` itself.
        """
        return self.start(name, _twist(twist, arguments), env)

    def program(self, file_name: str, *arguments: str) -> Running:
        """Start one of the programs beside this module."""
        command = [sys.executable, str(PROGRAMS / file_name), *arguments]
        return self.start(file_name.removesuffix(".py"), command)

    def run(
        self,
        command: Iterable[str],
        env: dict[str, str] | None = None,
        timeout_s: float = PATIENCE_S,
    ) -> Ended:
        """Run a command to its end, which must come by itself."""
        process = subprocess.Popen(
            list(command),
            cwd=self.home,
            env=self._environment(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = process.communicate(timeout=timeout_s)
        finally:
            process.kill()
            process.wait()
        return Ended(process.returncode, out, err)

    def run_twist(self, *arguments: str, env: dict[str, str] | None = None) -> Ended:
        """Run ``twist mycorrizal`` to its end."""
        return self.run(_twist((), arguments), env)

    def run_pulse(self, *arguments: str) -> Ended:
        """Run ``pulse`` to its end."""
        script = "from mycorrizal.pulse import main; main()"
        return self.run([sys.executable, "-c", script, *arguments])

    def end(self) -> None:
        """End all that still run."""
        for running in reversed(self._running):
            running.end()


def _twist(options: Iterable[str], arguments: Iterable[str]) -> list[str]:
    # The module is the same program as the script, wherever that was put.
    return [sys.executable, "-m", "twisted", *options, "mycorrizal", *arguments]
