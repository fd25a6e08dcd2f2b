"""
Discovery in the DNS, against name servers as Debian has them.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.discovery import DnsSdDiscovery
from mycorrizal.nodosum.discovery.dns_client import DnsClient
from mycorrizal.nodosum.discovery.dns_records import Kind, Question
from mycorrizal.nodosum.discovery.dns_sd import ROUND_S_MIN
from mycorrizal.runtime import Runtime
from tests.integration.name_servers import (
    ZONE,
    NameServer,
    Record,
    host,
    instance,
    program,
    service,
    start_bind,
    start_dnsmasq,
    start_knot,
)
from tests.integration.processes import PROJECT_ROOT, Crew, Running, free_ports, until

Start = Callable[..., NameServer]

SERVERS = pytest.mark.parametrize("start", [start_bind, start_knot, start_dnsmasq])
ZONE_SERVERS = pytest.mark.parametrize("start", [start_bind, start_knot])


async def look(server: NameServer, name: str) -> list[Address]:
    """What is found under a name below the zone."""
    return await discovery(server, name).discover()


def discovery(server: NameServer, name: str) -> DnsSdDiscovery:
    """A discovery that asks this server."""
    from twisted.internet import reactor

    host_name, colon, port = name.partition(":")
    full = f"{host_name}.{ZONE}{colon}{port}"
    return DnsSdDiscovery(Runtime(reactor), full, (server.address,))


@SERVERS
@pytest_twisted.ensureDeferred
async def test_three_ways(crew: Crew, start: Start) -> None:
    """Instances, services and plain addresses are found on each server."""
    records = [
        *(record for n in (1, 2, 3) for record in instance("_mesh._tcp", n, 7000 + n)),
        service("_srv._tcp", 1, 7001),
        service("_srv._tcp", 2, 7002),
        ("all", "A", "127.0.0.1"),
        ("all", "AAAA", "::1"),
        ("other", "CNAME", f"all.{ZONE}."),
    ]
    server = start(crew, records)
    found = await look(server, "_mesh._tcp")
    assert sorted(found) == [("127.0.0.1", port) for port in (7001, 7002, 7003)]
    found = await look(server, "_srv._tcp")
    assert sorted(found) == [("127.0.0.1", 7001), ("127.0.0.1", 7002)]
    for name in ("all", "other"):
        found = await look(server, f"{name}:7009")
        assert sorted(found) == [("127.0.0.1", 7009), ("::1", 7009)]
    assert await look(server, "_nobody._tcp") == []
    assert await look(server, "nobody") == []


@SERVERS
@pytest_twisted.ensureDeferred
async def test_eighty_instances(crew: Crew, start: Start) -> None:
    """An answer that does not fit a datagram is fetched by TCP (F45)."""
    numbers = range(1, 81)
    records = [it for n in numbers for it in instance("_mesh._tcp", n, 7000 + n)]
    server = start(crew, records)
    found = await look(server, "_mesh._tcp")
    assert sorted(found) == [("127.0.0.1", 7000 + n) for n in numbers]


class UdpOnly:
    """The reactor, by which nobody can be asked by TCP."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        assert name != "connectTCP", "asked by TCP"
        return getattr(self._reactor, name)


@SERVERS
@pytest_twisted.ensureDeferred
async def test_a_kilobyte_by_udp(crew: Crew, start: Start) -> None:
    """What fits a datagram with EDNS is not asked for again by TCP (F45)."""
    from twisted.internet import reactor

    server = start(crew, [service("_srv._tcp", n, 7000 + n) for n in range(1, 26)])
    name = (b"_srv", b"_tcp", *(label.encode() for label in ZONE.split(".")))
    client = DnsClient(Runtime(UdpOnly(reactor)), (server.address,))
    reply = await client.ask(Question(name, Kind.SRV))
    assert len(reply.answers) == 25
    assert not reply.truncated


@ZONE_SERVERS
@pytest_twisted.ensureDeferred
async def test_labels_for_people(crew: Crew, start: Start) -> None:
    """Names of instances may have dots, blanks and any letter (RFC 6763, 4.3)."""
    label = r"K\195\188che\044\032Regal\0323\.2"
    records = [
        ("_mesh._tcp", "PTR", f"{label}._mesh._tcp.{ZONE}."),
        service(f"{label}._mesh._tcp", 1, 7001),
        host(1),
    ]
    assert await look(start(crew, records), "_mesh._tcp") == [("127.0.0.1", 7001)]


@ZONE_SERVERS
@pytest_twisted.ensureDeferred
async def test_aliases_and_nothing(crew: Crew, start: Start) -> None:
    """A target may be an alias; one of "." is nobody (RFC 2782)."""
    records = [
        ("_srv._tcp", "SRV", f"0 0 7001 alias.{ZONE}."),
        ("alias", "CNAME", f"n1.{ZONE}."),
        host(1),
        ("_none._tcp", "SRV", "0 0 0 ."),
    ]
    server = start(crew, records)
    assert await look(server, "_srv._tcp") == [("127.0.0.1", 7001)]
    assert await look(server, "_none._tcp") == []


