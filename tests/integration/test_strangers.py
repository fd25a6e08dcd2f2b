"""
Strangers: none joins, none slows the cluster down, none fills the log.

Two nodes talk all the time. Each kind of stranger comes from an address of
its own, as the log has one line a minute for each.
"""

from __future__ import annotations

import json
import random
import re
import resource
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest

from mycorrizal.nodosum import derive_key, node_key_of
from mycorrizal.nodosum.acl import cluster_tag
from mycorrizal.nodosum.wire.frame import encode_frame
from mycorrizal.nodosum.wire.limits import (
    FRAME_BYTES_MAX,
    TLS_HANDSHAKES_MAX,
    FrameType,
)
from mycorrizal.nodosum.wire.version import NO_TICKET, Role, VersionI
from tests.integration.processes import Crew, Running, until

SECRET = "correct horse battery staple"
OTHER_SECRET = "another passphrase altogether"
SILENT_CONNECTIONS = 1000
#: Far above what a quiet machine shows, as this one may have other work.
P99_MS_MAX = 250.0
#: Each kind of stranger tries for at least so long, so that there is something
#: to measure.
STRANGE_S = 1.0


class Cluster:
    """
    Two nodes of one cluster, of which one asks the other all the time.
    """

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.secret = crew.secret_file("secret", SECRET)
        self.answering = crew.program("talking_node.py", self.secret, "answer")
        listens = self.answering.wait_for("^listens (.*)$")
        self.address: str = json.loads(listens[1])
        self.port = int(self.address.rpartition(":")[2])
        self.asking = crew.program("talking_node.py", self.secret, "ask", self.address)
        self.asking.wait_for("^listens ")

    def report(self, name: str) -> dict[str, Any]:
        """How long the answers took since the last report."""
        stdin = self.asking.process.stdin
        assert stdin is not None
        stdin.write(f"{name}\n".encode())
        stdin.flush()
        found: dict[str, Any] = json.loads(self.asking.wait_for(f"^{name} (.*)$")[1])
        return found

    @contextmanager
    def undisturbed(self, name: str, newcomer: str = "") -> Iterator[None]:
        """
        Whatever strangers do meanwhile, the cluster is as it was.

        :param newcomer: A node that may come, and go, all the same.
        """
        self.report(f"before-{name}")
        since, began_at = len(self.answering.log), time.monotonic()
        yield
        report = self.report(name)
        minutes = (time.monotonic() - began_at) // 60 + 1
        print(
            f"\n{name}: {report['count']} answers, p50 {report['p50_ms']:.2f} ms, "
            f"p99 {report['p99_ms']:.2f} ms, max {report['max_ms']:.2f} ms"
        )
        said = self.answering.log[since:]
        lines = Counter(re.findall(r"^20.* (127\.[\d.]+):\d", said, re.MULTILINE))
        assert report["failures"] == []
        assert report["p99_ms"] < P99_MS_MAX
        assert all(count <= minutes for count in lines.values()), said
        assert "Traceback" not in said
        members = re.findall(r"^(Member\w+) (.*)$", said, re.MULTILINE)
        expected = ["MemberJoined", "MemberLeft"] if newcomer else []
        assert members == [(what, f'"{newcomer}"') for what in expected]

    def newcomer(self) -> None:
        """A node that knows the secret comes, says something, and goes."""
        node = self.crew.program(
            "talking_node.py", self.secret, "post", self.address, "1"
        )
        since = len(self.answering.log)
        began_at = time.monotonic()
        node.wait_for("^arrived ")
        print(f"\na newcomer was in after {time.monotonic() - began_at:.2f} s")
        self.answering.wait_for('^MemberLeft "post"$', since)
        assert node.wait_ended() == 0

    def connect(self, host: str) -> socket.socket:
        """A TCP connection from an address of this machine."""
        return socket.create_connection(
            ("127.0.0.1", self.port), timeout=5, source_address=(host, 0)
        )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes that talk all the time, for all tests of this module."""
    crew = Crew(tmp_path_factory.mktemp("cluster"))
    try:
        yield Cluster(crew)
    finally:
        crew.end()


def for_a_while(act: Callable[[], object]) -> None:
    """Do something again and again, but leave the machine some air."""
    ends_at = time.monotonic() + STRANGE_S
    while time.monotonic() < ends_at:
        act()
        time.sleep(0.005)


# -- nodes that are not of this cluster -------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("other-secret", ("--secret-file", "other")),
        ("other-name", ("--secret-file", "secret", "--cluster-name", "other")),
        ("tls-off", ("--secret-file", "secret", "--tls", "off")),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_node_of_another_cluster(
    cluster: Cluster, name: str, options: tuple[str, ...]
) -> None:
    """A node with another secret, cluster name or TLS mode does not join (F15, F16)."""
    crew = cluster.crew
    crew.secret_file("other", OTHER_SECRET)
    with cluster.undisturbed(name):
        stranger = crew.twist(
            *("--listen", "127.0.0.1:0", "--static", cluster.address, *options),
            name=name,
        )
        try:
            until(lambda: re.search("efused", stranger.log), f"{name} is refused")
            assert "joined" not in stranger.log
        finally:
            stranger.end()


# -- bytes that are not ours ------------------------------------------------------


def test_random_bytes_over_tcp(cluster: Cluster) -> None:
    """Random bytes of all lengths, over many connections (F24)."""
    host, chance = "127.0.0.21", random.Random(1)

    def send() -> None:
        with cluster.connect(host) as stranger, suppress(OSError):
            stranger.sendall(chance.randbytes(chance.choice([1, 7, 8, 128, 4096])))

    with cluster.undisturbed("random-tcp"):
        for_a_while(send)


def test_frames_over_tcp(cluster: Cluster) -> None:
    """Frames that lie about their length: nothing is allocated for them (F22)."""
    host = "127.0.0.22"

    def send() -> None:
        with cluster.connect(host) as stranger, suppress(OSError):
            stranger.sendall(b"\x01\x01\xff\xff\xff\xff\x00\x00" + bytes(1000))

    with cluster.undisturbed("frames"):
        memory_before = resident_bytes(cluster.answering)
        for_a_while(send)
        grown_bytes = resident_bytes(cluster.answering) - memory_before
    assert grown_bytes < 16 * 1024 * 1024


def resident_bytes(running: Running) -> int:
    """What a process has in memory."""
    with open(f"/proc/{running.process.pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_random_bytes_over_udp(cluster: Cluster) -> None:
    """Random datagrams get no answer (F24, F29)."""
    host, chance = "127.0.0.23", random.Random(2)
    with (
        cluster.undisturbed("random-udp"),
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger,
    ):
        stranger.bind((host, 0))

        def send() -> None:
            for size in (0, 1, 4, 159, 160, 161, 1400):
                data = b"MYCO" + chance.randbytes(size)
                stranger.sendto(data[:size], ("127.0.0.1", cluster.port))

        for_a_while(send)
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.recv(2048)


def test_http(cluster: Cluster) -> None:
    """An HTTP request is closed, without an answer (F24)."""
    host = "127.0.0.24"

    def ask() -> None:
        with cluster.connect(host) as stranger, suppress(ConnectionError):
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
            assert stranger.recv(100) == b""

    with cluster.undisturbed("http"):
        for_a_while(ask)


def test_tls_hello(cluster: Cluster) -> None:
    """Who begins with TLS is closed: ours comes after a first exchange (F24)."""
    host = "127.0.0.25"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def ask() -> None:
        with cluster.connect(host) as stranger, pytest.raises(OSError):
            context.wrap_socket(stranger)

    with cluster.undisturbed("tls-hello"):
        for_a_while(ask)


def opened(cluster: Cluster, stack: ExitStack, count: int) -> list[socket.socket]:
    """Connections from ten addresses, that are open until the stack is left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, count + 500)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    return [
        stack.enter_context(cluster.connect(f"127.0.1.{1 + number % 10}"))
        for number in range(count)
    ]


