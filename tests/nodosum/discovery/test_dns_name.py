"""
Names to look up, as users write them.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.discovery import DnsName


class DnsNameTests(SynchronousTestCase):
    """``NAME`` and ``NAME:PORT``."""

    def test_good(self) -> None:
        """Services have no port, hosts may; a dot at the end is kept in mind."""
        for text, shown, port, absolute in (
            ("_cluster._tcp.example", "_cluster._tcp.example", None, False),
            (" nodes.example.:7001 ", "nodes.example:7001", 7001, True),
            ("nodes", "nodes", None, False),
            ("nodes:65535", "nodes:65535", 65535, False),
            (r"Room 3\.2._cluster._tcp.example", None, None, False),
        ):
            name = DnsName.parse(text)
            self.assertEqual(str(name), shown or text)
            self.assertEqual((name.port, name.absolute), (port, absolute), text)
            self.assertEqual(DnsName.parse(str(name)).name, name.name)

    def test_wrong(self) -> None:
        """What is none is refused with the reason and an example."""
        for text, reason in (
            ("", "each part of a name between dots has 1 to 63 bytes"),
            (".", "each part"),
            ("a..b", "each part"),
            ("a" * 64, "each part"),
            (".".join(["a" * 49] * 6), "at most 253 bytes"),
            (r"\256", "is no byte"),
            ("nodes:", "'' is no port"),
            ("nodes:x", "'x' is no port"),
            ("nodes:0", "'0' is no port"),
            ("nodes:65536", "'65536' is no port"),
            ("nodes:1" + "0" * 5000, "is no port"),
            ("nodes:²", "is no port"),
            ("_cluster._tcp.example:7001", "a service tells the ports itself"),
        ):
            with self.assertRaises(ConfigError) as caught:
                DnsName.parse(text)
            self.assertIn(reason, str(caught.exception), text)
            self.assertIn("as in _cluster._tcp.shop.example", str(caught.exception))
            self.assertEqual(caught.exception.field, "dns_sd")

    def test_bounds(self) -> None:
        """A part may have 63 bytes, a name 253."""
        DnsName.parse("a" * 63)
        DnsName.parse(".".join(["a" * 49] * 5) + ".bcd")
        with self.assertRaises(ConfigError):
            DnsName.parse(".".join(["a" * 49] * 5) + ".bcde")
