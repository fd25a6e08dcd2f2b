# -*- test-case-name: tests.nodosum.test_pki -*-
"""
TLS 1.3 with certificates of an authority at both ends, besides the secret.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, Final

import attrs
from cryptography import x509
from OpenSSL import SSL, crypto
from service_identity.cryptography import extract_patterns
from service_identity.exceptions import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    ITransport,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.pem import read_certificates, read_own
from mycorrizal.nodosum.tls import (
    AutoTls,
    CertificateRefused,
    Clear,
    Whom,
    begin_tls,
    new_context,
)
from mycorrizal.runtime import Runtime

#: A certificate with such a name in it is that node's, and no other's.
NODE_URI = "urn:mycorrizal:node:"
#: Certificates of others that are kept: as many as a node knows others.
SHOWN_MAX: Final = 1024
#: Codes of OpenSSL's X509_verify_cert, see x509_vfy.h.
_NOT_YET, _EXPIRED = 9, 10
_SELF_SIGNED, _UNKNOWN_ISSUER = (18,), (2, 19, 20, 21)
_PURPOSE = 26


@attrs.frozen
class PkiSettings:
    """
    Where certificates are, and what names they must bear.

    :ivar ca: A file with the authorities that are trusted.
    :ivar cert: A file with our certificate, and those between it and them.
    :ivar key: A file with its key.
    :ivar hostname: A name that the certificate of every node bears; None: it
        bears the address that was dialled.
    """

    ca: str
    cert: str
    key: str
    hostname: str | None = None


class PkiTls:
    """
    A process's TLS identity from files: a certificate that an authority has
    signed, and the authorities whose certificates it accepts.

    :param is_node: Whether the certificate must bear the nodes' name.
    :ivar edition: Which of its certificates it shows: how often it was replaced.
    :ivar verified: Its certificate, and those above it that were found to vouch for it.
    :ivar shown: By node key, the last certificate that somebody of that key showed and
        that will do; whether it was that node is for others to know.
    :raises ConfigError: A file can't be read, or what is in it does not fit.
    """

    verified: tuple[x509.Certificate, ...]

    def __init__(self, settings: PkiSettings, *, is_node: bool = True) -> None:
        self.settings = settings
        self.shown: dict[bytes, x509.Certificate] = {}
        self._is_node = is_node
        self.edition = 0
        self._context, self.certificate = self._load()

    def reload(self) -> bool:
        """
        Read the files again; sessions that begin from now on use what is there.

        :return: Whether there was another certificate.
        :raises ConfigError: As at the start; what was in force stays so.
        """
        before = self.certificate
        self._context, self.certificate = self._load()
        replaced = self.certificate != before
        self.edition += replaced
        return replaced

    def _load(self) -> tuple[SSL.Context, x509.Certificate]:
        settings = self.settings
        trusted = read_certificates(settings.ca, "tls_ca")
        own = read_own(settings.cert, "tls_cert", settings.key, "tls_key")
        context = new_context()
        context.use_certificate(own.chain[0])
        context.use_privatekey(own.key)
        for between in own.chain[1:]:
            context.add_extra_chain_cert(between)
        store = context.get_cert_store()
        assert store is not None
        for authority in trusted:
            store.add_cert(crypto.X509.from_cryptography(authority))
        self.verified = self._check(own.chain, trusted)
        return context, own.chain[0]

    def _check(
        self,
        chain: tuple[x509.Certificate, ...],
        trusted: tuple[x509.Certificate, ...],
    ) -> tuple[x509.Certificate, ...]:
        """
        See our own certificate as the others will.

        :return: The chain from it up to the authority that is trusted.
        """
        path = self.settings.cert
        store = crypto.X509Store()
        for authority in trusted:
            store.add_cert(crypto.X509.from_cryptography(authority))
        leaf, *between = (crypto.X509.from_cryptography(one) for one in chain)
        try:
            context = crypto.X509StoreContext(store, leaf, between)
            verified = context.get_verified_chain()
        except crypto.X509StoreContextError as error:
            code = error.errors[0]
            problem = _certificate_problem(chain[0], code, self.settings.ca)
            raise ConfigError("tls_cert", f"{path} {problem}") from None
        if not _names(chain[0]):
            raise ConfigError(
                "tls_cert",
                f"{path} names nobody: it has no subjectAltName with a DNS name or "
                "an IP address, and a common name does not count (RFC 9525)",
            )
        name = self.settings.hostname
        if self._is_node and name is not None and not _bears(chain[0], name):
            raise ConfigError(
                "tls_cert",
                f"{path} is for {_listed(chain[0])}, and not for {name}, which "
                "every node's must be for (--tls-hostname)",
            )
        return tuple(one.to_cryptography() for one in verified)

    def start(
        self, runtime: Runtime, transport: ITransport, *, is_client: bool, clear: Clear
    ) -> Protocol:
        """
        Begin TLS on a connection.

        :return: What the bytes from the transport, and its end, must now be
            given to.
        """
        session = _Session(self._context, clear, self.settings, self._shows)
        told = attrs.evolve(clear, lost=session.lost)
        return begin_tls(runtime, transport, session, is_client=is_client, clear=told)

    def _shows(self, whom: Whom, certificate: x509.Certificate) -> None:
        """Somebody has shown a certificate that will do."""
        if whom.is_node:
            self.shown.pop(whom.node_key, None)
            self.shown[whom.node_key] = certificate
            if len(self.shown) > SHOWN_MAX:
                del self.shown[next(iter(self.shown))]


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class _Session:
    """
    One session: whom we expect at its other end, and what is wrong with it.
    """

    def __init__(
        self,
        context: SSL.Context,
        clear: Clear,
        settings: PkiSettings,
        shows: Callable[[Whom, x509.Certificate], None],
    ) -> None:
        self._context = context
        self._shows = shows
        self._clear = clear
        self._settings = settings
        self._problem: str | None = None

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """The dialling side of a session."""
        return self._connection()

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """The listening side of a session."""
        return self._connection()

    def _connection(self) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        mode = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        connection.set_verify(mode, self._verify)
        return connection

    def _verify(
        self, connection: Any, certificate: crypto.X509, code: int, depth: int, ok: int
    ) -> bool:
        return self.verify(certificate.to_cryptography(), code, depth)

    def verify(self, certificate: x509.Certificate, code: int, depth: int) -> bool:
        """Whether one certificate of the other side's chain will do."""
        if code:
            whose = "its certificate" if depth == 0 else "its authority's certificate"
            problem = _certificate_problem(certificate, code, "--tls-ca")
            self._problem = f"{whose} {problem}"
        elif depth == 0:
            self._problem = self._wrong_name(certificate)
            if self._problem is None:
                self._shows(self._clear.whom(), certificate)
        return self._problem is None

    def _wrong_name(self, certificate: x509.Certificate) -> str | None:
        whom = self._clear.whom()
        name = self._settings.hostname or whom.host
        if whom.is_node and name and not _bears(certificate, name):
            listed = _listed(certificate)
            if not listed:
                return "its certificate names nobody: it has no subjectAltName"
            hint = "" if self._settings.hostname else "; see --tls-hostname"
            return f"its certificate is for {listed}, and not for {name}{hint}"
        bound = [uri for uri in _uris(certificate) if uri.startswith(NODE_URI)]
        ids = [uri.removeprefix(NODE_URI) for uri in bound]
        if ids and whom.node_key not in map(node_key_of, ids):
            return f"its certificate is that of node {', '.join(ids)}, and it is not"
        return None

    def lost(self, reason: Failure) -> None:
        """The session is over: say so in words, if a certificate is why."""
        if self._problem is not None:
            reason = Failure(CertificateRefused(self._problem, by_peer=False))
        self._clear.lost(reason)


