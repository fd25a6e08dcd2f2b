"""
Connections that have proved nothing: how many there may be, who has to go.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.strangers import LOG_EVERY_S, Strangers
from mycorrizal.nodosum.wire.limits import (
    STRANGER_TABLE_MAX,
    UNAUTHENTICATED_SOCKETS_MAX,
    UNAUTHENTICATED_SOCKETS_PER_ADDRESS_MAX,
)

PER_ADDRESS, IN_ALL = (
    UNAUTHENTICATED_SOCKETS_PER_ADDRESS_MAX,
    UNAUTHENTICATED_SOCKETS_MAX,
)


class SocketTests(SynchronousTestCase):
    """Sockets are numbers here, in the order in which they came."""

    def setUp(self) -> None:
        self.strangers: Strangers[int] = Strangers()
        self.count = 0

    def arrive(self, host: str, count: int = 1) -> list[int | None]:
        """So many sockets come from an address; who has to go for each."""
        first, self.count = self.count, self.count + count
        return [
            self.strangers.arrived(socket, host) for socket in range(first, self.count)
        ]

    def test_one_address_at_the_bound(self) -> None:
        """32 sockets of one address stay; one more closes its oldest."""
        self.assertEqual(self.arrive("h", PER_ADDRESS), [None] * PER_ADDRESS)
        self.assertEqual(self.arrive("i"), [None])
        self.assertEqual(self.arrive("h"), [0])

    def test_burst(self) -> None:
        """Of many that come at once each closes another, the oldest first."""
        self.arrive("h", PER_ADDRESS)
        # None of them is gone before all have come.
        self.assertEqual(self.arrive("h", 40), list(range(40)))
        self.assertEqual(len(self.strangers), PER_ADDRESS)

    def test_ticket(self) -> None:
        """A socket with a ticket is not counted for its address, nor closed."""
        self.arrive("h", PER_ADDRESS)
        self.strangers.showed_ticket(0)
        self.assertEqual(self.arrive("h", 2), [None, 1])
        self.assertIn(0, self.strangers.sockets())

    def test_ticket_of_a_socket_that_is_gone(self) -> None:
        """A ticket of a socket that was closed meanwhile changes nothing."""
        self.strangers.showed_ticket(0)
        self.arrive("h", PER_ADDRESS + 1)
        self.assertEqual(self.strangers.sockets()[0], 1)

    def test_in_all_at_the_bound(self) -> None:
        """128 sockets stay in all; one more closes the oldest of them (F28)."""
        for at in range(IN_ALL):
            self.assertEqual(self.arrive(f"h{at}"), [None])
        self.assertEqual(self.arrive("h"), [0])
        self.strangers.showed_ticket(1)
        self.assertEqual(self.arrive("h"), [2])
        self.assertEqual(len(self.strangers), IN_ALL)

    def test_all_have_tickets(self) -> None:
        """If all 128 have tickets the newcomer is closed."""
        for at in range(IN_ALL):
            self.arrive(f"h{at % 2}")
            self.strangers.showed_ticket(at)
        self.assertEqual(self.arrive("h"), [IN_ALL])
        self.assertEqual(len(self.strangers), IN_ALL)

    def test_departure(self) -> None:
        """A socket that proved itself, or was closed, makes room."""
        self.arrive("h", PER_ADDRESS)
        self.strangers.departed(5)
        self.strangers.departed(5)
        self.assertEqual(self.arrive("h"), [None])


class LogTests(SynchronousTestCase):
    """What is said of them."""

    def test_one_line_a_minute(self) -> None:
        """An address gets one line a minute, which counts those left out."""
        strangers: Strangers[int] = Strangers()
        self.assertEqual(strangers.may_log("h", 0.0), 0)
        for at in range(1, 60):
            self.assertIsNone(strangers.may_log("h", float(at)))
        self.assertEqual(strangers.may_log("i", 59.0), 0)
        self.assertEqual(strangers.may_log("h", LOG_EVERY_S), 59)
        self.assertIsNone(strangers.may_log("h", LOG_EVERY_S + 1))
        self.assertEqual(strangers.may_log("h", 2 * LOG_EVERY_S), 1)

    def test_addresses_at_the_bound(self) -> None:
        """Of 4,097 addresses the one that was named longest ago is forgotten."""
        strangers: Strangers[int] = Strangers()
        for at in range(STRANGER_TABLE_MAX):
            self.assertEqual(strangers.may_log(f"h{at}", 0.0), 0)
        self.assertIsNone(strangers.may_log("h0", 1.0))
        self.assertEqual(strangers.may_log("one more", 1.0), 0)
        self.assertIsNone(strangers.may_log("h1", 1.0))
        self.assertEqual(strangers.may_log("h0", 1.0), 0)
