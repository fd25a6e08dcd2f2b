# -*- test-case-name: tests.nodosum.test_redialling -*-
"""
When a peer is dialled again, and at which of its addresses.
"""

from __future__ import annotations

from collections.abc import Callable

from mycorrizal.backoff import doubled_s, jittered_s
from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.effects import Dial
from mycorrizal.nodosum.peer import Peer, PeerState

#: First and longest pause between two dials of a peer.
DIAL_PAUSE_MIN_S = 1.0
DIAL_PAUSE_MAX_S = 30.0
#: The longest for a member that only others can reach: each second without a
#: link costs its messages.
MEMBER_PAUSE_MAX_S = 5.0
#: Pause between two dials of a peer whose link was lost just now.
PROBE_PAUSE_S = 0.5
#: A link that breaks sooner than this after it came up has flapped.
STEADY_S = 10.0
#: First and longest pause after a link that was not the first to flap.
FLAP_PAUSE_MIN_S = 1.0
FLAP_PAUSE_MAX_S = 60.0
#: The longest as long as nobody else hears the peer: it is missed otherwise.
UNHEARD_PAUSE_MAX_S = 1.0

Random = Callable[[], float]


def linked(peer: Peer, incarnation: int, now: float) -> None:
    """A link to the peer has come up, maybe in another life of it."""
    if incarnation != peer.life:
        # It was not the network: whether the next life is over, too, is to be
        # known at once.
        peer.flaps = 0
    peer.up_at = now
    peer.dials, peer.dial_at = 0, float("inf")
    peer.refused.clear()


def lost(peer: Peer, now: float, random: Random) -> None:
    """
    The link to the peer, which was up, is gone: dial at once, unless links to
    it keep breaking as soon as they are up.  Then there is time if others hear it.
    """
    peer.lost_at = now
    peer.flaps = 0 if now - peer.up_at >= STEADY_S else peer.flaps + 1
    pause_s = 0.0
    if peer.flaps > 1:
        longest_s = doubled_s(FLAP_PAUSE_MIN_S, FLAP_PAUSE_MAX_S, peer.flaps - 2)
        pause_s = jittered_s(longest_s, random)
    peer.damped_until = now + pause_s
    peer.dial_at = now + min(pause_s, jittered_s(UNHEARD_PAUSE_MAX_S, random))


def vouched(peer: Peer) -> None:
    """Others hear the peer, which we have no link to."""
    peer.dial_at = max(peer.dial_at, peer.damped_until)


def failed(peer: Peer, now: float, random: Random) -> None:
    """A dial of the peer has failed: the next one comes later than the last."""
    longest_s = MEMBER_PAUSE_MAX_S if peer.member else DIAL_PAUSE_MAX_S
    pause_s = doubled_s(DIAL_PAUSE_MIN_S, longest_s, peer.dials)
    peer.dials += 1
    if peer.state is PeerState.SUSPECT:
        pause_s = PROBE_PAUSE_S
    peer.dial_at = now + jittered_s(pause_s, random)


def soon(peer: Peer, at: float) -> None:
    """There is news of the peer: dial it at that time, if it does not flap."""
    if peer.flaps < 2 or peer.dial_at == float("inf"):
        peer.dial_at = min(peer.dial_at, at)


def refused(peer: Peer, address: Address | None) -> bool:
    """
    Nothing listens at an address of the peer.

    :param address: Which; None if that is not known.
    :return: Whether another address is left to try.
    """
    if address is None:
        return False
    peer.refused[address] = None
    return any(other not in peer.refused for other in peer.addresses)


def dial(peer: Peer) -> Dial:
    """Dial the peer where it was not tried last, and was not refused."""
    peer.dialling = True
    found = [one for one in peer.addresses if one not in peer.refused]
    addresses = found or list(peer.addresses)
    return Dial(addresses[peer.dials % len(addresses)], peer.node_key)
