"""
How a node comes in, and what it does when it is turned away.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import AuthenticationError, NotReady
from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.arrival import Arrival
from mycorrizal.nodosum.contacts import FIRST_ROUND_S, Contacts
from mycorrizal.nodosum.farewells import VERDICTS_S, LinkEnd
from mycorrizal.nodosum.wire.limits import Goodbye
from tests.nodosum.town import address_of, core_of, link_to, welcome_of

LOW, HIGH = sorted("ab", key=node_key_of)
TIMEOUT_S = 10.0


@attrs.define
class Rounds:
    """Ways of discovery, of which each has answered, or not."""

    complete: bool = True
    problem: str = "no name server answers"


class ArrivalTests(SynchronousTestCase):
    """A node that was told of one address."""

    def setUp(self) -> None:
        self.core = core_of(HIGH)
        self.core.me.established = False
        self.contacts = Contacts(hello=False, random=lambda: 1.0)
        self.contacts.discovered([address_of(LOW)], 0.0)
        self.rounds = Rounds()
        self.arrival = Arrival(self.core, self.contacts, self.rounds, TIMEOUT_S)
        self.held = True

    def ready(self, now: float) -> bool:
        """Whether it is ready."""
        return self.arrival.ready(now, lambda node_key: self.held)

    def test_before_it_began(self) -> None:
        """A node whose ports are not open has decided nothing."""
        self.contacts.by_address.clear()
        self.assertFalse(self.ready(99))
        self.assertFalse(self.arrival.first_round_over(99))
        self.arrival.begin(99)
        self.assertTrue(self.ready(99))
        self.assertTrue(self.arrival.first_round_over(99))

    def test_first_round(self) -> None:
        """The first round is over when all had their chance, after 3 s at last."""
        self.arrival.begin(0)
        self.rounds.complete = False
        self.assertFalse(self.arrival.first_round_over(FIRST_ROUND_S - 0.1))
        self.assertTrue(self.arrival.first_round_over(FIRST_ROUND_S))
        self.rounds.complete = True
        self.contacts.by_address[address_of(LOW)].failures = 1
        self.assertTrue(self.arrival.first_round_over(0))

    def test_not_ready_in_time(self) -> None:
        """Where discovery fails all the time, it can't be ready, and why is told."""
        self.arrival.begin(0)
        self.rounds.complete = False
        self.assertFalse(self.ready(TIMEOUT_S - 0.1))
        error = self.assertRaises(NotReady, self.ready, TIMEOUT_S)
        self.assertEqual(str(error), "not ready within 10 s: no name server answers")

    def test_refused(self) -> None:
        """Where the only one there refuses it, it can't be ready, and why is told."""
        self.arrival.begin(0)
        self.contacts.dial_failed(address_of(LOW), 0, "it runs alone")
        error = self.assertRaises(AuthenticationError, self.ready, 1)
        self.assertIn("refused us: it runs alone", str(error))

    def test_turned_away(self) -> None:
        """It is not ready alone while it is to come later, and asks anew then."""
        self.arrival.begin(0)
        link = link_to(LOW)
        self.core.authenticated(link, 2.8)
        self.core.link_closed(link, LinkEnd(Goodbye.RESTARTED, 4000), 2.8)
        for now in (2.9, FIRST_ROUND_S, 3.2):
            self.assertFalse(self.ready(now))
            self.assertFalse(self.arrival.first_round_over(now))
        self.core.tick(2.8 + VERDICTS_S)
        self.arrival.begin_anew(6.8)
        for now in (3.3, 6.7):
            self.assertFalse(self.ready(now))
            self.assertFalse(self.arrival.first_round_over(now))
            self.assertEqual(self.contacts.tick(now, self.core.peers), ())
        self.assertEqual(len(self.contacts.tick(6.8, self.core.peers)), 1)
        self.assertFalse(self.ready(6.8))
        self.assertFalse(self.arrival.first_round_over(6.8 + FIRST_ROUND_S - 0.1))
        self.core.authenticated(link := link_to(LOW), 7)
        self.core.welcomed(link, welcome_of(LOW), 7)
        self.contacts.found(address_of(LOW), link.node_key)
        self.assertTrue(self.ready(7))

    def test_found_meanwhile(self) -> None:
        """What discovery finds while it waits is asked when the wait is over."""
        self.arrival.begin(0)
        self.arrival.begin_anew(5)
        self.contacts.discovered([address_of(LOW), address_of("c")], 1)
        self.assertEqual(self.contacts.tick(4.9, {}), ())
        self.assertEqual(len(self.contacts.tick(5, {})), 2)
        self.assertFalse(self.contacts.settled(7.9, {}, lambda node_key: True))
        self.assertTrue(self.contacts.settled(8, {}, lambda node_key: True))

    def test_tables(self) -> None:
        """It is ready only when it holds the tables of who is linked."""
        self.arrival.begin(0)
        self.core.authenticated(link := link_to(LOW), 0)
        self.core.welcomed(link, welcome_of(LOW), 0)
        self.held = False
        self.contacts.found(address_of(LOW), link.node_key)
        self.assertFalse(self.ready(1))
        self.held = True
        self.assertTrue(self.ready(1))
