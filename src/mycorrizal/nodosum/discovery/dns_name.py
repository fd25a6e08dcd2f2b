# -*- test-case-name: tests.nodosum.discovery.test_dns_name -*-
"""
A name to look up in the DNS, as a user writes it.
"""

from __future__ import annotations

import attrs

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.discovery.dns_message import (
    Name,
    format_name,
    parse_name,
)


@attrs.frozen
class DnsName:
    """
    What to look for, as it was written: ``NAME`` or ``NAME:PORT``.

    :ivar port: For the addresses of a host; None: `name` is a service, or a
        host with the usual port.
    :ivar absolute: Whether it ended with a dot: no search domain counts.
    """

    name: Name
    port: int | None
    absolute: bool

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return format_name(self.name) + port

    @classmethod
    def parse(cls, text: str, field: str = "dns_sd") -> DnsName:
        """
        :raises ConfigError: It is neither.
        """
        host, colon, port_text = text.strip().rpartition(":")
        if not colon:
            host, port_text = port_text, ""
        sound = not colon or (port_text.isascii() and port_text.isdecimal())
        port = int(port_text[:6]) if sound and colon else None
        problem = ""
        if not sound or port == 0 or (port or 0) > 65535:
            problem = f"{port_text!r} is no port"
        try:
            name = parse_name(host)
        except ValueError as error:
            name, problem = (), problem or str(error)
        if colon and host.startswith("_"):
            problem = "a service tells the ports itself: leave the port out"
        if problem:
            raise ConfigError(
                field,
                f"{text!r} is no name to look up: {problem}; give one as in "
                "_cluster._tcp.shop.example or nodes.example:6969",
            )
        return cls(name, port, host.endswith("."))
