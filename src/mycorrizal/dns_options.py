# -*- test-case-name: tests.test_config,tests.test_tap -*-
"""
The settings of discovery in the DNS, from options or from anywhere else.
"""

from __future__ import annotations

from typing import Any

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import Address, DnsName
from mycorrizal.settings import read_address, read_items, read_text

DNS_SD_MAX = 8
DNS_SERVERS_MAX = 3
DNS_PORT = 53


class DnsOptions:
    """The options of ``twist mycorrizal`` that begin with ``--dns``."""

    _settings: dict[str, Any]

    def opt_dns_sd(self, name: str) -> None:
        """
        Look for other nodes in the DNS: the NAME of a service, as
        _cluster._tcp.shop.example, or HOST:PORT for a host with many addresses.
        May be repeated.
        """
        self._settings.setdefault("dns_sd", []).append(name)

    def opt_dns_server(self, address: str) -> None:
        """
        HOST:PORT of a DNS server to ask for those names. May be repeated.
        [default: those of /etc/resolv.conf]
        """
        self._settings.setdefault("dns_servers", []).append(address)


def read_dns_sd(value: object, field: str) -> tuple[str, ...]:
    """
    :raises ConfigError: These are no names to look up, or too many.
    """
    items = read_items(value, field, "names, as in _cluster._tcp.shop.example")
    if len(items) > DNS_SD_MAX:
        raise ConfigError(field, f"at most {DNS_SD_MAX} names, not {len(items)}")
    for item in items:
        DnsName.parse(read_text(item, field), field)
    return tuple(items)


def read_dns_servers(value: object, field: str) -> tuple[Address, ...]:
    """
    :raises ConfigError: These are no addresses, or too many.
    """
    items = read_items(value, field, "addresses, as in 10.0.0.53 or 127.0.0.1:5353")
    if len(items) > DNS_SERVERS_MAX:
        raise ConfigError(field, f"at most {DNS_SERVERS_MAX}, not {len(items)}")
    return tuple(read_address(it, field, any_port=False, port=DNS_PORT) for it in items)
