# -*- test-case-name: tests.nodosum.discovery.test_static -*-
"""
Discovery by a list of addresses that the user wrote down.  (A shell.)
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.logger import Logger
from zope.interface import implementer

from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.config import Address, canonical
from mycorrizal.nodosum.discovery.hosts import addresses_of
from mycorrizal.nodosum.discovery.interfaces import IPartial
from mycorrizal.runtime import Runtime

#: Names are looked up again this often; their addresses may change.
ROUND_S = 10.0
#: Names that are looked up at once.  Each takes a thread of the reactor's ten,
#: and half a minute if no name server answers.
LOOKUPS_AT_ONCE = 4


@implementer(IPartial)
class StaticDiscovery:
    """
    A list of addresses; names in it are looked up anew in each round.

    Names go through the reactor's name resolver, so ``/etc/hosts`` and search
    domains count.  A name that can't be looked up stands for what it stood for
    last.
    """

    _log = Logger()

    name = "static list"
    round_s = ROUND_S

    def __init__(self, runtime: Runtime, addresses: tuple[Address, ...]) -> None:
        self._runtime = runtime
        self._addresses = addresses
        self._last: dict[Address, list[Address]] = {}
        self._unknown: set[str] = set()

    @property
    def left_out(self) -> str:
        """The names that have no address."""
        names = sorted(self._unknown)
        has = "has" if len(names) == 1 else "have"
        return f"{', '.join(names)} {has} no address" if names else ""

    def discover(self) -> Deferred[list[Address]]:
        """
        Look once.

        :return: Fires with the addresses of all names that could be looked
            up; fails with `DiscoveryError` if there are names and none could.
        """
        room = DeferredSemaphore(LOOKUPS_AT_ONCE)
        lookups = [room.run(self._look_up, *address) for address in self._addresses]
        return gatherResults(lookups, consumeErrors=True).addCallback(self._found)

    def _found(self, answers: list[list[Address]]) -> list[Address]:
        named = (canonical(address) for answer in answers for address in answer)
        addresses = list(dict.fromkeys(named))
        if self._addresses and not addresses:
            names = ", ".join(sorted({host for host, _ in self._addresses}))
            raise DiscoveryError(
                f"none of the names in --static has an address: {names}"
            )
        return addresses

    def _look_up(self, host: str, port: int) -> Deferred[list[Address]]:
        found = addresses_of(self._runtime, host, port)
        return found.addCallback(self._looked_up, (host, port))

    def _looked_up(self, addresses: list[Address], written: Address) -> list[Address]:
        host, _ = written
        if addresses:
            self._unknown.discard(host)
            self._last[written] = addresses
        elif host not in self._unknown:
            self._unknown.add(host)
            self._log.warn("{host} has no address; it is looked up again", host=host)
        return addresses or self._last.get(written, [])
