"""
Who is alive, judged by what was heard and when.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum import liveness
from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.effects import CloseLink, LinkDown, Notify
from mycorrizal.nodosum.peer import Contest, MemberDied, Peer, PeerState
from tests.nodosum.town import CONFIG, FakeLink, link_to


def member(heard_at: float) -> tuple[Peer, FakeLink]:
    """A member with a link that is up."""
    link = link_to("b")
    link.heard_at = heard_at
    peer = Peer(node_key_of("b"), 1, 0.0, state=PeerState.ALIVE, link=link, up=True)
    return peer, link


class CheckTests(SynchronousTestCase):
    """A member that is silent is suspected, and given up in the end."""

    def test_times(self) -> None:
        """3 s without a byte make a suspect, 4.5 s a dead node; a byte heals."""
        peer, link = member(10.0)
        self.assertEqual(liveness.check(peer, CONFIG, 12.9), [])
        self.assertIs(peer.state, PeerState.ALIVE)
        self.assertEqual(liveness.check(peer, CONFIG, 13.0), [])
        self.assertIs(peer.state, PeerState.SUSPECT)
        link.heard_at = 14.0
        self.assertEqual(liveness.check(peer, CONFIG, 14.1), [])
        self.assertIs(peer.state, PeerState.ALIVE)
        closing, down, told = liveness.check(peer, CONFIG, 18.5)
        self.assertEqual((closing, down), (CloseLink(link), LinkDown(peer, link)))
        assert isinstance(told, Notify)
        self.assertIsInstance(told.event, MemberDied)

    def test_no_member(self) -> None:
        """Who is no member is not judged."""
        peer, _ = member(0.0)
        peer.state = PeerState.LEFT
        self.assertEqual(liveness.check(peer, CONFIG, 100.0), [])


class StallTests(SynchronousTestCase):
    """A node that did not listen looks at itself first."""

    def test_forgive(self) -> None:
        """A short stall is nobody's fault, and uses up no contest's time."""
        peer, link = member(1.0)
        peer.contest = Contest(link_to("b"), 7, 2.0)
        liveness.forgive([peer], 3.0, 4.5)
        self.assertEqual((link.heard_at, peer.contest.until), (4.0, 5.0))

    def test_overslept(self) -> None:
        """After a long one all links are dropped unread, and all dialled anew."""
        peer, link = member(1.0)
        stranger = Peer(node_key_of("c"), 1, 0.0)
        closing, down, told = liveness.overslept([peer, stranger], 9.0)
        self.assertEqual((closing, down), (CloseLink(link), LinkDown(peer, link)))
        assert isinstance(told, Notify)
        self.assertIs(peer.state, PeerState.DEAD)
        self.assertIs(stranger.state, PeerState.JOINING)
        self.assertEqual((peer.dial_at, stranger.dial_at), (9.0, 9.0))
