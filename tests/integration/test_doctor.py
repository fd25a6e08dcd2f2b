"""
Misconfigurations that are planted in real clusters, and what ``pulse doctor`` says
of each: what is wrong, where, and what to do.
"""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from mycorrizal.version import __version__
from tests.integration.processes import Crew, Running, free_ports, until
from tests.nodosum.authority import NAME, Authority

#: How long the reactor of a node is held up.
STALL_S = 1.5


class Ward:
    """
    A cluster of two nodes, ``n0`` and ``n1``, and the doctor who sees to it.

    :param common: Options of all nodes.
    :param own: Options of the first node, and of the second.
    :param pulse: Options of pulse.
    """

    def __init__(
        self,
        crew: Crew,
        *common: str,
        own: Sequence[Sequence[str]] = ((), ()),
        pulse: Sequence[str] = (),
    ) -> None:
        self.crew = crew
        self.common = common
        self.ports = free_ports(2)
        self.static = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.nodes = [
            crew.twist(*self.options(f"n{number}", port), *own[number], name="node")
            for number, port in enumerate(self.ports)
        ]
        for node in self.nodes:
            node.wait_for("Ready")
            node.wait_for_members(2)
        self._pulse = ("--node", self.nodes[0].address, *pulse)

    def options(self, node_id: str, port: int) -> list[str]:
        """What makes a node one of this cluster."""
        place = f"127.0.0.1:{port}"
        known = ("--listen", place, "--static", self.static)
        return [*known, "--node-id", node_id, *self.common]

    def third(self, *options: str) -> Running:
        """One more node, ``n2``, with options of its own."""
        (port,) = free_ports(1)
        return self.crew.twist(*self.options("n2", port), *options, name="third")

    def doctor(self) -> list[dict[str, str]]:
        """What is found now."""
        ended = self.crew.run_pulse("doctor", "--json", *self._pulse)
        assert (ended.err, ended.code in (0, 1)) == ("", True), ended
        found: list[dict[str, str]] = json.loads(ended.out)
        assert bool(found) == ended.code
        return found

    def pulse(self, *arguments: str) -> None:
        """Do something that succeeds."""
        ended = self.crew.run_pulse(*arguments, *self._pulse)
        assert ended.code == 0, ended

    def well(self) -> None:
        """Wait until nothing is wrong any more, but for what was planted."""
        until(lambda: not self.doctor(), "nothing is wrong")

    def finds(self, what: str, fix: str, node_id: str | None = None) -> None:
        """Wait until it is found, with its fix, and where it is."""
        seen: list[dict[str, str]] = []

        def found() -> bool:
            seen[:] = self.doctor()
            return any(
                what in it["what"]
                and fix in it["fix"]
                and node_id in (None, it["node_id"])
                for it in seen
            )

        try:
            until(found, f"the doctor finds {what!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}, but {seen}") from None


@pytest.fixture
def ward(crew: Crew) -> Ward:
    """Two nodes that are well."""
    found = Ward(crew, "--bucket", "sessions:ttl=15m,replicas=1")
    found.well()
    return found


def test_another_secret(ward: Ward, crew: Crew) -> None:
    """A node that was given another secret."""
    ward.third(
        "--secret-file", crew.secret_file("other", "another passphrase altogether")
    )
    ward.finds("it has another secret", "give all nodes the same --secret-file")


def test_other_tls(ward: Ward) -> None:
    """A node that was told not to encrypt."""
    ward.third("--tls", "off")
    ward.finds("its TLS is off", "give all nodes the same --tls")


def test_nobody_there(crew: Crew) -> None:
    """An address in --static at which no node was started."""
    (port,) = free_ports(1)
    ward = Ward(crew, "--static", f"127.0.0.1:{port}")
    ward.finds(f"nobody is at 127.0.0.1:{port}", "take the address out of --static")


def test_name_of_nobody(crew: Crew) -> None:
    """A name in --static that has no address."""
    ward = Ward(crew, own=(("--static", "no-such-host.invalid"), ()))
    ward.finds("no-such-host.invalid", "check the name with `dig`", "n0")


