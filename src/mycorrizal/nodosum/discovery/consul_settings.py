# -*- test-case-name: tests.nodosum.discovery.test_consul_settings -*-
"""
Where a Consul agent is, and what to tell it.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

import attrs

from mycorrizal.errors import ConfigError

#: As Consul has them: names that also fit the DNS, and a little more.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
#: A token is a UUID as a rule; it travels in an HTTP header.
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
#: A user's name has no colon; a password may have anything that prints.
_AUTH = re.compile(r"(?=.{1,1024}\Z)[^:\x00-\x1f\x7f]+(:[^\x00-\x1f\x7f]*)?")
TAGS_MAX = 16
TAG_BYTES_MAX = 128
#: A check that expires sooner would not outlive one slow request.
TIME_S_MIN = 1.0
TTL_S_MAX = 3600.0
#: Consul itself takes nothing below a minute, unless it is told to.
DEREGISTER_AFTER_S_MAX = 7 * 86400.0

_EXAMPLE = "give the URL of an agent, as in http://127.0.0.1:8500"


@attrs.frozen(kw_only=True)
class ConsulSettings:
    """
    How nodes find each other with Consul.

    :ivar url: Of an agent: ``http://HOST:PORT``, ``https://HOST:PORT`` or
        ``unix:///PATH``.
    :ivar service: The name under which all nodes register.
    :ivar tags: Which each node registers with, and others must have, all of
        them, to be looked at.
    :ivar datacenter: Where to look for others; None: the agent's own.
    :ivar namespace: Of Consul Enterprise, in which to register and to look.
    :ivar partition: The admin partition of Consul Enterprise, likewise.
    :ivar auth: ``USER:PASSWORD`` for a proxy before the agent that wants them,
        by HTTP's Basic scheme; Consul itself knows tokens only.
    :ivar token_file: A file with the ACL token; read again when it is needed.
    :ivar token: The ACL token itself, for programs and tests.
    :ivar ca: A PEM file of authorities that sign the agent's certificate;
        None: those that the system trusts.
    :ivar cert: A PEM file with a certificate of our own, for mutual TLS.
    :ivar key: The PEM file of its key.
    :ivar server_name: Whom the agent's certificate must name, if not the host
        in the URL.
    :ivar verify: Whether the agent's certificate is verified.
    :ivar ttl_s: The check expires after so many seconds without a sign of
        life; one is given three times as often.
    :ivar deregister_after_s: Consul forgets a node whose check expired so many
        seconds ago.
    """

    url: str
    service: str = "mycorrizal"
    tags: tuple[str, ...] = ()
    datacenter: str | None = None
    namespace: str | None = None
    partition: str | None = None
    auth: str | None = attrs.field(default=None, repr=False)
    token_file: str | None = None
    token: str | None = attrs.field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None
    verify: bool = True
    ttl_s: float = 15.0
    deregister_after_s: float = 60.0

    def validate(self, field: str = "consul") -> None:
        """
        :raises ConfigError: A setting makes no sense; names `field`.
        """
        parts = self._parts(field)
        for name in ("service", "datacenter", "namespace", "partition", "server_name"):
            value = getattr(self, name)
            if value is not None and not _NAME.fullmatch(value):
                raise ConfigError(
                    f"{field}.{name}",
                    f"{value!r} is no name; use 1 to 128 letters, digits and . _ -",
                )
        if len(self.tags) > TAGS_MAX:
            raise ConfigError(
                f"{field}.tags", f"at most {TAGS_MAX} tags, not {len(self.tags)}"
            )
        for tag in self.tags:
            if not tag.isprintable() or not 0 < len(tag.encode()) <= TAG_BYTES_MAX:
                raise ConfigError(
                    f"{field}.tags",
                    f"{tag!r}: give 1 to {TAG_BYTES_MAX} printable bytes",
                )
        if self.token is not None:
            if self.token_file is not None:
                raise ConfigError(f"{field}.token", "give a token or a file, not both")
            check_token(self.token, f"{field}.token", "the token")
        if self.auth is not None and not _AUTH.fullmatch(self.auth):
            raise ConfigError(
                f"{field}.auth", "give USER:PASSWORD, up to 1,024 printable characters"
            )
        self._check_tls(parts, field)
        for name, most_s in (
            ("ttl_s", TTL_S_MAX),
            ("deregister_after_s", DEREGISTER_AFTER_S_MAX),
        ):
            if not TIME_S_MIN <= getattr(self, name) <= most_s:
                raise ConfigError(
                    f"{field}.{name}", f"give {TIME_S_MIN:g} to {most_s:g} seconds"
                )

    def _check_tls(self, parts: SplitResult, field: str) -> None:
        if parts.scheme != "https":
            for name in ("ca", "cert", "key", "server_name"):
                if getattr(self, name) is not None:
                    raise ConfigError(
                        f"{field}.{name}", f"is for https://, and the URL is {self.url}"
                    )
        if (self.cert is None) != (self.key is None):
            missing = "key" if self.key is None else "cert"
            raise ConfigError(
                f"{field}.{missing}", "a client certificate needs both cert and key"
            )

    def _parts(self, field: str) -> SplitResult:
        problem = f"{self.url!r} is no URL of Consul; {_EXAMPLE}"
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            raise ConfigError(f"{field}.url", problem) from None
        if "@" in parts.netloc:
            # Without the URL, which has a secret in it.
            raise ConfigError(
                f"{field}.url", "a URL with a user and password is not taken; set auth"
            )
        if (
            parts.scheme not in ("http", "https", "unix")
            or (parts.scheme == "unix") == bool(parts.netloc)
            or not (parts.hostname or parts.path.strip("/"))
            or port == 0
            or parts.query
            or parts.fragment
            or not self.url.isascii()
            or not self.url.isprintable()
            or " " in self.url
        ):
            raise ConfigError(f"{field}.url", problem)
        return parts


def check_token(token: str, field: str, what: str) -> str:
    """
    :return: The token.
    :raises ConfigError: It is none; the token is not in the error.
    """
    if not _TOKEN.fullmatch(token):
        raise ConfigError(
            field, f"{what} is no ACL token: that is one word, as Consul printed it"
        )
    return token
