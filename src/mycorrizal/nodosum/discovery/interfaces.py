# -*- test-case-name: tests.nodosum.discovery.test_static -*-
"""
What a way of discovery must offer.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IDiscovery(Interface):
    """
    A way to find the addresses of other nodes.
    """

    name: str = Attribute("What to call it in the log, as in ``static list``.")
    round_s: float = Attribute("Seconds between two rounds.")

    def discover() -> object:
        """
        Look once.

        :return: A Deferred that fires with a list of addresses, pairs of an
            IP literal and a port; our own may be among them.  It fails with
            `mycorrizal.errors.DiscoveryError` if nothing could be found out;
            what was found before is kept then.
        """
