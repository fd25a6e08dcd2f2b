"""
Addresses that discovery named: asked, dialled, and asked again.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.contacts import (
    CONTACTS_MAX,
    FIRST_ROUND_GREETED_S,
    FIRST_ROUND_S,
    HELLO_PAUSES_S,
    RETRY_MAX_S,
    Contacts,
    Phase,
)
from mycorrizal.nodosum.effects import Dial, Effect, SendHello
from mycorrizal.nodosum.greeting import QUESTIONS_PER_NONCE
from mycorrizal.nodosum.peer import Peer, PeerState
from tests.nodosum.town import address_of, link_to

A, B = address_of("a"), address_of("b")
KEY = node_key_of("b")
REFUSED = "another secret or cluster name"


def table(*addresses: Address, hello: bool = True, random: float = 1.0) -> Contacts:
    """A table that was told of these addresses at second 0."""
    contacts = Contacts(hello=hello, random=lambda: random)
    contacts.discovered(addresses, 0.0)
    return contacts


class ContactsTestCase(SynchronousTestCase):
    """A table, and peers that membership knows."""

    def setUp(self) -> None:
        self.peers: dict[bytes, Peer] = {}
        self.held = True

    def tick(self, contacts: Contacts, now: float) -> tuple[Effect, ...]:
        """The clock says `now`."""
        return contacts.tick(now, self.peers)

    def run_until(
        self, contacts: Contacts, until: float, since: float = 0.0
    ) -> list[tuple[float, str]]:
        """What is asked for in this time, and when."""
        found: list[tuple[float, str]] = []
        for step in range(round(since * 20), round(until * 20)):
            for effect in self.tick(contacts, step / 20):
                found.append((step / 20, type(effect).__name__))
        return found

    def settled(self, contacts: Contacts, now: float) -> bool:
        """Whether the first round is over."""
        return contacts.settled(now, self.peers, lambda node_key: self.held)


class AskingTests(ContactsTestCase):
    """HELLOs, then a dial, then patience."""

    def test_silent_address(self) -> None:
        """Three HELLOs, and then TCP is tried."""
        asked = self.run_until(table(B), 1.0)
        self.assertEqual([what for _, what in asked], ["SendHello"] * 3 + ["Dial"])
        self.assertLess(abs(asked[-1][0] - sum(HELLO_PAUSES_S)), 0.11)
        self.assertEqual(len(HELLO_PAUSES_S), QUESTIONS_PER_NONCE)

    def test_blocked_udp(self) -> None:
        """Where UDP is blocked the address is dialled at once."""
        self.assertEqual(self.tick(table(B, hello=False), 0.0), (Dial(B),))

    def test_one_dial_at_a_time(self) -> None:
        """While a dial is under way nothing else is done."""
        contacts = table(B, hello=False)
        self.tick(contacts, 0.0)
        self.assertEqual(self.run_until(contacts, 60.0), [])

    def test_longer_and_longer_pauses(self) -> None:
        """After 1, 2, 4 … 30 s the address is asked again, with jitter."""
        for random, factor in ((1.0, 1.0), (0.0, 0.5)):
            contacts = table(B, hello=False, random=random)
            now = 0.0
            for pause_s in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
                self.assertEqual(self.tick(contacts, now), (Dial(B),))
                contacts.dial_failed(B, now)
                self.assertEqual(self.tick(contacts, now + pause_s * factor - 0.01), ())
                now += pause_s * factor

    def test_many_failures(self) -> None:
        """A thousand failures later the pause is still 30 s."""
        contacts = table(B, hello=False)
        for turn in range(1000):
            contacts.by_address[B].next_at = turn
            self.assertEqual(self.tick(contacts, turn), (Dial(B),))
            contacts.dial_failed(B, turn)
        self.assertEqual(contacts.by_address[B].next_at, 999 + RETRY_MAX_S)

    def test_found(self) -> None:
        """An address where a node lives is left to membership."""
        contacts = table(B)
        self.tick(contacts, 0.0)
        contacts.found(B, KEY)
        self.peers[KEY] = Peer(KEY, 1, 0.0)
        self.assertEqual(self.run_until(contacts, 60.0), [])

    def test_given_up(self) -> None:
        """When membership has forgotten the node, or it left, others may come."""
        for peer in (None, Peer(KEY, 1, 0.0, state=PeerState.LEFT)):
            contacts = table(B)
            contacts.found(B, KEY)
            self.peers = {} if peer is None else {KEY: peer}
            asked = self.run_until(contacts, 2.0)
            self.assertEqual(asked[0], (1.0, "SendHello"))

    def test_dead_is_not_given_up(self) -> None:
        """A dead member is dialled by membership, not by us."""
        contacts = table(B)
        contacts.found(B, KEY)
        self.peers[KEY] = Peer(KEY, 1, 0.0, state=PeerState.DEAD)
        self.assertEqual(self.run_until(contacts, 60.0), [])

    def test_address_that_is_not_there(self) -> None:
        """News of an address that nobody named changes nothing."""
        contacts = table(B)
        contacts.found(A, KEY)
        contacts.found_own(A, 0.0)
        contacts.dial_failed(A, 0.0)
        self.assertEqual(list(contacts.by_address), [B])


class OwnAddressTests(ContactsTestCase):
    """It is safe to name all nodes, ourselves among them."""

    def test_own_address_rests(self) -> None:
        """Our own address is not asked while we know that it is ours."""
        contacts = table(A)
        contacts.found_own(A, 0.0)
        self.assertEqual(self.run_until(contacts, RETRY_MAX_S), [])
        self.assertTrue(self.settled(contacts, 0.0))

    def test_own_address_is_asked_again(self) -> None:
        """Who sends our HELLO back to us hides a seed for 30 s at most."""
        contacts = table(B)
        self.assertEqual(self.tick(contacts, 0.0), (SendHello(B),))
        contacts.found_own(B, 0.1)
        asked = self.run_until(contacts, 40.0, since=RETRY_MAX_S)
        self.assertEqual(asked[0][1], "SendHello")
        self.assertTrue(self.settled(contacts, 31.0))
        contacts.found(B, KEY)
        self.assertEqual(contacts.by_address[B].phase, Phase.KNOWN)
        self.assertFalse(contacts.by_address[B].own)

    def test_named_again(self) -> None:
        """A new round of discovery leaves it as it is."""
        contacts = table(A)
        contacts.found_own(A, 0.0)
        contacts.discovered([A, B], 10.0)
        self.assertEqual(self.tick(contacts, 10.0), (SendHello(B),))


class DiscoveryTests(ContactsTestCase):
    """Which addresses are kept."""

    def test_new_answer(self) -> None:
        """An address that is named no more is forgotten, a new one asked."""
        contacts = table(A)
        contacts.discovered([B], 10.0)
        self.assertEqual(self.tick(contacts, 10.0), (SendHello(B),))

    def test_discovery_never_removes_a_member(self) -> None:
        """An address where a node lives stays, even if the answer is empty."""
        contacts = table(A, B)
        contacts.found(B, KEY)
        contacts.discovered([], 10.0)
        self.assertEqual(list(contacts.by_address), [B])

    def test_same_address_twice(self) -> None:
        """However an address is written, it is one, as datagrams show it."""
        contacts = table(
            ("0:0::1", 7), ("::1", 7), ("::ffff:10.0.0.2", 7), ("10.0.0.2", 7), ("x", 7)
        )
        named = [("::1", 7), ("10.0.0.2", 7), ("x", 7)]
        self.assertEqual(list(contacts.by_address), named)
        contacts.found(("0:0:0::1", 7), KEY)
        contacts.found_own(("::FFFF:10.0.0.2", 7), 0.0)
        contacts.dial_failed(("0::1", 7), 0.0, REFUSED)
        one, two, three = contacts.by_address.values()
        self.assertEqual((one.phase, one.refused), (Phase.KNOWN, REFUSED))
        self.assertEqual((two.own, three.own), (True, False))

    def test_addresses_at_the_bound(self) -> None:
        """256 addresses are kept, one more is left out."""
        named = [(f"10.1.{at >> 8}.{at & 255}", 1) for at in range(CONTACTS_MAX + 1)]
        self.assertEqual(list(table(*named).by_address), named[:-1])
        contacts = table(*named[:CONTACTS_MAX])
        contacts.discovered(named[1:], 5.0)
        self.assertEqual(list(contacts.by_address), named[1:])


class FirstRoundTests(ContactsTestCase):
    """When a node may say that it is ready."""

    def test_nobody_named(self) -> None:
        """Without addresses there is nothing to wait for."""
        self.assertTrue(self.settled(table(), 0.0))

    def test_silence(self) -> None:
        """A silent address is waited for 3 s."""
        self.assertFalse(self.settled(table(B), FIRST_ROUND_S - 0.1))
        self.assertTrue(self.settled(table(B), FIRST_ROUND_S))

    def test_nobody_there(self) -> None:
        """An address that can't be dialled is not waited for."""
        contacts = table(B)
        contacts.dial_failed(B, 0.5)
        self.assertTrue(self.settled(contacts, 0.5))
        self.assertEqual(contacts.refusals(), [])

    def test_member_whose_tables_we_hold(self) -> None:
        """A linked member is waited for until we hold its tables."""
        contacts = table(B)
        contacts.found(B, KEY)
        self.peers[KEY] = peer = Peer(KEY, 1, 0.0, link=link_to("b"), up=True)
        self.held = False
        self.assertFalse(self.settled(contacts, 20.0))
        self.held = True
        self.assertTrue(self.settled(contacts, 0.1))
        peer.up = False
        self.assertFalse(self.settled(contacts, 0.1))

    def test_somebody_answered(self) -> None:
        """
        A node that greeted us is waited for 6 s: if it should have dialled,
        we do so after 3 s, and may be refused.
        """
        contacts = table(B)
        contacts.found(B, KEY)
        self.peers[KEY] = Peer(KEY, 1, -9.0)
        self.assertFalse(self.settled(contacts, FIRST_ROUND_GREETED_S - 0.1))
        self.assertTrue(self.settled(contacts, FIRST_ROUND_GREETED_S))

    def test_hearsay(self) -> None:
        """Peers that others named have their 3 s as well; the dead have none."""
        self.peers[KEY] = peer = Peer(KEY, 1, 1.0)
        self.assertFalse(self.settled(table(), 3.9))
        self.assertTrue(self.settled(table(), 4.0))
        peer.state = PeerState.DEAD
        self.assertTrue(self.settled(table(), 1.0))

    def test_refused(self) -> None:
        """Who refused us is named, whether it had greeted us or not."""
        for greeted in (False, True):
            contacts = table(B)
            if greeted:
                contacts.found(B, KEY)
            contacts.dial_failed(B, 0.5, REFUSED)
            self.assertEqual(contacts.refusals(), [(B, REFUSED)])
            self.assertTrue(self.settled(contacts, 0.5))
            contacts.found(B, KEY)
            self.assertEqual(contacts.refusals(), [])

    def test_busy_is_no_refusal(self) -> None:
        """A node that greeted us and then was too busy is still waited for."""
        contacts = table(B)
        contacts.found(B, KEY)
        contacts.dial_failed(B, 0.5)
        self.assertFalse(self.settled(contacts, 0.5))
        self.assertEqual(contacts.by_address[B].phase, Phase.KNOWN)
