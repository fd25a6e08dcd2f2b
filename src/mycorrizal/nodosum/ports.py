# -*- test-case-name: tests.nodosum.test_ports -*-
"""
Opening one port number for TCP and UDP.  (A shell.)
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError

from mycorrizal.errors import CannotListen
from mycorrizal.nodosum.config import Address, format_address
from mycorrizal.nodosum.protocol import HelloProtocol, LinkFactory
from mycorrizal.runtime import let_go

#: Connections that the system holds until we accept them.
BACKLOG = 512
#: Port numbers tried when any will do but UDP's half is taken.
FREE_PORT_TRIES = 20
#: A HELLO has 160 bytes; what is longer is cut, and then refused.
DATAGRAM_BYTES_MAX = 512


class Ports:
    """
    A node's two open ports, of one number.

    :ivar address: Where they are.
    """

    def __init__(self, address: Address, tcp: Any, udp: Any) -> None:
        self.address = address
        self._tcp = tcp
        self._udp = udp

    @classmethod
    def open(
        cls,
        reactor: Any,
        address: Address,
        factory: LinkFactory,
        hello: HelloProtocol,
    ) -> Ports:
        """
        Open both.

        :param address: An IP literal, and a port or 0 for any.
        :raises CannotListen: One of them is taken, or not ours to open.
        """
        host, wanted = address
        tries = 1 if wanted else FREE_PORT_TRIES
        while True:
            tries -= 1
            try:
                tcp = reactor.listenTCP(
                    wanted, factory, backlog=BACKLOG, interface=host
                )
            except CannotListenError as error:
                raise CannotListen(format_address(address), _problem(error)) from None
            port = tcp.getHost().port
            try:
                udp = reactor.listenUDP(
                    port, hello, interface=host, maxPacketSize=DATAGRAM_BYTES_MAX
                )
            except CannotListenError as error:
                maybeDeferred(tcp.stopListening).addErrback(lambda _: None)
                if not tries:
                    problem = f"UDP: {_problem(error)}"
                    raise CannotListen(format_address(address), problem) from None
                continue
            return cls((host, port), tcp, udp)

    def disown(self) -> None:
        """They are another process's."""
        let_go(self._tcp)
        let_go(self._udp)

    def close_tcp(self) -> Deferred[Any]:
        """Accept no more connections; fires when that is so."""
        return maybeDeferred(self._tcp.stopListening)

    def close_udp(self) -> Deferred[Any]:
        """Hear no more HELLOs; fires when that is so."""
        return maybeDeferred(self._udp.stopListening)


def _problem(error: CannotListenError) -> str:
    cause = error.socketError
    text = getattr(cause, "strerror", None) or str(cause)
    return text[:1].lower() + text[1:]
