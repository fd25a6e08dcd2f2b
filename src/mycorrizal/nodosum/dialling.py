# -*- test-case-name: tests.nodosum.test_mesh -*-
"""
The connections that a node is about to open.  (A shell.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.endpoints import client_endpoint
from mycorrizal.nodosum.protocol import LinkProtocol
from mycorrizal.runtime import Runtime


class Dialling:
    """
    The dials of one node that have come to nothing yet.

    :param timeout_s: How long one may take.
    """

    def __init__(self, runtime: Runtime, timeout_s: float) -> None:
        self._runtime = runtime
        self._timeout_s = timeout_s
        self._dials: dict[Deferred[Any], None] = {}

    def __len__(self) -> int:
        return len(self._dials)

    def dial(
        self,
        address: Address,
        build: Callable[[], LinkProtocol],
        failed: Callable[[bool], None],
    ) -> None:
        """
        Connect to an address.

        :param build: Makes the protocol of the connection.
        :param failed: Called if there will be none, with whether the machine
            answered that nothing listens there.
        """
        factory = Factory.forProtocol(build)
        factory.noisy = False
        endpoint = client_endpoint(self._runtime.reactor, address, self._timeout_s)
        dial = endpoint.connect(factory)
        self._dials[dial] = None

        def done(result: object) -> None:
            self._dials.pop(dial, None)
            if isinstance(result, Failure):
                failed(result.check(ConnectionRefusedError) is not None)

        dial.addBoth(done)

    def cancel(self) -> None:
        """Give all of them up."""
        for dial in list(self._dials):
            dial.cancel()
