"""
``pulse`` at a terminal: keys, Ctrl-C, and what it leaves behind.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.integration.processes import (
    PATIENCE_S,
    PROJECT_ROOT,
    Crew,
    heed_ctrl_c,
    until,
)

PULSE = (sys.executable, "-c", "from mycorrizal.pulse import main; main()")


@attrs.define
class Terminal:
    """
    A terminal of 80 columns and 24 lines, at which one command runs.

    :ivar far: Where we type and see.
    :ivar near: What the command has for its standard input, output and error.
    """

    environment: dict[str, str]
    far: int
    near: int
    process: subprocess.Popen[bytes] | None = None
    seen: bytes = b""

    def run(self, *arguments: str) -> None:
        """Start a command."""
        self.process = subprocess.Popen(
            [*PULSE, *arguments],
            stdin=self.near,
            stdout=self.near,
            stderr=self.near,
            env=self.environment,
            start_new_session=True,
            preexec_fn=heed_ctrl_c,
        )

    def wait_for(self, words: bytes) -> None:
        """Wait until it is seen, after what was seen before."""

        def found() -> bool:
            try:
                self.seen += os.read(self.far, 65536)
            except BlockingIOError:
                pass
            return words in self.seen

        until(found, f"{words!r} is seen")
        self.seen = self.seen.partition(words)[2]

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.far, keys)

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)

    def exit_code(self) -> int:
        """Wait for the end."""
        assert self.process is not None
        return self.process.wait(PATIENCE_S)

    def modes(self) -> list[object]:
        """How the terminal is set."""
        return list(termios.tcgetattr(self.near))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal of its own."""
    far, near = pty.openpty()
    os.set_blocking(far, False)
    termios.tcsetwinsize(near, (24, 80))
    environment = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("MYCORRIZAL_", "XDG_", "PYTHON", "NO_COLOR"))
    }
    environment |= {
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "TERM": "xterm-256color",
        "PYTHONPATH": str(PROJECT_ROOT / "src"),
    }
    made = Terminal(environment, far, near)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()
    os.close(far)
    os.close(near)


@pytest.fixture
def node(crew: Crew, terminal: Terminal) -> None:
    """A node that the commands find."""
    options = ("--listen", "127.0.0.1:0", "--node-id", "n0", "--bucket", "sessions")
    running = crew.twist(*options)
    running.wait_for("Ready")
    terminal.environment["MYCORRIZAL_NODE"] = running.address


def test_top(terminal: Terminal, node: None) -> None:
    """Keys change the view at once, q ends it, and the terminal is as it was."""
    before = terminal.modes()
    terminal.run("top", "--interval", "2")
    terminal.wait_for(b"\x1b[?1049h")
    terminal.wait_for(b"NODE")
    terminal.wait_for(b"by name")
    assert terminal.modes() != before
    terminal.type(b"b")
    terminal.wait_for(b"BUCKET")
    terminal.type(b"\x1b[As")
    terminal.wait_for(b"by gets")
    terminal.type(b"q")
    assert terminal.exit_code() == 0
    terminal.wait_for(b"\x1b[?25h\x1b[?1049l")
    assert terminal.seen == b""
    assert terminal.modes() == before


@pytest.mark.parametrize(
    ("command", "shown"),
    [("top", b"by name"), ("events --follow", b"ready"), ("cache watch sessions", b"")],
)
def test_interrupted(
    terminal: Terminal, node: None, command: str, shown: bytes
) -> None:
    """Ctrl-C ends what goes on for ever: with one word, exit code 130, no more."""
    before = terminal.modes()
    terminal.run(*command.split())
    if shown:
        terminal.wait_for(shown)
    else:
        until(lambda: interruptible(terminal), "it waits for the node")
    terminal.interrupt()
    assert terminal.exit_code() == 130
    terminal.wait_for(b"pulse: interrupted\r\n")
    assert terminal.seen == b""
    assert terminal.modes() == before


def test_bar(terminal: Terminal, node: None) -> None:
    """What takes its time tells how far it is, and leaves nothing of that behind."""
    terminal.run("bench", "--replicas", "0", "--operations", "100000")
    terminal.wait_for(b"puts are measured")
    terminal.wait_for(b"gets are measured")
    terminal.wait_for(b"\r\x1b[K")
    terminal.wait_for(b"From n0")
    assert terminal.exit_code() == 0


def interruptible(terminal: Terminal) -> bool:
    """Whether the reactor, and not Python, takes Ctrl-C."""
    assert terminal.process is not None
    status = Path(f"/proc/{terminal.process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    # Twisted takes SIGTERM in the same moment; Python alone does not.
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_demo_stay(tmp_path: Path, terminal: Terminal) -> None:
    """The nodes stay, can be asked as is said, and end with Ctrl-C."""
    process = subprocess.Popen(
        [*PULSE, "demo", "--stay", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=terminal.environment,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )
    try:
        assert process.stdout is not None
        text = b""
        while not text.endswith(b"\n}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()
            text += line
        found = json.loads(text)
        assert [node["id"] for node in found["nodes"]] == ["anna", "bert", "cleo"]
        asked = subprocess.run(
            [*PULSE, "check", "--min-members", "3"],
            capture_output=True,
            env=terminal.environment | found["environment"],
            timeout=PATIENCE_S,
        )
        assert asked.returncode == 0, asked
        for node in found["nodes"]:
            assert node["page"].startswith("http://127.0.0.1:"), node
            with urllib.request.urlopen(node["page"], timeout=PATIENCE_S) as page:
                assert b"<title>" in page.read()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, error) == (0, b"")
    for node in found["nodes"]:
        assert not Path(f"/proc/{node['pid']}").exists()
    assert not list(tmp_path.glob("mycorrizal-demo-*"))
