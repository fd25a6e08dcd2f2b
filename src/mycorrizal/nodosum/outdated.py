# -*- test-case-name: tests.nodosum.test_outdated -*-
"""
Which links are to be made anew, and when: a core.

Who listens picks the key of a link, so it is who listens that knows whether
another would be picked now.  That a key is worth nothing any more, and that a
certificate was replaced, either end may find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs

from mycorrizal.backoff import doubled_s, jittered_s
from mycorrizal.nodosum.acl import KeyRing
from mycorrizal.nodosum.peer import SupportsLink

#: Links that are out of date together are renewed within this time, ...
RENEW_WITHIN_S = 60.0
#: ... or sooner if they are few: one in so many seconds.
PACE_S = 3.0
#: The same for all links whose key was removed, since that means distrust.
RENEW_REMOVED_WITHIN_S = 2.0
#: First and longest pause before what has failed is tried again; also the
#: shortest between two renewals of a link that the other side asks for.
RETRY_MIN_S = 2.0
RETRY_MAX_S = 60.0


def is_outdated(
    keys: KeyRing, key_id: int, *, accepted: bool, replaced: bool
) -> bool | None:
    """
    Whether a link is to be renewed: True at once, False in time, None not.

    :param keys: Those in force here.
    :param key_id: Of the key that the link was made with.
    :param accepted: Whether the other side has dialled.
    :param replaced: Whether our certificate has been replaced since.
    """
    if key_id not in keys.by_id:
        return True
    if replaced or (accepted and key_id != keys.first.key_id):
        return False
    return None


@attrs.define
class _Turn:
    """
    When a link is to be renewed.

    :ivar urgent: Whether its key was removed.
    :ivar asked: Whether it is the other side that wants it.
    :ivar tries: So far.
    """

    at: float
    urgent: bool
    asked: bool = False
    tries: int = 0


class Turns:
    """
    The links that are to be renewed, and when each has its turn.

    :param random: Returns a float in [0, 1), for jitter.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._turns: dict[SupportsLink, _Turn] = {}
        self._renewed_at: dict[SupportsLink, float] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def look(
        self,
        links: Iterable[SupportsLink],
        outdated: Mapping[SupportsLink, bool],
        now: float,
    ) -> None:
        """
        See which links there are, and which of them are out of date.

        :param outdated: And whether each of these is to be renewed at once.
        """
        there = dict.fromkeys(links)
        for table in (self._turns, self._renewed_at):
            for link in [one for one in table if one not in there]:
                del table[link]
        for link, turn in list(self._turns.items()):
            if link not in outdated and not turn.asked:
                del self._turns[link]
        new = [link for link in outdated if link not in self._turns]
        spread_s = min(RENEW_WITHIN_S, PACE_S * len(new))
        for link in new:
            self._turns[link] = _Turn(now + self._random() * spread_s, urgent=False)
        for link, urgent in outdated.items():
            turn = self._turns[link]
            if urgent and not turn.urgent:
                soon = now + self._random() * RENEW_REMOVED_WITHIN_S
                turn.at, turn.urgent, turn.tries = min(turn.at, soon), True, 0

    def asked(self, link: SupportsLink, now: float) -> None:
        """The other side wants a link to be renewed; it knows the right time."""
        turn = self._turns.get(link)
        at = max(now, self._renewed_at.get(link, float("-inf")) + RETRY_MIN_S)
        if turn is None:
            self._turns[link] = _Turn(at, urgent=False, asked=True)
        elif not turn.asked:
            turn.at, turn.asked = min(turn.at, at), True

    def due(self, now: float) -> list[SupportsLink]:
        """The links whose turn it is."""
        return [link for link, turn in self._turns.items() if now >= turn.at]

    def tried(self, link: SupportsLink, now: float) -> float:
        """
        A renewal has begun, or has failed: it is not tried again for a while.

        :return: For how long, in seconds.
        """
        turn = self._turns.get(link)
        if turn is None:
            return 0.0
        longest_s = doubled_s(RETRY_MIN_S, RETRY_MAX_S, turn.tries)
        turn.tries += 1
        pause_s = jittered_s(longest_s, self._random)
        turn.at = now + pause_s
        return pause_s

    def renewed(self, link: SupportsLink, now: float) -> None:
        """A link has been renewed."""
        self._turns.pop(link, None)
        self._renewed_at[link] = now
