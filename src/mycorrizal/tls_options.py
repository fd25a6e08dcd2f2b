# -*- test-case-name: tests.test_tls_options -*-
"""
The settings of certificates, from options or from anywhere else.
"""

from __future__ import annotations

from typing import Any, Protocol

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import PkiSettings
from mycorrizal.settings import check_host

TLS_MODES = ("auto", "pki", "off")


class TlsOptions:
    """The options of ``twist mycorrizal`` that begin with ``--tls``."""

    _settings: dict[str, Any]

    def opt_tls(self, mode: str) -> None:
        """
        auto: encrypt, without certificates to look after; pki: with
        certificates of an authority at both ends; off: don't. [default: auto]
        """
        self._settings["tls"] = mode

    def opt_tls_ca(self, path: str) -> None:
        """
        For --tls pki: a PEM file with the authorities that are trusted.
        """
        self._settings["tls_ca"] = path

    def opt_tls_cert(self, path: str) -> None:
        """
        For --tls pki: a PEM file with this node's certificate, and those
        between it and its authority.
        """
        self._settings["tls_cert"] = path

    def opt_tls_key(self, path: str) -> None:
        """
        For --tls pki: a PEM file with the certificate's key, without password.
        """
        self._settings["tls_key"] = path

    def opt_tls_hostname(self, name: str) -> None:
        """
        For --tls pki: a name that the certificate of every node bears.
        [default: each bears the address that others reach it at]
        """
        self._settings["tls_hostname"] = name


class HasTls(Protocol):
    """Settings that say how to encrypt."""

    @property
    def tls(self) -> str: ...
    @property
    def tls_ca(self) -> str | None: ...
    @property
    def tls_cert(self) -> str | None: ...
    @property
    def tls_key(self) -> str | None: ...
    @property
    def tls_hostname(self) -> str | None: ...


def read_hostname(value: object, field: str) -> str | None:
    """
    :raises ConfigError: It is no name or IP literal.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigError(
            field, f"give a name, as in nodes.shop.example, not {value!r}"
        )
    return check_host(value, field)


def check_tls(settings: HasTls) -> None:
    """
    :raises ConfigError: Something is missing for the mode, or has no place in it.
    """
    files = {
        "tls_ca": settings.tls_ca,
        "tls_cert": settings.tls_cert,
        "tls_key": settings.tls_key,
    }
    if settings.tls == "pki":
        for field, path in files.items():
            if path is None:
                raise ConfigError(field, "tls pki needs a PEM file here")
        return
    for field, given in {**files, "tls_hostname": settings.tls_hostname}.items():
        if given is not None:
            raise ConfigError(field, f"this is for tls pki, and tls is {settings.tls}")


def pki_settings(settings: HasTls) -> PkiSettings | None:
    """Where the certificates are; None unless they are used."""
    if settings.tls != "pki":
        return None
    ca, cert, key = settings.tls_ca, settings.tls_cert, settings.tls_key
    assert ca is not None and cert is not None and key is not None
    return PkiSettings(ca, cert, key, settings.tls_hostname)
