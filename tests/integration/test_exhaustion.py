"""
A node that others drive to its limits: files, and datagrams.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import time
from contextlib import ExitStack, closing

import pytest

from tests.integration.processes import Crew, Running, free_ports, until

#: Files that the node may have open; it needs about twenty for itself.
FILES_MAX = 64
CONNECTIONS = 400
#: Datagrams a second, for how long, and what a node's answers may take then.
FLOOD_PER_S = 5000
FLOOD_S = 3.0
#: A quiet machine shows 5 ms.
LAG_MS_MAX = 100.0


def two_nodes(crew: Crew) -> tuple[Running, Running]:
    """The node that may open few files, and one that may open as many as any."""
    ports = free_ports(2)
    static = ",".join(f"127.0.0.1:{port}" for port in ports)
    nodes = []
    for name, port in zip("ab", ports, strict=True):
        command = [sys.executable, "-m", "twisted", "mycorrizal", "--node-id", name]
        command += ["--listen", f"127.0.0.1:{port}", "--static", static]
        if name == "a":
            command = ["sh", "-c", f'ulimit -n {FILES_MAX} && exec "$@"', "-", *command]
        nodes.append(crew.start(name, command))
        # The first makes the secret.
        nodes[-1].wait_for("listens on")
    first, second = nodes
    for node in nodes:
        node.wait_for_members(2)
    return first, second


def processor_s(node: Running) -> float:
    """The processor's time that a process has had."""
    with open(f"/proc/{node.process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_no_files_left(crew: Crew) -> None:
    """
    A node that can't open any more files keeps its links, does not spin, and
    takes newcomers again when there are some (F28).
    """
    first, second = two_nodes(crew)
    host, port = first.address.rsplit(":", 1)
    open_files = f"/proc/{first.process.pid}/fd"
    most = 0
    with ExitStack() as stack:
        for number in range(CONNECTIONS):
            # From many addresses, as each gets few sockets.
            source = (f"127.0.2.{1 + number % 200}", 0)
            stranger = socket.socket()
            stack.callback(stranger.close)
            stranger.bind(source)
            stranger.setblocking(False)
            stranger.connect_ex((host, int(port)))
            most = max(most, len(os.listdir(open_files)))
        until(lambda: len(os.listdir(open_files)) > FILES_MAX - 4 or most > 60, "full")
        busy_s, began_at = processor_s(first), time.monotonic()
        time.sleep(1.0)
        busy_s, passed_s = processor_s(first) - busy_s, time.monotonic() - began_at
    print(f"\n{most} files at most; {busy_s:.2f} s of {passed_s:.2f} s busy")
    assert busy_s < 0.7 * passed_s
    third = crew.twist("--listen", "127.0.0.1:0", "--static", first.address, name="c")
    third.wait_for_members(3)
    for node in (first, second):
        assert " died" not in node.log and "Traceback" not in node.log, node.log


@pytest.mark.parametrize("size", [160, 1400])
def test_flood_of_datagrams(crew: Crew, size: int) -> None:
    """
    5,000 datagrams a second, none of them ours, hold up nobody, and disturb no
    link (F30).
    """
    first, second = two_nodes(crew)
    host, port = first.address.rsplit(":", 1)
    chance = random.Random(1)
    datagrams = [b"MYCO" + chance.randbytes(size - 4) for _ in range(100)]
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger:
        stranger.bind(("127.0.2.1", 0))
        began_at, sent = time.monotonic(), 0
        rtts_ms: list[float] = []
        pinging = None
        while (passed_s := time.monotonic() - began_at) < FLOOD_S:
            while sent < passed_s * FLOOD_PER_S:
                stranger.sendto(datagrams[sent % 100], (host, int(port)))
                sent += 1
            time.sleep(0.002)
            if pinging is None and passed_s > FLOOD_S / 2:
                script = "from mycorrizal.pulse import main; main()"
                ask = ["--node", second.address, "ping", "a"]
                pinging = crew.start("ping", [sys.executable, "-c", script, *ask])
        assert pinging is not None
        said = pinging.wait_for(r"a: ([\d.]+) ms")
        rtts_ms.append(float(said[1]))
    print(f"\n{sent} datagrams of {size} bytes in {FLOOD_S} s; ping {rtts_ms} ms")
    assert sent > 0.8 * FLOOD_PER_S * FLOOD_S
    assert max(rtts_ms) < LAG_MS_MAX
    for node in (first, second):
        assert "held up" not in node.log, node.log
        assert " died" not in node.log and "Traceback" not in node.log, node.log
