"""
A simulated cluster with status pages, and a browser's bytes.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.web.service import HttpService
from mycorrizal.testing.cluster import SimCluster

LOCAL = "127.0.0.1:6971"


def reports_of(cluster: SimCluster, number: int = 0) -> HttpService:
    """What a node serves."""
    http = cluster[number].http
    assert http is not None
    return http


class Tab:
    """One connection of a browser."""

    def __init__(self, site: Any) -> None:
        self.channel = site.buildProtocol(None)
        self.transport = StringTransport()
        if self.channel is not None:
            self.channel.makeConnection(self.transport)

    def get(self, path: str, host: str = LOCAL, **headers: str) -> str:
        """Ask for a path; all that has been answered so far."""
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
        self.channel.dataReceived("\r\n".join([*lines, "", ""]).encode())
        return self.answer

    @property
    def answer(self) -> str:
        """All that has been answered."""
        data: bytes = self.transport.value()
        return data.decode()


class WebTestCase(SynchronousTestCase):
    """
    A cluster each of whose nodes serves a page.

    :ivar settings: Of the nodes.
    """

    size = 3
    settings: dict[str, Any] = {}

    def setUp(self) -> None:
        settings = {"http": "tcp:6971", "buckets": "s:ttl=1h,max_entries=100"}
        self.cluster = SimCluster(
            self.size, seed=self.id(), **{**settings, **self.settings}
        )
        self.cluster.until(self.cluster.formed)
        self.http = reports_of(self.cluster)

    def get(self, path: str, host: str = LOCAL, **headers: str) -> str:
        """What the first node answers, headers and all."""
        return Tab(self.http.site).get(path, host, **headers)
