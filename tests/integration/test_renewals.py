"""
Secrets and certificates are replaced under three nodes that never rest: their links
are renewed, and no operation fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mycorrizal.nodosum import derive_key, new_secret
from tests.integration.processes import Crew, Running, free_ports, until
from tests.nodosum.authority import Authority

OLD, NEW = (new_secret(bytes([n]) * 32) for n in (1, 2))
OLD_KEY, NEW_KEY = (derive_key(one, "mycorrizal").fingerprint for one in (OLD, NEW))
NODES = 3
#: What links are renewed within, on a machine that does much else.
RENEWED_S = 40.0


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    """Processes that end with the test."""
    made = Crew(tmp_path)
    try:
        yield made
    finally:
        made.end()


class Trio:
    """
    Three busy nodes.

    :param settings: Of each of them, besides what all have.
    """

    def __init__(self, crew: Crew, *settings: dict[str, Any]) -> None:
        ports = free_ports(NODES)
        static = [f"127.0.0.1:{port}" for port in ports]
        self.place = ("--node", static[0])
        self.nodes: list[Running] = []
        for number in range(NODES):
            own = {
                "listen": static[number],
                "node_id": f"node{number}",
                "static": static,
                **settings[number],
            }
            self.nodes.append(crew.program("busy_node.py", json.dumps(own)))
        for node in self.nodes:
            node.wait_for("^listens ")

    def tell(self, node: Running, line: str) -> dict[str, Any]:
        """Say something to a node; its report."""
        since = len(node.log)
        assert node.process.stdin is not None
        node.process.stdin.write(f"{line}\n".encode())
        node.process.stdin.flush()
        report = node.wait_for(r"^report (\{.*\})$", since)
        found: dict[str, Any] = json.loads(report[1])
        return found

    def check_busy(self) -> None:
        """Nothing has failed so far, and each node gets on with its work."""
        for node in self.nodes:
            before = self.tell(node, "report")

            def gets_on(node: Running = node, before: Any = before) -> bool:
                now = self.tell(node, "report")
                assert now["problems"] == []
                return bool(
                    now["done"] > before["done"] + 50
                    and now["arrived"] > before["arrived"] + 50
                )

            until(gets_on, "it gets on with its work")

    def wait_renewed(self, secret: str, since: list[int]) -> None:
        """Each node has renewed its links to both others."""
        for node, start in zip(self.nodes, since, strict=True):
            for other in range(NODES):
                if node is not self.nodes[other]:
                    node.wait_for(
                        rf"Link to node{other} was renewed, with secret {secret}",
                        start,
                        RENEWED_S,
                    )

    @property
    def so_far(self) -> list[int]:
        """How much each has written to its log."""
        return [len(node.log) for node in self.nodes]


def with_the_old_secret(crew: Crew) -> tuple[Trio, str, Callable[..., None]]:
    """Three nodes at work, the file of a new secret, and ``pulse keys``."""
    old, new = crew.secret_file("old", OLD), crew.secret_file("new", NEW)
    files = [crew.secret_file(f"secret{n}", OLD) for n in range(NODES)]
    trio = Trio(crew, *({"secret_files": [path]} for path in files))
    trio.check_busy()

    def change(*words: str) -> None:
        done = crew.run_pulse(*trio.place, "--secret-file", old, "keys", *words)
        assert done.code == 0, done

    return trio, new, change


def test_secret(crew: Crew) -> None:
    """F15: the secret is changed by `pulse keys`, and all links are made anew."""
    trio, new, change = with_the_old_secret(crew)
    since = trio.so_far
    change("add", new)
    change("use", NEW_KEY)
    trio.wait_renewed(NEW_KEY, since)
    trio.check_busy()
    change("remove", OLD_KEY)
    trio.check_busy()
    old = crew.secret_file("old", OLD)
    refused = crew.run_pulse(*trio.place, "--secret-file", old, "status")
    assert refused.code == 1


def test_secret_is_removed_at_once(crew: Crew) -> None:
    """F15: nobody waits after `use`: links of the old secret are gone in seconds."""
    trio, new, change = with_the_old_secret(crew)
    since = trio.so_far
    change("add", new)
    change("use", NEW_KEY)
    change("remove", OLD_KEY)
    trio.wait_renewed(NEW_KEY, since)
    trio.check_busy()


def test_certificates(crew: Crew, tmp_path: Path) -> None:
    """F13: each node gets a new certificate, and shows it on all its links."""
    authority = Authority(tmp_path / "certificates")
    secret = crew.secret_file("secret", OLD)
    settings = []
    for number in range(NODES):
        files = authority.files("127.0.0.1", of=str(number))
        settings.append({
            "secret_files": [secret], "tls": "pki", "tls_ca": files.ca,
            "tls_cert": files.cert, "tls_key": files.key,
        })  # fmt: skip
    trio = Trio(crew, *settings)
    trio.check_busy()
    since = trio.so_far
    for number, node in enumerate(trio.nodes):
        authority.files("127.0.0.1", of=str(number), days=(-1, 300))
        trio.tell(node, "reload")
    trio.wait_renewed(OLD_KEY, since)
    trio.check_busy()
