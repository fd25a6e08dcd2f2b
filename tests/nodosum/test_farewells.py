"""
What is said at the end of a link: come later, since you come again and again.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.config import format_address
from mycorrizal.nodosum.effects import CloseLink, ComeLater, Effect, LinkUp, Notify
from mycorrizal.nodosum.farewells import VERDICTS_S, LinkEnd
from mycorrizal.nodosum.messages import PeerEntry
from mycorrizal.nodosum.peer import MemberDied, MemberJoined, MemberLeft
from mycorrizal.nodosum.wire.limits import Goodbye
from mycorrizal.restarts import PAUSE_MAX_S, STARTS_MAX
from tests.nodosum.town import FakeLink, address_of, core_of, link_to, welcome_of

#: In the order of their node keys: each decides against those after it.
LOW, MIDDLE, HIGH = sorted("abc", key=node_key_of)

E = TypeVar("E")


def only(kind: type[E], effects: tuple[Effect, ...]) -> list[E]:
    """The effects of a kind."""
    return [it for it in effects if isinstance(it, kind)]


class TurningAwayTests(SynchronousTestCase):
    """A node that is a member, and one that comes again and again."""

    def setUp(self) -> None:
        self.core = core_of(LOW)

    def come(self, life: int, now: float, name: str = HIGH) -> tuple[Effect, ...]:
        """A life of a node links; what is done about it."""
        link = link_to(name, life, now=now)
        self.core.authenticated(link, now)
        return self.core.welcomed(link, welcome_of(name), now)

    def end(self, now: float, name: str = HIGH) -> None:
        """The node's life ends."""
        peer = self.core.peers[node_key_of(name)]
        assert peer.link is not None
        self.core.link_closed(peer.link, None, now)
        self.core.dial_failed(peer.node_key, refused=True, now=now)

    def many(self) -> None:
        """As many lives as are let in at once, one in each second."""
        for life in range(1, STARTS_MAX + 1):
            self.assertEqual(len(only(LinkUp, self.come(life, life))), 1)
            self.end(life + 0.5)

    def test_turned_away(self) -> None:
        """It is told how long to wait, and is no member (F56)."""
        self.many()
        effects = self.come(STARTS_MAX + 1, 5)
        (closing,) = only(CloseLink, effects)
        self.assertEqual((closing.reason, closing.detail), (Goodbye.RESTARTED, 1000))
        self.assertEqual(
            closing.text,
            "it has come 5 times in a row, each time less than 10 s after the last, "
            "and is let in after 1.0 s",
        )
        self.assertEqual(only(LinkUp, effects), [])
        self.assertEqual(only(Notify, effects), [])
        self.assertEqual(self.core.members(), [])

    def test_let_in_when_it_has_waited(self) -> None:
        """The same life is let in later."""
        self.many()
        self.come(STARTS_MAX + 1, 5)
        effects = self.come(STARTS_MAX + 1, 6)
        self.assertEqual(len(only(LinkUp, effects)), 1)
        self.assertEqual(len(self.core.members()), 1)

    def test_the_life_before_is_over(self) -> None:
        """Others are told of the end of the life before, though not of the next."""
        self.many()
        peer = self.core.peers[node_key_of(HIGH)]
        self.come(STARTS_MAX + 1, 5)
        self.come(STARTS_MAX + 1, 6)
        current, newcomer = peer.link, link_to(HIGH, STARTS_MAX + 2, now=7)
        assert current is not None
        self.core.authenticated(newcomer, 7)
        self.core.link_closed(current, None, 7)
        effects = self.core.welcomed(newcomer, welcome_of(HIGH), 7)
        events = [type(it.event) for it in only(Notify, effects)]
        self.assertEqual(events, [MemberDied])
        (closing,) = only(CloseLink, effects)
        self.assertEqual((closing.reason, closing.detail), (Goodbye.RESTARTED, 2000))
        self.assertEqual(self.core.members(), [])

    def test_nothing_is_kept(self) -> None:
        """One that was never a member is none of our peers."""
        for number in range(STARTS_MAX + 1):
            life = core_of(f"x{number}")
            link = FakeLink(life.me.node_key, 1, None, ("10.0.0.5", 1), number)
            self.core.authenticated(link, number)
            welcome = replace(welcome_of(f"x{number}"), addresses=(address_of(HIGH),))
            self.core.welcomed(link, welcome, number)
        self.assertEqual(len(self.core.peers), STARTS_MAX)
        self.assertNotIn(link.node_key, self.core.peers)
        self.assertEqual(self.core.link_closed(link, None, 9), ())

    def test_the_same_life(self) -> None:
        """A link that breaks again and again is no new life."""
        for number in range(STARTS_MAX + 5):
            self.come(1, number)
            peer = self.core.peers[node_key_of(HIGH)]
            assert peer.link is not None
            self.assertTrue(peer.up)
            self.core.link_closed(peer.link, None, number + 0.1)

    def test_one_that_others_have_let_in(self) -> None:
        """Who is a member for one is so for all, whatever these have counted."""
        self.come(1, 0, MIDDLE)
        self.many()
        entry = PeerEntry(node_key_of(HIGH), STARTS_MAX + 1, (address_of(HIGH),))
        self.core.learned((entry,), 5)
        self.assertEqual(len(only(LinkUp, self.come(STARTS_MAX + 1, 5))), 1)

    def test_news_of_an_earlier_life(self) -> None:
        """Others know an earlier life: that says nothing of this one."""
        self.many()
        entry = PeerEntry(node_key_of(HIGH), STARTS_MAX, (address_of(HIGH),))
        self.core.learned((entry,), 5)
        self.assertEqual(only(LinkUp, self.come(STARTS_MAX + 1, 5)), [])


