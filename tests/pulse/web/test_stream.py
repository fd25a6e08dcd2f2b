"""
Browsers that look on.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from mycorrizal.pulse.web.stream import VIEWERS_MAX, Viewers, event_of
from tests.pulse.web.worlds import Tab, WebTestCase


class StreamTests(WebTestCase):
    """A node that many look at."""

    size = 1

    def test_too_many(self) -> None:
        """One more than may look on is told so; who goes makes room."""
        tabs = [Tab(self.http.site) for _ in range(VIEWERS_MAX)]
        for tab in tabs:
            self.assertIn("200 OK", tab.get("/events"))
        self.assertIn("503 ", self.get("/events"))
        tabs[0].channel.connectionLost(Failure(ConnectionDone()))
        self.assertIn("200 OK", self.get("/events"))

    def test_who_does_not_read(self) -> None:
        """Nothing is written to who does not read, and the latest when it does."""
        tab = Tab(self.http.site)
        tab.get("/events")
        producer: Any = tab.transport.producer
        producer.pauseProducing()
        before = len(tab.answer)
        self.cluster.advance(60)
        self.assertEqual(len(tab.answer), before)
        producer.resumeProducing()
        self.cluster.advance(1.5)
        self.assertGreater(len(tab.answer), before)

    def test_event(self) -> None:
        """An event has a name and one line of data."""
        self.assertEqual(event_of("a", b"{}"), b"event: a\ndata: {}\n\n")
        self.assertEqual(len(Viewers()), 0)
