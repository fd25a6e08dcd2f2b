"""What nodes of a simulated cluster remember of what happened."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.recorder import Event, Kind
from mycorrizal.testing.cluster import SimCluster


class WitnessTests(SynchronousTestCase):
    """Three nodes with a bucket."""

    def setUp(self) -> None:
        buckets = "b:max_entries=10"
        self.cluster = SimCluster(3, seed=self.id(), buckets=buckets)
        self.cluster.until(self.cluster.formed)
        self.cluster.advance(2)

    def events(self, kind: Kind, number: int = 0) -> list[Event]:
        """What a node has kept of a kind."""
        events = self.cluster[number].nodosum.recorder.recent(0)
        return [event for event in events if event.kind is kind]

    def peers(self, kind: Kind, number: int = 0) -> list[object]:
        """About whom that is."""
        return [event.fields["peer"] for event in self.events(kind, number)]

    def test_start(self) -> None:
        """A start is all there: ports, readiness, links, members, slots, buckets."""
        self.assertEqual(len(self.events(Kind.STARTED)), 1)
        self.assertEqual(len(self.events(Kind.READY)), 1)
        self.assertEqual(sorted(map(str, self.peers(Kind.LINK_UP))), ["n1", "n2"])
        self.assertEqual(sorted(map(str, self.peers(Kind.JOINED))), ["n1", "n2"])
        self.assertEqual(
            [it.fields["bucket"] for it in self.events(Kind.BUCKET)], ["b"]
        )
        serving = sum(
            int(self.events(Kind.SLOTS_TAKEN, number)[-1].fields["serving"])
            for number in range(3)
            if self.events(Kind.SLOTS_TAKEN, number)
        )
        self.assertGreaterEqual(serving, 1024)
        self.assertEqual(self.events(Kind.SUSPECTED), [])

    def test_death(self) -> None:
        """A node that is killed is suspected, then dead, and its slots move."""
        taken = len(self.events(Kind.SLOTS_TAKEN))
        self.cluster.crash(2)
        self.cluster.advance(10)
        self.assertEqual(self.peers(Kind.DIED), ["n2"])
        self.assertEqual(self.peers(Kind.LINK_DOWN), ["n2"])
        self.assertEqual(self.peers(Kind.CLEARED), [])
        self.assertGreater(len(self.events(Kind.SLOTS_TAKEN)), taken)

    def test_suspicion(self) -> None:
        """A silent node is suspected, and cleared when it is heard again."""
        self.cluster.pause(2)
        self.cluster.advance(3.5)
        self.cluster.resume(2)
        self.cluster.advance(3)
        self.assertEqual(self.peers(Kind.DIED), [])
        self.assertEqual(self.peers(Kind.SUSPECTED), ["n2"])
        self.assertEqual(self.peers(Kind.CLEARED), ["n2"])
        (stalled,) = self.events(Kind.STALLED, 2)
        self.assertGreater(float(stalled.fields["stall_s"]), 3)

    def test_leaving(self) -> None:
        """A node that leaves hands over first, and has left."""
        self.cluster.result_of(self.cluster[1].stopService())
        self.cluster.advance(1)
        self.assertEqual(self.peers(Kind.LEFT), ["n1"])
        texts = [event.text for event in self.events(Kind.DRAIN, 1)]
        self.assertEqual(texts, ["Handing over all that is here", "All is handed over"])

    def test_order(self) -> None:
        """A node's events have stamps that go up."""
        stamps = [it.stamp for it in self.cluster[0].nodosum.recorder.recent(0)]
        self.assertEqual(stamps, sorted(set(stamps)))
