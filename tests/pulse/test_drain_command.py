"""
A node is taken out of service, and brought back.
"""

from __future__ import annotations

import json

from mycorrizal.pulse.drain_messages import AskDrain, Draining
from mycorrizal.pulse.messages import Failed
from tests.pulse.worlds import PulseTestCase


class DrainTestCase(PulseTestCase):
    """Three nodes, with a bucket of one copy."""

    size = 3

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(1)
        cache = self.cluster[0].cache()
        self.cluster.result_of(cache.create_bucket("b", replicas=0))
        for number in range(60):
            # What can't be compressed takes its time.
            value = self.host.runtime.token_bytes(20_000)
            self.cluster.result_of(cache.put("b", f"k{number}", value))
        self.cluster.until(self.cluster.converged)

    def held(self, number: int) -> int:
        """How many values a node holds."""
        return self.cluster[number].cache().stats("b").entries

    def slow_down(self) -> None:
        """What the second node says takes long."""
        for other in (0, 2):
            self.cluster.slow(1, other, 50_000, latency_ms=20)


class DrainTests(DrainTestCase):
    """``pulse drain``."""

    def test_waits(self) -> None:
        """It ends when all is handed over, and tells how far it is until then."""
        self.slow_down()
        held = self.held(1)
        result = self.pulse("drain", "n1")
        self.assertEqual(
            (result.exit_code, result.stdout),
            (0, "n1 is drained: it holds nothing, and may be stopped\n"),
        )
        first, *_, last = result.stderr.splitlines()
        self.assertRegex(first, rf"^  0%  {held} of b, \d+ slots left$")
        self.assertEqual(last, "100%  nothing left")
        self.assertEqual(self.held(1), 0)
        self.assert_nothing_left()

    def test_itself(self) -> None:
        """The node that is asked may be the one; programs are told in JSON only."""
        result = self.pulse("drain", "--json", "n0")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertEqual(
            json.loads(result.stdout),
            {"node_id": "n0", "drained": True, "done": True, "slots": 0, "left": {}},
        )

    def test_deadline(self) -> None:
        """If its time is up it says what is left, and the node goes on."""
        self.slow_down()
        error = self.error_of(1, "drain", "n1", "--timeout", "1s").splitlines()[-1]
        self.assertRegex(
            error,
            r"^pulse: n1 has not handed over all within 1 s: \d+ of b(, \d+ slots)? "
            r"left; it goes on, and `pulse drain n1` looks again$",
        )
        self.assertTrue(self.cluster[1].mycel.standing.drained)
        self.assertEqual(self.pulse("drain", "n1").exit_code, 0)
        self.assertEqual(self.held(1), 0)

    def test_deadline_in_json(self) -> None:
        """So do programs hear."""
        self.slow_down()
        result = self.pulse("drain", "n1", "--timeout", "1s", "--json")
        self.assertEqual(result.exit_code, 1)
        self.assertGreater(json.loads(result.stdout)["left"]["b"], 0)

    def test_undo(self) -> None:
        """It is brought back, whether it was drained or not."""
        self.pulse("drain", "n1")
        for _ in range(2):
            said = self.out_of("drain", "n1", "--undo")
            self.assertEqual(said, "n1 is in service again\n")
            self.cluster.until(self.cluster.converged)
        self.assertGreater(self.held(1), 0)

    def test_undone_meanwhile(self) -> None:
        """If somebody brings it back meanwhile, whoever waits is told."""
        self.slow_down()
        standing = self.cluster[1].mycel.standing
        runtime = self.cluster.hosts[0].runtime
        runtime.call_later(1.2, standing.undo)
        error = self.error_of(1, "drain", "n1").splitlines()[-1]
        self.assertEqual(error, "pulse: n1 was brought back into service meanwhile")

    def test_last(self) -> None:
        """The last node in service is not drained; the sentence says what to do."""
        self.pulse("drain", "n1")
        self.pulse("drain", "n2")
        error = self.error_of(1, "drain", "n0")
        self.assertIn("n0 is the only node in service", error)
        self.assertIn("`pulse drain NODE --undo`", error)

    def test_nobody(self) -> None:
        """Who is not there can't be drained."""
        error = self.error_of(1, "drain", "n9")
        self.assertIn("no link to n9", error)

    def test_dies(self) -> None:
        """If the node dies, whoever waits is told."""
        self.slow_down()
        runtime = self.cluster.hosts[0].runtime
        runtime.call_later(1.2, self.cluster.crash, 1)
        error = self.error_of(1, "drain", "n1").splitlines()[-1]
        self.assertIn("n1", error)
        self.assertNotIn("Traceback", error)

    def test_nodes(self) -> None:
        """``pulse nodes`` and ``pulse status`` show it, whichever node is asked."""
        self.pulse("drain", "n1")
        for node in ("n0", "n1", "n2"):
            rows = self.out_of("nodes", "--node", node).splitlines()
            states = [row.split()[2] for row in rows[1:4]]
            self.assertEqual(states, ["alive", "drained", "alive"])
            (row,) = [
                it
                for it in json.loads(self.out_of("nodes", "--json", "--node", node))
                if it["drained"]
            ]
            self.assertEqual((row["id"], row["state"]), ("n1", "alive"))
        self.assertIn("3 of 3 nodes alive", self.out_of("status"))
        self.out_of("drain", "n1", "--undo")
        self.cluster.advance(1)
        self.assertNotIn("drained", self.out_of("nodes"))

    def test_events(self) -> None:
        """The flight recorder tells of it."""
        self.pulse("drain", "n1")
        shown = self.out_of("events")
        self.assertIn("Drained: handing over all that is here", shown)
        self.assertIn("All is handed over", shown)


class AskDrainTests(DrainTestCase):
    """What nodes answer each other."""

    def test_look(self) -> None:
        """To look changes nothing."""
        for node in ("n0", "n1"):
            found = self.ask(AskDrain(node))
            assert isinstance(found, Draining)
            self.assertEqual(
                (found.drained, found.done, found.left), (False, False, {})
            )
            self.assertGreater(found.slots, 0)

    def test_pause(self) -> None:
        """The answer waits as long as it is told to."""
        asked = self.connected().ask(AskDrain("n1", "look", 1.5))
        self.cluster.advance(1.4)
        self.assertNoResult(asked)
        self.cluster.advance(0.2)
        self.assertIsInstance(self.successResultOf(asked), Draining)

    def test_while_it_leaves(self) -> None:
        """A node that leaves is not drained."""
        self.slow_down()
        stopped = self.cluster[1].stopService()
        found = self.ask(AskDrain("n1", "begin"))
        assert isinstance(found, Failed)
        self.assertIn("leaves already", found.text)
        self.cluster.result_of(stopped)
        self.cluster._running.discard(1)
