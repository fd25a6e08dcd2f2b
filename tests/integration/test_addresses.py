"""
Where a node listens and looks for others, and where its settings come from.
"""

from __future__ import annotations

import re
import socket

import pytest
import pytest_twisted

from tests.integration.asking import status_of
from tests.integration.processes import Crew, free_ports

ANY = "127.0.0.1:0"


def has_ipv6() -> bool:
    """Whether this machine has a loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("hello", ["udp", "tcp"])
@pytest_twisted.ensureDeferred
async def test_ipv6(crew: Crew, hello: str) -> None:
    """Nodes meet on IPv6, whose addresses are written in brackets (F53)."""
    first_port, second_port = free_ports(2, "::1")
    addresses = [f"[::1]:{first_port}", f"[::1]:{second_port}"]
    static = ("--static", ",".join(addresses), "--hello", hello)
    nodes = [crew.twist("--listen", address, *static) for address in addresses]
    for node, address in zip(nodes, addresses, strict=True):
        assert node.address == address
        node.wait_for("Ready")
        node.wait_for_members(2)
    status = await status_of(addresses[0], crew.secret)
    assert sorted(m.address for m in status.members) == sorted(addresses)


@pytest_twisted.ensureDeferred
async def test_port_zero(crew: Crew) -> None:
    """Port 0 takes a free port, one number for TCP and UDP."""
    node = crew.twist("--listen", ANY)
    host, _, port = node.address.rpartition(":")
    node.wait_for("Ready")
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with (
            socket.socket(socket.AF_INET, kind) as probe,
            pytest.raises(OSError, match="in use"),
        ):
            probe.bind((host, int(port)))
    assert (await status_of(node.address, crew.secret)).node.address == node.address


@pytest_twisted.ensureDeferred
async def test_names(crew: Crew) -> None:
    """Names are looked up, to listen on and to look for others at."""
    first_port, second_port = free_ports(2)
    static = ("--static", f"localhost:{first_port},localhost:{second_port}")
    nodes = [
        crew.twist("--listen", f"localhost:{port}", *static)
        for port in (first_port, second_port)
    ]
    for node in nodes:
        node.wait_for("Ready")
        node.wait_for_members(2)
    status = await status_of(f"127.0.0.1:{first_port}", crew.secret)
    assert [member.state for member in status.members] == ["alive", "alive"]


def test_name_and_port_zero(crew: Crew) -> None:
    """The log names the address and the port that were found, not what was asked."""
    node = crew.twist("--listen", "localhost:0")
    assert re.fullmatch(r"(127\.0\.0\.1|\[::1\]):[1-9]\d*", node.address)


def test_name_that_nobody_has(crew: Crew) -> None:
    """A name to listen on that does not exist ends the node with a sentence."""
    ended = crew.run_twist("--listen", "nosuch.invalid:7001")
    assert ended.code == 1
    assert re.search(r"cannot listen on nosuch\.invalid:7001: .*no address", ended.out)
    assert "listens on" not in ended.out
    assert "Traceback" not in ended.out + ended.err


def test_seed_that_starts_later(crew: Crew) -> None:
    """A node is ready alone, and finds the others when they come."""
    (port,) = free_ports(1)
    early = crew.twist("--listen", ANY, "--static", f"127.0.0.1:{port}")
    early.wait_for("Ready")
    early.wait_for_members(1)
    crew.twist("--listen", f"127.0.0.1:{port}", name="late").wait_for_members(2)
    early.wait_for_members(2)


@pytest_twisted.ensureDeferred
async def test_listening_everywhere(crew: Crew) -> None:
    """Who listens on 0.0.0.0 is told to others by an address that they reach (F53)."""
    first_port, second_port = free_ports(2)
    first = crew.twist("--listen", f"0.0.0.0:{first_port}")
    second = crew.twist(
        *("--listen", f"0.0.0.0:{second_port}"),
        *("--static", f"127.0.0.1:{first_port}"),
    )
    for node in (first, second):
        node.wait_for("Ready")
        node.wait_for_members(2)
    status = await status_of(f"127.0.0.1:{second_port}", crew.secret)
    seen = {member.id: member.address for member in status.members}
    assert seen[first.node_id] == f"127.0.0.1:{first_port}"


@pytest_twisted.ensureDeferred
async def test_other_address_than_its_own(crew: Crew) -> None:
    """
    Others are told the address that a node advertises, not the one it listens on, and
    reach it there; it recognises itself under both (F53).
    """
    first_port, second_port, third_port = free_ports(3)
    outside = f"127.0.0.3:{first_port}"
    first = crew.twist(
        *("--listen", f"0.0.0.0:{first_port}", "--advertise", outside),
        *("--static", f"{outside},127.0.0.1:{first_port}"),
    )
    first.wait_for("Ready", timeout_s=10)
    second = crew.twist(
        *("--listen", f"127.0.0.1:{second_port}"),
        *("--static", f"127.0.0.1:{first_port}"),
    )
    second.wait_for_members(2)
    third = crew.twist(
        *("--listen", f"127.0.0.1:{third_port}"),
        *("--static", f"127.0.0.1:{second_port}"),
    )
    for node in (first, second, third):
        node.wait_for_members(3)
    for port in (first_port, second_port, third_port):
        status = await status_of(f"127.0.0.1:{port}", crew.secret)
        seen = {member.id: member.address for member in status.members}
        assert seen[first.node_id] == outside


# -- where settings come from -----------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_environment(crew: Crew) -> None:
    """Every setting can come from the environment; the id as MYCORRIZAL_ID."""
    secret = crew.secret_file("secret", "correct horse battery staple")
    settings = {"SECRET_FILE": secret, "CLUSTER_NAME": "mycorrizal"}
    first = crew.twist(
        env={
            f"MYCORRIZAL_{name}": text
            for name, text in {**settings, "LISTEN": ANY, "ID": "one"}.items()
        }
    )
    assert first.node_id == "one"
    second = crew.twist(
        env={
            f"MYCORRIZAL_{name}": text
            for name, text in {
                **settings,
                "LISTEN": ANY,
                "ID": "two",
                "STATIC": f"127.0.0.1:1,{first.address}",
                "BUCKETS": "sessions:ttl=15m,replicas=1 pages:max_entries=10",
                "LABELS": "zone=a,rack=b",
            }.items()
        }
    )
    second.wait_for("Ready")
    text = "correct horse battery staple"
    status = await status_of(first.address, text)
    assert [bucket.name for bucket in status.buckets] == ["pages", "sessions"]
    assert status.buckets[1].ttl_s == 900
    (two,) = [member for member in status.members if member.id == "two"]
    assert two.labels == {"zone": "a", "rack": "b"}
    assert not (crew.state_dir / "mycorrizal/secret").exists()


@pytest_twisted.ensureDeferred
async def test_file_environment_options(crew: Crew) -> None:
    """Options win over the environment, and the environment over the file."""
    (port,) = free_ports(1)
    (crew.home / "node.toml").write_text(
        f"""
        listen = "127.0.0.1:{port}"
        node_id = "by-file"
        cluster_name = "by-file"
        secret_files = ["secret"]
        handshake_timeout_s = "1500ms"
        [labels]
        zone = "a"
        [[buckets]]
        name = "sessions"
        ttl = "15m"
        replicas = 0
        """
    )
    crew.secret_file("secret", "correct horse battery staple")
    node = crew.twist(
        *("--config", "node.toml", "--cluster-name", "mycorrizal"),
        env={"MYCORRIZAL_ID": "by-environment", "MYCORRIZAL_CLUSTER_NAME": "no"},
    )
    node.wait_for("Ready")
    assert node.node_id == "by-environment"
    status = await status_of(f"127.0.0.1:{port}", "correct horse battery staple")
    assert status.node.cluster == "mycorrizal"
    assert status.members[0].labels == {"zone": "a"}
    (bucket,) = status.buckets
    assert (bucket.name, bucket.ttl_s, bucket.replicas) == ("sessions", 900, 0)


def test_single(crew: Crew) -> None:
    """A node that is alone on purpose refuses others, who say so and end."""
    alone = crew.twist("--listen", ANY, "--single", name="alone")
    other = crew.twist("--listen", ANY, "--static", alone.address)
    assert other.wait_ended() == 1
    other.wait_for(rf"{alone.address} refused us: it runs alone \(--single\)")
    assert "joined" not in alone.log + other.log
    alone.wait_for("Ready")
