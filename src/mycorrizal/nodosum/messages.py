# -*- test-case-name: tests.nodosum.test_messages -*-
"""
What peers tell each other on an authenticated link, in MessagePack.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.wire.limits import (
    ADDRESSES_PER_PEER_MAX,
    LABELS_BYTES_MAX,
    LABELS_MAX,
    NAME_BYTES_MAX,
    PEERS_PER_FRAME_MAX,
)

#: No control characters: names end up in logs and on terminals.
Name = Annotated[
    str,
    Meta(
        max_length=NAME_BYTES_MAX,
        pattern=r"\A[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*\Z",
    ),
]
NodeId = Annotated[str, Meta(pattern=rf"\A[A-Za-z0-9._:@-]{{1,{NAME_BYTES_MAX}}}\Z")]
NodeKey = Annotated[bytes, Meta(min_length=16, max_length=16)]
Incarnation = Annotated[int, Meta(ge=0)]
HostAndPort = tuple[Name, Annotated[int, Meta(ge=1, le=65535)]]
Addresses = Annotated[tuple[HostAndPort, ...], Meta(max_length=ADDRESSES_PER_PEER_MAX)]


Labels = Annotated[dict[Name, Name], Meta(max_length=LABELS_MAX)]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


def _check_labels(labels: dict[str, str]) -> None:
    """
    :raises ValueError: They are too long; of what is decoded, msgspec's error.
    """
    count = sum(len(name.encode()) + len(labels[name].encode()) for name in labels)
    if count > LABELS_BYTES_MAX:
        raise ValueError(f"labels of {count} bytes, over {LABELS_BYTES_MAX}")


class PeerEntry(msgspec.Struct, array_like=True, frozen=True):
    """
    A peer that somebody knows: enough to dial it, and to know it as a member
    where it can't be dialled.
    """

    node_key: NodeKey
    incarnation: Incarnation
    addresses: Addresses
    node_id: NodeId | None = None
    host: Name = ""
    labels: Labels = {}
    version: Name = ""

    def __post_init__(self) -> None:
        if self.labels:
            _check_labels(self.labels)


class Welcome(msgspec.Struct, array_like=True, frozen=True):
    """
    The first frame after AUTH, each way.

    :ivar host: Names the machine, so that copies need not share one.
    :ivar clock: The sender's hybrid clock.
    """

    node_id: NodeId
    host: Name
    labels: Labels
    version: Name
    addresses: Addresses
    clock: Incarnation
    leaving: bool
    peers: Annotated[tuple[PeerEntry, ...], Meta(max_length=PEERS_PER_FRAME_MAX)]

    def __post_init__(self) -> None:
        _check_labels(self.labels)


class Peers(msgspec.Struct, array_like=True, frozen=True):
    """News of peers."""

    peers: Annotated[tuple[PeerEntry, ...], Meta(max_length=PEERS_PER_FRAME_MAX)]


class ClientWelcome(msgspec.Struct, array_like=True, frozen=True):
    """What a client gets instead of a Welcome."""

    node_id: Name
    version: Name
    grants: Annotated[tuple[Name, ...], Meta(max_length=LABELS_MAX)]


class Probe(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """
    Do you hear that life of a peer?  Answered by `Probed`.

    :ivar number: Comes back with the answer.
    """

    number: Number
    node_key: NodeKey
    incarnation: Incarnation


class Probed(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """
    What a member knows of a peer that another asked about.

    :ivar said: 1 heard, 2 not heard, 3 it said goodbye.
    :ivar age_ms: How long ago it was heard, by whoever heard it last.
    """

    number: Number
    said: Annotated[int, Meta(ge=1, le=3)]
    age_ms: Annotated[int, Meta(ge=0, le=2**32)] = 0


#: What goes in SYSTEM frames.
System = Probe | Probed

_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode

#: What bytes that are no message can raise; the second if a text isn't UTF-8.
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_Message = TypeVar("_Message", Welcome, Peers, ClientWelcome)
_decoders: dict[type, Any] = {
    kind: msgspec.msgpack.Decoder(kind) for kind in (Welcome, Peers, ClientWelcome)
}


_decode_system: Any = msgspec.msgpack.Decoder(System).decode


def decode(kind: type[_Message], payload: bytes) -> _Message:
    """
    Read one message, strictly.

    :raises RemoteProtocolError: It is not one, or a bound is broken.
    """
    try:
        message: _Message = _decoders[kind].decode(payload)
    except _MALFORMED as error:
        raise RemoteProtocolError(f"malformed {kind.__name__}: {error}") from None
    return message


def decode_system(payload: bytes) -> System:
    """
    Read what a SYSTEM frame holds, strictly.

    :raises RemoteProtocolError: It is none of ours, or a bound is broken.
    """
    try:
        message: System = _decode_system(payload)
    except _MALFORMED as error:
        raise RemoteProtocolError(f"malformed SYSTEM frame: {error}") from None
    return message
