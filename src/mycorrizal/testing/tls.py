# -*- test-case-name: tests.testing.test_tls -*-
"""
TLS in a simulated world: the round trip and the key material, no encryption.

OpenSSL's bytes differ from run to run, so with it nothing would happen twice
in the same way.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from mycorrizal.nodosum.tls import Clear
from mycorrizal.runtime import Runtime

_CLIENT_HELLO: Final = b"SIM TLS CLIENT\r\n"
_SERVER_HELLO: Final = b"SIM TLS SERVER\r\n"


class SimTlsProtocol(Protocol):
    """
    One end of a simulated session: a greeting each way, then clear bytes.
    """

    def __init__(self, clear: Clear, *, is_client: bool) -> None:
        self._clear = clear
        self._ours = _CLIENT_HELLO if is_client else _SERVER_HELLO
        self._theirs = _SERVER_HELLO if is_client else _CLIENT_HELLO
        self._is_client = is_client
        self._buffer: bytes | None = b""

    def connectionMade(self) -> None:
        if self._is_client:
            transport: Any = self.transport
            transport.write(self._ours)

    def dataReceived(self, data: bytes) -> None:
        if self._buffer is None:
            self._clear.received(data)
            return
        transport: Any = self.transport
        buffer = self._buffer + data
        greeting = buffer[: len(self._theirs)]
        if not self._theirs.startswith(greeting):
            transport.abortConnection()
            return
        self._buffer = buffer
        if greeting != self._theirs:
            return
        self._buffer = None
        if not self._is_client:
            transport.write(self._ours)
        self._clear.established(transport, self._export)
        rest = buffer[len(self._theirs) :]
        if rest:
            self._clear.received(rest)

    def _export(self, label: bytes, length: int, context: bytes) -> bytes:
        transport: Any = self.transport
        session = str(transport.connection_id).encode()
        return hashlib.sha256(b"|".join((session, label, context))).digest()[:length]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._clear.lost(reason)


class SimTls:
    """
    What begins TLS on simulated connections.

    The two ends of a connection, and nobody else, get the same key material.

    :ivar edition: Another one stands for another certificate.
    """

    def __init__(self) -> None:
        self.edition = 0

    def start(
        self, runtime: Runtime, transport: ITransport, *, is_client: bool, clear: Clear
    ) -> Protocol:
        """
        Begin TLS on a connection.

        :return: What the bytes from the transport, and its end, must now be
            given to.
        """
        protocol = SimTlsProtocol(clear, is_client=is_client)
        protocol.makeConnection(transport)
        return protocol
