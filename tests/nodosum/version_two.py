"""
A node of the next version of the protocol, as one of this version meets it.

It is written from the page of the protocol and shares no code with the nodes
but their keys: what they have in common must be on that page.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Any

import msgspec
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from mycorrizal.nodosum.acl import cluster_tag, derive_key, node_key_of
from mycorrizal.testing import Host, World
from tests.nodosum.wire.cases import SECRET

VERSION_I, VERSION_R, AUTH_I, AUTH_R = 1, 2, 3, 4
WELCOME, APP, PING, PONG = 6, 9, 13, 14
#: Types that version 2 might have, one that may be ignored and one that may not.
NEWS, DEMAND = 0x80 | 33, 33
#: Every feature that there could ever be.
ALL_FEATURES = 2**64 - 1

HEADER = struct.Struct("<BBIH")
Frame = tuple[int, bytes, bytes]


class VersionTwo(Protocol):
    """
    One end of a connection that speaks versions 1 and 2, without TLS.

    :param node_id: Who it is.
    :param dials: Whether it is the initiator.
    :ivar frames: What it was sent after AUTH.
    :ivar theirs: The other side's features and versions, as it offered them.
    """

    def __init__(self, node_id: str, *, dials: bool) -> None:
        self.node_id = node_id
        self.frames: list[Frame] = []
        self.theirs: dict[str, int] = {}
        self.closed = False
        self._dials = dials
        self._key = derive_key(SECRET, "mycorrizal")
        self._buffer = b""
        self._said = b""
        self._heard = b""
        self._proof_i = b""
        self._authenticated = False

    # -- out ------------------------------------------------------------------

    def say(self, kind: int, payload: bytes = b"", app_id: bytes = b"") -> bytes:
        """Send a frame; returns its bytes."""
        length = len(app_id) + len(payload)
        frame = HEADER.pack(1, kind, length, len(app_id)) + app_id + payload
        transport: Any = self.transport
        transport.write(frame)
        return frame

    def kinds(self) -> list[int]:
        """The types of what it was sent."""
        return [kind for kind, _, _ in self.frames]

    def _opening(self) -> bytes:
        return struct.pack(
            "<4sBBBB8s16sQ32s16s4IQII",
            b"MYCO", 1, 2, 0, 0, cluster_tag("mycorrizal"),
            node_key_of(self.node_id), 5, b"i" * 32, bytes(16),
            self._key.key_id, 0, 0, 0, ALL_FEATURES, 0xFFFFFFFF, 7,
        )  # fmt: skip

    def _answer(self) -> bytes:
        return struct.pack(
            "<4sBBBBB7x8s16sQ32sIIQ",
            b"MYCO", 1, 1, 2, 0, 0, cluster_tag("mycorrizal"),
            node_key_of(self.node_id), 5, b"r" * 32,
            self._key.key_id, 0xFFFFFFFF, ALL_FEATURES,
        )  # fmt: skip

    def _proof(self, label: bytes, proof_i: bytes = b"") -> bytes:
        first, second = self._said, self._heard
        if not self._dials:
            first, second = second, first
        transcript = hashlib.sha256(first + second).digest()
        message = label + transcript + bytes(33) + proof_i
        return hmac.digest(self._key.node, message, "sha256")

    def welcome(self) -> None:
        """Send a WELCOME with more in it than version 1 has."""
        fields = [self.node_id, "host", {}, "2.0", [], 0, False, [], {"new": [1]}, 5]
        self.say(WELCOME, msgspec.msgpack.encode(fields))

    # -- in -------------------------------------------------------------------

    def connectionMade(self) -> None:
        if self._dials:
            self._said = self.say(VERSION_I, self._opening())

    def connectionLost(self, reason: Any = None) -> None:
        self.closed = True

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            _, kind, length, id_bytes = HEADER.unpack_from(self._buffer)
            end = HEADER.size + length
            if len(self._buffer) < end:
                return
            frame, self._buffer = self._buffer[:end], self._buffer[end:]
            body = frame[HEADER.size :]
            if self._authenticated:
                self._received(kind, body[:id_bytes], body[id_bytes:])
            else:
                self._shake_hands(kind, body, frame)

    def _shake_hands(self, kind: int, body: bytes, frame: bytes) -> None:
        if kind == VERSION_I:
            self._heard = frame
            self._offered(body[4], body[5], body[104:112])
            self._said = self.say(VERSION_R, self._answer())
        elif kind == VERSION_R:
            self._heard = frame
            self._offered(body[4], body[6], body[88:96])
            self._proof_i = self._proof(b"MYCO1 initiator\0")
            self.say(AUTH_I, self._proof_i)
        elif kind == AUTH_I:
            assert body == self._proof(b"MYCO1 initiator\0")
            self._authenticated = True
            self.say(AUTH_R, self._proof(b"MYCO1 responder\0", body))
        else:
            assert kind == AUTH_R, kind
            assert body == self._proof(b"MYCO1 responder\0", self._proof_i)
            self._authenticated = True

    def _offered(self, version: int, version_max: int, features: bytes) -> None:
        self.theirs = {
            "version": version,
            "version_max": version_max,
            "features": int.from_bytes(features, "little"),
        }

    def _received(self, kind: int, app_id: bytes, payload: bytes) -> None:
        self.frames.append((kind, app_id, payload))
        if kind == WELCOME:
            self.welcome()
        elif kind == PING:
            self.say(PONG, payload)


def dialled(world: World, host: Host, place: tuple[str, int], name: str) -> VersionTwo:
    """A node of version 2 that has dialled another."""
    factory = Factory.forProtocol(lambda: VersionTwo(name, dials=True))
    endpoint = TCP4ClientEndpoint(host.reactor, *place)
    made: Any = world.result_of(endpoint.connect(factory))
    assert isinstance(made, VersionTwo)
    return made


def listening(host: Host, port: int, name: str) -> list[VersionTwo]:
    """A node of version 2 that waits to be dialled; its connections."""
    made: list[VersionTwo] = []

    def build() -> VersionTwo:
        made.append(VersionTwo(name, dials=False))
        return made[-1]

    host.reactor.listenTCP(port, Factory.forProtocol(build))
    return made
