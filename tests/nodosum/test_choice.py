"""
However two nodes dial each other, one link is left, and it is the same one.
"""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.choice import (
    CONTEST_S,
    WAITING_LINKS_MAX,
    choose,
    contest_kept,
    decides,
    drop_current,
    link_offered,
)
from mycorrizal.nodosum.effects import CloseLink, LinkDown, SendPing, SendWelcome
from mycorrizal.nodosum.peer import Peer
from mycorrizal.nodosum.wire.limits import Goodbye
from tests.nodosum.town import Town, address_of, link_to

#: The lower node key decides.
LOW, HIGH = sorted("ab", key=node_key_of)
LOW_KEY, HIGH_KEY = node_key_of(LOW), node_key_of(HIGH)
DUPLICATE = Goodbye.DUPLICATE_LINK


def dialled(*who: str) -> Town:
    """Nodes a and b; these have dialled the other, and nothing has arrived."""
    town = Town("a", "b")
    for name in who:
        town.dial(town.nodes[name], address_of("b" if name == "a" else "a"))
    return town


def orders(*who: str) -> Iterator[Town]:
    """The end of every order in which the messages of these dials can arrive."""
    path: list[int] = []
    while True:
        town, widths, at = dialled(*who), [], 0
        while choices := town.choices():
            if at == len(path):
                path.append(0)
            widths.append(len(choices))
            town.deliver(*choices[path[at]])
            at += 1
        yield town
        while path and path[-1] + 1 == widths[len(path) - 1]:
            path.pop()
        if not path:
            return
        path[-1] += 1


class DuelTests(SynchronousTestCase):
    """Two nodes that dial each other, message by message."""

    def check(self, town: Town) -> None:
        """One link is up, at both ends, and no other is open."""
        self.assertEqual(len(town.live_wires()), 1)
        self.assertEqual(town.half_wires(), [])
        for name, other in (("a", "b"), ("b", "a")):
            node = town.nodes[name]
            self.assertEqual(node.kinds(), [f"Joined {other}"])
            self.assertEqual([what for what, _ in node.told], ["up"])

    def test_one_dial(self) -> None:
        """Whoever dials, both are linked."""
        for name in "ab":
            for town in orders(name):
                self.check(town)

    def test_every_order_of_a_simultaneous_dial(self) -> None:
        """Both dial at once: in every order of all messages one link is left (F11)."""
        count = 0
        for town in orders("a", "b"):
            self.check(town)
            count += 1
        self.assertGreater(count, 50)

    @given(st.data(), st.lists(st.sampled_from("ab"), min_size=2, max_size=4))
    def test_any_order_of_more_dials(self, data: st.DataObject, who: list[str]) -> None:
        """So it is with up to four dials at once (F11)."""
        town = dialled(*who)
        while choices := town.choices():
            town.deliver(*data.draw(st.sampled_from(choices)))
        self.check(town)

    @given(st.data(), st.lists(st.sampled_from("ab"), min_size=2, max_size=3))
    def test_any_order_with_broken_links(
        self, data: st.DataObject, who: list[str]
    ) -> None:
        """Links break or hang at the worst moment: in the end one is left (F11)."""
        town = dialled(*who)
        harm = data.draw(st.lists(st.integers(0, 30), max_size=2))
        for step in range(60):
            choices = town.choices()
            if step in harm and town.wires:
                wire = data.draw(st.sampled_from(town.wires))
                if data.draw(st.booleans()):
                    wire.hung = True
                else:
                    wire.closed[:] = [True, True]
                    for side, end in enumerate(wire.ends):
                        wire.inboxes[side].clear()
                        if end is not None:
                            wire.inboxes[side].append("closed")
            elif choices:
                town.deliver(*data.draw(st.sampled_from(choices)))
        # As contacts do who know nobody yet.
        town.dial(town.nodes["a"], address_of("b"))
        town.pass_time(25)
        self.assertEqual(len(town.live_wires()), 1)
        self.assertEqual(town.half_wires(), [])
        for name, other in (("a", "b"), ("b", "a")):
            self.assertTrue(town.nodes[name].peer(other).member)


