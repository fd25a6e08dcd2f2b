"""Tests for `mycorrizal.testing.postbox`: each check can fail."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import SimCluster
from mycorrizal.testing.postbox import Postbox
from tests.testing.quiet import Quiet


class PostboxTests(Quiet, SynchronousTestCase):
    """Numbered messages, and who got them."""

    def setUp(self) -> None:
        super().setUp()
        self.postbox = Postbox()
        self.cluster = SimCluster(
            2, seed=1, setup=lambda node: self.postbox.set_up(node, 1)
        )
        self.cluster.until(self.cluster.formed)
        self.living = frozenset(("n0.1", "n1.1"))

    def send(self, times: int = 1) -> None:
        for _ in range(times):
            self.postbox.send(self.cluster[0], [])
        self.cluster.advance(0.1)

    def invariants(self) -> list[str]:
        return [invariant for invariant, _ in self.postbox.problems]

    def test_in_order(self) -> None:
        """Messages arrive, one after the other."""
        self.send(3)
        self.assertEqual(self.postbox.problems, [])
        self.assertEqual(list(self.postbox.undelivered(self.living)), [])

    def test_twice(self) -> None:
        """A message that arrives again, or after a later one."""
        self.send(2)
        self.postbox._got("n0.1", "n1.1", 2, "n0")
        self.postbox._got("n0.1", "n1.1", 1, "n0")
        self.assertEqual(self.invariants(), ["messages", "messages"])

    def test_forged(self) -> None:
        """A message that comes from another than who sent it."""
        self.postbox._got("n0.1", "n1.1", 1, "n7")
        self.assertEqual(self.invariants(), ["messages"])

    def test_lost(self) -> None:
        """A message that did not arrive, though its link is there."""
        self.send()
        self.postbox._received.clear()
        (text,) = self.postbox.undelivered(self.living)
        self.assertEqual(text, "n1.1 did not get 1 of n0.1")
        self.assertEqual(list(self.postbox.undelivered(frozenset(("n0.1",)))), [])

    def test_lost_with_its_link(self) -> None:
        """... which is no wonder if its link was lost."""
        self.cluster.world.partition([self.cluster.hosts[0]], [self.cluster.hosts[1]])
        self.send()
        self.cluster.advance(10)
        self.assertEqual(list(self.postbox.undelivered(self.living)), [])

    def test_nobody_there(self) -> None:
        """What is sent to somebody unknown is not waited for."""
        done = self.postbox.send(self.cluster[0], ["n9"])
        self.failureResultOf(done)
        self.assertEqual(list(self.postbox.undelivered(self.living)), [])

    def test_answered_twice(self) -> None:
        """A request that is answered again."""
        for number in range(2):
            asked = self.postbox.application(self.cluster[0]).request(b"c0.1", "n1", 2)
            self.assertEqual(self.cluster.result_of(asked), b"c0.1")
            self.assertEqual(self.invariants(), ["requests"] * number)

    def test_raising(self) -> None:
        """A postbox that fails has got its message all the same."""
        self.postbox.raising.add("n1")
        self.send()
        self.assertEqual(list(self.postbox.undelivered(self.living)), [])
