# -*- test-case-name: tests.nodosum.test_rounds -*-
"""
What a way of discovery must offer.
"""

from __future__ import annotations

import attrs
from zope.interface import Attribute, Interface

from mycorrizal.nodosum.config import Address


@attrs.frozen
class Announcement:
    """
    What others may be told of this node.

    :ivar address: Where it is reached; the host is ``0.0.0.0`` or ``::`` when
        it listens everywhere and nobody said how it is reached.
    """

    node_id: str
    cluster_name: str
    address: Address
    version: str


class IDiscovery(Interface):
    """
    A way to find the addresses of other nodes.

    A node may have several at once; it looks in rounds, keeps the last good
    answer of each, and dials what they name.  None can take a member away.
    """

    name: str = Attribute("What to call it in the log, as in ``static list``.")
    round_s: float = Attribute(
        "Seconds between two rounds at most; read after each, which may change "
        "it.  The pause is half to all of it, so that nodes spread out."
    )

    def discover() -> object:
        """
        Look once; called again only when the last call's Deferred has fired.
        When the node stops, that is cancelled.

        :return: A Deferred that fires with a list of addresses, pairs of an
            IP literal and a port, the most wanted first; our own may be among
            them.  The first 256 are looked at.  It fails with
            `mycorrizal.errors.DiscoveryError` if nothing could be found out;
            what was found before is kept then, and the node looks again after
            1 s, 2 s and so on up to 30 s.
        """


class IPartial(IDiscovery):
    """
    A way of discovery whose answer may be good though a part of it is missing.
    """

    left_out: str = Attribute(
        "What the last round could not find out, as a sentence; empty: nothing."
    )


class IAnnouncing(IDiscovery):
    """
    A way of discovery that tells others of this node, too.
    """

    def announce(announcement: Announcement) -> None:
        """
        Make this node known, and keep it known; called once, when its ports are
        open, before `discover`.
        """

    def withdraw() -> object:
        """
        Make this node unknown; called once, when it leaves.

        :return: A Deferred that fires within a few seconds, whatever happens,
            when nothing is left: no timer, no connection.
        """
