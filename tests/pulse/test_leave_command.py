"""
A node is asked to leave, and waited for.
"""

from __future__ import annotations

import json

from tests.pulse.worlds import PulseTestCase


class LeaveTests(PulseTestCase):
    """Three nodes, with a bucket of one copy, and slow ways from the second."""

    size = 3
    settings = {"stop_timeout_s": 30}

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(1)
        self.cache = self.cluster[0].cache()
        self.cluster.result_of(self.cache.create_bucket("b", replicas=0))
        for number in range(60):
            # What can't be compressed takes its time.
            value = self.host.runtime.token_bytes(20_000)
            self.cluster.result_of(self.cache.put("b", f"k{number}", value))
        self.cluster.until(self.cluster.converged)
        for other in (0, 2):
            self.cluster.slow(1, other, 50_000, latency_ms=20)

    def test_waits(self) -> None:
        """It ends when the node has left, and tells how far it is until then."""
        result = self.pulse("leave", "n1", "--wait")
        self.assertEqual((result.exit_code, result.stdout), (0, "n1 has left\n"))
        first, *more = result.stderr.splitlines()
        self.assertRegex(first, r"^  0%  \d+ values to hand over$")
        self.assertTrue(more)
        self.assertFalse(self.cluster[1].running)
        for number in range(60):
            got = self.cluster.result_of(self.cache.get("b", f"k{number}"))
            self.assertIsNotNone(got)

    def test_itself(self) -> None:
        """The node that is asked may be the one: it closes the connection then."""
        result = self.pulse("leave", "n1", "--wait", "--json", "--node", "n1")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertEqual(json.loads(result.stdout), {"node_id": "n1", "left": True})
        self.cluster.advance(1)
        self.assertFalse(self.cluster[1].running)

    def test_deadline(self) -> None:
        """If its time is up it says so, and the node goes on to leave."""
        error = self.error_of(1, "leave", "n1", "--wait", "--timeout", "1s")
        self.assertEqual(
            error.splitlines()[-1],
            "pulse: n1 was asked to leave, and has not within 1 s; `pulse nodes` "
            "shows when it has",
        )
        self.cluster.until(lambda: not self.cluster[1].running)

    def test_dies(self) -> None:
        """A node that dies meanwhile has not left."""
        runtime = self.cluster.hosts[0].runtime
        runtime.call_later(1, self.cluster.crash, 1, "silence")
        error = self.error_of(1, "leave", "n1", "--wait")
        self.assertEqual(
            error.splitlines()[-1],
            "pulse: n1 died before it had handed over what it holds",
        )

    def test_nobody(self) -> None:
        """Nobody waits for who is not there."""
        self.assertIn("no link to n9", self.error_of(1, "leave", "n9", "--wait"))
