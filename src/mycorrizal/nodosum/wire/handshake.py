# -*- test-case-name: tests.nodosum.wire.test_handshake -*-
"""
From the first byte of a TCP connection to proof that both ends know the
secret.

The transcript hash covers both VERSION frames, so nothing in them can be
changed on the way; the TLS exporter (RFC 5705; RFC 9266 uses it alike) binds
the proof to this TLS session, so nobody can stand in between.  The initiator
proves first: a scanner gets nothing keyed to guess at.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from enum import Enum, auto

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.acl import Key
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
from mycorrizal.nodosum.wire.frame import HEADER, HEADER_BYTES, encode_frame
from mycorrizal.nodosum.wire.limits import (
    FRAME_VERSION,
    UNAUTHENTICATED_FRAME_BYTES_MAX,
    VERSION_MAX,
    VERSION_MIN,
    FrameType,
    RejectCode,
)
from mycorrizal.nodosum.wire.version import (
    NO_TICKET,
    Reject,
    Role,
    VersionI,
    VersionR,
)

EXPORTER_LABEL = b"EXPORTER-mycorrizal-acl-1"
BINDING_BYTES = 32
NONCE_BYTES = 32

_INITIATOR = b"MYCO1 initiator\0"
_RESPONDER = b"MYCO1 responder\0"
#: What comes to an open port by mistake, for the log's reader; no more of it
#: than a header's length, which is when it is looked at.
_SPEECHES: dict[str, tuple[bytes, ...]] = {
    "HTTP": (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"PRI * HT"),
    "TLS": (b"\x16\x03",),
    "SSH": (b"SSH-",),
}

_NO_PROOF = "it could not prove that it knows the secret"


class _State(Enum):
    IDLE = auto()
    WAIT_VERSION_I = auto()
    WAIT_VERSION_R = auto()
    WAIT_TLS = auto()
    WAIT_AUTH_I = auto()
    WAIT_AUTH_R = auto()
    DONE = auto()


class Handshake:
    """
    One side of one connection's handshake, sans-IO.

    :param initiator: Whether this side dialled.
    :param nonce: 32 unpredictable bytes, never used before.
    :param ticket: 16 bytes that the other side gave us by UDP.
    :param renews: Whether the link to the other side is to move here.
    :param busy: Whether a responder has too many TLS handshakes under way.
    :ivar opening: The initiator's VERSION_I, once it was sent or received.
    :ivar remote: What the other side said of itself; not proved yet.
    """

    def __init__(
        self,
        local: Local,
        *,
        initiator: bool,
        nonce: bytes,
        ticket: bytes = NO_TICKET,
        renews: bool = False,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        assert len(nonce) == NONCE_BYTES
        self.initiator = initiator
        self.opening: VersionI | None = None
        self._ticket = ticket
        self._renews = renews
        self._busy = busy
        self._local = local
        self._nonce = nonce
        self._state = _State.IDLE if initiator else _State.WAIT_VERSION_I
        self._buffer = b""
        self._transcript = b""
        self._proof_i = b""
        self._binding = bytes([0]) + bytes(BINDING_BYTES)
        self.remote: Remote | None = None

    def start(self) -> list[Event]:
        """Say hello; for the initiator only."""
        assert self._state is _State.IDLE
        local = self._local
        self.opening = opening = VersionI(
            VERSION_MIN,
            VERSION_MAX,
            local.tls,
            local.role,
            local.cluster_tag,
            local.node_key,
            local.incarnation,
            self._nonce,
            self._ticket,
            tuple(key.key_id for key in local.keys.keys),
            local.features,
            local.frame_bytes_max,
            self._renews,
        )
        self._transcript = encode_frame(FrameType.VERSION_I, opening.encode())
        self._state = _State.WAIT_VERSION_R
        return [Send(self._transcript)]

    def receive_data(self, data: bytes) -> list[Event]:
        """
        Take the next bytes, in any portions.

        :raises RemoteProtocolError: They are not a handshake: close, and say
            nothing.
        """
        if self._state is _State.DONE:
            return []
        self._buffer += data
        events: list[Event] = []
        try:
            self._check_tls_boundary()
            while frame := self._next_frame():
                events += self._frame_received(*frame)
                self._check_tls_boundary()
        except RemoteProtocolError:
            self._state = _State.DONE
            raise
        finally:
            if self._state is _State.DONE:
                # Nothing of a stranger's is kept while its connection closes.
                self._buffer = b""
        return events

    def tls_established(self, exporter: Exporter) -> list[Event]:
        """
        TLS is up.

        :param exporter: The session's ``export_keying_material``.
        """
        if self._state is not _State.WAIT_TLS:
            return []
        material = exporter(EXPORTER_LABEL, BINDING_BYTES, self._transcript_hash())
        self._binding = bytes([1]) + material
        if self.initiator:
            return self._send_proof_i()
        self._state = _State.WAIT_AUTH_I
        return []

    # -- frames ---------------------------------------------------------------

    def _check_tls_boundary(self) -> None:
        # What follows a request for TLS in the clear may be anybody's
        # (the CVE-2011-0411 class).
        if self._state is _State.WAIT_TLS and self._buffer:
            raise RemoteProtocolError("bytes in the clear where TLS must begin")

    def _next_frame(self) -> tuple[int, bytes, bytes] | None:
        buffer = self._buffer
        if self._state is _State.DONE or len(buffer) < HEADER_BYTES:
            return None
        version, kind, length, app_length = HEADER.unpack_from(buffer)
        end = HEADER_BYTES + length
        if (
            version != FRAME_VERSION
            or app_length
            or end > UNAUTHENTICATED_FRAME_BYTES_MAX
        ):
            raise RemoteProtocolError(_guess(buffer))
        if len(buffer) < end:
            return None
        self._buffer = buffer[end:]
        return kind, buffer[HEADER_BYTES:end], buffer[:end]

    def _frame_received(self, kind: int, payload: bytes, raw: bytes) -> list[Event]:
        # Done, unless the frame turns out to be the one that was waited for.
        state, self._state = self._state, _State.DONE
        if state is _State.WAIT_VERSION_I and kind == FrameType.VERSION_I:
            return self._version_i(VersionI.decode(payload), raw)
        if state is _State.WAIT_AUTH_I and kind == FrameType.AUTH_I:
            return self._auth_i(payload)
        if state is _State.WAIT_VERSION_R and kind == FrameType.VERSION_R:
            return self._version_r(VersionR.decode(payload), raw)
        if state is _State.WAIT_AUTH_R and kind == FrameType.AUTH_R:
            return self._auth_r(payload)
        if self.initiator and kind == FrameType.REJECT:
            return self._rejected(Reject.decode(payload))
        raise RemoteProtocolError(f"frame type {kind} out of order")

    # -- the responder --------------------------------------------------------

    def _version_i(self, opening: VersionI, raw: bytes) -> list[Event]:
        local = self._local
        self.opening = opening
        chosen = min(opening.version_max, VERSION_MAX)
        if chosen < max(opening.version_min, VERSION_MIN):
            low, high = opening.version_min, opening.version_max
            return self._refuse(RejectCode.VERSION, f"it speaks versions {low}-{high}")
        key, client = local.keys.shared(opening.key_ids), None
        if key is None:
            client = local.keys.of_client(opening.key_ids)
        if client is not None and opening.role is Role.CLIENT:
            key = client.key
        # Both, and a wrong proof, look the same to it; only our log tells them apart.
        if opening.cluster_tag != local.cluster_tag:
            return self._refuse(RejectCode.REFUSED, "it has another cluster name")
        if key is None and client is not None:
            name = client.principal.name
            reason = f"it has the key of client {name}, which makes no node of it"
            return self._refuse(RejectCode.REFUSED, reason)
        if key is None:
            return self._refuse(RejectCode.REFUSED, "it has another secret")
        if opening.tls != local.tls:
            return self._refuse(RejectCode.TLS, _tls_difference(local.tls))
        if local.tls and self._busy():
            return self._refuse(RejectCode.BUSY, "too many handshakes at once")
        answer = VersionR(
            chosen,
            VERSION_MIN,
            VERSION_MAX,
            local.tls,
            int(local.tls),
            local.cluster_tag,
            local.node_key,
            local.incarnation,
            self._nonce,
            key.key_id,
            local.frame_bytes_max,
            local.features,
        )
        self._remember(opening, opening.role, key)
        frame = encode_frame(FrameType.VERSION_R, answer.encode())
        self._transcript = raw + frame
        if local.tls:
            self._state = _State.WAIT_TLS
            return [Send(frame), StartTls()]
        self._state = _State.WAIT_AUTH_I
        return [Send(frame)]

    def _refuse(self, code: RejectCode, reason: str) -> list[Event]:
        reject = Reject(code, VERSION_MIN, VERSION_MAX)
        return [
            Send(encode_frame(FrameType.REJECT, reject.encode())),
            Refused(code, by_peer=False, reason=reason),
        ]

    def _auth_i(self, proof: bytes) -> list[Event]:
        remote, expected = self._proof(_INITIATOR)
        if not hmac.compare_digest(proof, expected):
            return self._refuse(RejectCode.REFUSED, _NO_PROOF)
        self._proof_i = proof
        answer = self._proof(_RESPONDER)[1]
        return [Send(encode_frame(FrameType.AUTH_R, answer)), self._done(remote)]

    # -- the initiator --------------------------------------------------------

    def _rejected(self, reject: Reject) -> list[Event]:
        versions = f"it speaks versions {reject.version_min}-{reject.version_max}"
        reasons = {
            RejectCode.VERSION: versions,
            RejectCode.REFUSED: "another secret or cluster name",
            RejectCode.TLS: _tls_difference(self._local.tls),
            RejectCode.BUSY: "it has too many connections",
        }
        return [Refused(reject.code, by_peer=True, reason=reasons[reject.code])]

    def _version_r(self, answer: VersionR, raw: bytes) -> list[Event]:
        local = self._local
        key = local.keys.by_id.get(answer.key_id)
        expected = min(VERSION_MAX, answer.version_max)
        if answer.chosen != expected or expected < max(answer.version_min, VERSION_MIN):
            raise RemoteProtocolError("VERSION_R chose a version that was not offered")
        if answer.cluster_tag != local.cluster_tag or key is None:
            raise RemoteProtocolError("VERSION_R names another cluster or secret")
        if answer.tls != local.tls or answer.channel_binding != int(local.tls):
            raise RemoteProtocolError("VERSION_R says another TLS mode than ours")
        self._remember(answer, Role.NODE, key)
        self._transcript += raw
        if local.tls:
            self._state = _State.WAIT_TLS
            return [StartTls()]
        return self._send_proof_i()

    def _send_proof_i(self) -> list[Event]:
        self._proof_i = self._proof(_INITIATOR)[1]
        self._state = _State.WAIT_AUTH_R
        return [Send(encode_frame(FrameType.AUTH_I, self._proof_i))]

    def _auth_r(self, proof: bytes) -> list[Event]:
        remote, expected = self._proof(_RESPONDER)
        if hmac.compare_digest(proof, expected):
            return [self._done(remote)]
        return [Refused(RejectCode.REFUSED, by_peer=False, reason=_NO_PROOF)]

    # -- both -----------------------------------------------------------------

    def _remember(self, said: VersionI | VersionR, role: Role, key: Key) -> None:
        self.remote = Remote(
            said.node_key,
            said.incarnation,
            role,
            key,
            said.features & self._local.features,
            min(said.frame_bytes_max, self._local.frame_bytes_max),
        )

    def _transcript_hash(self) -> bytes:
        return hashlib.sha256(self._transcript).digest()

    def _proof(self, label: bytes) -> tuple[Remote, bytes]:
        remote = self.remote
        assert remote is not None, "no proof before VERSION"
        role = self._local.role if self.initiator else remote.role
        key = remote.key.node if role is Role.NODE else remote.key.client
        message = label + self._transcript_hash() + self._binding
        if label == _RESPONDER:
            message += self._proof_i
        return remote, hmac.digest(key, message, "sha256")

    def _done(self, remote: Remote) -> Authenticated:
        trailing, self._buffer = self._buffer, b""
        return Authenticated(remote, trailing)


def _tls_difference(ours: bool) -> str:
    theirs, mine = ("off", "on") if ours else ("on", "off")
    return f"its TLS is {theirs}, ours is {mine}"


def _guess(data: bytes) -> str:
    """What a stranger seems to speak."""
    for speech, beginnings in _SPEECHES.items():
        if data.startswith(beginnings):
            return f"not a handshake of ours; it looks like {speech}"
    return f"not a handshake of ours: it begins with {data[:HEADER_BYTES].hex(' ')}"
