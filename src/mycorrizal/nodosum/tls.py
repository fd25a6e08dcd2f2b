# -*- test-case-name: tests.nodosum.test_tls -*-
"""
TLS 1.3 without a CA: each process makes a key for itself, and the proof of
the shared secret is bound to the session.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from mycorrizal.errors import AuthenticationError
from mycorrizal.nodosum.wire.events import Exporter
from mycorrizal.runtime import Runtime

#: What the other side's alert says, and what it means for us.
_ALERTS = {
    "unknown ca": "it does not trust the authority of our certificate: it has "
    "--tls pki, and maybe another --tls-ca",
    "expired": "it says that our certificate has expired, or is not valid yet",
    "certificate": "it does not accept our certificate; its log says why",
    "handshake failure": "it does not accept our certificate; its log says why",
}


class CertificateRefused(AuthenticationError):
    """
    A TLS session did not come about because of a certificate.

    :ivar reason: What is wrong, as the end of a sentence.
    :ivar by_peer: Whether it is ours, and the other side refused it.
    """

    def __init__(self, reason: str, *, by_peer: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.by_peer = by_peer


@attrs.frozen
class Whom:
    """
    Who should be at the other end of a session.

    :ivar host: Where it was dialled; empty if it dialled us.
    :ivar node_key: What it says of itself, 16 bytes, before it is proved.
    :ivar is_node: Whether it says that it is a node, not Pulse.
    """

    host: str = ""
    node_key: bytes = b""
    is_node: bool = True


@attrs.frozen
class Clear:
    """
    Who uses a TLS session: told of the handshake, the clear bytes, the end;
    asked whom it expects.
    """

    established: Callable[[ITransport, Exporter], None]
    received: Callable[[bytes], None]
    lost: Callable[[Failure], None]
    whom: Callable[[], Whom] = Whom


@implementer(IHandshakeListener)
class _ClearProtocol(Protocol):
    """The protocol inside TLS: passes everything on."""

    def __init__(self, clear: Clear) -> None:
        self._clear = clear

    def dataReceived(self, data: bytes) -> None:
        self._clear.received(data)

    def handshakeCompleted(self) -> None:
        transport: Any = self.transport
        connection = transport.getHandle()
        self._clear.established(transport, connection.export_keying_material)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._clear.lost(_in_words(reason))


def _in_words(reason: Failure) -> Failure:
    """Why a session ended, if the other side's alert said so."""
    if reason.check(SSL.Error):
        text = str(reason.value).lower()
        for alert, words in _ALERTS.items():
            if alert in text:
                return Failure(CertificateRefused(words, by_peer=True))
    return reason


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class AutoTls:
    """
    A process's TLS identity: a self-signed P-256 certificate, made at start.

    Nobody verifies the certificate; AUTH does, since it covers key material
    that only the two ends of this session know.

    :ivar edition: It has but one certificate.
    """

    edition = 0

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mycorrizal")])
        # Wide enough for any clock; the certificate proves nothing by itself.
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(datetime.datetime(2000, 1, 1))
            .not_valid_after(datetime.datetime(2999, 1, 1))
            .sign(key, hashes.SHA256())
        )
        context = new_context()
        context.set_verify(SSL.VERIFY_NONE, None)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        self._context = context

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """The dialling side of a session."""
        return SSL.Connection(self._context, None)

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """The listening side of a session."""
        return SSL.Connection(self._context, None)

    def start(
        self, runtime: Runtime, transport: ITransport, *, is_client: bool, clear: Clear
    ) -> Protocol:
        """
        Begin TLS on a connection.

        :return: What the bytes from the transport, and its end, must now be
            given to.
        """
        return begin_tls(runtime, transport, self, is_client=is_client, clear=clear)


def new_context() -> SSL.Context:
    """TLS 1.3 and nothing else; no session is ever resumed."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
    return context


def begin_tls(
    runtime: Runtime,
    transport: ITransport,
    creator: Any,
    *,
    is_client: bool,
    clear: Clear,
) -> Protocol:
    """
    Begin TLS on a connection.

    :param creator: Makes OpenSSL's connection.
    :return: What the bytes from the transport, and its end, must now be given
        to.
    """
    inner = Factory.forProtocol(lambda: _ClearProtocol(clear))
    inner.noisy = False
    factory = TLSMemoryBIOFactory(creator, is_client, inner, clock=runtime.reactor)
    # Not the buffering kind: a link corks its frames already.
    factory.protocol = TLSMemoryBIOProtocol
    outer: TLSMemoryBIOProtocol = factory.buildProtocol(None)
    outer.makeConnection(transport)
    return outer
