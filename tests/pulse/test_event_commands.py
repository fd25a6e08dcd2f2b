"""
What happened to a cluster, from the command line.
"""

from __future__ import annotations

import json
from typing import Any

from mycorrizal.pulse.cluster_messages import AskAll, AskEvents, FromAll
from mycorrizal.pulse.messages import AskClear, Failed, encode
from mycorrizal.testing import SimCluster
from tests.pulse.worlds import PulseTestCase


class EventCommandTests(PulseTestCase):
    """Three nodes."""

    size = 3

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(2)

    def found(self, *arguments: str) -> list[dict[str, Any]]:
        """Events, for programs."""
        found: list[dict[str, Any]] = json.loads(
            self.out_of("events", "--json", *arguments)
        )
        return found

    def test_merged(self) -> None:
        """Events of all nodes come in one order, whichever is asked."""
        found = self.found("--limit", "0")
        self.assertEqual({it["node"] for it in found}, {"n0", "n1", "n2"})
        order = [(it["stamp"], it["node"]) for it in found]
        self.assertEqual(order, sorted(order))
        other = self.found("--limit", "0", "--node", "n2")
        self.assertEqual(other, found)

    def test_lines(self) -> None:
        """Each event is a line: time, node, kind, sentence."""
        page = self.out_of("events", "--limit", "0")
        self.assertRegex(page, r"(?m)^\d\d:\d\d:\d\d\.\d{3}  n0  ready +This node is")
        self.assertEqual(len(page.splitlines()), len(self.found("--limit", "0")))

    def test_limit(self) -> None:
        """Of many events the last are shown."""
        all_there = self.found("--limit", "0")
        self.assertEqual(self.found("--limit", "3"), all_there[-3:])

    def test_of_some(self) -> None:
        """Events of some nodes, or only the bad ones, can be asked for."""
        found = self.found("--of", "n1")
        self.assertEqual({it["node"] for it in found}, {"n1"})
        self.assertEqual(self.out_of("events", "--level", "error"), "no events\n")
        self.cluster.crash(2)
        self.cluster.advance(10)
        found = self.found("--level", "error")
        told = {(it["node"], it["text"]) for it in found}
        self.assertEqual(told, {("n0", "n2 is dead"), ("n1", "n2 is dead")})

    def test_silent_node(self) -> None:
        """A node that does not answer is named, and the rest is shown."""
        self.cluster.pause(2)
        result = self.pulse("events")
        self.assertEqual(result.exit_code, 0)
        self.assertIn("n2 does not answer; the rest is without it", result.stderr)
        self.assertIn("n1", result.stdout)

    def test_changes_are_not_for_all(self) -> None:
        """Nothing that changes anything can be asked of all nodes at once."""
        reply = self.ask(AskAll(encode(AskClear("b"))))
        assert isinstance(reply, Failed)
        self.assertEqual(reply.error, "LocalProtocolError")
        reply = self.ask(AskAll(encode(AskAll(encode(AskEvents())))))
        assert isinstance(reply, Failed)
        reply = self.ask(AskAll(b"\xc1"))
        assert isinstance(reply, Failed)

    def test_pause(self) -> None:
        """Who follows asks again after a pause, and gets what is new."""
        began_at = self.host.runtime.now()
        reply = self.ask(AskAll(encode(AskEvents()), 0.5))
        self.assertIsInstance(reply, FromAll)
        self.assertGreaterEqual(self.host.runtime.now() - began_at, 0.5)


class FollowTests(PulseTestCase):
    """Two nodes, and a user who looks on."""

    size = 2

    def test_follow(self) -> None:
        """Events come as they happen, each once, until there is nobody to ask."""
        self.cluster.advance(2)
        runtime = self.cluster[1].runtime
        _later(self.cluster, 1)
        self.host.runtime.call_later(3, lambda: self.cluster.crash(0))
        result = self.pulse("events", "--follow")
        self.assertEqual(result.exit_code, 3)
        lines = result.stdout.splitlines()
        self.assertEqual(len(lines), len(set(lines)))
        self.assertIn("This is new", lines[-1])
        self.assertIsNotNone(runtime)


def _later(cluster: SimCluster, after_s: float) -> None:
    from mycorrizal.recorder import Kind

    node = cluster[1]
    node.runtime.call_later(
        after_s, lambda: node.nodosum.recorder.note(Kind.BUCKET, "This is new")
    )
