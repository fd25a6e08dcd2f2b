"""
News of members that is told again.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.effects import SendPeers
from mycorrizal.nodosum.gossip import GOSSIP_S, Gossip
from mycorrizal.nodosum.peer import Peer, PeerState
from tests.nodosum.town import link_to


def member(name: str, *, linked: bool = True) -> Peer:
    """A member, with a link or without."""
    peer = Peer(node_key_of(name), 1, 0.0, node_id=name, state=PeerState.ALIVE)
    if linked:
        peer.link, peer.up = link_to(name), True
    return peer


class GossipTests(SynchronousTestCase):
    """What one node tells of the others."""

    def test_others_are_told(self) -> None:
        """Every few seconds one member hears of all others, in turn by chance."""
        gossip = Gossip(lambda: 0.5)
        members = [member("b"), member("c"), member("d", linked=False)]
        self.assertEqual(gossip.tick(members, 0.0), ())
        self.assertEqual(gossip.tick(members, GOSSIP_S * 0.74), ())
        (news,) = gossip.tick(members, GOSSIP_S * 0.75)
        link = members[1].link
        assert link is not None
        told = SendPeers(link, (members[0].entry, members[2].entry))
        self.assertEqual(news, told)
        self.assertEqual(gossip.tick(members, GOSSIP_S * 0.76), ())

    def test_nobody_to_tell(self) -> None:
        """Of nobody there is nothing to tell, and without a link nobody is told."""
        for members in ([], [member("b")], [member("b", linked=False)] * 2):
            gossip = Gossip(lambda: 0.5)
            gossip.tick(members, 0.0)
            self.assertEqual(gossip.tick(members, GOSSIP_S), ())
