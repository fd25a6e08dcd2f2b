"""
A network of the tests' own: one namespace per node, on a bridge.

Rules of nftables drop packets per direction, as they arrive at a node; TBF
limits what a node sends.  Needs root, iproute2 and nftables.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable

#: All addresses: the nodes' from .1 on, and .254 for clients of this process.
SUBNET = "10.99.77"
PORT = 7300
#: No command of ip, tc or nft takes longer.
COMMAND_TIMEOUT_S = 10.0
_PREFIX = "mycf"


def _run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
    )
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def why_not() -> str:
    """Why this machine can't have such a network; empty if it can."""
    if os.geteuid() != 0:
        return "not root"
    for program in ("ip", "tc", "nft", "nsenter"):
        if shutil.which(program) is None:
            return f"{program} is not installed (tests/faults/install.sh)"
    _remove_leftovers()
    name = f"{_PREFIX}{os.getpid()}-0"
    try:
        if f" {SUBNET}." in _run("ip", "-o", "-4", "addr"):
            return f"another run uses {SUBNET}.0/24"
        _run("ip", "netns", "add", name)
    except OSError as error:
        return str(error)
    try:
        _run("nsenter", f"--net=/run/netns/{name}", "nft", "list", "ruleset")
    except OSError as error:
        return str(error)
    finally:
        _run("ip", "netns", "del", name)
    return ""


def _remove_leftovers() -> None:
    """Remove what a run left that was itself killed."""
    for line in _run("ip", "netns", "list").splitlines():
        name = line.split()[0]
        pid = name.removeprefix(_PREFIX).partition("-")[0]
        if name.startswith(_PREFIX) and not os.path.exists(f"/proc/{pid}"):
            _run("ip", "netns", "del", name)
            if os.path.exists(f"/sys/class/net/{_PREFIX}{pid}"):
                _run("ip", "link", "del", f"{_PREFIX}{pid}")


class Namespaces:
    """
    The namespaces of some nodes, whose numbers are 1 and up.

    :param count: How many nodes.
    """

    def __init__(self, count: int) -> None:
        self.numbers = range(1, count + 1)
        self._bridge = f"{_PREFIX}{os.getpid()}"

    def _name(self, number: int) -> str:
        return f"{self._bridge}-{number}"

    def enter(self, number: int) -> list[str]:
        """The beginning of a command that runs at a node."""
        return ["nsenter", f"--net=/run/netns/{self._name(number)}"]

    def address(self, number: int) -> str:
        """Where a node listens."""
        return f"{SUBNET}.{number}:{PORT + number}"

    def open(self) -> None:
        """Make all of it, or nothing."""
        try:
            bridge = self._bridge
            _run("ip", "link", "add", bridge, "type", "bridge")
            _run("ip", "addr", "add", f"{SUBNET}.254/24", "dev", bridge)
            _run("ip", "link", "set", bridge, "up")
            for number in self.numbers:
                self._open_one(number)
        except BaseException:
            self.close()
            raise

    def _open_one(self, number: int) -> None:
        name, port = self._name(number), f"{self._bridge}v{number}"
        _run("ip", "netns", "add", name)
        peer = ("peer", "name", "eth0", "netns", name)
        _run("ip", "link", "add", port, "type", "veth", *peer)
        _run("ip", "link", "set", port, "master", self._bridge, "up")
        within = ("ip", "-n", name)
        _run(*within, "addr", "add", f"{SUBNET}.{number}/24", "dev", "eth0")
        _run(*within, "link", "set", "eth0", "up")
        _run(*within, "link", "set", "lo", "up")
        chain = "add chain inet f in { type filter hook input priority 0; }"
        self._nft(number, f"add table inet f; {chain}")

    def _nft(self, number: int, text: str) -> None:
        _run(*self.enter(number), "nft", "-f", "-", text=text + "\n")

    def close(self) -> None:
        """Remove all that there is of it."""
        existing = _run("ip", "netns", "list").split()
        for number in self.numbers:
            # The end of a namespace is the end of its interfaces, but later.
            if os.path.exists(f"/sys/class/net/{self._bridge}v{number}"):
                _run("ip", "link", "del", f"{self._bridge}v{number}")
            if self._name(number) in existing:
                _run("ip", "netns", "del", self._name(number))
        if os.path.exists(f"/sys/class/net/{self._bridge}"):
            _run("ip", "link", "del", self._bridge)

    # -- faults ---------------------------------------------------------------

    def cut(self, ways: Iterable[tuple[int, int]]) -> None:
        """Drop all packets from one node to another, for each such pair."""
        for source, target in ways:
            rule = f"add rule inet f in ip saddr {SUBNET}.{source} drop"
            self._nft(target, rule)

    def lose(self, percent: int) -> None:
        """Lose so many of the packets between all nodes."""
        for target in self.numbers:
            for source in self.numbers:
                if source != target:
                    some = f"numgen random mod 100 < {percent}"
                    rule = f"ip saddr {SUBNET}.{source} {some} drop"
                    self._nft(target, f"add rule inet f in {rule}")

    def slow(self, number: int, kbit_per_s: int) -> None:
        """Limit what a node sends."""
        shape = (
            "tbf",
            "rate",
            f"{kbit_per_s}kbit",
            "burst",
            "16kb",
            "latency",
            "400ms",
        )
        within = ("tc", "-n", self._name(number))
        _run(*within, "qdisc", "replace", "dev", "eth0", "root", *shape)

    def heal(self) -> None:
        """All packets pass again, at any speed."""
        for number in self.numbers:
            self._nft(number, "flush chain inet f in")
            within = ("tc", "-n", self._name(number))
            if "tbf" in _run(*within, "qdisc", "show", "dev", "eth0"):
                _run(*within, "qdisc", "del", "dev", "eth0", "root")
