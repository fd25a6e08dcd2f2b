# -*- test-case-name: benchmarks.tests.test_asking -*-
"""
Loopback connections for what is bare Twisted: plain ones, and TLS 1.3.
"""

from __future__ import annotations

import datetime
from typing import Any, TypeVar, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    SSL4ClientEndpoint,
    TCP4ClientEndpoint,
    connectProtocol,
)
from twisted.internet.protocol import Protocol, ServerFactory

HOST = "127.0.0.1"
NAME = "benchmark"

_P = TypeVar("_P", bound=Protocol)


def listen(reactor: Any, factory: ServerFactory, tls: bool) -> int:
    """
    :return: the port.
    """
    if tls:
        port = reactor.listenSSL(0, factory, _server_options(), interface=HOST)
    else:
        port = reactor.listenTCP(0, factory, interface=HOST)
    return cast(IPv4Address, port.getHost()).port


def connect(reactor: Any, protocol: _P, port: int, tls: bool) -> Deferred[_P]:
    endpoint: Any
    if tls:
        endpoint = SSL4ClientEndpoint(reactor, HOST, port, _client_options())
    else:
        endpoint = TCP4ClientEndpoint(reactor, HOST, port)
    connected: Deferred[_P] = connectProtocol(endpoint, protocol)
    return connected


def _client_options() -> Any:
    from twisted.internet.ssl import CertificateOptions, TLSVersion

    # Who the server is, is not asked: that would cost once, not for each message.
    return CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_3)


def _server_options() -> Any:
    """
    :return: the options of a server with a key and a certificate made just now, of
        the kind that a node makes.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID
    from OpenSSL.crypto import X509, PKey
    from twisted.internet.ssl import CertificateOptions, TLSVersion

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return CertificateOptions(
        privateKey=PKey.from_cryptography_key(key),
        certificate=X509.from_cryptography(certificate),
        raiseMinimumTo=TLSVersion.TLSv1_3,
    )
