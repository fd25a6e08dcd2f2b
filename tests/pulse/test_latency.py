"""
How long gets and puts took, from what nodes have counted.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.histogram import TIMES_S
from mycorrizal.mycel.operations.latencies import SAMPLED_EVERY
from mycorrizal.pulse.latency import Counts, Latency, between, latency, together
from mycorrizal.pulse.messages import AskStatus, NodeStatus, Status
from tests.pulse.worlds import PulseTestCase


def counts(*under_ms: float) -> list[int]:
    """One operation in each of the buckets that end there."""
    found = [0] * (len(TIMES_S) + 1)
    for bound_ms in under_ms:
        found[TIMES_S.index(bound_ms / 1000)] += 1
    return found


def status(latencies: Counts, incarnation: int = 1) -> Status:
    """A node that has counted this."""
    node = NodeStatus("a", "1", incarnation, "h:1", 1.0, "shop", "ab", "auto", False)
    return Status(node, [], [], [], 0, latencies)


class LatencyTests(SynchronousTestCase):
    """A node that is looked at twice."""

    def test_between(self) -> None:
        """Only what was done between the looks is told."""
        before = status({"get": counts(1, 1, 100), "put": counts()})
        now = status({"get": counts(1, 1, 1, 1, 100), "put": counts()})
        found = between(before, now)
        self.assertEqual(latency(found, "get"), Latency(2, 0.75, 0.995))
        self.assertIsNone(latency(found, "put"))

    def test_unknown(self) -> None:
        """Nothing is told of the first look, of a node that started again, or of a
        version that counts in another way."""
        now = status({"get": counts(1)})
        self.assertEqual(between(None, now), {})
        self.assertEqual(between(status({}, incarnation=0), now), {})
        self.assertNotIn("get", between(status({}), status({"get": [1, 2]})))
        self.assertIsNone(latency({}, "get"))

    def test_older_version(self) -> None:
        """A node that counts nothing has no latencies."""
        self.assertIsNone(latency(between(status({}), status({})), "get"))

    def test_together(self) -> None:
        """Those of all nodes are those of all operations, and no mean of means."""
        found = together([{"get": counts(*[1] * 99)}, {"get": counts(1000)}, {}])
        every = latency(found, "get")
        assert every is not None
        self.assertEqual(every.timed, 100)
        self.assertLess(every.p99_ms, 1.01)
        slow = latency(together([found, {"get": counts(1000)}]), "get")
        assert slow is not None
        self.assertGreater(slow.p99_ms, 500)


class MeasuredTests(PulseTestCase):
    """Three nodes that are at work."""

    size = 3
    settings = {"buckets": "b"}

    def test_measured(self) -> None:
        """From the first look on a node measures what it sends to others."""
        self.cluster.advance(2)

        def counted() -> dict[str, int]:
            found = self.ask(AskStatus())
            assert isinstance(found, Status)
            return {kind: sum(count) for kind, count in found.latencies.items()}

        self.assertIsNone(self.cluster[0].mycel.router.latencies)
        self.assertEqual(counted(), {"get": 0, "put": 0})
        cache = self.cluster[0].cache()
        for number in range(20 * SAMPLED_EVERY):
            self.cluster.result_of(cache.put("b", f"k{number}", b"v"))
        found = counted()
        self.assertGreater(found["put"], 5)
        self.assertLess(found["put"], 20)
        self.assertEqual(found["get"], 0)
