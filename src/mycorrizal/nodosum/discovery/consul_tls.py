# -*- test-case-name: tests.nodosum.discovery.test_consul_tls -*-
"""
TLS to a Consul agent: whom we trust, and who we are.
"""

from __future__ import annotations

import re
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from zope.interface import implementer

from mycorrizal.nodosum.discovery.consul_settings import ConsulSettings
from mycorrizal.nodosum.pem import Own, read_certificates, read_own


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
        found = read_certificates(settings.ca, f"{field}.ca")
        trusted = trustRootFromCertificates(
            Certificate(crypto.X509.from_cryptography(one)) for one in found
        )
    creator: IOpenSSLClientConnectionCreator = optionsForClientTLS(
        host, trusted, extraCertificateOptions=options
    )
    return creator


def _own(settings: ConsulSettings, field: str) -> Own | None:
    if settings.cert is None or settings.key is None:
        return None
    return read_own(settings.cert, f"{field}.cert", settings.key, f"{field}.key")
