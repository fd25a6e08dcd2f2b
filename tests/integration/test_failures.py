"""
Failures of real processes: how soon the others know, and what a node says when
its own code stands in the way.
"""

from __future__ import annotations

import re
import signal
import time

import pytest_twisted

from tests.integration.processes import Crew, Running, free_ports, until

#: Within how much time all others know of a crash, and of a process that hangs.
CRASH_S = 1.0
HANG_S = 5.0
#: What a busy machine may add: a process that was not run for a while grants
#: the others as much again.
BUSY_S = 2.0
#: How a process ends that was asked to: some versions of twist hand the signal
#: on to themselves in the end.
ENDED = (0, -signal.SIGTERM)


def five(crew: Crew) -> list[Running]:
    """Five nodes that know each other."""
    ports = free_ports(5)
    addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
    nodes: list[Running] = []
    for number, port in enumerate(ports):
        listen = f"127.0.0.1:{port}"
        arguments = (
            "--listen",
            listen,
            "--static",
            addresses,
            "--node-id",
            f"n{number}",
        )
        nodes.append(crew.twist(*arguments, name=f"n{number}"))
        # The first makes the secret.
        nodes[-1].wait_for("listens on")
    for node in nodes:
        node.wait_for_members(5)
    return nodes


def known_after(nodes: list[Running], gone: Running, since: dict[str, int]) -> float:
    """Seconds until all others have taken a node for dead."""
    others = [node for node in nodes if node is not gone]
    died = f"{gone.name} died"
    _, elapsed_s = until(
        lambda: all(node.said(died, since[node.name]) for node in others),
        f"all know that {gone.name} is dead",
    )
    return elapsed_s


@pytest_twisted.ensureDeferred
async def test_crash_and_hang(crew: Crew) -> None:
    """
    A process that is killed is dead for all within a second, one that hangs
    within five, and nobody else is (F5, F40).
    """
    nodes = five(crew)
    since = {node.name: len(node.log) for node in nodes}
    nodes[4].process.send_signal(signal.SIGSTOP)
    hang_s = known_after(nodes, nodes[4], since)
    nodes[4].process.send_signal(signal.SIGCONT)
    for node in nodes:
        node.wait_for_members(5, since[node.name])
    since = {node.name: len(node.log) for node in nodes}
    nodes[3].kill()
    crash_s = known_after(nodes, nodes[3], since)
    print(f"hang known after {hang_s:.2f} s, crash after {crash_s:.2f} s")
    assert hang_s < HANG_S + BUSY_S
    assert crash_s < CRASH_S + BUSY_S
    for node in nodes[:3]:
        died = set(re.findall(r"(n\d) died", node.log))
        assert died == {"n3", "n4"}, (node.name, node.log)


@pytest_twisted.ensureDeferred
async def test_short_hang(crew: Crew) -> None:
    """A process that stands still for 3 s is nobody's death (F5)."""
    nodes = five(crew)
    nodes[2].process.send_signal(signal.SIGSTOP)
    time.sleep(3.0)
    nodes[2].process.send_signal(signal.SIGCONT)
    nodes[2].wait_for(r"did not run for 3\.\d s")
    for node in nodes:
        assert node.said(" died") is None, node.log


@pytest_twisted.ensureDeferred
async def test_leave(crew: Crew) -> None:
    """
    A node that gets SIGTERM, or is asked by pulse to leave, has left for all
    others at once, and its process ends well within 5 s (F42).
    """
    nodes = five(crew)
    began_at = time.monotonic()
    nodes[4].terminate()
    assert nodes[4].wait_ended() in ENDED
    assert time.monotonic() - began_at < HANG_S + BUSY_S
    for node in nodes[:4]:
        node.wait_for("n4 left", timeout_s=1 + BUSY_S)
    ended = crew.run_pulse("--node", nodes[0].address, "leave", "n3")
    assert (ended.code, ended.out) == (0, "n3 was asked to leave\n"), ended.err
    assert nodes[3].wait_ended() in ENDED
    for node in nodes[:3]:
        node.wait_for("n3 left", timeout_s=1 + BUSY_S)


def test_blocked_reactor(crew: Crew) -> None:
    """The log names the code that holds up the reactor, with its stack (F33)."""
    node = crew.program("blocking_node.py", "1.5")
    said = node.wait_for(r"held up for \S+ s by hold_up at (\S+):\d+; .*")
    assert said[1].endswith("blocking_node.py")
    node.wait_for(r"File \S+blocking_node.py\S+ line \d+, in answer")
    node.wait_for(r"The reactor runs again: 1\.\d s")
    node.terminate()
    node.wait_ended()
