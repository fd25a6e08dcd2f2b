"""
Addresses that the user wrote down, names among them.
"""

from __future__ import annotations

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.discovery import IDiscovery, StaticDiscovery
from mycorrizal.nodosum.discovery.static import LOOKUPS_AT_ONCE
from mycorrizal.testing import World


class StaticDiscoveryTests(SynchronousTestCase):
    """A host, and what the name service knows."""

    def setUp(self) -> None:
        self.world = World(seed=1)
        self.runtime = self.world.host("here").runtime
        self.world.names["seed.example"] = ["10.0.1.1", "10.0.1.2", "fd00::5"]

    def look(self, *addresses: Address) -> list[Address]:
        """What a list of addresses comes to."""
        discovery = StaticDiscovery(self.runtime, addresses)
        found: list[Address] = self.world.result_of(discovery.discover())
        return found

    def test_interface(self) -> None:
        """It is a way of discovery as any other."""
        verifyObject(IDiscovery, StaticDiscovery(self.runtime, ()))

    def test_literals(self) -> None:
        """IP literals are taken as they are, without asking anybody."""
        literals = (("10.0.0.1", 1), ("::1", 2), ("fe80::1%eth0", 3))
        discovery = StaticDiscovery(self.runtime, literals)
        found = self.successResultOf(discovery.discover())
        self.assertEqual(found, list(literals))

    def test_spellings(self) -> None:
        """However a literal is written, it is what datagrams will show, once."""
        found = self.look(
            ("::1", 7), ("0:0::1", 7), ("FD00::5", 7), ("::ffff:10.0.0.1", 7),
            ("10.0.0.1", 7), ("10.0.0.1", 8),
        )  # fmt: skip
        expected = [("::1", 7), ("fd00::5", 7), ("10.0.0.1", 7), ("10.0.0.1", 8)]
        self.assertEqual(found, expected)

    def test_name(self) -> None:
        """A name stands for all its addresses, of either family."""
        found = self.look(("seed.example", 7), ("10.0.1.2", 7))
        self.assertEqual(
            sorted(found), [("10.0.1.1", 7), ("10.0.1.2", 7), ("fd00::5", 7)]
        )

    def test_nothing_written_down(self) -> None:
        """An empty list is an answer, not an error."""
        self.assertEqual(self.look(), [])

    def test_unknown_name_among_others(self) -> None:
        """A name without an address is left out and logged, once."""
        discovery = StaticDiscovery(self.runtime, (("gone", 7), ("10.0.0.1", 7)))
        with capturedLogs() as logs:
            for _ in range(2):
                found = self.world.result_of(discovery.discover())
                self.assertEqual(found, [("10.0.0.1", 7)])
        ours = [log for log in logs if log.get("host") == "gone"]
        self.assertEqual(len(ours), 1)
        self.assertEqual(discovery.left_out, "gone has no address")
        self.world.names["gone"] = ["10.0.2.1"]
        self.world.result_of(discovery.discover())
        self.assertEqual(discovery.left_out, "")

    def test_name_that_changes(self) -> None:
        """Names are looked up anew in each round."""
        discovery = StaticDiscovery(self.runtime, (("moving", 7),))
        for answer in (["10.0.2.1"], ["10.0.2.2", "fd00::6"]):
            self.world.names["moving"] = answer
            found = self.world.result_of(discovery.discover())
            self.assertEqual([host for host, _ in found], answer)

    def test_name_that_comes_and_goes(self) -> None:
        """
        A name that can't be looked up any more stands for what it stood for,
        and that is logged each time it happens.
        """
        discovery = StaticDiscovery(self.runtime, (("later", 7), ("10.0.0.1", 7)))
        counts = []
        with capturedLogs() as logs:
            for answer in ([], ["10.0.2.1"], [], [], ["10.0.2.1"], []):
                self.world.names["later"] = answer
                self.world.advance(3600)
                counts.append(len(self.world.result_of(discovery.discover())))
        self.assertEqual(counts, [1, 2, 2, 2, 2, 2])
        self.assertEqual(len([log for log in logs if log.get("host") == "later"]), 3)

    def test_lookups_at_once(self) -> None:
        """Four names are looked up at once, since each takes a thread."""
        names = [f"seed{number}" for number in range(9)]
        self.world.names.update({name: ["10.0.0.1"] for name in names})
        self.world.names.answer_s = 1.0
        began_s = self.world.now_s
        self.look(*((name, 7) for name in names))
        self.assertEqual(self.world.now_s - began_s, 3.0)
        self.assertEqual(LOOKUPS_AT_ONCE, 4)

    def test_cancelled(self) -> None:
        """A round that nobody waits for any more comes to nothing."""
        looking = StaticDiscovery(self.runtime, (("seed.example", 7),)).discover()
        looking.cancel()
        self.failureResultOf(looking)
        self.world.advance(1)
        self.assertEqual(self.world.errors(), [])

    def test_no_name_has_an_address(self) -> None:
        """If nothing at all is found the error names the names."""
        with self.assertRaises(DiscoveryError) as caught:
            self.look(("gone", 7), ("lost", 7), ("gone", 8))
        self.assertIn("gone, lost", str(caught.exception))
