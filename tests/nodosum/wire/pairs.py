"""
Two ends of a handshake, joined in memory, with an attacker's hands between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.acl import KeyRing, cluster_tag, derive_key, node_key_of
from mycorrizal.nodosum.wire.events import (
    Authenticated,
    Event,
    Exporter,
    Local,
    Refused,
    Remote,
    Send,
    StartTls,
)
from mycorrizal.nodosum.wire.handshake import Handshake
from mycorrizal.nodosum.wire.limits import FrameType
from mycorrizal.nodosum.wire.version import Role
from tests.nodosum.wire.cases import CLUSTER, SECRET

NONCE_I, NONCE_R = bytes([1]) * 32, bytes([2]) * 32

#: Changes a frame on its way: takes its type and bytes, gives what arrives.
Tamper = Callable[[FrameType, bytes], bytes]


def side(
    node_id: str = "a",
    *,
    tls: bool = False,
    secrets: tuple[str, ...] = (SECRET,),
    cluster: str = CLUSTER,
    role: Role = Role.NODE,
    features: int = 0,
    frame_bytes_max: int = 1 << 20,
) -> Local:
    """What a node says of itself."""
    return Local(
        node_key_of(node_id),
        7,
        cluster_tag(cluster),
        KeyRing(derive_key(secret, cluster) for secret in secrets),
        tls,
        role,
        features,
        frame_bytes_max,
    )


def session(name: bytes) -> Exporter:
    """A TLS session's exporter; both ends of one session have the same."""

    def export(label: bytes, length: int, context: bytes) -> bytes:
        return hashlib.shake_256(name + label + context).digest(length)

    return export


class End:
    """One end: its handshake, and all that came of it."""

    def __init__(self, local: Local, *, initiator: bool, nonce: bytes) -> None:
        self.handshake = Handshake(local, initiator=initiator, nonce=nonce)
        self.out: list[bytes] = []
        self.wants_tls = False
        self.remote: Remote | None = None
        self.trailing = b""
        self.refused: Refused | None = None
        self.error: RemoteProtocolError | None = None

    def start(self) -> None:
        """Dial."""
        self.take(self.handshake.start())

    def receive(self, data: bytes) -> None:
        """Bytes arrive."""
        try:
            self.take(self.handshake.receive_data(data))
        except RemoteProtocolError as error:
            self.error = error

    def tls_established(self, exporter: Exporter) -> None:
        """TLS is up."""
        self.wants_tls = False
        self.take(self.handshake.tls_established(exporter))

    def take(self, events: list[Event]) -> None:
        """Do what the handshake asks for."""
        for event in events:
            match event:
                case Send():
                    self.out.append(event.data)
                case StartTls():
                    self.wants_tls = True
                case Authenticated():
                    self.remote, self.trailing = event.remote, event.trailing
                case Refused():
                    self.refused = event


class Pair:
    """
    Two ends and the wire between them.

    :param tamper: What an attacker does to each frame.
    :param exporters: The TLS session of each end; the same unless somebody
        stands in between.
    :param portion_bytes: How many bytes arrive at once; None: all.
    :ivar sent: Every frame as it was sent, by its type.
    """

    def __init__(
        self,
        initiator: Local,
        responder: Local,
        *,
        tamper: Tamper = lambda kind, data: data,
        exporters: tuple[Exporter, Exporter] = (session(b"one"), session(b"one")),
        portion_bytes: int | None = None,
    ) -> None:
        self.initiator = End(initiator, initiator=True, nonce=NONCE_I)
        self.responder = End(responder, initiator=False, nonce=NONCE_R)
        self.sent: dict[FrameType, bytes] = {}
        self._tamper = tamper
        self._exporters = exporters
        self._portion_bytes = portion_bytes

    @property
    def authenticated(self) -> tuple[bool, bool]:
        """Whether the initiator, and the responder, trust the other."""
        return self.initiator.remote is not None, self.responder.remote is not None

    def run(self) -> Pair:
        """Dial, and carry bytes until nobody has any left."""
        self.initiator.start()
        ends = ((self.initiator, self.responder), (self.responder, self.initiator))
        busy = True
        while busy:
            busy = False
            for source, target in ends:
                while source.out:
                    busy = True
                    self._carry(source.out.pop(0), target)
            for (end, _), exporter in zip(ends, self._exporters, strict=True):
                if end.wants_tls:
                    busy = True
                    end.tls_established(exporter)
        return self

    def _carry(self, frame: bytes, target: End) -> None:
        kind = FrameType(frame[1])
        self.sent[kind] = frame
        data = self._tamper(kind, frame)
        step = self._portion_bytes or max(len(data), 1)
        for at in range(0, len(data), step):
            target.receive(data[at : at + step])


def flip(data: bytes, bit: int) -> bytes:
    """The data with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
