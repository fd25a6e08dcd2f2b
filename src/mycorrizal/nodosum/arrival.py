# -*- test-case-name: tests.nodosum.test_arrival -*-
"""
How a node comes in: its first round of looking for others, and when it is ready.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mycorrizal.errors import AuthenticationError, NotReady
from mycorrizal.nodosum.config import format_address
from mycorrizal.nodosum.contacts import FIRST_ROUND_S, Contacts
from mycorrizal.nodosum.membership import Membership


class SupportsRounds(Protocol):
    """What is asked of the ways of discovery."""

    @property
    def complete(self) -> bool: ...
    @property
    def problem(self) -> str: ...


class Arrival:
    """
    One node's way in.

    :param ready_timeout_s: After which it is ready without others, or can't be.
    """

    def __init__(
        self,
        membership: Membership,
        contacts: Contacts,
        rounds: SupportsRounds,
        ready_timeout_s: float,
    ) -> None:
        self._membership = membership
        self._contacts = contacts
        self._rounds = rounds
        self._ready_timeout_s = ready_timeout_s
        self._began_at = float("inf")

    def begin(self, at: float) -> None:
        """It begins to look for others then; before that nothing is decided."""
        self._began_at = at

    def begin_anew(self, at: float) -> None:
        """It was turned away until then."""
        self._began_at = at
        self._contacts.begin_anew(at)

    def first_round_over(self, now: float) -> bool:
        """
        Whether each discovered address, and each node that those named, has
        linked or had its chance; at the latest 3 s after the start.
        """
        if self._too_early(now):
            return False
        if now - self._began_at >= FIRST_ROUND_S:
            return True
        peers = self._membership.peers
        settled = self._contacts.settled
        return self._rounds.complete and settled(now, peers, lambda _: True)

    def ready(self, now: float, held: Callable[[bytes], bool]) -> bool:
        """
        Whether this node has found whom there is.

        :param held: Whether we hold the tables of the member with that key.
        :raises NotReady: It could not look for others, and its time is over.
        :raises AuthenticationError: Somebody refused it, and nobody took it in.
        """
        if self._too_early(now):
            return False
        timeout_s = self._ready_timeout_s
        late = now - self._began_at >= timeout_s
        peers, contacts = self._membership.peers, self._contacts
        linked = any(peer.up for peer in peers.values())
        # Who has found one member is told of all others.
        if not self._rounds.complete and not linked:
            if late:
                problem = self._rounds.problem
                raise NotReady(f"not ready within {timeout_s:g} s: {problem}")
            return False
        if not contacts.settled(now, peers, held) and not late:
            return False
        refusals = contacts.refusals()
        if refusals and not linked:
            address, reason = refusals[0]
            raise AuthenticationError(
                f"{format_address(address)} refused us: {reason}; every node needs "
                "the same --secret-file, --cluster-name and --tls, and no --single"
            )
        return True

    def _too_early(self, now: float) -> bool:
        return now < self._began_at or self._membership.farewells.undecided
