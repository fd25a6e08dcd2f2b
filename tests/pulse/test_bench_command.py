"""
The quick test of a cluster that is at work.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import LocalProtocolError
from mycorrizal.pulse import bench_command
from mycorrizal.pulse.bench_messages import (
    OPERATIONS_MAX,
    VALUE_BYTES_MAX,
    WORKERS_MAX,
    AskBench,
    Benched,
    Benching,
)
from mycorrizal.pulse.messages import Failed, encode_question
from mycorrizal.pulse.progress import Progress
from mycorrizal.pulse.selftest import PHASE_S_MAX, SelfTest, pace
from tests.pulse.test_progress import Terminal
from tests.pulse.worlds import PulseTestCase


class PaceTests(SynchronousTestCase):
    """What many operations come to."""

    def test_percentiles(self) -> None:
        """Half were no slower than p50, and all but one in a hundred than p99."""
        found = pace([number / 1000 for number in range(200, 0, -1)], 2.0)
        self.assertEqual((found.p50_ms, found.p99_ms, found.max_ms), (100, 198, 200))
        self.assertEqual((found.count, found.per_s), (200, 100.0))

    def test_few(self) -> None:
        """One operation is all percentiles; none is none."""
        self.assertEqual(pace([0.5], 1).p50_ms, 500)
        found = pace([], 0.0, 3, "why")
        self.assertEqual((found.p99_ms, found.per_s, found.failed), (0, 0, 3))


class BenchTests(PulseTestCase):
    """Three nodes, one of which is asked to measure."""

    size = 3

    def setUp(self) -> None:
        super().setUp()
        self.cluster.advance(2)

    def buckets(self) -> list[list[str]]:
        """The buckets that each node has."""
        return [list(node.cache().buckets()) for node in self.cluster.nodes]

    def test_table(self) -> None:
        """Puts and gets are told on a line each, and nothing is left behind."""
        shown = self.out_of("bench", "--operations", "50", "--workers", "4")
        rows = [line.split() for line in shown.splitlines()]
        self.assertEqual(" ".join(rows[0][:5]), "From n0, 3 nodes alive:")
        self.assertEqual(rows[2], ["DONE", "PER", "SECOND", "P50", "P99", "MAX"])
        self.assertEqual(
            [row[:2] for row in rows[3:]], [["puts", "50"], ["gets", "50"]]
        )
        self.cluster.advance(2)
        self.assertEqual(self.buckets(), [[], [], []])

    def test_json(self) -> None:
        """For programs there are names, and a put took as long as the network."""
        found = json.loads(self.out_of("bench", "--json", "--operations", "300"))
        names = ["node_id", "nodes", "puts", "gets", "missed"]
        self.assertEqual(list(found), names)
        self.assertEqual((found["node_id"], found["nodes"]), ("n0", 3))
        for what in ("puts", "gets"):
            self.assertEqual((found[what]["count"], found[what]["failed"]), (300, 0))
        self.assertGreater(found["puts"]["p50_ms"], 0)
        self.assertLessEqual(found["puts"]["p50_ms"], found["puts"]["p99_ms"])
        self.assertEqual(found["missed"], 0)

    def test_one_at_a_time(self) -> None:
        """A node that measures is not asked to measure twice; then it is again."""
        one, other = self.connected(), self.connected()
        first = one.ask(AskBench(500))
        refused = self.cluster.result_of(other.ask(AskBench(1)))
        assert isinstance(refused, Failed)
        self.assertIn("measuring already", refused.text)
        self.assertIsInstance(self.cluster.result_of(first), Benched)
        self.assertIsInstance(self.ask(AskBench(1)), Benched)

    def test_how_far(self) -> None:
        """Whoever looks is told how far it is, and in the end what was found."""
        client = self.connected()
        ask = AskBench(2000, 1, look=1)
        seen: list[Benching] = []
        while isinstance(said := self.cluster.result_of(client.ask(ask)), Benching):
            seen.append(said)
            ask = AskBench(2000, 1, look=said.look)
        assert isinstance(said, Benched)
        self.assertGreater(said.gets.count, 0)
        done = [it.done for it in seen]
        self.assertGreater(len(done), 4)
        self.assertEqual((done, len(set(done))), (sorted(done), len(done)))
        self.assertEqual({it.phase for it in seen}, {"puts", "gets"})
        self.assertLessEqual(done[-1], 1)
        for look in (ask.look + 1, ask.look - 1):
            over = self.ask(AskBench(look=look)) if look > 1 else None
            if over is not None:
                assert isinstance(over, Failed), over
                self.assertIn("that measurement is over", over.text)

    def test_bar(self) -> None:
        """At a terminal there is a bar meanwhile, and then the same table."""
        out = Terminal()
        self.patch(bench_command, "Progress", partial(Progress, out=out))
        shown = self.out_of("bench", "--operations", "2000", "--workers", "1")
        self.assertIn("%  puts are measured", out.getvalue())
        self.assertIn("%  gets are measured", out.getvalue())
        self.assertIn("P99", shown)

    def test_time_is_up(self) -> None:
        """However many are wanted, puts and gets end in time."""
        test = SelfTest(self.cluster[0].nodosum, self.cluster[0].cache())
        began_at = self.host.runtime.now()
        done = test.run(AskBench(OPERATIONS_MAX, 1))
        found = self.cluster.result_of(done)
        self.assertLess(found.puts.count, OPERATIONS_MAX)
        took_s = self.host.runtime.now() - began_at
        self.assertLess(took_s, 2 * PHASE_S_MAX + 1)

    def test_stopped(self) -> None:
        """A node that stops in the midst of it leaves nothing running."""
        test = SelfTest(self.cluster[0].nodosum, self.cluster[0].cache())
        ended: list[object] = []
        test.run(AskBench(OPERATIONS_MAX)).addBoth(ended.append)
        self.cluster.advance(0.1)
        self.assertEqual(ended, [])
        self.cluster.stop(0)
        self.cluster.advance(15)
        self.assertEqual(len(ended), 1)
        self.assertEqual(self.cluster.world.errors(), [])

    def test_bounds(self) -> None:
        """More than a cluster at work should bear is refused, here and there."""
        for option, bound in (
            ("--operations", OPERATIONS_MAX),
            ("--workers", WORKERS_MAX),
            ("--value-bytes", VALUE_BYTES_MAX),
        ):
            error = self.error_of(2, "bench", option, str(bound + 1))
            self.assertIn("is not in the range", error)
        encode_question(AskBench(OPERATIONS_MAX, WORKERS_MAX, VALUE_BYTES_MAX, 7))
        beyond: tuple[Callable[[], AskBench], ...] = (
            lambda: AskBench(OPERATIONS_MAX + 1),
            lambda: AskBench(1, WORKERS_MAX + 1),
            lambda: AskBench(1, 1, VALUE_BYTES_MAX + 1),
            lambda: AskBench(1, 1, 1, 8),
        )
        for ask in beyond:
            with self.assertRaises(LocalProtocolError):
                encode_question(ask())