def tls_of(runtime: Runtime, settings: PkiSettings | None) -> Any:
    """
    What begins TLS on a node's connections.

    :param settings: Where its certificates are; None: it needs none.
    :raises ConfigError: They can't be read, or will not do.
    """
    if runtime.tls is not None:
        return runtime.tls
    return AutoTls() if settings is None else PkiTls(settings)


def _certificate_problem(certificate: x509.Certificate, code: int, ca: str) -> str:
    """What OpenSSL has against a certificate, after its name in a sentence."""
    if code == _EXPIRED:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if code == _NOT_YET:
        begins = certificate.not_valid_before_utc
        return (
            f"is not valid before {begins:%Y-%m-%d %H:%M} UTC; is a clock wrong, its "
            "or ours?"
        )
    if code in _SELF_SIGNED:
        return f"is signed by nobody but itself (--tls auto?), not by one of {ca}"
    if code in _UNKNOWN_ISSUER:
        issuer = certificate.issuer.rfc4514_string()
        return f"is signed by {issuer!r}, which is none of those in {ca}"
    if code == _PURPOSE:
        return "is not meant for both ends of TLS (see its extendedKeyUsage)"
    return f"is not valid (OpenSSL's code {code})"


def _names(certificate: x509.Certificate) -> list[str]:
    """Its DNS names and IP addresses."""
    found = _alternatives(certificate)
    if found is None:
        return []
    names = list(found.get_values_for_type(x509.DNSName))
    return names + [str(one) for one in found.get_values_for_type(x509.IPAddress)]


def _listed(certificate: x509.Certificate) -> str:
    return ", ".join(_names(certificate))


def _uris(certificate: x509.Certificate) -> list[str]:
    found = _alternatives(certificate)
    if found is None:
        return []
    return found.get_values_for_type(x509.UniformResourceIdentifier)


def _alternatives(
    certificate: x509.Certificate,
) -> x509.SubjectAlternativeName | None:
    try:
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except (x509.ExtensionNotFound, ValueError):
        return None
    return extension.value


def _bears(certificate: x509.Certificate, name: str) -> bool:
    """Whether a certificate is for a DNS name or an IP address (RFC 9525)."""
    try:
        ipaddress.ip_address(name)
        wanted: Any = IPAddress_ID(name)
    except ValueError:
        wanted = DNS_ID(name)
    try:
        patterns = extract_patterns(certificate)
        verify_service_identity(patterns, [wanted], [])
    except (VerificationError, CertificateError, ValueError):
        return False
    return True
