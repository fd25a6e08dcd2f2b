"""
The commands that look at a cluster.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import click
from click.testing import CliRunner

from mycorrizal.nodosum import derive_key
from mycorrizal.pulse.cli import pulse
from mycorrizal.pulse.session import Session
from mycorrizal.version import __version__
from tests.pulse.worlds import PulseTestCase


class LookingTests(PulseTestCase):
    """Two nodes, of which the first is asked."""

    size = 2
    settings = {"buckets": "sessions:ttl=15m,max_entries=10"}

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(2)

    def test_status(self) -> None:
        """Status is a page that fits a terminal of 80 columns."""
        page = self.out_of("status")
        lines = page.splitlines()
        self.assertEqual(lines[0], "Node n0 of cluster mycorrizal")
        self.assertLessEqual(max(map(len, lines)), 80)
        for words in ("n1", "alive", "sessions", "15 min", "2 of 2 nodes alive"):
            self.assertIn(words, page)

    def test_status_json(self) -> None:
        """Status for programs has what its page has, by name."""
        found = json.loads(self.out_of("status", "--json"))
        self.assertEqual(found["node"]["id"], "n0")
        self.assertEqual(found["node"]["address"], "10.0.0.1:6969")
        for name in ("version", "incarnation", "uptime_s"):
            self.assertIn(name, found["node"])
        states = {member["id"]: member["state"] for member in found["members"]}
        self.assertEqual(states, {"n0": "alive", "n1": "alive"})
        self.assertIsInstance(found["members"][1]["rtt_ms"], float)
        (bucket,) = found["buckets"]
        self.assertEqual(bucket["name"], "sessions")
        for name in ("entries", "bytes", "hits", "misses"):
            self.assertEqual(bucket[name], 0)
        self.assertIn("SYSTEM-PULSE", found["applications"])
        self.assertEqual(found["under_replicated"], 0)

    def test_nodes(self) -> None:
        """The nodes are a table, or a list of objects."""
        rows = [line.split() for line in self.out_of("nodes").splitlines()]
        self.assertEqual(rows[0][:4], ["NODE", "ADDRESS", "STATE", "RTT"])
        self.assertEqual(rows[1][:4], ["n0", "10.0.0.1:6969", "alive", "this"])
        self.assertEqual(rows[2][:3], ["n1", "10.0.0.2:6969", "alive"])
        found = json.loads(self.out_of("nodes", "--json"))
        self.assertEqual([member["id"] for member in found], ["n0", "n1"])

    def test_ping(self) -> None:
        """A ping tells milliseconds."""
        self.assertRegex(self.out_of("ping", "n1"), r"^n1: \d+\.\d\d ms\n$")
        found = json.loads(self.out_of("ping", "n1", "--json"))
        self.assertEqual(found["node_id"], "n1")
        self.assertGreater(found["rtt_ms"], 0)
        self.assertEqual(found["rtt_ms"], round(found["rtt_ms"], 3))

    def test_ping_of_nobody(self) -> None:
        """Who pings nobody is told where the names are."""
        error = self.error_of(1, "ping", "n7")
        self.assertIn("n0:6969 has no link to n7; `pulse nodes` lists", error)

    def test_leave(self) -> None:
        """A node is asked to leave, by name."""
        self.assertEqual(self.out_of("leave", "n1"), "n1 was asked to leave\n")
        self.cluster.until(lambda: not self.cluster[1].running)
        error = self.error_of(1, "leave", "n1")
        self.assertIn("n0:6969 has no link to n1", error)

    def test_send(self) -> None:
        """A message from the command line, or from stdin, arrives as it is."""
        heard: list[bytes] = []
        for node in self.cluster.nodes:
            application = node.register_application("chat")
            application.set_receive_func(lambda payload, _: heard.append(payload))
        said = self.out_of("send", "chat", "hello")
        self.assertEqual(said, "sent 5 bytes to all other nodes\n")
        said = self.pulse("send", "chat", "-", "--to", "n1", stdin=b"\0\xff\n").stdout
        self.assertEqual(said, "sent 3 bytes to n1\n")
        self.cluster.advance(1)
        self.assertEqual(heard, [b"hello", b"\0\xff\n"])

    def test_send_from_nowhere(self) -> None:
        """An application that is not registered sends nothing."""
        error = self.error_of(1, "send", "chat", "hello")
        self.assertIn("'chat' is not registered on n0:6969", error)


class AloneTests(PulseTestCase):
    """What needs no node."""

    def test_secret(self) -> None:
        """A fresh secret, a newline, and nothing else; each time another."""
        self.environment.clear()
        first, second = self.out_of("secret", "new"), self.out_of("secret", "new")
        self.assertNotEqual(first, second)
        for line in (first, second):
            self.assertEqual(line, line.strip() + "\n")
            derive_key(line, "mycorrizal")

    def test_secret_json(self) -> None:
        """For programs it is an object, wherever --json stands."""
        for line in (
            ("secret", "new", "--json"),
            ("secret", "--json", "new"),
            ("--json", "secret", "new"),
        ):
            found = json.loads(self.out_of(*line))
            self.assertEqual(list(found), ["secret"])
            derive_key(found["secret"], "mycorrizal")

    def test_every_command_takes_json(self) -> None:
        """There is no command that --json does not go with."""

        def paths(path: list[str], command: click.Command) -> Iterator[list[str]]:
            if isinstance(command, click.Group):
                for name, inner in command.commands.items():
                    yield from paths([*path, name], inner)
            else:
                yield path

        for path in paths([], pulse):
            self.assertIn("--json", self.out_of(*path, "--json", "--help"))

    def test_help_is_whole(self) -> None:
        """What each command is for stands in one line of the list, uncut."""

        def groups(path: list[str], group: click.Group) -> Iterator[list[str]]:
            yield path
            for name, inner in group.commands.items():
                if isinstance(inner, click.Group):
                    yield from groups([*path, name], inner)

        for path in groups([], pulse):
            listed = self.out_of(*path, "--help").partition("Commands:")[2]
            self.assertNotIn("...", listed)

    def test_version(self) -> None:
        """The version is that of the package."""
        self.assertEqual(self.out_of("--version"), f"pulse {__version__}\n")

    def test_nothing(self) -> None:
        """Who says nothing is shown the help, as wrong usage."""
        result = self.pulse()
        self.assertEqual(result.exit_code, 2)
        self.assertIn("Commands:", result.output)


class ColourTests(PulseTestCase):
    """States are coloured on a terminal."""

    def shown(self) -> str:
        """The table of nodes as a terminal gets it."""
        session = Session(self._converse, self.environment)
        result = CliRunner().invoke(pulse, ["nodes"], obj=session, color=True)
        return result.stdout

    def test_terminal(self) -> None:
        """Colour goes to a terminal, and to nothing else."""
        self.patch(os, "environ", {})
        self.assertIn("\x1b[", self.shown())
        self.assertNotIn("\x1b[", self.out_of("nodes"))

    def test_no_color(self) -> None:
        """Nor to a terminal whose user set NO_COLOR."""
        self.patch(os, "environ", {"NO_COLOR": "1"})
        self.assertNotIn("\x1b[", self.shown())
