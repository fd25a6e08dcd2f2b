"""Tests of how addresses are dialled."""

from __future__ import annotations

from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
)
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.endpoints import client_endpoint
from mycorrizal.testing import World


class EndpointTests(SynchronousTestCase):
    """Each kind of address is dialled in its way."""

    def test_literals(self) -> None:
        """A literal is dialled as it is, with the interface of a link-local one."""
        for host, kind in (
            ("10.0.0.1", TCP4ClientEndpoint),
            ("::1", TCP6ClientEndpoint),
            ("fe80::1%eth0", TCP6ClientEndpoint),
        ):
            self.assertIsInstance(client_endpoint(Clock(), (host, 7), 2.0), kind)

    def test_names(self) -> None:
        """A name is looked up first."""
        reactor = World(1).host("a").reactor
        endpoint = client_endpoint(reactor, ("example.org", 7), 2.0)
        self.assertIsInstance(endpoint, HostnameEndpoint)
