# -*- test-case-name: tests.nodosum.test_config -*-
"""
Settings of the cluster layer, frozen, with units.
"""

from __future__ import annotations

import ipaddress

import attrs

from mycorrizal.nodosum.acl import KeyRing
from mycorrizal.nodosum.wire.limits import DEFAULT_PORT, FRAME_BYTES_MAX

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
    :ivar tls: ``auto`` or ``off``.
    :ivar hello: ``udp``, or ``tcp`` where UDP is blocked.
    :ivar compression: ``auto`` (zstd where both have it), ``zlib`` (that, too),
        or ``off``.
    :ivar handshake_timeout_s: From accept, or dial, to AUTH, in all.
    :ivar ready_timeout_s: How long discovery may fail at start.
    :ivar ping_interval_s: Between two pings on each link.
    :ivar suspect_after_s: Without a byte from a peer.
    :ivar dead_after_s: Without a byte, or without a link.
    :ivar queue_bytes_max: What an application may have queued to one peer;
        beyond it, `PeerBusy`.
    """

    keys: KeyRing
    listen: Address = ("0.0.0.0", DEFAULT_PORT)
    advertise: Address | None = None
    static: tuple[Address, ...] = ()
    cluster_name: str = "mycorrizal"
    tls: str = "auto"
    hello: str = "udp"
    compression: str = "auto"
    single: bool = False
    labels: dict[str, str] = attrs.field(factory=dict)
    handshake_timeout_s: float = 2.0
    ready_timeout_s: float = 30.0
    ping_interval_s: float = 1.0
    suspect_after_s: float = 3.0
    dead_after_s: float = 5.0
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
