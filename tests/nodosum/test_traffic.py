"""
What is counted of a link.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum import Link
from mycorrizal.testing.cluster import SimCluster


class TrafficTests(SynchronousTestCase):
    """Two nodes whose link is looked at from both ends."""

    def test_both_ends_agree(self) -> None:
        """All bytes and frames that one has sent, the other has received."""
        cluster = SimCluster(2, seed=self.id())
        for number in (0, 1):
            cluster[number].register_application("chat")
        cluster.until(cluster.formed)
        here, there = self.link(cluster, 0), self.link(cluster, 1)
        before = here.lanes.traffic.sent_frames
        chat = cluster[0].get_application("chat")
        for _ in range(10):
            chat.post(bytes(1000))
        cluster.until(lambda: here.lanes.traffic.sent_frames >= before + 10)
        # Until nothing is on the way any more.
        cluster.until(lambda: self.counted(here) == self.counted(there)[::-1])
        self.assertGreater(here.lanes.traffic.sent_bytes, 10_000)

    def link(self, cluster: SimCluster, number: int) -> Link:
        """The link of one of the two nodes."""
        (link,) = cluster[number].nodosum.applications.links.values()
        return link

    def counted(self, link: Link) -> list[tuple[int, int]]:
        """What went out, and what came in."""
        traffic = link.lanes.traffic
        return [
            (traffic.sent_bytes, traffic.sent_frames),
            (traffic.received_bytes, traffic.received_frames),
        ]
