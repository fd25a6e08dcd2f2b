"""
A write that is asked for again is made once.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.messages import Answer, Done, Put
from mycorrizal.mycel.operations import repeats
from mycorrizal.mycel.operations.repeats import Repeats
from mycorrizal.mycel.operations.writing import Write
from tests.mycel.parts import ME, A, B, Parts


class RepeatsTests(SynchronousTestCase):
    """What this node was asked for."""

    def setUp(self) -> None:
        self.bucket = Parts().bucket
        self.repeats = Repeats()
        self.first: list[Answer] = []
        self.again: list[Answer] = []

    def put(self, clock: int = 1, key: bytes = b"k") -> Put:
        """A write with that number."""
        return Put("b", key, b"value", 0, clock)

    def begin(self, put: Put, origin: bytes = A) -> Write:
        """A node asks for it, and it begins."""
        write = Write(
            self.bucket, 0, put.key, put.value, 7, 0.0, 0.0, False, self.first.append
        )
        self.repeats.began(put, origin, write)
        return write

    def ask_again(self, put: Put, origin: bytes = A) -> bool:
        """It is asked for again."""
        return self.repeats.answer(put, origin, self.again.append)

    def test_while_it_is_made(self) -> None:
        """Whoever asks again gets the answer, when there is one."""
        write = self.begin(self.put())
        self.assertTrue(self.ask_again(self.put()))
        self.assertEqual(self.again, [])
        write.end(Done(stamp=7, origin=ME))
        self.assertEqual(self.again, [Done(stamp=7, origin=ME)])

    def test_when_it_was_made(self) -> None:
        """The answer is what it was."""
        self.begin(self.put()).end(Done(stamp=7, origin=ME))
        self.assertTrue(self.ask_again(self.put()))
        self.assertEqual(self.again, self.first)

    def test_another(self) -> None:
        """Another number, key or node makes it another write."""
        self.begin(self.put())
        self.assertFalse(self.ask_again(self.put(2)))
        self.assertFalse(self.ask_again(self.put(key=b"l")))
        self.assertFalse(self.ask_again(self.put(), B))

    def test_forgotten(self) -> None:
        """When slots go to another primary, that one makes what is not done."""
        self.begin(self.put())
        self.repeats.forget()
        self.assertFalse(self.ask_again(self.put()))

    def test_bound(self) -> None:
        """So many are remembered, and as many before those; then the oldest go."""
        self.patch(repeats, "REPEATS_MAX", 2)
        for clock in range(1, 5):
            self.begin(self.put(clock))
        self.assertTrue(self.ask_again(self.put(1)))
        self.begin(self.put(5))
        self.assertFalse(self.ask_again(self.put(1)))
        self.assertTrue(self.ask_again(self.put(3)))
        self.assertEqual(len(self.repeats), 3)