def test_zone_of_the_manual(tmp_path: Path) -> None:
    """The zone that the manual shows is one that BIND loads."""
    page = (PROJECT_ROOT / "docs/howto/find-nodes-dns.rst").read_text()
    shown = re.search(r"NSD\n\n((?:   .*\n)+)", page)
    assert shown is not None
    (tmp_path / "zone").write_text(shown[1].replace("\n   ", "\n").lstrip())
    command = [program("named-checkzone"), "shop.example", str(tmp_path / "zone")]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert checked.stdout.endswith("OK\n"), checked.stdout
    assert shown[1].count("SRV") == 2


@pytest_twisted.ensureDeferred
async def test_time_to_live(crew: Crew) -> None:
    """The zone's time to live says when to look again; dnsmasq's 0 is 10 s."""
    records = instance("_mesh._tcp", 1, 7001)
    for server, round_s in (
        (start_bind(crew, records, ttl_s=120), 120.0),
        (start_dnsmasq(crew, records), ROUND_S_MIN),
    ):
        looking = discovery(server, "_mesh._tcp")
        await looking.discover()
        assert abs(looking.round_s - round_s) < 5


@pytest_twisted.ensureDeferred
async def test_server_that_is_gone(crew: Crew) -> None:
    """A server that is not there is named; another zone's is refused (F45)."""
    server = start_bind(crew, instance("_mesh._tcp", 1, 7001))
    from twisted.internet import reactor

    elsewhere = DnsSdDiscovery(Runtime(reactor), "_x._tcp.example", (server.address,))
    with pytest.raises(DiscoveryError, match="answers REFUSED, asked for SRV"):
        await elsewhere.discover()
    server.end()
    with pytest.raises(DiscoveryError, match="is not there: nobody listens on UDP"):
        await look(server, "_mesh._tcp")


class Story:
    """Nodes that know a name, a server to ask, and nothing else."""

    NAME = f"_cluster._tcp.{ZONE}"

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.ports = free_ports(4)
        self.records: list[Record] = []
        for number in (1, 2, 3):
            self.add(number)
        self.server = start_bind(crew, self.records, ttl_s=1)
        self.nodes: dict[int, Running] = {}

    def add(self, number: int) -> None:
        """A node's record, and its host's."""
        port = self.ports[number - 1]
        self.records += [service("_cluster._tcp", number, port), host(number)]

    def start(self, number: int, *options: str) -> Running:
        """Start a node with ``twist``."""
        node = self.crew.twist(
            *("--listen", f"127.0.0.1:{self.ports[number - 1]}"),
            *options,
            name=f"node-{number}",
        )
        self.nodes[number] = node
        return node

    def options(self) -> tuple[str, ...]:
        """How a node is told to look in the DNS."""
        address = f"127.0.0.1:{self.server.address[1]}"
        return ("--dns-sd", self.NAME, "--dns-server", address)

    def wait_for_looks(self, count: int) -> None:
        """Wait until the server was asked so many times from now on."""
        since = len(self.server.running.log)
        pattern = rf"query: {self.NAME} IN SRV"

        def looked() -> bool:
            return self.server.running.log[since:].count(pattern[7:-7]) >= count

        until(looked, f"{count} more looks", timeout_s=60)


def test_whole_story(crew: Crew) -> None:
    """
    Three nodes find each other in a real server's zone; a fourth, which looks
    for nobody, is found when it gets a record; a member whose record goes, and
    all of them when the server dies, stay members (F45).
    """
    story = Story(crew)
    for number in (1, 2, 3):
        story.start(number, *story.options())
    for number in (1, 2, 3):
        story.nodes[number].wait_for_members(3)
    fourth = story.start(4)
    fourth.wait_for("Ready")
    story.add(4)
    story.server.change(story.records)
    for number in (1, 2, 3, 4):
        story.nodes[number].wait_for(r"Members \[4\]", timeout_s=40)
    logs = {number: len(node.log) for number, node in story.nodes.items()}
    story.server.change([record for record in story.records if "n4" not in str(record)])
    story.wait_for_looks(6)
    story.server.change([])
    story.wait_for_looks(6)
    story.server.end()
    for number in (1, 2, 3):
        failed = r"Discovery by DNS \(_cluster\S+\) failed: .* asked for SRV of"
        story.nodes[number].wait_for(failed, logs[number], timeout_s=40)
    for number, node in story.nodes.items():
        said = node.log[logs[number] :]
        assert "died" not in said and "left" not in said, said
        assert "Traceback" not in node.log


def test_name_that_is_not_there(crew: Crew) -> None:
    """A node that finds nobody says what to check, and goes on alone."""
    story = Story(crew)
    story.server.change([])
    node = story.start(1, *story.options())
    node.wait_for("Ready")
    node.wait_for(r"No node is found under _cluster\S+; in Kubernetes the Service")


def test_server_that_is_not_there(crew: Crew) -> None:
    """A node that can ask nobody at all ends with a sentence that says whom."""
    (port,) = free_ports(1)
    node = crew.twist(
        *("--listen", "127.0.0.1:0", "--dns-sd", "_cluster._tcp.mesh.test"),
        *("--dns-server", f"127.0.0.1:{port}"),
        env={"MYCORRIZAL_READY_TIMEOUT_S": "2"},
    )
    assert node.wait_ended() == 1
    said: Any = f"not ready within 2 s: DNS server 127.0.0.1:{port} is not there"
    assert said in node.log
    assert "Traceback" not in node.log
