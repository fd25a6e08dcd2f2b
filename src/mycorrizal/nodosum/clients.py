# -*- test-case-name: tests.nodosum.test_clients -*-
"""
The links of Pulse: so many at once, and none that only sits there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.wire.limits import Goodbye

#: Links of clients at once: each takes memory, and a call of the system.
CLIENTS_MAX = 64
#: A client that has asked nothing for so long is sent away.
CLIENT_IDLE_S = 60.0
#: Who has asked nothing for so long gives way to a newcomer, if all places are
#: taken: longer than the answer to any question may take.
CLIENT_YIELDS_S = 15.0


class Clients:
    """
    The clients of one node, in order of their arrival.

    :param close: Called to close a link, with the reason and words for it.
    """

    def __init__(self, close: Callable[[Link, Goodbye, str], object]) -> None:
        self._close = close
        self._links: dict[Link, None] = {}

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links)

    def admit(self, link: Link, now: float) -> bool:
        """
        A client has proved that it knows the secret: take it, or tell it why
        not.

        :return: Whether it is taken.
        """
        if len(self._links) >= CLIENTS_MAX:
            quietest = min(self._links, key=lambda other: other.heard_at)
            if now - quietest.heard_at < CLIENT_YIELDS_S:
                self._close(
                    link,
                    Goodbye.BUSY,
                    f"it has {CLIENTS_MAX} connections of pulse already, all in use",
                )
                return False
            self._dismiss(quietest, "others want its place")
        self._links[link] = None
        return True

    def forget(self, link: Link) -> None:
        """A link is gone."""
        self._links.pop(link, None)

    def tick(self, now: float) -> None:
        """Send away those who have been silent for too long."""
        for link in list(self._links):
            if now - link.heard_at >= CLIENT_IDLE_S:
                self._dismiss(link, f"it asked nothing for {CLIENT_IDLE_S:g} s")

    def _dismiss(self, link: Link, why: str) -> None:
        self.forget(link)
        self._close(link, Goodbye.IDLE, why)
