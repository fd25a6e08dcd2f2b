"""
A name server that answers nonsense harms no node (F45).
"""

from __future__ import annotations

from functools import partial

import pytest
import pytest_twisted

from tests.integration.asking import status_of
from tests.integration.processes import Crew, Running, free_ports, until

#: What the server answers, and what the node's one line about it says.
KINDS = {
    "random": r"failed: .* sends what is no answer \(it .*\), asked for A of",
    "loop": r"failed: .* no answer \(a compression pointer does not point back",
    "wrong-id": r"failed: .* no answer \(it is no reply to this question\)",
    "long-names": r"failed: .* sends what is no answer \(a name is too long\)",
    "servfail": r"failed: DNS server \S+ answers SERVFAIL, asked for A of",
    "cut": r"failed: .* cuts its answer off by TCP too",
    "silent": r"failed: DNS server \S+ does not answer, asked for A of",
    "nxdomain": r"No node is found under nodes\.example:7001",
    "huge": r"nodes\.example:7001 stands for 1000 places; the first 256 are used",
}


#: They run side by side, as each waits for the clock most of the time.
TOGETHER = 3


def looks(server: Running) -> int:
    """How often the server was asked."""
    return server.log.count("asked")


def looks_more(server: Running, than: int) -> bool:
    """Whether it was asked more often than that."""
    return looks(server) > than


@pytest.mark.parametrize("kinds", [list(KINDS)[n::TOGETHER] for n in range(TOGETHER)])
@pytest_twisted.ensureDeferred
async def test_garbage(crew: Crew, kinds: list[str]) -> None:
    """A node that is told nonsense stays in its cluster, and says so in one line."""
    first_port, *ports = free_ports(1 + 2 * len(kinds))
    first = crew.twist("--listen", f"127.0.0.1:{first_port}", name="first")
    first.wait_for("Ready")
    servers, nodes = [], []
    for kind, port, dns_port in zip(kinds, ports[::2], ports[1::2], strict=True):
        server = crew.program("garbage_name_server.py", str(dns_port), kind)
        server.wait_for("ready")
        servers.append(server)
        nodes.append(
            crew.twist(
                *("--listen", f"127.0.0.1:{port}"),
                *("--static", f"127.0.0.1:{first_port}"),
                *("--dns-sd", "nodes.example:7001"),
                *("--dns-server", f"127.0.0.1:{dns_port}"),
                name=kind,
            )
        )
    for node in nodes:
        node.wait_for("Ready")
        node.wait_for_members(1 + len(nodes))
    for node, kind in zip(nodes, kinds, strict=True):
        node.wait_for(KINDS[kind], timeout_s=40)
    asked = [looks(server) for server in servers]
    for server, before in zip(servers, asked, strict=True):
        until(partial(looks_more, server, before), "another look", timeout_s=40)
    for node, port in zip(nodes, ports[::2], strict=True):
        status = await status_of(f"127.0.0.1:{port}", crew.secret)
        assert {member.state for member in status.members} == {"alive"}
        assert len(status.members) == 1 + len(nodes)
        lines = [line for line in node.log.splitlines() if "nodes.example" in line]
        assert len(lines) == 1, lines
        assert "Traceback" not in node.log
        assert "died" not in node.log
        assert node.process.poll() is None
