# -*- test-case-name: tests.nodosum.discovery.test_consul_tls -*-
"""
TLS to a Consul agent: whom we trust, and who we are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from zope.interface import implementer

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.discovery.consul_settings import ConsulSettings

#: More than any bundle of authorities has.
PEM_BYTES_MAX = 4 * 1024 * 1024
_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----")


@attrs.frozen
class _Own:
    """Our certificate, what stands between it and its authority, its key."""

    chain: tuple[x509.Certificate, ...]
    key: Any = attrs.field(repr=False)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """TLS with whoever answers: for those who asked for it."""

    def __init__(self, context: SSL.Context, host: str) -> None:
        self._context = context
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """See `IOpenSSLClientConnectionCreator`."""
        connection = SSL.Connection(self._context, None)
        if not re.fullmatch(r"[0-9.]+|.*:.*", self._host):
            connection.set_tlsext_host_name(self._host.encode())
        return connection


def connection_creator(
    settings: ConsulSettings, host: str, field: str = "consul"
) -> IOpenSSLClientConnectionCreator:
    """
    What begins TLS on one connection to an agent.  The files are read anew for
    each, since certificates from Consul's own authority live for days only.

    :param host: The host in the URL, a name or an IP literal, which the agent's
        certificate must name.
    :raises ConfigError: A file can't be read, or is not what it should be.
    """
    own = _own(settings, field)
    options: dict[str, Any] = {}
    if own is not None:
        options = {
            "certificate": own.chain[0],
            "privateKey": own.key,
            "extraCertChain": own.chain[1:],
        }
    host = settings.server_name or host
    if not settings.verify:
        return _Unverified(CertificateOptions(**options).getContext(), host)
    trusted = None
    if settings.ca is not None:
        found = _certificates(settings.ca, f"{field}.ca")
        trusted = trustRootFromCertificates(
            Certificate(crypto.X509.from_cryptography(one)) for one in found
        )
    creator: IOpenSSLClientConnectionCreator = optionsForClientTLS(
        host, trusted, extraCertificateOptions=options
    )
    return creator


def _own(settings: ConsulSettings, field: str) -> _Own | None:
    if settings.cert is None or settings.key is None:
        return None
    chain = _certificates(settings.cert, f"{field}.cert")
    data = _read(settings.key, f"{field}.key")
    try:
        key = serialization.load_pem_private_key(data, None)
    except TypeError:
        raise ConfigError(
            f"{field}.key", f"{settings.key} is encrypted; give a key without password"
        ) from None
    except Exception:
        # Whatever the parser says might quote the key.
        key = None
    if key is None:
        raise ConfigError(f"{field}.key", f"{settings.key} holds no private key (PEM)")
    if _public(key) != _public(chain[0]):
        raise ConfigError(
            f"{field}.key", f"{settings.key} is not the key of {settings.cert}"
        )
    return _Own(chain, key)


def _public(holder: Any) -> bytes:
    form: Callable[..., bytes] = holder.public_key().public_bytes
    return form(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _certificates(path: str, field: str) -> tuple[x509.Certificate, ...]:
    data = _read(path, field)
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        what = "a damaged" if _CERTIFICATE.search(data) else "no"
        raise ConfigError(
            field, f"{path} holds {what} certificate (PEM): {error}"
        ) from None
    return tuple(found)


def _read(path: str, field: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(PEM_BYTES_MAX + 1)
    except OSError as error:
        problem = error.strerror or str(error)
        raise ConfigError(field, f"cannot read {path}: {problem}") from None
    if len(data) > PEM_BYTES_MAX:
        raise ConfigError(field, f"{path} is longer than {PEM_BYTES_MAX} bytes")
    return data
