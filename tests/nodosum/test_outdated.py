"""
Which links are to be made anew, and when it is their turn.
"""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.acl import KeyRing, derive_key, new_secret
from mycorrizal.nodosum.outdated import (
    PACE_S,
    RENEW_REMOVED_WITHIN_S,
    RENEW_WITHIN_S,
    RETRY_MAX_S,
    RETRY_MIN_S,
    Turns,
    is_outdated,
)
from tests.nodosum.town import FakeLink, link_to

A, B, C = (derive_key(new_secret(bytes([n]) * 32), "demo") for n in (1, 2, 3))


class OutdatedTests(SynchronousTestCase):
    """What is wrong with a link."""

    def test_key(self) -> None:
        """
        Who listens wants the key that signs, who dials any that is in force, and
        both want a removed one gone at once.
        """
        ring = KeyRing([A, B])
        for key, accepted, expected in (
            (A, True, None), (A, False, None),
            (B, True, False), (B, False, None),
            (C, True, True), (C, False, True),
        ):  # fmt: skip
            found = is_outdated(ring, key.key_id, accepted=accepted, replaced=False)
            self.assertIs(found, expected, (key, accepted))

    def test_certificate(self) -> None:
        """Either end wants its own new certificate to be shown, in time."""
        ring = KeyRing([A, B])
        for accepted in (True, False):
            for key, expected in ((A, False), (B, False), (C, True)):
                found = is_outdated(ring, key.key_id, accepted=accepted, replaced=True)
                self.assertIs(found, expected)


class TurnsTests(SynchronousTestCase):
    """When it is whose turn."""

    def setUp(self) -> None:
        self.turns = Turns(random.Random(1).random)

    def links(self, count: int) -> list[FakeLink]:
        """Links to several peers."""
        return [link_to(f"{chr(97 + n % 26)}{n}") for n in range(count)]

    def last_s(self, count: int, *, urgent: bool) -> float:
        """When the last of so many links has its turn, looked at each 10 ms."""
        links = self.links(count)
        self.turns.look(links, dict.fromkeys(links, urgent), 0)
        hundredths = 0
        while len(self.turns.due(hundredths / 100)) < count:
            hundredths += 1
        return hundredths / 100

    def test_spread(self) -> None:
        """A few links have their turns one in 3 s, many all within a minute."""
        for count in (1, 2, 5, 20):
            self.setUp()
            self.assertLessEqual(self.last_s(count, urgent=False), count * PACE_S)
        self.assertGreater(self.last_s(19, urgent=False), 10 * PACE_S)
        for count in (21, 500):
            self.setUp()
            self.assertLessEqual(self.last_s(count, urgent=False), RENEW_WITHIN_S)
        self.setUp()
        links = self.links(500)
        self.turns.look(links, dict.fromkeys(links, False), 0)
        halfway = len(self.turns.due(RENEW_WITHIN_S / 2))
        self.assertIn(halfway, range(200, 300))

    def test_urgent(self) -> None:
        """However many, links whose key was removed have their turn within 2 s."""
        self.assertLessEqual(self.last_s(500, urgent=True), RENEW_REMOVED_WITHIN_S)

    def test_becomes_urgent(self) -> None:
        """A link that waits for its turn has it soon once its key is removed."""
        link = link_to("b")
        self.turns = Turns(lambda: 0.9)
        self.turns.look([link], {link: False}, 0)
        for _ in range(9):
            self.turns.tried(link, 0)
        self.assertEqual(self.turns.due(RETRY_MAX_S / 2), [])
        self.turns.look([link], {link: True}, 1)
        self.assertEqual(self.turns.due(1 + RENEW_REMOVED_WITHIN_S), [link])
        # And it begins again with short pauses.
        self.assertLessEqual(self.turns.tried(link, 2), RETRY_MIN_S)

    def test_pauses(self) -> None:
        """What fails is tried again after 2 s at most, 4, and so on to 60."""
        self.turns = Turns(lambda: 0.999999)
        link = link_to("b")
        self.turns.look([link], {link: False}, 0)
        pauses = [round(self.turns.tried(link, 0)) for _ in range(8)]
        self.assertEqual(pauses, [2, 4, 8, 16, 32, 60, 60, 60])
        self.turns = Turns(lambda: 0.0)
        self.turns.look([link], {link: False}, 0)
        self.assertEqual(self.turns.tried(link, 5), RETRY_MIN_S / 2)
        self.assertEqual(self.turns.due(5.9), [])
        self.assertEqual(self.turns.due(6), [link])

    def test_up_to_date_again(self) -> None:
        """A link that needs nothing any more, or is gone, has no turn."""
        b, c = link_to("b"), link_to("c")
        self.turns.look([b, c], {b: False, c: False}, 0)
        self.turns.look([b, c], {c: False}, 1)
        self.assertEqual(self.turns.due(10), [c])
        self.turns.look([b], {}, 2)
        self.assertEqual((self.turns.due(10), len(self.turns)), ([], 0))

    def test_asked(self) -> None:
        """What the other side asks for is due at once, but each 2 s at most."""
        link = link_to("b")
        self.turns.asked(link, 0)
        self.turns.look([link], {}, 0)
        self.assertEqual(self.turns.due(0), [link])
        self.turns.renewed(link, 0)
        self.assertEqual(self.turns.due(99), [])
        self.turns.asked(link, 1)
        self.assertEqual(self.turns.due(1.9), [])
        self.assertEqual(self.turns.due(RETRY_MIN_S), [link])
        # Asked again it is not due sooner than the pause after a failure ends.
        pause_s = self.turns.tried(link, 10)
        self.turns.asked(link, 10)
        self.assertEqual(self.turns.due(10 + pause_s - 0.01), [])
        self.turns.look([], {}, 11)
        self.assertEqual((len(self.turns), self.turns._renewed_at), (0, {}))

    def test_asked_while_it_waits(self) -> None:
        """A link that waits here is due once the other side asks, too."""
        link = link_to("b")
        self.turns = Turns(lambda: 0.9)
        self.turns.look([link], {link: False}, 0)
        self.turns.asked(link, 1)
        self.assertEqual(self.turns.due(1), [link])
        self.assertEqual(self.turns.tried(link_to("c"), 1), 0.0)
