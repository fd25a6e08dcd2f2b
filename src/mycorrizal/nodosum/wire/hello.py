# -*- test-case-name: tests.nodosum.wire.test_hello -*-
"""
HELLO, RETRY, HELLO_ACK and BYE: 160 bytes each, one layout, over UDP.

An answer is never longer than the question, so nobody can be flooded through
us (QUIC, RFC 9000 section 8.1, has the same concern).
"""

from __future__ import annotations

import hmac
import struct
from enum import IntEnum

import attrs

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.acl import KeyRing
from mycorrizal.nodosum.wire.limits import MAGIC, VERSION_MAX, VERSION_MIN

DATAGRAM_BYTES = 160
TOKEN_BYTES = 16
NO_TOKEN = bytes(TOKEN_BYTES)

_BODY = struct.Struct("<4sBBBBIQ16sQ16s16s16sHH8s16s8x")
_MAC_BYTES = 32
_FLAG_TLS = 1


class HelloType(IntEnum):
    """Which of the four a datagram is."""

    HELLO = 1
    RETRY = 2
    HELLO_ACK = 3
    BYE = 4


_LABELS = {kind: b"MYCO1 udp " + kind.name.encode() + b"\0" for kind in HelloType}


@attrs.frozen
class Hello:
    """
    One datagram.

    :ivar key_id: The key that its MAC is made with.
    :ivar sent_ms: The sender's wall clock, for diagnosis only.
    :ivar node_key: 16 bytes.
    :ivar nonce: 16 bytes of the sender's.
    :ivar echo: The nonce of the datagram that this one answers, 16 bytes.
    :ivar cookie: 16 bytes that prove that the sender gets our answers.
    :ivar tcp_port: Where the sender listens.
    :ivar cluster_tag: 8 bytes.
    :ivar ticket: 16 bytes that open a TCP connection to the sender.
    """

    kind: HelloType
    key_id: int
    node_key: bytes
    incarnation: int
    tcp_port: int
    cluster_tag: bytes
    tls: bool = False
    nonce: bytes = NO_TOKEN
    echo: bytes = NO_TOKEN
    cookie: bytes = NO_TOKEN
    ticket: bytes = NO_TOKEN
    sent_ms: int = 0
    version_min: int = VERSION_MIN
    version_max: int = VERSION_MAX

    def encode(self, keys: KeyRing) -> bytes:
        """
        The datagram, 160 bytes.

        :param keys: Holds the key that `key_id` names.
        """
        body = _BODY.pack(
            MAGIC,
            self.version_min,
            self.version_max,
            self.kind,
            _FLAG_TLS * self.tls,
            self.key_id,
            self.sent_ms,
            self.node_key,
            self.incarnation,
            self.nonce,
            self.echo,
            self.cookie,
            self.tcp_port,
            0,
            self.cluster_tag,
            self.ticket,
        )
        key = keys.by_id[self.key_id].udp
        return body + hmac.digest(key, _LABELS[self.kind] + body, "sha256")

    @classmethod
    def decode(cls, data: bytes, keys: KeyRing, cluster_tag: bytes) -> Hello:
        """
        Read and verify a datagram; the MAC comes before all meaning.

        :raises RemoteProtocolError: It is not one of ours; the right answer
            is silence.
        """
        if len(data) != DATAGRAM_BYTES or data[:4] != MAGIC:
            raise RemoteProtocolError("not a HELLO")
        fields = _BODY.unpack_from(data)
        _, low, high, kind, flags, key_id = fields[:6]
        key = keys.by_id.get(key_id)
        label = _LABELS.get(kind)
        if key is None or label is None:
            raise RemoteProtocolError("a HELLO of another cluster or version")
        body, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        if not hmac.compare_digest(hmac.digest(key.udp, label + body, "sha256"), mac):
            raise RemoteProtocolError("a HELLO with a wrong MAC")
        sent_ms, node_key, incarnation, nonce, echo, cookie, port, _, tag, ticket = (
            fields[6:]
        )
        if tag != cluster_tag:
            raise RemoteProtocolError("a HELLO of another cluster")
        return cls(
            HelloType(kind),
            key_id,
            node_key,
            incarnation,
            port,
            tag,
            bool(flags & _FLAG_TLS),
            nonce,
            echo,
            cookie,
            ticket,
            sent_ms,
            low,
            high,
        )