def is_closed(stranger: socket.socket) -> bool:
    """Whether the other side has closed a connection."""
    stranger.setblocking(False)
    try:
        while stranger.recv(4096):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_connections_that_say_nothing(cluster: Cluster) -> None:
    """1,000 connections that say nothing keep nobody out, and are closed (F27)."""
    with cluster.undisturbed("silent", "post"), ExitStack() as stack:
        silent = opened(cluster, stack, SILENT_CONNECTIONS)
        cluster.newcomer()
        until(lambda: all(map(is_closed, silent)), "all silent ones are closed")


def opening() -> bytes:
    """What a peer that knows the secret says first, before TLS begins."""
    key = derive_key(SECRET, "mycorrizal")
    return encode_frame(
        FrameType.VERSION_I,
        VersionI(
            version_min=1,
            version_max=1,
            tls=True,
            role=Role.NODE,
            cluster_tag=cluster_tag("mycorrizal"),
            node_key=node_key_of("stalled"),
            incarnation=1,
            nonce=bytes(32),
            ticket=NO_TICKET,
            key_ids=(key.key_id,),
            features=0,
            frame_bytes_max=FRAME_BYTES_MAX,
        ).encode(),
    )


def test_tls_handshake_does_not_block_the_accept_loop(cluster: Cluster) -> None:
    """
    Peers that stop in the middle of TLS hold up neither peers nor newcomers (F27).
    """
    with cluster.undisturbed("tls-stalled", "post"), ExitStack() as stack:
        stalled = opened(cluster, stack, 2 * TLS_HANDSHAKES_MAX)
        first_frame = opening()
        for peer in stalled:
            peer.sendall(first_frame)
        # The older ones gave way to these.
        last = stalled[TLS_HANDSHAKES_MAX:]
        answers = [peer.recv(4096) for peer in last]
        assert all(answer[1] == FrameType.VERSION_R for answer in answers)
        for peer in last:
            # The beginning of a ClientHello of 512 bytes, and no more.
            peer.sendall(bytes.fromhex("1603010200010001fc0303"))
        cluster.newcomer()
        until(lambda: all(map(is_closed, stalled)), "all stalled ones are closed")
