# -*- test-case-name: tests.nodosum.wire.test_handshake -*-
"""
What the two sides of a handshake know, and what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from mycorrizal.nodosum.acl import Key, KeyRing
from mycorrizal.nodosum.wire.limits import FRAME_BYTES_MAX, RejectCode
from mycorrizal.nodosum.wire.version import Role

#: A TLS session's ``export_keying_material(label, length, context)``.
Exporter = Callable[[bytes, int, bytes], bytes]


@attrs.frozen
class Local:
    """
    What this side says of itself.

    :ivar node_key: 16 bytes.
    :ivar cluster_tag: 8 bytes.
    :ivar tls: Whether the connection must be encrypted, or must not.
    """

    node_key: bytes
    incarnation: int
    cluster_tag: bytes
    keys: KeyRing
    tls: bool
    role: Role = Role.NODE
    features: int = 0
    frame_bytes_max: int = FRAME_BYTES_MAX


@attrs.frozen
class Remote:
    """
    What the other side said, and has proved by the time it is given out.

    :ivar features: Those that both sides have.
    :ivar frame_bytes_max: Largest frame that it takes.
    """

    node_key: bytes
    incarnation: int
    role: Role
    key: Key
    features: int
    frame_bytes_max: int


@attrs.frozen
class Send:
    """Write these bytes to the transport."""

    data: bytes


@attrs.frozen
class StartTls:
    """Begin TLS now; the initiator is the TLS client."""


@attrs.frozen
class Authenticated:
    """
    Both sides have proved that they know the secret.

    :ivar trailing: Bytes behind the handshake, which belong to frames.
    """

    remote: Remote
    trailing: bytes


@attrs.frozen
class Refused:
    """
    The handshake is over: they refused us (`by_peer`), or we them.

    :ivar reason: What is wrong, as the end of a sentence.
    :ivar certificate: Whether it is with a certificate.
    """

    code: RejectCode
    by_peer: bool
    reason: str
    certificate: bool = False


Event = Send | StartTls | Authenticated | Refused