class WaitingTests(SynchronousTestCase):
    """A node that is told to come later, by one or by all."""

    def setUp(self) -> None:
        self.core = core_of(HIGH)
        self.core.me.established = False

    def link(self, name: str, now: float = 0.0) -> FakeLink:
        """Another links to it."""
        link = link_to(name, now=now)
        self.core.authenticated(link, now)
        return link

    def told(self, link: FakeLink, wait_ms: int, now: float) -> tuple[Effect, ...]:
        """Another says to come later."""
        end = LinkEnd(Goodbye.RESTARTED, wait_ms)
        return self.core.link_closed(link, end, now)

    def test_all_say_so(self) -> None:
        """It waits as long as the longest of them said, and tells which."""
        self.told(self.link(LOW), 4000, 0.0)
        self.told(self.link(MIDDLE), 7000, 0.2)
        self.assertEqual(only(ComeLater, self.core.tick(VERDICTS_S - 0.1)), [])
        (later,) = only(ComeLater, self.core.tick(VERDICTS_S))
        self.assertAlmostEqual(later.wait_s, 7.2 - VERDICTS_S)
        self.assertEqual(later.other, format_address(address_of(MIDDLE)))
        self.assertEqual(self.core.peers, {})

    def test_one_lets_it_in(self) -> None:
        """One has let it in: it stays, as the others will do the same."""
        self.core.welcomed(self.link(LOW), welcome_of(LOW), 0)
        self.told(self.link(MIDDLE), 7000, 0.2)
        self.assertEqual(only(ComeLater, self.core.tick(1)), [])
        self.assertEqual(only(ComeLater, self.core.tick(2)), [])
        self.assertEqual(len(self.core.members()), 1)

    def test_who_is_in_stays_in(self) -> None:
        """A node that has been ready parts from nobody."""
        self.core.me.established = True
        self.told(self.link(LOW), 4000, 0.0)
        self.assertEqual(only(ComeLater, self.core.tick(1)), [])

    def test_parts_from_who_comes(self) -> None:
        """While it waits it says goodbye to all who come, and dials nobody."""
        self.core.welcomed(link := self.link(LOW), welcome_of(LOW), 0)
        self.told(link, 4000, 0.0)
        waiting = self.link(MIDDLE, 0.1)
        effects = self.core.tick(0.6)
        self.assertIn(CloseLink(waiting, Goodbye.LEAVING), effects)
        (left,) = only(Notify, effects)
        self.assertIsInstance(left.event, MemberLeft)
        for now in (1.0, 3.9):
            closing = self.core.authenticated(late := link_to(LOW, now=now), now)
            self.assertEqual(closing, (CloseLink(late, Goodbye.LEAVING),))
            self.assertEqual(self.core.tick(now), ())
        effects = self.core.welcomed(self.link(LOW, 4.0), welcome_of(LOW), 4)
        self.assertEqual(
            [type(it.event) for it in only(Notify, effects)], [MemberJoined]
        )

    def test_absurd(self) -> None:
        """Nobody makes it wait for longer than a minute."""
        self.told(self.link(LOW), 2**64 - 1, 0.0)
        (later,) = only(ComeLater, self.core.tick(VERDICTS_S))
        self.assertAlmostEqual(later.wait_s, PAUSE_MAX_S - VERDICTS_S)

    def test_no_time_at_all(self) -> None:
        """One that says to come at once is asked again at once."""
        self.told(self.link(LOW), 0, 0.0)
        (later,) = only(ComeLater, self.core.tick(VERDICTS_S))
        self.assertEqual(later.wait_s, 0)
