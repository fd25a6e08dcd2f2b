"""
How much of HTTP a node puts up with.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from mycorrizal.pulse.web.site import CONNECTIONS_MAX
from tests.pulse.web.worlds import Tab, WebTestCase


class SiteTests(WebTestCase):
    """A node that is asked too much."""

    size = 1

    def test_connections(self) -> None:
        """There are so many at once; when one is closed, another may come."""
        tabs = [Tab(self.http.site) for _ in range(CONNECTIONS_MAX)]
        self.assertIsNone(Tab(self.http.site).channel)
        tabs[0].channel.connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(Tab(self.http.site).channel)

    def test_bodies(self) -> None:
        """Who sends a body is told so, and is hung up on, before it has come."""
        for length in ("Content-Length: 1", "Transfer-Encoding: chunked"):
            tab = Tab(self.http.site)
            head = f"POST / HTTP/1.1\r\nHost: ::1\r\n{length}\r\n\r\n"
            tab.channel.dataReceived(head.encode())
            self.assertIn("413 Content Too Large", tab.answer, length)
            self.assertTrue(tab.transport.disconnecting, length)

    def test_methods(self) -> None:
        """Nothing can be changed: other methods are refused."""
        for method in ("POST", "PUT", "DELETE"):
            tab = Tab(self.http.site)
            tab.channel.dataReceived(
                f"{method} / HTTP/1.1\r\nHost: ::1\r\n\r\n".encode()
            )
            status = tab.answer.split(" ")[1]
            self.assertIn(status, ("405", "501"), method)

    def test_idle(self) -> None:
        """A connection that says nothing is closed after a minute."""
        tab = Tab(self.http.site)
        self.cluster.advance(61)
        self.assertTrue(tab.transport.disconnecting)