def test_wrong_advertise(ward: Ward) -> None:
    """A node that tells others a port at which it does not listen."""
    (closed,) = free_ports(1)
    ward.third("--advertise", f"127.0.0.1:{closed}").wait_for_members(3)
    ward.finds(
        f"none of the others can reach it at 127.0.0.1:{closed}: nothing listens",
        "have its --advertise name where others reach it",
        "n2",
    )


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port that says nothing, not even that it is closed, as behind a firewall."""
    with ExitStack() as stack:
        server = socket.create_server(("127.0.0.1", 0), backlog=0)
        listening = stack.enter_context(server)
        port: int = listening.getsockname()[1]
        while True:
            # Nobody accepts: who comes when the queue is full gets no answer.
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(("127.0.0.1", port))
            except TimeoutError:
                break
        yield port


def test_firewall(ward: Ward, mute_port: int) -> None:
    """A node whose port others can't get through to, though it has links to them."""
    ward.third("--advertise", f"127.0.0.1:{mute_port}").wait_for_members(3)
    ward.finds(
        f"can reach it at 127.0.0.1:{mute_port}: no answer within 1 s",
        "open that port for TCP and UDP between all nodes",
        "n2",
    )


def test_certificate_ends(crew: Crew, tmp_path: Path) -> None:
    """A certificate that nobody has thought of; and that it is replaced in time."""
    authority = Authority(tmp_path / "pki")

    def options(of: str, days: int) -> list[str]:
        files = authority.files(NAME, of=of, days=(-80, days), hostname=NAME)
        return ["--tls-cert", files.cert, "--tls-key", files.key]

    common = ["--tls", "pki", "--tls-ca", str(authority.path), "--tls-hostname", NAME]
    ward = Ward(
        crew,
        *common,
        own=(options("n0", 90), options("n1", 5)),
        pulse=[*common, *options("ops", 90)],
    )
    ward.finds("its certificate ends in 4 days", "--tls-cert and --tls-key", "n1")
    options("n1", 90)
    ward.well()


def test_held_up(ward: Ward) -> None:
    """A node whose reactor does not turn for a while."""
    node = ward.nodes[1]
    node.process.send_signal(signal.SIGSTOP)
    try:
        # It is to be stopped for so long: this is no wait for something to happen.
        with pytest.raises(AssertionError):
            until(lambda: False, "the node stands still", STALL_S)
    finally:
        node.process.send_signal(signal.SIGCONT)
    ward.finds("it did not run 1 times, for 1.", "move that to a thread", "n1")


def test_too_few_nodes(ward: Ward) -> None:
    """A bucket that wants more copies than there are nodes."""
    ward.pulse("cache", "create", "orders", "--replicas", "3")
    ward.finds("bucket orders wants 3 copies besides the first", "start 2 more")


def test_buckets_in_conflict(crew: Crew) -> None:
    """Two nodes that make a bucket in different ways."""
    own = [["--bucket", f"sessions:ttl={ttl}"] for ttl in ("15m", "20m")]
    ward = Ward(crew, own=own)
    ward.finds(
        "bucket sessions is set up in different ways: ttl_s is 900.0 on n0, 1200.0 on",
        "give all nodes the same --bucket",
    )


def test_dead(ward: Ward) -> None:
    """A node whose process was killed."""
    ward.nodes[1].kill()
    ward.finds("it is dead", "start it again", "n1")


def odd(ward: Ward, ahead_s: float, version: str = __version__) -> None:
    """One more node, on a machine with another clock, or another version."""
    (port,) = free_ports(1)
    options = ward.options("n2", port)
    node = ward.crew.program("odd_twist.py", str(ahead_s), version, *options)
    node.wait_for_members(3)


def test_clock(ward: Ward) -> None:
    """A machine whose clock is wrong."""
    odd(ward, -90.0)
    ward.finds("its clock is 90.0 s behind that of n0", "run an NTP client", "n2")


def test_versions(ward: Ward) -> None:
    """A node that was forgotten in an upgrade."""
    odd(ward, 0.0, "0.0.9")
    ward.finds(f"versions differ: 0.0.9, {__version__}", "finish the upgrade")
