# -*- test-case-name: tests.nodosum.discovery.test_resolv_conf -*-
"""
What ``resolv.conf`` tells: whom to ask, and where to look for short names.
"""

from __future__ import annotations

import ipaddress
import re

import attrs

from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.discovery.dns_name import Name, parse_name

PATH = "/etc/resolv.conf"
DNS_PORT = 53
#: As many servers as the system's own resolver asks (MAXNS).
SERVERS_MAX = 3
#: As many domains as glibc took before it took any number.
SEARCH_MAX = 6
_NDOTS_MAX = 15


@attrs.frozen
class ResolvConf:
    """
    How this machine looks names up, see resolv.conf(5).

    :ivar servers: To be asked, in order.
    :ivar search: Domains to look for a short name in, in order.
    :ivar ndots: A name with so many dots is tried as it stands first.
    """

    servers: tuple[Address, ...] = (("127.0.0.1", DNS_PORT),)
    search: tuple[Name, ...] = ()
    ndots: int = 1

    @classmethod
    def parse(cls, text: str) -> ResolvConf:
        """Read a file; what can't be understood in it is passed over."""
        servers: list[Address] = []
        search: tuple[Name, ...] = ()
        ndots = 1
        for line in text.splitlines():
            word, *rest = re.sub(r"[#;].*", "", line).split() or [""]
            if word == "nameserver" and rest and _is_literal(rest[0]):
                servers.append((rest[0], DNS_PORT))
            elif word in ("search", "domain"):
                search = _domains(rest)[: SEARCH_MAX if word == "search" else 1]
            elif word == "options":
                for found in re.findall(r"ndots:([0-9]{1,9})", " ".join(rest)):
                    ndots = min(int(found), _NDOTS_MAX)
        return cls(tuple(servers[:SERVERS_MAX]) or cls().servers, search, ndots)

    def candidates(self, name: Name, *, absolute: bool) -> list[Name]:
        """
        The full names that a name may stand for, in the order to try them.

        :param absolute: Whether it was written with a dot at its end.
        """
        if absolute:
            return [name]
        longer = [name + domain for domain in self.search]
        if len(name) - 1 >= self.ndots:
            return [name, *longer]
        return [*longer, name]


def _is_literal(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _domains(words: list[str]) -> tuple[Name, ...]:
    found = []
    for word in words:
        try:
            domain = parse_name(word)
        except ValueError:
            # "." among them is the root: the name as it stands.
            continue
        found.append(domain)
    return tuple(found)
