"""
A process that is killed and started again and again.
"""

from __future__ import annotations

from mycorrizal.restarts import STARTS_MAX
from tests.integration.processes import Crew, free_ports


def test_killed_again_and_again(crew: Crew) -> None:
    """It joins at once a few times; then it says that it waits, and does (F56)."""
    (port,) = free_ports(1)
    options = ("--listen", f"127.0.0.1:{port}", "--node-id", "n1")
    for _ in range(STARTS_MAX):
        node = crew.twist(*options)
        node.wait_for("listens on")
        assert "it waits" not in node.log
        node.kill()
    node = crew.twist(*options)
    node.wait_for("restarted again and again, .* it waits 1 s before it joins")
    assert "listens on" not in node.log
    node.wait_for("listens on")
    node.wait_for("Ready")
    node.terminate()
    node.wait_ended()
