"""
A process that embeds a node and forks.
"""

from __future__ import annotations

import os
import signal

from tests.integration.processes import Crew, free_ports, until


def test_fork(crew: Crew) -> None:
    """
    The fork can use nothing of the node, and holds nothing of it: the node goes on
    undisturbed, its death is seen at once, and it can be started again while the
    fork still lives (F54).
    """
    other_port, port = free_ports(2)
    other = crew.twist("--listen", f"127.0.0.1:{other_port}", "--node-id", "other")
    other.wait_for("Ready")
    arguments = (
        str(crew.state_dir / "mycorrizal" / "secret"),
        f"127.0.0.1:{port}",
        f"127.0.0.1:{other_port}",
        str(crew.home / "forking"),
    )
    node = crew.program("forking_node.py", *arguments)
    pid = int(node.wait_for(r"fork pid (\d+)")[1])
    try:
        for call in ("post", "send", "request", "get", "put", "stop"):
            assert node.said(rf"^fork {call} Forked$"), node.log
        held = node.said(r"^fork sockets (\d+) of (\d+)$")
        assert held is not None
        # The node has two ports, that of the page, and a link.
        assert (int(held[1]), int(held[2])) == (0, 4), held[0]
        numbers = node.log.count("parent ")
        until(lambda: node.log.count("parent ") > numbers + 5, "the parent goes on")
        assert "parent wrong" not in node.log
        assert "Traceback" not in node.log
        other.wait_for_members(2)
        for trouble in ("Dropped", "suspected", "died", "left"):
            assert trouble not in other.log, other.log
        seen = len(other.log)
        node.kill()
        other.wait_for(r"Members \[1\]", seen, timeout_s=3)
        os.kill(pid, 0)  # The fork lives.
        again = crew.program("forking_node.py", *arguments)
        second = int(again.wait_for(r"fork pid (\d+)")[1])
        os.kill(second, signal.SIGKILL)
    finally:
        os.kill(pid, signal.SIGKILL)
