"""
One peer's life: what can happen to it, and what applications hear of it.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.messages import PeerEntry
from mycorrizal.nodosum.peer import (
    TRANSITIONS,
    MemberDied,
    MemberJoined,
    MemberLeft,
    Node,
    Peer,
    PeerInput,
    PeerState,
)
from tests.nodosum.town import address_of, link_to

KEY = node_key_of("a")


def life(*inputs: PeerInput) -> tuple[Peer, list[str]]:
    """A peer to which these things happened, and what was told."""
    peer = Peer(KEY, 1, 0.0, node_id="a")
    told = [
        type(event).__name__
        for at, what in enumerate(inputs)
        for event in peer.step(what, float(at))
    ]
    return peer, told


class PeerTests(SynchronousTestCase):
    """Steps, one after the other."""

    def test_flapping(self) -> None:
        """A peer that is heard again before it is dead was never away."""
        peer, told = life(
            PeerInput.WELCOMED, PeerInput.SILENT, PeerInput.HEARD, PeerInput.SILENT,
            PeerInput.HEARD,
        )  # fmt: skip
        self.assertEqual((peer.state, told), (PeerState.ALIVE, ["MemberJoined"]))

    def test_lost_link_and_a_new_one(self) -> None:
        """So it is with a peer whose link broke and came back."""
        peer, told = life(PeerInput.WELCOMED, PeerInput.LINK_CLOSED, PeerInput.WELCOMED)
        self.assertEqual((peer.state, told), (PeerState.ALIVE, ["MemberJoined"]))

    def test_death_and_return(self) -> None:
        """A member dies once, and joins again."""
        peer, told = life(
            PeerInput.WELCOMED, PeerInput.LINK_CLOSED, PeerInput.DIED, PeerInput.DIED,
            PeerInput.WELCOMED,
        )  # fmt: skip
        self.assertEqual(told, ["MemberJoined", "MemberDied", "MemberJoined"])
        self.assertEqual((peer.state, peer.since), (PeerState.ALIVE, 4.0))

    def test_goodbye(self) -> None:
        """A member that said goodbye has left, and does not die afterwards."""
        for before in (PeerInput.HEARD, PeerInput.SILENT):
            peer, told = life(
                PeerInput.WELCOMED, before, PeerInput.SAID_GOODBYE,
                PeerInput.LINK_CLOSED, PeerInput.DIED, PeerInput.HEARD,
            )  # fmt: skip
            self.assertEqual(told, ["MemberJoined", "MemberLeft"])
            self.assertEqual((peer.state, peer.since), (PeerState.LEFT, 2.0))

    def test_never_a_member(self) -> None:
        """Of a node that never became a member nothing is told."""
        for last in (PeerInput.DIED, PeerInput.SAID_GOODBYE):
            peer, told = life(PeerInput.SILENT, PeerInput.LINK_CLOSED, last)
            self.assertEqual((peer.member, told), (False, []))

    def test_every_step(self) -> None:
        """Members are told of in pairs: joined, then left or died."""
        for (state, _), (after, event) in TRANSITIONS.items():
            before = Peer(KEY, 1, 0.0, state=state).member
            now = Peer(KEY, 1, 0.0, state=after).member
            if before == now:
                self.assertIsNone(event)
            elif now:
                self.assertIs(event, MemberJoined)
            else:
                self.assertIn(event, (MemberLeft, MemberDied))

    def test_event_shows_the_new_state(self) -> None:
        """Subscribers see the member as it is now."""
        peer = Peer(KEY, 1, 0.0, (address_of("a"), ("::1", 5)), "a")
        peer.labels["zone"] = "x"
        (event,) = peer.step(PeerInput.WELCOMED, 1.0)
        node = Node("a", "10.0.0.1:7000", "alive", {"zone": "x"})
        self.assertEqual(event, MemberJoined(node))
        peer.labels["zone"] = "y"
        self.assertEqual(event.node.labels, {"zone": "x"})

    def test_without_a_name(self) -> None:
        """A peer known by hearsay is shown by its key."""
        self.assertEqual(Peer(KEY, 1, 0.0).node, Node(KEY.hex(), "", "joining"))
        self.assertEqual(Peer(KEY, 3, 0.0).entry, PeerEntry(KEY, 3, ()))

    def test_idle(self) -> None:
        """Only who is no member, and not being linked, may be forgotten."""
        self.assertTrue(Peer(KEY, 1, 0.0).idle)
        link = link_to("a")
        for busy in (
            Peer(KEY, 1, 0.0, link=link),
            Peer(KEY, 1, 0.0, waiting=[link]),
            Peer(KEY, 1, 0.0, dialling=True),
            Peer(KEY, 1, 0.0, state=PeerState.SUSPECT),
        ):
            self.assertFalse(busy.idle)
