"""Tests for `mycorrizal.testing.arena`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Mycorrizal
from mycorrizal.testing.arena import Arena, number_of
from tests.testing.quiet import Quiet, a_plan


class ArenaTests(Quiet, SynchronousTestCase):
    """Nodes leave, die and return while all goes on."""

    def setUp(self) -> None:
        super().setUp()
        self.made: list[tuple[str, int]] = []
        self.arena = Arena(a_plan(), self.set_up)
        for number in range(3):
            self.arena.start(number)
        self.arena.until(self.arena.converged)

    def set_up(self, node: Mycorrizal, life: int) -> None:
        self.made.append((node.node_id, life))

    def test_lives(self) -> None:
        """Each process is set up, with its number."""
        self.arena.crash(1)
        self.assertEqual((self.arena.down, self.arena.crashed), ([1], {1}))
        self.assertFalse(self.arena.live(1))
        self.arena.advance(1)
        self.arena.restart(1)
        self.assertEqual(self.made, [("n0", 1), ("n1", 1), ("n2", 1), ("n1", 2)])
        self.assertEqual((self.arena.down, self.arena.crashed), ([], set()))
        self.assertGreater(self.arena.born_at[1], self.arena.died_at[1])
        self.assertEqual(self.arena.number(self.arena[1]), 1)

    def test_awake(self) -> None:
        """A node is there for clients when it is ready, runs, and stays."""
        self.assertTrue(self.arena.awake(1))
        self.arena.hosts[1].pause()
        self.assertFalse(self.arena.awake(1))
        self.assertTrue(self.arena.live(1))
        self.arena.hosts[1].resume()
        self.arena.crash(1)
        self.arena.restart(1)
        self.assertFalse(self.arena.awake(1), "it is not ready yet")

    def test_leave(self) -> None:
        """A node stops in good order, and leaves nothing behind."""
        stopped: list[str] = []
        self.arena.leave(2, lambda: stopped.append("n2"))
        self.assertEqual((self.arena.leaving, self.arena.awake(2)), ({2}, False))
        self.arena.advance(5)
        self.assertEqual((stopped, self.arena.down), (["n2"], [2]))
        self.assertEqual((self.arena.leaving, self.arena.crashed), (set(), set()))
        self.assertIn(2, self.arena.stopped_at)
        self.assertEqual(self.arena.left_over(2), [])
        self.assertNotEqual(self.arena.left_over(0), [])

    def test_number(self) -> None:
        """A node's id has its number."""
        self.assertEqual(number_of("n12"), 12)
