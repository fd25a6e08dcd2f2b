# -*- test-case-name: tests.pulse.web.test_gate -*-
"""
Who may see what: names, the token, and what browsers are told to refuse.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable
from typing import Final

import attrs

from mycorrizal.errors import ConfigError

#: Shorter ones can be guessed.
TOKEN_CHARACTERS_MIN: Final = 16
#: What a header, and a cookie, can hold (RFC 6750, section 2.1).
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
COOKIE: Final = "mycorrizal_token"

#: Nothing from elsewhere, nothing inline, in nobody's frame.  (uPlot sets
#: styles by the DOM, which the policy does not touch.)
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


@attrs.frozen
class Refusal:
    """
    Why somebody is not let in.

    :ivar status: Of HTTP.
    """

    status: int
    text: str


class Gate:
    """
    The guard of what a node shows by HTTP.

    A page of another site can have its own name lead to this node (DNS
    rebinding), and a browser would let it read what it gets.  It can't make the
    browser call this node by an address, by ``localhost``, or by a name that was
    given in the settings; and so no other name is answered to.

    :param names: By which this node may be called, beside addresses.
    :param token: What page and metrics ask for; None: nothing.
    """

    def __init__(self, names: Iterable[str], token: str | None) -> None:
        if token is not None and len(token) < TOKEN_CHARACTERS_MIN:
            raise ConfigError(
                "http_token_file",
                f"the token in it is shorter than {TOKEN_CHARACTERS_MIN} characters; "
                "`openssl rand -hex 32` makes a good one",
            )
        if token is not None and not _TOKEN.fullmatch(token):
            raise ConfigError(
                "http_token_file",
                "the token in it has characters that do not fit a header (RFC 6750); "
                "`openssl rand -hex 32` makes a good one",
            )
        self._names = frozenset(name.lower() for name in (*names, "localhost"))
        self._token = None if token is None else token.encode()

    @property
    def open(self) -> bool:
        """Whether no token is asked for."""
        return self._token is None

    def refusal(
        self, host: str | None, authorization: str | None, cookie: str | None
    ) -> Refusal | None:
        """
        :param host: The header of that name, or None.
        :param authorization: The header of that name, or None.
        :param cookie: The token in the cookie, or None.
        :return: None: let them in.
        """
        if not self._knows(host or ""):
            return Refusal(
                421,
                "This node does not go by that name. Call it by its address, or "
                "start it with --http-host NAME.",
            )
        if self._token is None or self.right(cookie):
            return None
        kind, _, given = (authorization or "").partition(" ")
        if kind.lower() == "bearer" and self.right(given.strip()):
            return None
        return Refusal(
            401,
            "This node asks for the token of its --http-token-file: send "
            "'Authorization: Bearer TOKEN', or open /?token=TOKEN in a browser.",
        )

    def right(self, token: str | None) -> bool:
        """Whether a token is the right one; it takes as long if it is not."""
        given = (token or "").encode("utf-8", "surrogateescape")
        return self._token is not None and hmac.compare_digest(given, self._token)

    def _knows(self, host: str) -> bool:
        name = host.strip().lower()
        if name.startswith("["):
            name = name[1:].partition("]")[0]
        elif name.count(":") == 1:
            name = name.partition(":")[0]
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.rstrip(".") in self._names
        return True
