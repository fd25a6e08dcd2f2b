# -*- test-case-name: tests.nodosum.test_pki,tests.nodosum.discovery.test_consul_tls -*-
"""
Certificates and keys from PEM files, or a sentence that says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mycorrizal.errors import ConfigError

#: More than any bundle of authorities has.
PEM_BYTES_MAX = 4 * 1024 * 1024
_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----")


@attrs.frozen
class Own:
    """Our certificate, what stands between it and its authority, its key."""

    chain: tuple[x509.Certificate, ...]
    key: Any = attrs.field(repr=False)


def read_own(cert: str, cert_field: str, key: str, key_field: str) -> Own:
    """
    Read a certificate and its key.

    :param cert: The path of a file with the certificate, and maybe those
        between it and its authority behind it.
    :param key: The path of a file with the key.
    :raises ConfigError: A file can't be read, or the two don't fit.
    """
    chain = read_certificates(cert, cert_field)
    data = _read(key, key_field)
    try:
        found = serialization.load_pem_private_key(data, None)
    except TypeError:
        raise ConfigError(
            key_field, f"{key} is encrypted; give a key without password"
        ) from None
    except Exception:
        # Whatever the parser says might quote the key.
        found = None
    if found is None:
        raise ConfigError(key_field, f"{key} holds no private key (PEM)")
    if _public(found) != _public(chain[0]):
        raise ConfigError(key_field, f"{key} is not the key of {cert}")
    return Own(chain, found)


def read_certificates(path: str, field: str) -> tuple[x509.Certificate, ...]:
    """
    Read the certificates of a file, at least one.

    :raises ConfigError: It can't be read, or holds none.
    """
    data = _read(path, field)
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        what = "a damaged" if _CERTIFICATE.search(data) else "no"
        raise ConfigError(
            field, f"{path} holds {what} certificate (PEM): {error}"
        ) from None
    return tuple(found)


def _public(holder: Any) -> bytes:
    form: Callable[..., bytes] = holder.public_key().public_bytes
    return form(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


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
