"""
Secrets and certificates are replaced under a cluster that runs.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from mycorrizal.nodosum import derive_key, new_secret
from tests.integration.processes import Crew, Running, free_ports, until
from tests.nodosum.authority import Authority

OLD, NEW = (new_secret(bytes([n]) * 32) for n in (1, 2))


def rewrite(path: str, *secrets: str) -> None:
    """Replace a file of secrets, as an editor does."""
    aside = Path(path + ".new")
    aside.write_text("\n".join(secrets) + "\n")
    aside.chmod(0o600)
    os.replace(aside, path)


def pulse_until(crew: Crew, *arguments: str, code: int = 0) -> str:
    """Run pulse until it ends with a code; what it said."""

    def ended() -> str:
        result = crew.run_pulse(*arguments)
        return result.out + result.err if result.code == code else ""

    return until(ended, f"pulse {arguments} ends with {code}")[0]


def test_secret_is_changed(tmp_path: Path) -> None:
    """F15: three nodes change their secret under traffic; the old one is refused."""
    crew = Crew(tmp_path)
    ports = free_ports(3)
    seeds = ",".join(f"127.0.0.1:{port}" for port in ports)
    files = [crew.secret_file(f"secret{n}", OLD) for n in range(3)]
    old_file, new_file = crew.secret_file("old", OLD), crew.secret_file("new", NEW)
    nodes: list[Running] = []
    try:
        for number, port in enumerate(ports):
            nodes.append(
                crew.twist(
                    "--listen", f"127.0.0.1:{port}", "--static", seeds,
                    "--secret-file", files[number], "--bucket", "b:replicas=1",
                )
            )  # fmt: skip
        for node in nodes:
            node.wait_for_members(3)
        place = ("--node", f"127.0.0.1:{ports[0]}")
        key = derive_key(NEW, "mycorrizal").fingerprint
        for lines in ((OLD, NEW), (NEW, OLD), (NEW,)):
            using = derive_key(lines[0], "mycorrizal").fingerprint
            for node, path in zip(nodes, files, strict=True):
                since = len(node.log)
                rewrite(path, *lines)
                node.wait_for(rf"Read again: secret {using}", since)
                secret = old_file if OLD in lines else new_file
                for what in (("put", "b", "k", using), ("get", "b", "k")):
                    done = crew.run_pulse(
                        *place, "--secret-file", secret, "cache", *what
                    )
                    if node is not nodes[0] or OLD in lines:
                        assert done.code == 0, done
        refused = crew.run_pulse(*place, "--secret-file", old_file, "nodes")
        assert refused.code == 1
        assert "another secret or cluster name" in refused.err
        assert key in pulse_until(crew, *place, "--secret-file", new_file, "status")
        for node in nodes:
            assert " died" not in node.log
            assert OLD not in node.log and NEW not in node.log
    finally:
        crew.end()


def test_certificates_are_replaced(tmp_path: Path) -> None:
    """F13: a cluster with certificates takes new ones on SIGHUP, and shows them."""
    crew = Crew(tmp_path)
    authority = Authority(tmp_path / "certificates")
    files = authority.files("127.0.0.1")
    pki = ("--tls", "pki", "--tls-ca", files.ca, "--tls-cert", files.cert,
           "--tls-key", files.key)  # fmt: skip
    secret = crew.secret_file("secret", OLD)
    ports = free_ports(3)
    seeds = ",".join(f"127.0.0.1:{port}" for port in ports)

    def node(port: int) -> Running:
        return crew.twist(
            "--listen", f"127.0.0.1:{port}", "--static", seeds,
            "--secret-file", secret, *pki,
        )  # fmt: skip

    try:
        nodes = [node(port) for port in ports[:2]]
        for one in nodes:
            one.wait_for_members(2)
        authority.files("127.0.0.1", days=(-1, 300))
        for one in nodes:
            one.process.send_signal(signal.SIGHUP)
            one.wait_for(r"Read again: .* certificate valid until")
        third = node(ports[2])
        for one in (*nodes, third):
            one.wait_for_members(3)
            assert " died" not in one.log
        place = ("--node", f"127.0.0.1:{ports[0]}", "--secret-file", secret)
        assert crew.run_pulse(*place, *pki, "nodes").code == 0
        # An expired one: nothing is changed, and the log says why.
        authority.files("127.0.0.1", days=(-9, -2))
        since = len(nodes[0].log)
        nodes[0].process.send_signal(signal.SIGHUP)
        nodes[0].wait_for(r"Nothing is changed, as tls_cert: .* expired on", since)
    finally:
        crew.end()
