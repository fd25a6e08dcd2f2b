"""
``pulse`` as a user runs it: a process that asks nodes in other processes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from mycorrizal.nodosum import new_secret
from tests.integration.processes import (
    PATIENCE_S,
    PROJECT_ROOT,
    Crew,
    Running,
    free_ports,
    heed_ctrl_c,
    until,
)

#: What one call may take, in all, on a machine that has nothing else to do.
CALL_S = 0.5
#: Each call is tried so many times: the quickest tells what it takes.
TRIES = 5

#: What the script ``pulse`` does, wherever it was put.
PULSE = (sys.executable, "-c", "from mycorrizal.pulse import main; main()")


@attrs.frozen
class Called:
    """What one call left behind."""

    code: int
    out: bytes
    error: str
    elapsed_s: float

    @property
    def json(self) -> Any:
        """What it printed, which must be JSON."""
        return json.loads(self.out)


@attrs.define
class User:
    """
    A user with a shell.

    :ivar home: The home directory, where the nodes' secret is too.
    :ivar variables: What is set in the shell, besides.
    """

    home: Path
    variables: dict[str, str] = attrs.field(factory=dict)

    def environment(self) -> dict[str, str]:
        """All that is set."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MYCORRIZAL_", "XDG_", "PYTHON", "NO_COLOR"))
        }
        ours = {"HOME": str(self.home), "PYTHONPATH": str(PROJECT_ROOT / "src")}
        return kept | ours | self.variables

    def pulse(self, *arguments: str, stdin: bytes = b"", within_s: float = 0) -> Called:
        """Call ``pulse``; it must come to its end."""
        began_at = time.monotonic()
        done = subprocess.run(
            [*PULSE, *arguments],
            input=stdin,
            capture_output=True,
            env=self.environment(),
            cwd=self.home,
            timeout=within_s or PATIENCE_S,
        )
        error = done.stderr.decode()
        assert "Traceback" not in error, error
        elapsed_s = time.monotonic() - began_at
        return Called(done.returncode, done.stdout, error, elapsed_s)


@pytest.fixture
def user(tmp_path: Path) -> User:
    """Who runs nodes and pulse."""
    return User(tmp_path)


@pytest.fixture
def nodes(crew: Crew, user: User) -> Iterator[list[Running]]:
    """Three nodes on loopback that know each other, the first of them ours."""
    ports = free_ports(3)
    static = ",".join(f"127.0.0.1:{port}" for port in ports)
    found = [
        crew.twist(
            *("--listen", f"127.0.0.1:{port}", "--static", static),
            *("--node-id", f"n{number}", "--bucket", "sessions:ttl=15m,replicas=1"),
        )
        for number, port in enumerate(ports)
    ]
    user.variables["MYCORRIZAL_NODE"] = found[0].address
    for node in found:
        node.wait_for("Ready")
        node.wait_for_members(3)
    yield found


def states(user: User, node: Running) -> dict[str, str]:
    """How a node sees all of them."""
    called = user.pulse("status", "--json", "--node", node.address)
    assert called.code == 0, called
    return {member["id"]: member["state"] for member in called.json["members"]}


def all_alive(user: User, node: Running) -> bool:
    """Whether a node sees three alive."""
    return list(states(user, node).values()) == ["alive"] * 3


def test_three_nodes(user: User, nodes: list[Running]) -> None:
    """Put through one, read through another, and again after a kill -9."""
    for node in nodes:
        until(partial(all_alive, user, node), "each of them sees three alive")
    value = bytes(range(256)) + b"\r\n"
    put = user.pulse("cache", "put", "sessions", "k", "-", stdin=value)
    assert (put.code, put.out) == (0, b"2 nodes hold it\n")
    for node in nodes:
        got = user.pulse("cache", "get", "sessions", "k", "--node", node.address)
        assert (got.code, got.out, got.error) == (0, value, "")
    nodes[1].kill()
    until(lambda: states(user, nodes[0])["n1"] == "dead", "n0 sees that n1 died", 5)
    for node in (nodes[0], nodes[2]):
        got = user.pulse("cache", "get", "sessions", "k", "--node", node.address)
        assert (got.code, got.out) == (0, value)
    table = user.pulse("nodes").out.decode()
    assert re.search(r"^n1 .* dead ", table, re.MULTILINE), table
    assert "\x1b" not in table


def test_all_commands(user: User, nodes: list[Running]) -> None:
    """Each command does what it says."""
    assert user.pulse("ping", "n2").code == 0
    assert user.pulse("cache", "create", "new", "--ttl", "1h").code == 0
    assert user.pulse("cache", "put", "new", "k", "v", "--ttl", "1m").code == 0
    assert user.pulse("cache", "ttl", "new", "k", "15m").code == 0
    found = user.pulse("cache", "get", "new", "k", "--json").json
    assert found["value"] == "v" and 880 < found["remaining_s"] <= 900
    names = [bucket["name"] for bucket in user.pulse("cache", "buckets", "--json").json]
    assert names == ["new", "sessions"]
    assert user.pulse("cache", "delete", "new", "k").code == 0
    assert user.pulse("cache", "get", "new", "k").code == 1
    assert user.pulse("send", "nothing", "x").code == 1


def test_quick(user: User, nodes: list[Running]) -> None:
    """A call takes half a second at most, from the shell's prompt to the next."""
    for arguments in (["status"], ["secret", "new"], ["status", "--node", "[::1]:9"]):
        quickest_s = min(user.pulse(*arguments).elapsed_s for _ in range(TRIES))
        assert quickest_s <= CALL_S, (arguments, quickest_s)


