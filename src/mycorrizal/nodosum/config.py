# -*- test-case-name: tests.nodosum.test_config -*-
"""
Settings of the cluster layer, frozen, with units.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import attrs

from mycorrizal.nodosum.acl import KeyRing
from mycorrizal.nodosum.wire.limits import DEFAULT_PORT, FRAME_BYTES_MAX

if TYPE_CHECKING:
    from mycorrizal.nodosum.discovery.consul_settings import ConsulSettings

#: An address to dial or to listen on: host name or IP literal, and port.
Address = tuple[str, int]


@attrs.frozen
class NodosumConfig:
    """
    What the cluster layer needs to know.

    :ivar listen: Where to listen, TCP and UDP; port 0 takes a free one.
    :ivar advertise: Where others reach us; None: the address that each of
        them reached.
    :ivar static: Addresses to look for others at; our own may be among them.
    :ivar dns_sd: Names in the DNS to look for others under, see `DnsName`.
    :ivar dns_servers: Whom to ask for those; none: as resolv.conf says.
    :ivar consul: The agent to find others with; None: none.
    :ivar tls: ``auto``, ``pki`` or ``off``.
    :ivar hello: ``udp``, or ``tcp`` where UDP is blocked.
    :ivar compression: ``auto`` (zstd where both have it), ``zlib`` (that, too),
        or ``off``.
    :ivar handshake_timeout_s: From accept, or dial, to AUTH, in all.
    :ivar start_pause_s: Before our ports are opened, as this node comes and goes.
    :ivar ready_timeout_s: How long discovery may fail at start.
    :ivar ping_interval_s: Between two pings on each link.
    :ivar suspect_after_s: Without a byte from a peer; others are asked then.
    :ivar dead_after_s: Without a byte, or without a link, here and at those
        that were asked.
    :ivar queue_bytes_max: What an application may have queued to one peer;
        beyond it, `PeerBusy`.
    """

    keys: KeyRing
    listen: Address = ("0.0.0.0", DEFAULT_PORT)
    advertise: Address | None = None
    static: tuple[Address, ...] = ()
    dns_sd: tuple[str, ...] = ()
    dns_servers: tuple[Address, ...] = ()
    consul: ConsulSettings | None = None
    cluster_name: str = "mycorrizal"
    tls: str = "auto"
    hello: str = "udp"
    compression: str = "auto"
    single: bool = False
    labels: dict[str, str] = attrs.field(factory=dict)
    handshake_timeout_s: float = 2.0
    start_pause_s: float = 0.0
    ready_timeout_s: float = 30.0
    ping_interval_s: float = 1.0
    suspect_after_s: float = 3.0
    dead_after_s: float = 4.5
    queue_bytes_max: int = 8 * 1024 * 1024
    frame_bytes_max: int = FRAME_BYTES_MAX


def canonical(address: Address) -> Address:
    """
    The address with its IP literal as the source of a datagram shows it:
    ``::1``, not ``0:0::1``, and IPv4 that is mapped into IPv6 as plain IPv4.
    A name stays as it is.
    """
    host, port = address
    if ":" not in host:
        return address
    try:
        literal = ipaddress.IPv6Address(host)
    except ValueError:
        return address
    return str(literal.ipv4_mapped or literal), port


def format_address(address: Address) -> str:
    """``HOST:PORT``, with IPv6 literals in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_nowhere(host: str) -> bool:
    """
    Whether nobody can be reached at an IP literal: ``0.0.0.0``, ``::``, and
    the addresses of groups.  Of a name nothing is known.
    """
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(literal, ipaddress.IPv6Address):
        literal = literal.ipv4_mapped or literal
    broadcast = ipaddress.ip_address("255.255.255.255")
    return literal.is_unspecified or literal.is_multicast or literal == broadcast


def is_dialable(address: object) -> bool:
    """Whether this is a pair of an IP literal and a port that can be dialled."""
    match address:
        case (str(host), int(port)) if 0 < port <= 65535:
            pass
        case _:
            return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return not is_nowhere(host)
