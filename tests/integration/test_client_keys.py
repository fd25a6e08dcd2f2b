"""
A client with a key of its own, and two nodes that know what it may do.
"""

from __future__ import annotations

import os
from pathlib import Path

from mycorrizal.nodosum import derive_key, new_secret
from tests.integration.processes import Crew, free_ports

SECRET = new_secret(bytes([1]) * 32)


def test_grants(tmp_path: Path) -> None:
    """F15: a client does what it was granted, no more, and it is in the log."""
    crew = Crew(tmp_path)
    secret = crew.secret_file("secret", SECRET)
    made = crew.run_pulse(
        "secret", "new", "--client", "reports", "--grant", "CACHE:b:READ"
    )
    assert made.code == 0, made
    line = made.out.strip()
    fingerprint = derive_key(line.split()[0], "mycorrizal").fingerprint
    clients, own = crew.secret_file("clients", line), crew.secret_file("own", line)
    ports = free_ports(2)
    seeds = ",".join(f"127.0.0.1:{port}" for port in ports)
    try:
        nodes = [
            crew.twist(
                "--listen", f"127.0.0.1:{port}", "--static", seeds, "--bucket", "b",
                "--secret-file", secret, "--client-keys-file", clients,
            )
            for port in ports
        ]  # fmt: skip
        for node in nodes:
            node.wait_for_members(2)
        place = ("--node", f"127.0.0.1:{ports[0]}")
        member = (*place, "--secret-file", secret)
        client = (*place, "--secret-file", own)
        put = crew.run_pulse(*member, "cache", "put", "b", "k", "v")
        assert put.code == 0, put
        got = crew.run_pulse(*client, "cache", "get", "b", "k")
        assert (got.code, got.out.strip()) == (0, "v"), got
        for words in (("put", "b", "k", "w"), ("drop", "b", "--yes"), ("create", "c")):
            denied = crew.run_pulse(*client, "cache", *words)
            assert denied.code == 1, denied
            assert "client reports" in denied.err and "has no grant" in denied.err
        assert crew.run_pulse(*client, "status").code == 1
        nodes[0].wait_for(rf"Denied client reports \(key {fingerprint}\) at 127")
        # What is granted while the nodes run is there; so is who used it.
        aside = Path(clients + ".new")
        aside.write_text(f"{line} CACHE:c:ADMIN\n")
        aside.chmod(0o600)
        os.replace(aside, clients)
        nodes[0].wait_for("Read again: .*1 client with grants")
        created = crew.run_pulse(*client, "cache", "create", "c")
        assert created.code == 0, created
        nodes[0].wait_for(
            rf"client reports \(key {fingerprint}\) at 127.*asks for create of 'c'"
        )
        same = crew.run_pulse(*member, "keys", "list")
        assert f"reports={fingerprint}" in same.out
        for node in nodes:
            assert line.split()[0] not in node.log and SECRET not in node.log
    finally:
        crew.end()


def test_keys_of_a_cluster(tmp_path: Path) -> None:
    """F15: three commands change the secret of nodes that have a file each."""
    crew = Crew(tmp_path)
    new = new_secret(bytes([2]) * 32)
    files = [crew.secret_file(f"secret{n}", SECRET) for n in range(2)]
    old_file, new_file = crew.secret_file("old", SECRET), crew.secret_file("new", new)
    old_key, new_key = (
        derive_key(text, "mycorrizal").fingerprint for text in (SECRET, new)
    )
    ports = free_ports(2)
    seeds = ",".join(f"127.0.0.1:{port}" for port in ports)
    try:
        nodes = [
            crew.twist(
                "--listen", f"127.0.0.1:{port}", "--static", seeds,
                "--secret-file", path,
            )
            for port, path in zip(ports, files, strict=True)
        ]  # fmt: skip
        for node in nodes:
            node.wait_for_members(2)
        place = ("--node", f"127.0.0.1:{ports[0]}")
        old = (*place, "--secret-file", old_file)
        for words in (("add", new_file), ("use", new_key), ("remove", old_key)):
            done = crew.run_pulse(*old, "keys", *words)
            assert done.code == 0, done
            assert "All nodes have the same" in done.out
        for path in files:
            assert Path(path).read_text() == new + "\n"
        assert crew.run_pulse(*old, "keys", "list").code == 1
        listed = crew.run_pulse(*place, "--secret-file", new_file, "keys", "list")
        assert listed.code == 0, listed
        for node in nodes:
            assert " died" not in node.log
            assert new not in node.log and SECRET not in node.log
    finally:
        crew.end()
