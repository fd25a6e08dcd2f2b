# -*- test-case-name: tests.pulse.test_expiry -*-
"""
When the certificates end that a node has, or has seen.
"""

from __future__ import annotations

from cryptography import x509

from mycorrizal.nodosum import NodosumService, PkiTls
from mycorrizal.pulse.cluster_messages import CertificateEnd


def certificate_ends(nodosum: NodosumService) -> list[CertificateEnd]:
    """Its own, of those above it, and of those that members have shown to it."""
    tls = nodosum.tls
    if not isinstance(tls, PkiTls):
        return []
    own, *above = tls.verified
    me = nodosum.me.node_id
    found = [CertificateEnd(me, "", _until_s(own))]
    found += [CertificateEnd(me, _name(one), _until_s(one)) for one in above]
    for peer in nodosum.membership.members():
        shown = tls.shown.get(peer.node_key)
        if shown is not None and peer.node_id:
            found.append(CertificateEnd(peer.node_id, "", _until_s(shown)))
    return found


def _until_s(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "without a name"
