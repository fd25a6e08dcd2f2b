"""
What the page shows.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.web.board import Board, board
from mycorrizal.pulse.web.survey import Heard
from tests.pulse.web.reports import bucket, peer, report


def shown(own: Any, **others: Any) -> Board:
    """The board of reports that are two seconds old."""
    heard = {name: Heard(each, 8.0) for name, each in others.items()}
    return board(
        Heard(own, 10.0), heard, 10.0, at=1.0, cluster="c", sample=None, happenings=[]
    )


class BoardTests(SynchronousTestCase):
    """Reports put together."""

    def test_nodes(self) -> None:
        """Each node is there by id; who has not answered is without figures."""
        nodes = shown(report("b", peer("a"), peer("c")), c=report("c", slots=5)).nodes
        self.assertEqual([node.id for node in nodes], ["a", "b", "c"])
        self.assertEqual([node.slots for node in nodes], [None, 0, 5])
        self.assertEqual([node.age_s for node in nodes], [None, 0.0, 2.0])

    def test_rates(self) -> None:
        """Rates are what was counted between two reports, never below nought."""
        was = report(buckets=[bucket(hits=10, puts=9)])
        now = report(buckets=[bucket(hits=30, puts=0)])
        made = board(
            Heard(now, 10.0, (was, 6.0)), {}, 10.0,
            at=1.0, cluster="c", sample=None, happenings=[],
        )  # fmt: skip
        self.assertEqual(made.nodes[0].gets_per_s, 5.0)
        self.assertEqual(made.nodes[0].puts_per_s, 0.0)

    def test_links(self) -> None:
        """Each pair is there once; of what two others say the worse counts."""
        own = report("a", peer("b"), peer("c"), peer("d", "dead", "down"))
        others = {
            "b": report("b", peer("a", link="down"), peer("c")),
            "c": report("c", peer("a"), peer("b", link="down")),
        }
        links = [(each.a, each.b, each.state) for each in shown(own, **others).links]
        expected = [("a", "b", "up"), ("a", "c", "up"), ("b", "c", "down")]
        self.assertEqual(links, expected)

    def test_buckets(self) -> None:
        """Shares are added up; a bucket is as full as its fullest share."""
        own = report(buckets=[bucket(entries=5, max_entries=10, hits=3)])
        other = report("z", buckets=[bucket(entries=9, max_entries=10, misses=1)])
        (row,) = shown(own, z=other).buckets
        self.assertEqual((row.entries, row.full, row.hit_ratio), (14, 0.9, 0.75))
        self.assertIsNone(shown(report(buckets=[bucket()])).buckets[0].hit_ratio)
