"""
What is counted between two looks at a cluster.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.everybody import Said
from mycorrizal.pulse.messages import (
    BucketStatus,
    MemberStatus,
    NodeStatus,
    Status,
)
from mycorrizal.pulse.top_figures import Picture, picture


def share(
    name: str = "b", hits: int = 0, misses: int = 0, puts: int = 0, evicted: int = 0
) -> BucketStatus:
    """A node's share of a bucket: ten values, of 100 bytes in all."""
    return BucketStatus(
        name, 10, 100, hits, misses, puts, 0, 0, evicted, None, None, None, 1
    )


def said(
    node_id: str, *buckets: BucketStatus, up_s: float = 1.0, incarnation: int = 1
) -> Said[Status]:
    """What a node of the cluster of ``a`` and ``b`` says."""
    node = NodeStatus(
        node_id, "1", incarnation, "h:1", up_s, "shop", "ab", "auto", False
    )
    members = [
        MemberStatus(name, "h:1", "alive", 2.0, "1", "h", {}, "up") for name in "ab"
    ]
    status = Status(node, members, list(buckets), [], 3)
    return Said(node_id, status, "", 0.0 if node_id == "a" else 1.5)


class PictureTests(SynchronousTestCase):
    """Two nodes, looked at twice."""

    def rates(self, found: Picture, node_id: str) -> tuple[float | None, float | None]:
        """Gets and puts per second of a node."""
        (line,) = (line for line in found.members if line.node_id == node_id)
        assert line.load is not None
        return line.load.gets_s, line.load.puts_s

    def test_first_look(self) -> None:
        """The first look tells what is held, and no rates."""
        found = picture([], [said("a", share(hits=5)), said("b", share())])
        self.assertEqual((found.cluster, found.asked, found.alive), ("shop", "a", 2))
        self.assertEqual((found.total.entries, found.total.size_bytes), (20, 200))
        self.assertEqual(self.rates(found, "a"), (None, None))
        self.assertIsNone(found.total.hit_ratio)
        self.assertEqual(found.missing, 6)

    def test_rates(self) -> None:
        """What was done is told per second of the node's own clock."""
        before = [said("a", share()), said("b", share())]
        now = [
            said("a", share(hits=30, misses=10, puts=4, evicted=2), up_s=3.0),
            said("b", share(hits=1), up_s=2.0),
        ]
        found = picture(before, now)
        self.assertEqual(self.rates(found, "a"), (20.0, 2.0))
        self.assertEqual(self.rates(found, "b"), (1.0, 0.0))
        self.assertEqual(found.total.gets_s, 21.0)
        self.assertEqual(found.buckets["b"].evicted_s, 1.0)
        self.assertEqual(found.buckets["b"].hit_ratio, 16 / 21)

    def test_restart(self) -> None:
        """A node that started again has no rates till the look after."""
        before = [said("a", share(hits=900), up_s=60), said("b", share())]
        now = [said("a", share(hits=1), up_s=70, incarnation=2), said("b", up_s=2)]
        self.assertEqual(self.rates(picture(before, now), "a"), (None, None))

    def test_bucket_made_again(self) -> None:
        """A bucket that was dropped and made again has no rate below zero."""
        before = [said("a", share(hits=900, puts=9)), said("b")]
        found = picture(before, [said("a", share(), up_s=2), said("b", up_s=2)])
        self.assertEqual(self.rates(found, "a"), (0.0, 0.0))

    def test_no_buckets(self) -> None:
        """Without buckets nothing is done, which is known."""
        before = [said("a"), said("b")]
        found = picture(before, [said("a", up_s=2), said("b", up_s=2)])
        self.assertEqual(self.rates(found, "b"), (0.0, 0.0))
        self.assertEqual(found.buckets, {})

    def test_looks_too_close(self) -> None:
        """Looks that are hardly apart say nothing of rates."""
        before = [said("a", share()), said("b")]
        now = [said("a", share(hits=1), up_s=1.04), said("b")]
        self.assertEqual(self.rates(picture(before, now), "a"), (None, None))
        now = [said("a", share(hits=1), up_s=1.0625), said("b")]
        self.assertEqual(self.rates(picture(before, now), "a"), (16.0, 0.0))

    def test_silent(self) -> None:
        """A node that does not answer is there, and has no figures."""
        silent: Said[Status] = Said("b", None, "does not answer", 2000.0)
        found = picture([], [said("a", share()), silent])
        line = found.members[1]
        self.assertEqual((line.node_id, line.load), ("b", None))
        self.assertEqual(line.problem, "does not answer")
        self.assertEqual(found.total.entries, 10)
