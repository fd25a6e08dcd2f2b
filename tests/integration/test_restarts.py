"""
A process that is killed and started again and again.
"""

from __future__ import annotations

from mycorrizal.restarts import STARTS_MAX
from tests.integration.processes import Crew, Running, free_ports


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


def test_nothing_in_memory(crew: Crew) -> None:
    """One that is a new node in each life is told by another to come later (F56)."""
    first_port, port = free_ports(2)
    first = crew.twist("--listen", f"127.0.0.1:{first_port}")
    first.wait_for("Ready")
    secret = str(crew.state_dir / "mycorrizal" / "secret")

    def life(number: int) -> Running:
        return crew.twist(
            *("--listen", f"127.0.0.1:{port}"),
            *("--static", f"127.0.0.1:{first_port}"),
            *("--secret-file", secret, "--state-dir", str(crew.home / str(number))),
            name=f"life-{number}",
        )

    for number in range(STARTS_MAX):
        node = life(number)
        node.wait_for_members(2)
        assert "again and again" not in node.log
        node.kill()
    node = life(STARTS_MAX)
    node.wait_for(rf"127.0.0.1:{first_port} has seen a node come from here again and")
    refused = first.wait_for(r"Refused 127\.0\.0\.1:\d+: it has come 5 times in a row")
    assert first.log.count("Members [2]", 0, refused.start()) == STARTS_MAX
    node.wait_for("Ready")
    node.wait_for_members(2)
    node.terminate()
    node.wait_ended()
