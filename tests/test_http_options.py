"""
Where the status page is served, as it is written in settings.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.http_options import HttpEndpoint, read_http

GOOD = [
    ("tcp:6971", HttpEndpoint("127.0.0.1", 6971)),
    ("tcp:0", HttpEndpoint("127.0.0.1", 0)),
    ("tcp:port=6971", HttpEndpoint("127.0.0.1", 6971)),
    ("tcp:6971:interface=10.0.0.1", HttpEndpoint("10.0.0.1", 6971)),
    (r"tcp6:6971:interface=\:\:1", HttpEndpoint("::1", 6971)),
]
BAD = [
    ("6971", "is not an endpoint"),
    ("tcp", "is not an endpoint"),
    ("tcp:1:2", "is not an endpoint"),
    ("ssl:6971", "is not an endpoint"),
    ("tcp:x", "'x' is not a whole number"),
    ("tcp:70000", "port 70000 is out of range"),
    ("tcp:1:interface=node1", "interface=node1 is not an IP address"),
    ("tcp:1:backlog=5", "backlog= is unknown"),
]


class EndpointTests(SynchronousTestCase):
    """Endpoints as texts."""

    def test_good(self) -> None:
        """Without an interface only this machine is served."""
        for text, endpoint in GOOD:
            self.assertEqual(read_http(text, "token"), endpoint, text)
        self.assertIsNone(read_http(None, None))

    def test_bad(self) -> None:
        """What is wrong is said, with an example."""
        for text, sentence in BAD:
            error = self.assertRaises(ConfigError, read_http, text, "token")
            self.assertIn(sentence, str(error), text)

    def test_others_need_a_token(self) -> None:
        """What others reach is not served without a token; what they don't, is."""
        for text, private in (("tcp:1:interface=0.0.0.0", False), ("tcp:1", True)):
            if private:
                self.assertTrue(read_http(text, None))
            else:
                error = self.assertRaises(ConfigError, read_http, text, None)
                self.assertIn("--http-token-file", str(error))
