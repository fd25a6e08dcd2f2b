"""
Addresses as text, and as the system shows them.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.config import canonical, format_address


class AddressTests(SynchronousTestCase):
    """One address, many spellings."""

    def test_canonical(self) -> None:
        """Each spelling of an address becomes the one that datagrams show."""
        for host, expected in (
            ("::1", "::1"),
            ("0:0::1", "::1"),
            ("2001:DB8:0:0::5", "2001:db8::5"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::FFFF:a00:1", "10.0.0.1"),
            ("FE80::1%eth0", "fe80::1%eth0"),
            ("10.0.0.1", "10.0.0.1"),
            ("Seed.Example", "Seed.Example"),
            ("::", "::"),
            ("not:an:address", "not:an:address"),
            ("", ""),
        ):
            self.assertEqual(canonical((host, 7)), (expected, 7))

    def test_format(self) -> None:
        """IPv6 literals are put into brackets."""
        self.assertEqual(format_address(("10.0.0.1", 7)), "10.0.0.1:7")
        self.assertEqual(format_address(("seed", 7)), "seed:7")
        self.assertEqual(format_address(("::1", 7)), "[::1]:7")
