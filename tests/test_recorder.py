"""Tests of the flight recorder."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.clock import HybridClock
from mycorrizal.recorder import EVENTS_MAX, TEXT_CHARS_MAX, Kind, Recorder


class RecorderTests(SynchronousTestCase):
    """A recorder whose wall clock is set by hand."""

    def setUp(self) -> None:
        self.now_s = 1_700_000_000.5
        self.clock = HybridClock(lambda: self.now_s)
        self.recorder = Recorder(lambda: self.now_s, self.clock, "n0")

    def texts(self, limit: int = 0, after: int = 0) -> list[str]:
        """What is kept."""
        return [event.text for event in self.recorder.recent(limit, after=after)]

    def test_note(self) -> None:
        """An event tells when, who, what, and the facts."""
        self.recorder.note(Kind.JOINED, "n1 joined", peer="n1")
        (event,) = self.recorder.recent()
        self.assertEqual((event.wall_s, event.node), (self.now_s, "n0"))
        self.assertEqual((event.kind, event.text), (Kind.JOINED, "n1 joined"))
        self.assertEqual(event.fields, {"peer": "n1"})
        self.assertEqual(event.stamp, 1_700_000_000_500 << 16)

    def test_ring(self) -> None:
        """As many are kept as fit; one more, and the first is gone."""
        for number in range(EVENTS_MAX):
            self.recorder.note(Kind.JOINED, str(number))
        self.assertEqual(self.texts()[0], "0")
        self.recorder.note(Kind.JOINED, "more")
        self.assertEqual((len(self.recorder), self.texts()[0]), (EVENTS_MAX, "1"))
        self.assertEqual(self.recorder.total, EVENTS_MAX + 1)

    def test_recent(self) -> None:
        """The last ones come oldest first, and those that were seen do not."""
        for text in "abcd":
            self.recorder.note(Kind.JOINED, text)
        self.assertEqual(self.texts(2), ["c", "d"])
        seen = self.recorder.recent()[1].stamp
        self.assertEqual(self.texts(0, seen), ["c", "d"])
        self.assertEqual(self.texts(1, seen), ["d"])
        self.assertEqual(self.texts(0, self.recorder.recent()[-1].stamp), [])

    def test_wall_clock_set_back(self) -> None:
        """Order stays when somebody sets the clock back."""
        first = self.recorder.note(Kind.JOINED, "first")
        self.now_s -= 3600
        second = self.recorder.note(Kind.JOINED, "second")
        self.assertGreater(second.stamp, first.stamp)
        self.assertLess(second.wall_s, first.wall_s)

    def test_after_what_was_heard(self) -> None:
        """What follows something that was heard of has a higher stamp."""
        heard = (1_700_000_099_000 << 16) + 7
        self.clock.observe(heard)
        self.assertGreaterEqual(self.recorder.note(Kind.LEFT, "x").stamp, heard)
        self.assertEqual(self.clock.last, heard)

    def test_long_text(self) -> None:
        """Of a long text, or field, the beginning is kept."""
        full, over = "x" * TEXT_CHARS_MAX, "x" * (TEXT_CHARS_MAX + 1)
        self.assertEqual(self.recorder.note(Kind.REFUSED, full).text, full)
        event = self.recorder.note(Kind.REFUSED, over, reason=over)
        self.assertEqual((event.text, event.fields["reason"]), (full, full))

    def test_level(self) -> None:
        """Trouble stands out."""
        levels = [
            self.recorder.note(kind, "").level
            for kind in (Kind.JOINED, Kind.SUSPECTED, Kind.DIED)
        ]
        self.assertEqual(levels, ["info", "warn", "error"])
