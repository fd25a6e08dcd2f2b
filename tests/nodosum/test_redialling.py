"""
When a peer is dialled again, and at which of its addresses.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum import redialling
from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.peer import Peer, PeerState
from mycorrizal.nodosum.redialling import (
    DIAL_PAUSE_MAX_S,
    FLAP_PAUSE_MAX_S,
    MEMBER_PAUSE_MAX_S,
    PROBE_PAUSE_S,
    STEADY_S,
)

ONE, TWO, THREE = ("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.3", 1)


def at_most() -> float:
    """The longest jitter there is."""
    return 1.0


class RedialTests(SynchronousTestCase):
    """One peer that is dialled."""

    def setUp(self) -> None:
        self.peer = Peer(node_key_of("b"), 1, 0.0, (ONE, TWO, THREE))
        self.peer.life = 1

    def flap(self, times: int, lasting_s: float, *, heard: bool = True) -> list[float]:
        """Links that come up and break, while others hear it; each pause."""
        pauses, now = [], 0.0
        for _ in range(times):
            redialling.linked(self.peer, 1, now)
            now += lasting_s
            redialling.lost(self.peer, now, at_most)
            if heard:
                redialling.vouched(self.peer)
            pauses.append(self.peer.dial_at - now)
            now = self.peer.dial_at
        return pauses

    def test_flapping(self) -> None:
        """
        A link that breaks as soon as it is up is redialled at once the first
        time, and then ever later, up to a minute (F56).
        """
        pauses = self.flap(10, 2.0)
        self.assertEqual(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60])
        self.assertEqual(FLAP_PAUSE_MAX_S, 60)

    def test_nobody_hears_it(self) -> None:
        """As long as nobody else hears it, it is dialled before it is missed."""
        self.assertEqual(self.flap(5, 2.0, heard=False), [0, 1, 1, 1, 1])

    def test_another_life(self) -> None:
        """A node that dies again and again is dialled at once each time."""
        for life in range(2, 8):
            redialling.linked(self.peer, life, 0.0)
            self.peer.life = life
            redialling.lost(self.peer, 2.0, at_most)
            self.assertEqual(self.peer.dial_at, 2.0)

    def test_pauses_are_jittered(self) -> None:
        """No two nodes dial a flapping one in step (F56)."""
        self.peer.flaps = 4
        redialling.linked(self.peer, 1, 0.0)
        redialling.lost(self.peer, 1.0, lambda: 0.0)
        redialling.vouched(self.peer)
        self.assertEqual(self.peer.dial_at, 1.0 + 4.0)

    def test_steady_links(self) -> None:
        """One that held for ten seconds is redialled at once, however often."""
        self.assertEqual(self.flap(5, STEADY_S), [0.0] * 5)
        self.flap(5, 1.0)
        self.assertEqual(self.flap(1, STEADY_S), [0.0])

    def test_news_of_one_that_flaps(self) -> None:
        """News of a peer has it dialled sooner, but not of one that flaps."""
        self.peer.dial_at = 50.0
        redialling.soon(self.peer, 3.0)
        self.assertEqual(self.peer.dial_at, 3.0)
        self.peer.flaps = 2
        redialling.soon(self.peer, 1.0)
        self.assertEqual(self.peer.dial_at, 3.0)

    def test_growing_pauses(self) -> None:
        """The pauses between dials that fail grow up to half a minute."""
        pauses = []
        for _ in range(8):
            redialling.failed(self.peer, 0.0, at_most)
            pauses.append(self.peer.dial_at)
        self.assertEqual(pauses[:4], [1, 2, 4, 8])
        self.assertEqual(pauses[-1], DIAL_PAUSE_MAX_S)

    def test_members(self) -> None:
        """A member without a link is dialled more often, a suspect at once."""
        self.peer.dials = 20
        self.peer.state = PeerState.ALIVE
        redialling.failed(self.peer, 0.0, at_most)
        self.assertEqual(self.peer.dial_at, MEMBER_PAUSE_MAX_S)
        self.peer.state = PeerState.SUSPECT
        redialling.failed(self.peer, 0.0, at_most)
        self.assertEqual(self.peer.dial_at, PROBE_PAUSE_S)

    def test_refused_addresses(self) -> None:
        """What refused is left out until all have."""
        self.assertTrue(redialling.refused(self.peer, TWO))
        self.assertEqual(redialling.dial(self.peer).address, ONE)
        self.assertTrue(redialling.refused(self.peer, ONE))
        self.assertEqual(redialling.dial(self.peer).address, THREE)
        self.assertFalse(redialling.refused(self.peer, THREE))
        self.assertEqual(redialling.dial(self.peer).address, ONE)
        redialling.linked(self.peer, 1, 1.0)
        self.assertTrue(redialling.refused(self.peer, ONE))

    def test_unknown_address(self) -> None:
        """If it is not known which address refused, none is left."""
        self.assertFalse(redialling.refused(self.peer, None))
