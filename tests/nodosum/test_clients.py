"""Tests of the table of clients."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.clients import (
    CLIENT_IDLE_S,
    CLIENT_YIELDS_S,
    CLIENTS_MAX,
    Clients,
)
from mycorrizal.nodosum.wire.limits import Goodbye


@attrs.define(eq=False)
class Quiet:
    """What the table needs of a link."""

    heard_at: float


class ClientsTests(SynchronousTestCase):
    """A table of clients, of whom each was heard at some time."""

    def setUp(self) -> None:
        self.closed: list[tuple[Any, Goodbye]] = []
        self.clients = Clients(
            lambda link, reason, text: self.closed.append((link, reason))
        )

    def admit(self, now: float) -> tuple[Any, bool]:
        """A client that comes now, and whether it is taken."""
        link: Any = Quiet(now)
        return link, self.clients.admit(link, now)

    def test_bound(self) -> None:
        """So many are taken, and one more is told that it is too many."""
        self.assertTrue(all(self.admit(0.0)[1] for _ in range(CLIENTS_MAX)))
        late, taken = self.admit(CLIENT_YIELDS_S - 0.001)
        self.assertFalse(taken)
        self.assertEqual(self.closed, [(late, Goodbye.BUSY)])
        self.assertEqual(len(self.clients), CLIENTS_MAX)

    def test_the_quietest_gives_way(self) -> None:
        """If one has been quiet for long the quietest of all goes instead."""
        links = [self.admit(float(number))[0] for number in range(CLIENTS_MAX)]
        links[0].heard_at = 999.0
        self.assertTrue(self.admit(1.0 + CLIENT_YIELDS_S)[1])
        self.assertEqual(self.closed, [(links[1], Goodbye.IDLE)])
        self.assertEqual(len(self.clients), CLIENTS_MAX)

    def test_idle(self) -> None:
        """Who has asked nothing for a minute is sent away, and nobody else."""
        first, _ = self.admit(0.0)
        self.admit(1.0)
        self.clients.tick(CLIENT_IDLE_S - 0.001)
        self.assertEqual(self.closed, [])
        self.clients.tick(CLIENT_IDLE_S)
        self.assertEqual(self.closed, [(first, Goodbye.IDLE)])
        self.assertEqual(len(self.clients), 1)

    def test_forget(self) -> None:
        """A place that was left can be taken."""
        links = [self.admit(0.0)[0] for _ in range(CLIENTS_MAX)]
        self.clients.forget(links[5])
        self.clients.forget(links[5])
        self.assertTrue(self.admit(0.0)[1])
        self.assertEqual(len(list(self.clients)), CLIENTS_MAX)
