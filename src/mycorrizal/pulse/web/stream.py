# -*- test-case-name: tests.pulse.web.test_stream -*-
"""
Those who look at the page, and are told what changes (server-sent events).
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

#: Browsers that may look on at once.
VIEWERS_MAX: Final = 16


@implementer(IPushProducer)
class Viewer:
    """
    One browser that looks on.

    While it does not read, it is told nothing: what it gets next is as things
    are then, so that no more than one picture waits for it.
    """

    def __init__(self, request: Any) -> None:
        self._request = request
        self._paused = False
        request.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """It does not read."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It reads again."""
        self._paused = False

    def stopProducing(self) -> None:
        """It is gone."""
        self._paused = True

    def tell(self, event: bytes) -> None:
        """Send an event, unless it would have to wait."""
        if not self._paused:
            self._request.write(event)

    def end(self) -> None:
        """There is nothing more to be told."""
        self._request.unregisterProducer()
        self._request.finish()


class Viewers:
    """All who look on, in order of arrival."""

    def __init__(self) -> None:
        self._viewers: dict[Viewer, None] = {}

    def __len__(self) -> int:
        return len(self._viewers)

    def admit(self, request: Any) -> Viewer | None:
        """
        Somebody wants to look on.

        :return: None: there are `VIEWERS_MAX` already.
        """
        if len(self._viewers) >= VIEWERS_MAX:
            return None
        viewer = Viewer(request)
        self._viewers[viewer] = None
        request.notifyFinish().addBoth(lambda _: self._viewers.pop(viewer, None))
        return viewer

    def tell(self, event: bytes) -> None:
        """Tell all of them."""
        for viewer in list(self._viewers):
            viewer.tell(event)

    def end(self) -> None:
        """Dismiss all of them."""
        for viewer in list(self._viewers):
            viewer.end()


def event_of(name: str, data: bytes) -> bytes:
    """An event with data of one line."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)
