"""
What a primary tells those who keep near copies.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.near.messages import Changed
from mycorrizal.mycel.near.streams import SUBSCRIBED_S, Stream
from tests.mycel.parts import A, B


class StreamTests(SynchronousTestCase):
    """The changes of one bucket."""

    def setUp(self) -> None:
        self.stream = Stream("b", 7)

    def test_changes_are_counted(self) -> None:
        """Each change has the next number."""
        self.assertEqual(self.stream.changed(b"k"), Changed("b", 7, 1, b"k"))
        self.assertEqual(self.stream.changed(b"x"), Changed("b", 7, 2, b"x"))

    def test_restart(self) -> None:
        """Another stream begins anew, and means that all may have changed."""
        self.stream.changed(b"k")
        self.assertEqual(self.stream.restart(8), Changed("b", 8, 0, b""))
        self.assertEqual(self.stream.changed(b"k"), Changed("b", 8, 1, b"k"))

    def test_subscribers(self) -> None:
        """Who does not ask any more is not told any more."""
        self.stream.subscribe(A, 0)
        self.stream.subscribe(B, 1)
        self.stream.expire(SUBSCRIBED_S - 0.1)
        self.assertEqual(list(self.stream.subscribers), [A, B])
        self.stream.expire(SUBSCRIBED_S)
        self.assertEqual(list(self.stream.subscribers), [B])
        self.stream.subscribe(B, SUBSCRIBED_S)
        self.stream.expire(SUBSCRIBED_S + 1)
        self.assertEqual(list(self.stream.subscribers), [B])
        self.stream.unsubscribe(B)
        self.stream.unsubscribe(B)
        self.assertEqual(self.stream.subscribers, {})
