# -*- test-case-name: tests.nodosum.wire.test_version -*-
"""
The three fixed layouts that open a TCP connection, before anyone is trusted.
"""

from __future__ import annotations

import struct
from enum import Enum

import attrs

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.wire.limits import FRAME_BYTES_MIN, MAGIC, RejectCode

FLAG_TLS = 1
FLAG_RENEWS = 2
NO_TICKET = bytes(16)

_VERSION_I = struct.Struct("<4sBBBB8s16sQ32s16s4IQII")
_VERSION_R = struct.Struct("<4sBBBBB7x8s16sQ32sIIQ")
_REJECT = struct.Struct("<BBB")


class Role(Enum):
    """What an initiator wants to be."""

    NODE = 0
    CLIENT = 1


@attrs.frozen
class VersionI:
    """
    The dialling side's first frame, 120 bytes.

    :ivar key_ids: At most four.
    :ivar ticket: 16 bytes that the other side gave by UDP, or zeros.
    :ivar renews: Whether the link between the two is to move here.
    """

    version_min: int
    version_max: int
    tls: bool
    role: Role
    cluster_tag: bytes
    node_key: bytes
    incarnation: int
    nonce: bytes
    ticket: bytes
    key_ids: tuple[int, ...]
    features: int
    frame_bytes_max: int
    renews: bool = False

    def encode(self) -> bytes:
        """The payload of the frame."""
        return _VERSION_I.pack(
            MAGIC,
            self.version_min,
            self.version_max,
            FLAG_TLS * self.tls | FLAG_RENEWS * self.renews,
            self.role.value,
            self.cluster_tag,
            self.node_key,
            self.incarnation,
            self.nonce,
            self.ticket,
            *self.key_ids,
            *[0] * (4 - len(self.key_ids)),
            self.features,
            self.frame_bytes_max,
            0,
        )

    @classmethod
    def decode(cls, payload: bytes) -> VersionI:
        """
        :raises RemoteProtocolError: It is not one.
        """
        if len(payload) != _VERSION_I.size or payload[:4] != MAGIC:
            raise RemoteProtocolError("malformed VERSION_I")
        _, low, high, flags, role, *rest = _VERSION_I.unpack(payload)
        tag, node_key, incarnation, nonce, ticket = rest[:5]
        key_ids, (features, frame_bytes_max, _) = rest[5:9], rest[9:]
        if role not in (Role.NODE.value, Role.CLIENT.value):
            raise RemoteProtocolError(f"unknown role {role}")
        if low > high or frame_bytes_max < FRAME_BYTES_MIN:
            raise RemoteProtocolError("VERSION_I contradicts itself")
        return cls(
            low,
            high,
            bool(flags & FLAG_TLS),
            Role(role),
            tag,
            node_key,
            incarnation,
            nonce,
            ticket,
            tuple(key_id for key_id in key_ids if key_id),
            features,
            frame_bytes_max,
            bool(flags & FLAG_RENEWS),
        )


@attrs.frozen
class VersionR:
    """
    The listening side's answer, 96 bytes.

    :ivar channel_binding: 1 if the proofs are bound to a TLS session, else 0.
    :ivar key_id: The responder's first key among those offered.
    """

    chosen: int
    version_min: int
    version_max: int
    tls: bool
    channel_binding: int
    cluster_tag: bytes
    node_key: bytes
    incarnation: int
    nonce: bytes
    key_id: int
    frame_bytes_max: int
    features: int

    def encode(self) -> bytes:
        """The payload of the frame."""
        return _VERSION_R.pack(
            MAGIC,
            self.chosen,
            self.version_min,
            self.version_max,
            FLAG_TLS * self.tls,
            self.channel_binding,
            self.cluster_tag,
            self.node_key,
            self.incarnation,
            self.nonce,
            self.key_id,
            self.frame_bytes_max,
            self.features,
        )

    @classmethod
    def decode(cls, payload: bytes) -> VersionR:
        """
        :raises RemoteProtocolError: It is not one.
        """
        if len(payload) != _VERSION_R.size or payload[:4] != MAGIC:
            raise RemoteProtocolError("malformed VERSION_R")
        _, chosen, low, high, flags, *rest = _VERSION_R.unpack(payload)
        decoded = cls(chosen, low, high, bool(flags & FLAG_TLS), *rest)
        if decoded.frame_bytes_max < FRAME_BYTES_MIN:
            raise RemoteProtocolError("VERSION_R allows no useful frame")
        return decoded


@attrs.frozen
class Reject:
    """A refusal, 3 bytes; nobody has proved anything by it."""

    code: RejectCode
    version_min: int
    version_max: int

    def encode(self) -> bytes:
        """The payload of the frame."""
        return _REJECT.pack(self.code, self.version_min, self.version_max)

    @classmethod
    def decode(cls, payload: bytes) -> Reject:
        """
        :raises RemoteProtocolError: It is not one.
        """
        if len(payload) != _REJECT.size:
            raise RemoteProtocolError("malformed REJECT")
        code, low, high = _REJECT.unpack(payload)
        try:
            return cls(RejectCode(code), low, high)
        except ValueError:
            raise RemoteProtocolError(f"unknown REJECT code {code}") from None