class ChoiceTests(SynchronousTestCase):
    """One offer at a time."""

    def setUp(self) -> None:
        self.peer = Peer(HIGH_KEY, 1, 0.0, (address_of(HIGH),))
        self.first, self.second = link_to(HIGH), link_to(HIGH)

    def test_lower_key_decides(self) -> None:
        """Of two nodes the one with the lower key decides, and never both (F11)."""
        self.assertTrue(decides(LOW_KEY, self.peer))
        self.assertFalse(decides(HIGH_KEY, Peer(LOW_KEY, 1, 0.0)))

    def test_first_link(self) -> None:
        """The side that decides takes the first link, the other waits."""
        effects = link_offered(LOW_KEY, self.peer, self.first, 1, 0.0)
        self.assertEqual(effects, (SendWelcome(self.first),))
        other = Peer(LOW_KEY, 1, 0.0)
        link = link_to(LOW)
        self.assertEqual(link_offered(HIGH_KEY, other, link, 1, 0.0), ())
        self.assertEqual((other.link, other.waiting), (None, [link]))

    def test_second_link(self) -> None:
        """A working link is asked, and kept if it answers."""
        link_offered(LOW_KEY, self.peer, self.first, 1, 0.0)
        effects = link_offered(LOW_KEY, self.peer, self.second, 7, 3.0)
        self.assertEqual(effects, (SendPing(self.first, 7),))
        assert self.peer.contest is not None
        self.assertEqual(self.peer.contest.until, 3.0 + CONTEST_S)
        self.assertEqual(contest_kept(self.peer), (CloseLink(self.second, DUPLICATE),))
        self.assertIs(self.peer.link, self.first)
        self.assertIsNone(self.peer.contest)

    def test_third_link(self) -> None:
        """While two compete, a third one is refused."""
        link_offered(LOW_KEY, self.peer, self.first, 1, 0.0)
        link_offered(LOW_KEY, self.peer, self.second, 2, 0.0)
        third = link_to(HIGH)
        effects = link_offered(LOW_KEY, self.peer, third, 3, 0.0)
        self.assertEqual(effects, (CloseLink(third, DUPLICATE),))

    def test_older_life(self) -> None:
        """A node that claims an earlier incarnation is told the known one (F14)."""
        self.peer.incarnation = 9
        old = link_to(HIGH, 8)
        effects = link_offered(LOW_KEY, self.peer, old, 1, 0.0)
        stale = Goodbye.STALE_INCARNATION
        self.assertEqual(effects, (CloseLink(old, stale, 9),))

    def test_two_nodes_with_one_id(self) -> None:
        """The newcomer is told where the other is, if that answers (F13)."""
        self.peer.link = self.first
        newcomer = link_to(HIGH, 2)
        link_offered(LOW_KEY, self.peer, newcomer, 5, 0.0)
        (closing,) = contest_kept(self.peer)
        text = f"{address_of(HIGH)[0]}:7000"
        self.assertEqual(closing, CloseLink(newcomer, Goodbye.DUPLICATE_ID, text=text))
        self.assertEqual(self.peer.incarnation, 1)

    def test_waiting_links_at_the_bound(self) -> None:
        """Four links may wait to be chosen, a fifth is refused."""
        for current in (None, link_to(LOW)):
            peer = Peer(LOW_KEY, 1, 0.0, link=current)
            for _ in range(WAITING_LINKS_MAX):
                link = link_to(LOW)
                self.assertEqual(link_offered(HIGH_KEY, peer, link, 1, 0.0), ())
            link = link_to(LOW)
            effects = link_offered(HIGH_KEY, peer, link, 1, 0.0)
            self.assertEqual(effects, (CloseLink(link, DUPLICATE),))
            self.assertEqual(len(peer.waiting), WAITING_LINKS_MAX)

    def test_waiting_links_of_an_earlier_life(self) -> None:
        """When a node has restarted, its earlier links wait no more (F8)."""
        peer = Peer(LOW_KEY, 1, 0.0)
        old, new = link_to(LOW, 1), link_to(LOW, 2)
        choose(HIGH_KEY, peer, old)
        self.assertEqual(choose(HIGH_KEY, peer, new), (CloseLink(old),))
        self.assertEqual(peer.waiting, [new])

    def test_drop(self) -> None:
        """Applications hear of the end of a link only if they heard of its start."""
        self.assertEqual(drop_current(self.peer), ())
        for up in (False, True):
            self.peer.link, self.peer.up = self.first, up
            down = (LinkDown(self.peer, self.first),) if up else ()
            closing = (CloseLink(self.first), *down)
            self.assertEqual(drop_current(self.peer), closing)
            self.assertEqual((self.peer.link, self.peer.up), (None, False))
