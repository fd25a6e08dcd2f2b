"""
Names: their labels, as text, and as users write them to look up.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.discovery import DnsName
from mycorrizal.nodosum.discovery.dns_name import (
    format_name,
    parse_name,
    received_name,
    same_name,
)

LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=4)
SERVICE = (b"_cluster", b"_tcp", b"example")


class NameTests(SynchronousTestCase):
    """Names as text."""

    def test_text(self) -> None:
        """Dots and backslashes within a label, and bytes, are written with \\."""
        for text, name in (
            ("a.b", (b"a", b"b")),
            (r"Room 3\.2._x", (b"Room 3.2", b"_x")),
            (r"a\\b", (b"a\\b",)),
            (r"\000\255", (b"\0\xff",)),
            ("Küche", ("Küche".encode(),)),
            ("\\027", (b"\x1b",)),
        ):
            self.assertEqual(parse_name(text), name)
            self.assertEqual(format_name(name), text)
        self.assertEqual(format_name(()), ".")
        self.assertEqual(parse_name("a.b."), (b"a", b"b"))

    @given(LABELS.filter(bool))
    def test_any_name(self, labels: list[bytes]) -> None:
        """Every name can be written and read again, on one line."""
        if sum(map(len, labels)) + len(labels) < 255:
            text = format_name(tuple(labels))
            self.assertTrue(text.isprintable())
            self.assertEqual(parse_name(text), tuple(labels))

    def test_case(self) -> None:
        """Case makes no difference, but for letters beyond ASCII."""
        self.assertTrue(same_name((b"A", b"b"), (b"a", b"B")))
        self.assertFalse(same_name((b"a",), (b"a", b"b")))
        self.assertTrue(same_name((b"3.2", b"b"), (b"3", b"2", b"B")))


class ReceivedNameTests(SynchronousTestCase):
    """Labels of names of which it was not kept where dots end them."""

    def check(self, text: bytes, beside: tuple[bytes, ...], *labels: bytes) -> None:
        """It has these labels."""
        self.assertEqual(received_name(text, beside), labels)

    def test_instance(self) -> None:
        """All that stands before the service is one label (RFC 6763, 4.1)."""
        text = b"Room 3.2._cluster._tcp.Example"
        label = b"Room 3.2"
        whole = (label, b"_cluster", b"_tcp", b"Example")
        self.check(text, SERVICE, *whole)
        self.check(text, (b"_x", b"_sub", *SERVICE), *whole)
        self.check(text, (b"Flat 4", b"5", *SERVICE), *whole)
        self.check(b"a._b._c._cluster._tcp.example", SERVICE, b"a._b._c", *SERVICE)

    def test_other_names(self) -> None:
        """In names of hosts, and of other services, each dot ends a label."""
        self.check(b"", SERVICE)
        self.check(b"a.b.example", SERVICE, b"a", b"b", b"example")
        self.check(b"a.b", (), b"a", b"b")
        self.check(b"a.b._tcp.other", SERVICE, b"a", b"b", b"_tcp", b"other")
        self.check(b"_cluster._tcp.example", SERVICE, *SERVICE)

    def test_bound(self) -> None:
        """No label has more than 63 bytes."""
        for size, count in ((63, 1), (64, 2)):
            text = b"a." + b"b" * (size - 2)
            found = received_name(text + b"._cluster._tcp.example", SERVICE)
            self.assertEqual(len(found), count + 3)


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
