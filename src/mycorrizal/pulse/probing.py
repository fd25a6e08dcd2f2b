# -*- test-case-name: tests.pulse.test_probing -*-
"""
Which members a node can reach at the addresses that they tell.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
    UnknownHostError,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from mycorrizal.nodosum import Address, NodosumService, format_address
from mycorrizal.nodosum.endpoints import client_endpoint
from mycorrizal.pulse.cluster_messages import Probe

#: How long one try may take; who asks all nodes waits no longer than 2 s for each.
PROBE_TIMEOUT_S: Final = 1.0
#: Tries for one question, and for one member: each is a connection, all at once.
PROBES_MAX: Final = 64
ADDRESSES_MAX: Final = 3


class Probing(Service):
    """
    The tries of one node to connect to others, where they say that they listen.

    Nothing is said on these connections, and they are closed at once: they tell
    whether a way is open, not who is there.  Who asks while others wait gets the
    same answer.
    """

    def __init__(self, nodosum: NodosumService) -> None:
        self._nodosum = nodosum
        self._waiting: list[Deferred[list[Probe]]] = []
        self._dials: dict[Deferred[Any], None] = {}
        self.setServiceParent(nodosum)

    def stopService(self) -> None:
        """Wait for nobody any more."""
        super().stopService()
        for dial in list(self._dials):
            dial.cancel()

    def probe(self) -> Deferred[list[Probe]]:
        """
        Try to connect to members: to all, or of many to those that follow this
        node's id in order, so that each is tried by some.

        :return: Fires with what came of it, within `PROBE_TIMEOUT_S`.
        """
        waiter: Deferred[list[Probe]] = Deferred()
        self._waiting.append(waiter)
        if len(self._waiting) == 1:
            tries = [self._try(*one) for one in self._places()]
            gatherResults(tries).addCallback(self._ended)
        return waiter

    def _ended(self, found: list[Probe]) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(found)

    def _places(self) -> list[tuple[str, Address]]:
        me = self._nodosum.me.node_id
        members = [
            (peer.node_id, peer.addresses)
            for peer in self._nodosum.membership.members()
            if peer.node_id
        ]
        members.sort(key=lambda member: (member[0] < me, member[0]))
        places = [
            (node_id, address)
            for node_id, addresses in members
            for address in addresses[:ADDRESSES_MAX]
        ]
        return places[:PROBES_MAX]

    def _try(self, node_id: str, address: Address) -> Deferred[Probe]:
        place = format_address(address)
        runtime = self._nodosum.runtime
        endpoint = client_endpoint(runtime.reactor, address, PROBE_TIMEOUT_S)
        factory = Factory.forProtocol(_Silent)
        factory.noisy = False
        dial: Deferred[Any] = endpoint.connect(factory)
        # A name may take longer to be looked up than to be dialled.
        timer = runtime.call_later(PROBE_TIMEOUT_S, dial.cancel)
        self._dials[dial] = None

        def ended(result: Any) -> Probe:
            timer.cancel()
            self._dials.pop(dial, None)
            if isinstance(result, Failure):
                return Probe(node_id, place, _problem(result))
            result.transport.abortConnection()
            return Probe(node_id, place)

        return dial.addBoth(ended)


class _Silent(Protocol):
    """A connection on which nothing is said."""


def _problem(failure: Failure) -> str:
    if failure.check(ConnectionRefusedError):
        return "nothing listens there"
    if failure.check(DNSLookupError, UnknownHostError):
        return "nobody has that name"
    if failure.check(TimeoutError, CancelledError, ConnectingCancelledError):
        return f"no answer within {PROBE_TIMEOUT_S:g} s"
    return failure.getErrorMessage()
