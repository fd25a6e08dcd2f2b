# -*- test-case-name: tests.nodosum.test_contacts -*-
"""
The addresses that discovery named, and what came of each: a core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto

import attrs

from mycorrizal.backoff import doubled_s, jittered_s
from mycorrizal.nodosum.config import Address, canonical
from mycorrizal.nodosum.effects import Dial, Effect, SendHello
from mycorrizal.nodosum.peer import Peer, PeerState

#: When the second and third HELLO follow, and then the dial without one.
HELLO_PAUSES_S = (0.1, 0.15, 0.2)
#: First and longest pause before an address is asked again.
RETRY_MIN_S = 1.0
RETRY_MAX_S = 30.0
#: How long an address of the first round may keep a node from being ready,
#: and one where somebody answered a HELLO: the side that should not dial does
#: so after 3 s, and may learn only then that it is refused.
FIRST_ROUND_S = 3.0
FIRST_ROUND_GREETED_S = 6.0
#: Addresses kept; the rest of a discovery's answer is left out.
CONTACTS_MAX = 256


class Phase(Enum):
    """What is going on at an address."""

    ASKING = auto()
    DIALLING = auto()
    RESTING = auto()
    KNOWN = auto()


@attrs.define
class Contact:
    """
    One address.

    :ivar next_at: When to do the next thing, monotonic.
    :ivar hellos: Sent since it was last asked.
    :ivar failures: In a row.
    :ivar node_key: Who was found there.
    :ivar refused: Why it refused us, if it did.
    :ivar own: Whether we met ourselves there last.
    """

    address: Address
    first_at: float
    next_at: float
    phase: Phase = Phase.RESTING
    hellos: int = 0
    failures: int = 0
    node_key: bytes | None = None
    refused: str | None = None
    own: bool = False


class Contacts:
    """
    The table of addresses and the rules that change it.

    :param hello: Whether to ask by UDP before dialling.
    :param random: Returns a float in [0, 1), for jitter.
    """

    def __init__(self, *, hello: bool, random: Callable[[], float]) -> None:
        self.by_address: dict[Address, Contact] = {}
        self._rests_until = float("-inf")
        self._hello = hello
        self._random = random

    def discovered(self, addresses: Iterable[Address], now: float) -> None:
        """
        Discovery named these.  One that it names no more is forgotten, unless
        somebody lives there: discovery never removes a member.
        """
        named = dict.fromkeys(map(canonical, addresses))
        for address, contact in list(self.by_address.items()):
            if address not in named and contact.phase is not Phase.KNOWN:
                del self.by_address[address]
        for address in named:
            if address in self.by_address or len(self.by_address) >= CONTACTS_MAX:
                continue
            since = max(now, self._rests_until)
            self.by_address[address] = Contact(address, since, since)

    def begin_anew(self, at: float) -> None:
        """Ask nobody before that time, and then everybody for the first time."""
        self._rests_until = at
        for contact in self.by_address.values():
            contact.first_at = contact.next_at = at
            contact.phase, contact.failures = Phase.RESTING, 0

    def found(self, address: Address, node_key: bytes) -> None:
        """A node proved itself at this address."""
        contact = self.by_address.get(canonical(address))
        if contact is not None:
            contact.own = False
            contact.phase = Phase.KNOWN
            contact.node_key = node_key
            contact.failures = 0
            contact.refused = None

    def found_own(self, address: Address, now: float) -> None:
        """
        This address is our own.  It is asked again after a while: whoever
        sends our own HELLO back to us must not hide a node for ever.
        """
        contact = self.by_address.get(canonical(address))
        if contact is not None:
            contact.own = True
            contact.phase = Phase.RESTING
            contact.next_at = now + RETRY_MAX_S

    def dial_failed(
        self, address: Address, now: float, refused: str | None = None
    ) -> None:
        """
        Nothing came of dialling an address.

        :param refused: What the node there had against us.
        """
        contact = self.by_address.get(canonical(address))
        if contact is None:
            return
        if contact.phase is Phase.KNOWN:
            # Membership dials it again; only a refusal is news.
            if refused is not None:
                contact.failures += 1
                contact.refused = refused
            return
        pause_s = doubled_s(RETRY_MIN_S, RETRY_MAX_S, contact.failures)
        contact.failures += 1
        contact.refused = refused
        contact.phase = Phase.RESTING
        contact.next_at = now + jittered_s(pause_s, self._random)

    def tick(self, now: float, peers: dict[bytes, Peer]) -> tuple[Effect, ...]:
        """Time has passed; call this several times a second."""
        effects: list[Effect] = []
        if now < self._rests_until:
            return ()
        for contact in self.by_address.values():
            if contact.phase is Phase.KNOWN:
                peer = peers.get(contact.node_key or b"")
                if peer is None or peer.state is PeerState.LEFT:
                    # Membership has given it up; somebody else may come.
                    contact.phase = Phase.RESTING
                    contact.next_at = now + RETRY_MIN_S
            elif now >= contact.next_at:
                effects += self._ask(contact, now)
        return tuple(effects)

    def _ask(self, contact: Contact, now: float) -> tuple[Effect, ...]:
        if contact.phase is Phase.DIALLING:
            return ()
        if contact.phase is Phase.RESTING:
            contact.phase, contact.hellos = Phase.ASKING, 0
        if self._hello and contact.hellos < len(HELLO_PAUSES_S):
            contact.next_at = now + HELLO_PAUSES_S[contact.hellos]
            contact.hellos += 1
            return (SendHello(contact.address),)
        contact.phase = Phase.DIALLING
        return (Dial(contact.address),)

    # -- is the first round over? ---------------------------------------------

    def settled(
        self, now: float, peers: dict[bytes, Peer], held: Callable[[bytes], bool]
    ) -> bool:
        """
        Whether each address is our own, or a linked member whose tables we
        hold, or had its chance; and likewise each peer that those named.

        :param held: Whether we hold the tables of the member with that key.
        """

        def had_its_chance(since: float, limit_s: float, node_key: bytes) -> bool:
            peer = peers.get(node_key)
            if peer is not None and peer.up:
                return held(peer.node_key)
            return now - since >= limit_s

        return all(
            contact.own
            or contact.failures > 0
            or had_its_chance(
                contact.first_at,
                FIRST_ROUND_GREETED_S if contact.node_key else FIRST_ROUND_S,
                contact.node_key or b"",
            )
            for contact in self.by_address.values()
        ) and all(
            had_its_chance(peer.since, FIRST_ROUND_S, peer.node_key)
            for peer in peers.values()
            if peer.state in (PeerState.JOINING, PeerState.ALIVE)
        )

    def silent(self) -> list[Address]:
        """At which addresses nobody was found the last time."""
        return [
            contact.address
            for contact in self.by_address.values()
            if contact.failures
            and contact.phase is not Phase.KNOWN
            and not contact.own
            and contact.refused is None
        ]

    def refusals(self) -> list[tuple[Address, str]]:
        """Which addresses refused us, and why."""
        return [
            (contact.address, contact.refused)
            for contact in self.by_address.values()
            if contact.refused is not None
        ]
