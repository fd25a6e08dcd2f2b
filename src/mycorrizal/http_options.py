# -*- test-case-name: tests.test_http_options -*-
"""
The settings of the status page, metrics and health, from options or from
anywhere else.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final

import attrs

from mycorrizal.errors import ConfigError
from mycorrizal.settings import check_address, parse_count, read_items, read_text

HTTP_HOSTS_MAX: Final = 16
#: Without a word about it only programs of this machine may ask.
LOOPBACK: Final = "127.0.0.1"
_EXAMPLE = "give an endpoint, as in tcp:6971 or tcp:6971:interface=0.0.0.0"
_COLON = re.compile(r"(?<!\\):")


@attrs.frozen
class HttpEndpoint:
    """
    Where the status page is served.

    :ivar interface: An IP literal.
    :ivar port: 0 takes a free one.
    """

    interface: str
    port: int

    @property
    def private(self) -> bool:
        """Whether only programs of this machine reach it."""
        return ipaddress.ip_address(self.interface).is_loopback


class HttpOptions:
    """The options of ``twist mycorrizal`` that begin with ``--http``."""

    _settings: dict[str, Any]

    def opt_http(self, endpoint: str) -> None:
        """
        Serve a status page, metrics for Prometheus and health checks at this
        ENDPOINT, as tcp:6971; on 127.0.0.1 only, unless it names an interface,
        as tcp:6971:interface=0.0.0.0, which needs --http-token-file.
        [default: off]
        """
        self._settings["http"] = endpoint

    def opt_http_token_file(self, path: str) -> None:
        """
        A file, readable by its owner only, with a token of 16 or more
        characters that the status page and the metrics ask for.
        """
        self._settings["http_token_file"] = path

    def opt_http_host(self, name: str) -> None:
        """
        A host name by which browsers and Prometheus may call this node; IP
        addresses and localhost are known. May be repeated.
        """
        self._settings.setdefault("http_hosts", []).append(name)


def read_http(value: object, token_file: object) -> HttpEndpoint | None:
    """
    Read ``tcp:PORT`` or ``tcp:PORT:interface=ADDRESS``, colons in the address
    written as ``\\:``.

    :raises ConfigError: It is none of these, or others could reach it and
        there is no token.
    """
    if value is None:
        return None
    found = value if isinstance(value, HttpEndpoint) else _endpoint(value)
    if not found.private and token_file is None:
        raise ConfigError(
            "http",
            f"others can reach {found.interface}: give a token for them, too, with "
            "--http-token-file FILE, or leave interface= out",
        )
    return found


def _endpoint(value: object) -> HttpEndpoint:
    text = read_text(value, "http")
    kind, *parts = _COLON.split(text.strip())
    ports: list[str] = []
    interface = LOOPBACK
    for part in parts:
        name, equals, rest = part.partition("=")
        if not equals:
            ports.append(part)
        elif name == "port":
            ports.append(rest)
        elif name == "interface":
            interface = rest.replace("\\:", ":").strip("[]")
        else:
            raise ConfigError("http", f"{name}= is unknown; {_EXAMPLE}")
    if kind not in ("tcp", "tcp4", "tcp6") or len(ports) != 1:
        raise ConfigError("http", f"{text!r} is not an endpoint; {_EXAMPLE}")
    port = parse_count(ports[0], "http")
    address = check_address((interface, port), "http", any_port=True, text=text)
    try:
        ipaddress.ip_address(address[0])
    except ValueError:
        raise ConfigError(
            "http", f"interface={interface} is not an IP address; {_EXAMPLE}"
        ) from None
    return HttpEndpoint(*address)


def read_http_hosts(value: object, field: str) -> tuple[str, ...]:
    """
    :raises ConfigError: These are no host names, or too many.
    """
    items = read_items(value, field, "host names, as in node1.example")
    if len(items) > HTTP_HOSTS_MAX:
        raise ConfigError(field, f"at most {HTTP_HOSTS_MAX} names, not {len(items)}")
    for item in items:
        check_address((read_text(item, field), 1), field, text=item)
    return tuple(item.lower() for item in items)
