"""Tests for `mycorrizal.testing.ports`."""

from __future__ import annotations

import attrs
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing.ports import EPHEMERAL, PortTable, mapped, unmapped


@attrs.define(eq=False)
class Listener:
    """Somebody who listens."""

    interface: str = ""


class PortTableTests(SynchronousTestCase):
    """The ports of a host."""

    def setUp(self) -> None:
        self.table: PortTable[Listener] = PortTable(
            ("10.0.0.1", "fd00::1"), EPHEMERAL.stop - 1
        )

    def test_any_port(self) -> None:
        """Port 0 is another unused one each time, also behind the last."""
        ports = [self.table.bind(Listener(), 0) for _ in range(3)]
        self.assertEqual(
            ports, [EPHEMERAL.stop - 1, EPHEMERAL.start, EPHEMERAL.start + 1]
        )

    def test_any_port_is_no_busy_one(self) -> None:
        """A port that somebody asked for is not given to another."""
        self.table.bind(Listener(), EPHEMERAL.start)
        self.table.unused()
        self.assertEqual(self.table.unused(), EPHEMERAL.start + 1)

    def test_no_port_left(self) -> None:
        """When each port is used, there is an error and no endless search."""
        for port in EPHEMERAL:
            self.table.bind(Listener(), port)
        self.assertRaises(CannotListenError, self.table.bind, Listener(), 0)

    def test_overlaps(self) -> None:
        """Who listens everywhere is in the way of who listens somewhere."""
        for one, other, fits in (
            ("", "", False),
            ("", "10.0.0.1", False),
            ("10.0.0.1", "127.0.0.1", True),
            ("10.0.0.1", "10.0.0.1", False),
            ("::", "10.0.0.1", False),
            ("::", "", False),
            ("", "fd00::1", True),
            ("fd00::1", "::1", True),
        ):
            for a, b in ((one, other), (other, one)):
                table: PortTable[Listener] = PortTable(("10.0.0.1", "fd00::1"), 40000)
                table.bind(Listener(a), 80)
                if fits:
                    table.bind(Listener(b), 80)
                else:
                    self.assertRaises(CannotListenError, table.bind, Listener(b), 80)

    def test_foreign_address(self) -> None:
        """A host listens on its own addresses only."""
        error = self.assertRaises(
            CannotListenError, self.table.bind, Listener("10.0.0.2"), 80
        )
        self.assertEqual((error.interface, error.port), ("10.0.0.2", 80))

    def test_find(self) -> None:
        """The most exact listener is found; each family has its own."""
        exact, six = Listener("fd00::1"), Listener("::1")
        every = Listener("")
        for listener in (every, exact, six):
            self.table.bind(listener, 80)
        self.assertIs(self.table.find("fd00::1", 80), exact)
        self.assertIs(self.table.find("::1", 80), six)
        self.assertIs(self.table.find("10.0.0.1", 80), every)
        self.assertIs(self.table.find("fd00::2", 80), None)
        self.assertIs(self.table.find("10.0.0.1", 81), None)

    def test_find_both_families(self) -> None:
        """Who listens on :: hears IPv4 as well."""
        both = Listener("::")
        self.table.bind(both, 80)
        self.assertIs(self.table.find("10.0.0.1", 80), both)
        self.assertIs(self.table.find("fd00::1", 80), both)

    def test_release(self) -> None:
        """A port that was given back can be taken again."""
        first = Listener()
        self.table.bind(first, 80)
        self.table.release(first, 80)
        self.table.release(first, 80)
        self.table.bind(Listener(), 80)

    def test_mapping(self) -> None:
        """IPv4 addresses have an IPv6 form, and only they."""
        self.assertEqual(mapped("10.0.0.1"), "::ffff:10.0.0.1")
        self.assertEqual(mapped("fd00::1"), "fd00::1")
        self.assertEqual(unmapped("::ffff:10.0.0.1"), "10.0.0.1")
        self.assertEqual(unmapped("::ffff:1"), "::ffff:1")
        self.assertEqual(unmapped("10.0.0.1"), "10.0.0.1")