def test_what_may_go_wrong(crew: Crew, user: User, nodes: list[Running]) -> None:
    """Each trouble has its exit code and one sentence; nothing is on stdout."""
    other = crew.secret_file("other", new_secret(bytes(32)))
    (port,) = free_ports(1)
    for code, words, arguments in (
        (3, "nothing listens there", ["status", "--node", f"127.0.0.1:{port}"]),
        (1, "another secret", ["status", "--secret-file", other]),
        (1, "use --tls auto", ["status", "--tls", "off"]),
        (2, "no secret of cluster 'x'", ["status", "--cluster-name", "x"]),
        (2, "cannot read", ["status", "--secret-file", "/nowhere"]),
        (2, "no valid port", ["status", "--node", "127.0.0.1:x"]),
        (1, "no value of key", ["cache", "get", "sessions", "none"]),
        (1, "no bucket 'none'", ["cache", "get", "none", "k"]),
        (1, "no link to n9", ["ping", "n9"]),
    ):
        called = user.pulse(*arguments)
        assert (called.code, called.out) == (code, b""), called
        assert called.error.startswith("pulse: ") and words in called.error, called
        assert called.error.count("\n") == 1, called
    called = user.pulse("statsu")
    assert called.code == 2 and "did you mean `pulse status`?" in called.error


def test_silence(user: User, nodes: list[Running]) -> None:
    """A node that hangs costs 5 s at most, and exit code 3."""
    nodes[0].process.send_signal(signal.SIGSTOP)
    called = user.pulse("status", within_s=10)
    nodes[0].process.send_signal(signal.SIGCONT)
    assert called.code == 3 and called.elapsed_s < 5, called
    assert "no answer within 2 s" in called.error


def test_name(user: User, nodes: list[Running]) -> None:
    """A node may be named, and a name that nobody has is a sentence."""
    port = nodes[0].address.rpartition(":")[2]
    assert user.pulse("status", "--node", f"localhost:{port}").code == 0
    refused = user.pulse("status", "--node", f"localhost:{port}", "--tls", "off")
    assert refused.code == 1
    called = user.pulse("status", "--node", "nobody.invalid", within_s=10)
    assert called.code == 3, called


def test_secret(user: User) -> None:
    """A secret can be made anywhere, and nothing else is printed."""
    called = user.pulse("secret", "new")
    assert called.code == 0 and re.fullmatch(rb"myk1:[\w+/]{43}=\n", called.out)


def test_broken_pipe(user: User, nodes: list[Running]) -> None:
    """A reader who goes away early is no reason for a traceback."""
    user.pulse("cache", "put", "sessions", "k", "-", stdin=bytes(1_000_000))
    process = subprocess.Popen(
        [*PULSE, "cache", "get", "sessions", "k"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=user.environment(),
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(PATIENCE_S), error) == (1, b"")


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    return not Path(f"/proc/{pid}").exists()


def test_demo(user: User) -> None:
    """The demonstration shows what it promises, and leaves nothing behind."""
    user.variables["TMPDIR"] = str(user.home)
    user.variables["MYCORRIZAL_CLUSTER_NAME"] = "mine"
    called = user.pulse("demo", within_s=90)
    text = called.out.decode()
    assert (called.code, called.error) == (0, ""), (text, called.error)
    for words in (
        "each of the three sees three alive",
        "each is on two nodes",
        "kill -9",
        "both others see two alive",
        "each value is on two nodes again",
    ):
        assert words in text
    assert text.count("all are as they were put") == 3
    assert re.search(r"^cleo .* dead ", text, re.MULTILINE)
    for pid in re.findall(r"process (\d+)", text):
        assert gone(int(pid))
    assert list(user.home.iterdir()) == []
    # Its last line works when it is pasted.
    last = subprocess.run(
        text.splitlines()[-1],
        shell=True,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin"},
        timeout=PATIENCE_S,
    )
    assert last.returncode == 0, last
    assert b"--static" in last.stdout


def test_demo_json(user: User) -> None:
    """For programs it prints JSON, and nothing else."""
    called = user.pulse("demo", "--json", within_s=90)
    assert (called.code, called.error) == (0, "")
    found = json.loads(called.out)
    assert found["values"] == 500
    assert found["steps"][0]["what"].startswith("start anna")


def test_demo_interrupted(user: User) -> None:
    """Ctrl-C ends the demonstration and all that it has started."""
    user.variables["TMPDIR"] = str(user.home)
    process = subprocess.Popen(
        [*PULSE, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=user.environment(),
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )
    try:
        children, _ = until(lambda: children_of(process.pid), "a node is started")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, error) == (130, b"pulse: interrupted\n")
    assert all(gone(child) for child in children)
    assert list(user.home.iterdir()) == []


def test_demo_fails(user: User) -> None:
    """Nodes that can't run: exit code 1, a sentence, and what they said."""
    program = (
        "import sys; from mycorrizal.pulse.demo import run_demo; "
        "sys.exit(run_demo((sys.executable, '-c', 'print(17 * 3); raise OSError')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env=user.environment(),
        timeout=PATIENCE_S,
    )
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert lines[0] == "pulse: anna ended at once (exit code 1)"
    assert lines[1] == "The log of anna ends with:"
    assert "  51" in lines
