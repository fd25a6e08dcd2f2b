# -*- test-case-name: tests.testing.test_world -*-
"""
The simulated world: hosts, their network, their names, and one seed.
"""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mycorrizal.testing.host import Host
from mycorrizal.testing.names import Names, is_literal
from mycorrizal.testing.network import Network
from mycorrizal.testing.ports import is_loopback, unmapped
from mycorrizal.testing.udp import Datagram

T = TypeVar("T")

#: The wall clocks begin on 12 January 1970: so early that a float holds
#: each tick of them.
EPOCH_S = 1_000_000.0


class World(Network):
    """
    A small world in which whole clusters live, for one test.

    Nothing in it is real: no sockets, no threads, no clock. The same seed
    gives the same run, event by event; `Timeline.digest` proves it::

        world = World(seed=1)
        server, client = world.host("server"), world.host("client")
        server.reactor.listenTCP(80, site)
        ...
        world.until(lambda: received == b"hello", limit_s=5)

    :param seed: What all that happens by chance is derived from.
    :param trace_length: How many of the last events a failure tells.
    :param steps_max: How many events `advance` and `until` may run.
    :ivar names: The name service.
    """

    def __init__(
        self,
        seed: int | str = 0,
        *,
        trace_length: int = 200,
        steps_max: int = 5_000_000,
    ) -> None:
        super().__init__(seed, trace_length=trace_length, steps_max=steps_max)
        self.names = Names(localhost=["127.0.0.1", "::1"])
        self._by_address: dict[str, Host] = {}
        self._connection_ids = 0

    def host(
        self,
        name: str,
        address: str | None = None,
        *more: str,
        wall_offset_s: float = 0.0,
        drift_ppm: int = 0,
    ) -> Host:
        """
        Add a host, which is up and whose name the name service knows.

        :param address: An IPv4 or IPv6 address; by default the next of
            10.0.0.1, 10.0.0.2, ...
        :param more: Further addresses, such as one of the other family.
        :param wall_offset_s: How much its wall clock is ahead of the others.
        :param drift_ppm: How much too fast its clocks run, in millionths.
        :raises ValueError: When the name or an address is taken, or an
            address is none.
        """
        if name in self.hosts or name in ("net", "sched", "nemesis", "work", ""):
            raise ValueError(f"A host cannot be called {name!r} here")
        addresses = (address or self._next_address(), *more)
        for one in addresses:
            if one in self._by_address or not is_literal(one):
                raise ValueError(f"{one} is taken, or is no address")
        host = Host(
            self,
            name,
            addresses,
            wall_s=EPOCH_S + self.now_s + wall_offset_s,
            drift_ppm=drift_ppm,
        )
        self.hosts[name] = host
        self._by_address.update(dict.fromkeys(addresses, host))
        self.names[name.lower()] = list(addresses)
        return host

    def _next_address(self) -> str:
        number = 1
        while (address := f"10.0.{number >> 8}.{number & 255}") in self._by_address:
            number += 1
        return address

    def locate(self, address: str, seen_from: Host) -> Host | None:
        """Which host has that address; None when there is none."""
        host = self._by_address.get(address)
        if host is None and is_loopback(address):
            return seen_from
        return host or self._by_address.get(unmapped(address))

    def next_connection_id(self) -> int:
        """A number that no other connection of this world has."""
        self._connection_ids += 1
        return self._connection_ids

    def inject(
        self, data: bytes, source: tuple[str, int], destination: tuple[str, int]
    ) -> None:
        """
        Let a datagram arrive now, which says that it comes from `source`; no
        host need have that address, nor have sent it.
        """
        to = self._by_address.get(destination[0])
        if to is not None:
            Datagram(None, source, to, destination, data).arrive()

    def errors(self) -> list[str]:
        """
        The exceptions that the hosts remember, one line each: what code
        raised into its reactor, which logged it and went on.
        """
        return [
            f"{host.name}: {failure.getErrorMessage()}"
            for host in self.hosts.values()
            for failure in host.errors
        ]

    def result_of(self, deferred: Deferred[T], limit_s: float = 60.0) -> T:
        """
        Let time pass until `deferred` has fired.

        :return: Its result.
        :raises AssertionError: When it does not fire within `limit_s`.
        :raises Exception: What it failed with.
        """
        results: list[T] = []
        failures: list[Failure] = []
        deferred.addCallbacks(results.append, failures.append)

        def fired() -> bool:
            return bool(results or failures)

        self.until(fired, limit_s)
        if failures:
            failures[0].raiseException()
        return results[0]
