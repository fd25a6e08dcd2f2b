"""
Every fixed layout of the wire protocol, and messages with their exact bytes.

One table: the encoders' tests, the decoders' tests and the protocol's page all
read it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from mycorrizal.nodosum.acl import KeyRing, cluster_tag, derive_key
from mycorrizal.nodosum.wire.chunks import Chunk
from mycorrizal.nodosum.wire.frame import FrameDecoder, Run, encode_frame
from mycorrizal.nodosum.wire.hello import Hello, HelloType
from mycorrizal.nodosum.wire.limits import COMPRESSED_BIT, FrameType, RejectCode
from mycorrizal.nodosum.wire.version import Reject, Role, VersionI, VersionR

#: The bytes 0 to 31: everybody knows it, so never use it.
SECRET = "myk1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
CLUSTER = "demo"
KEYS = KeyRing([derive_key(SECRET, CLUSTER)])
KEY_ID = KEYS.first.key_id
TAG = cluster_tag(CLUSTER)

NODE_KEY = bytes(range(0xA0, 0xB0))
NONCE = bytes(range(0x10, 0x20))
COOKIE = bytes(range(0xC0, 0xD0))
TICKET = bytes(range(0xD0, 0xE0))
LONG_NONCE = bytes(range(0x10, 0x30))
INCARNATION = 0x0102030405060708

_ZEROS = " ".join(["00"] * 16)
_NODE_KEY = "a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af"
_NONCE = "10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f"
_LONG_NONCE = f"{_NONCE} 20 21 22 23 24 25 26 27 28 29 2a 2b 2c 2d 2e 2f"
_COOKIE = "c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 ca cb cc cd ce cf"
_TICKET = "d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 da db dc dd de df"
_INCARNATION = "08 07 06 05 04 03 02 01"
_TAG = "1c f5 db 58 ff e9 92 b2"
_KEY_ID = "18 3c 75 9c"
_MAGIC = "4d 59 43 4f"

#: The name of each field, and its bytes as hexadecimal digits.
Fields = tuple[tuple[str, str], ...]


@attrs.frozen
class Case:
    """A message, and the bytes that it must become, field by field."""

    name: str
    message: Any
    fields: Fields

    @property
    def data(self) -> bytes:
        """All its bytes."""
        return b"".join(bytes.fromhex(digits) for _, digits in self.fields)

    def rows(self) -> list[tuple[int, int, str, str]]:
        """Offset, length, name and hexadecimal digits of each field."""
        rows, offset = [], 0
        for name, digits in self.fields:
            length = len(bytes.fromhex(digits))
            rows.append((offset, length, name, digits))
            offset += length
        return rows


@attrs.frozen
class Layout:
    """One way of writing messages, of one length or (None) of any."""

    name: str
    length_bytes: int | None
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    cases: tuple[Case, ...]


#: Type, application id, payload.
Frame = tuple[int, bytes, bytes]


def single_frames(runs: list[Run]) -> list[Frame]:
    """The frames that are in runs, one by one."""
    return [
        (kind, app_id, payload)
        for kind, app_id, payloads in runs
        for payload in payloads
    ]


def _decode_frame(data: bytes) -> Any:
    decoder = FrameDecoder()
    frames = single_frames(decoder.receive_data(data))
    if decoder.error is not None:
        raise decoder.error
    return frames[0] if len(frames) == 1 else None


def _frame_fields(kind: str, length: str, app_length: str, *rest: str) -> Fields:
    names = ("version", "type", "length", "app_id_length", "app_id", "payload")
    return tuple(zip(names, ("01", kind, length, app_length, *rest), strict=True))


FRAME = Layout(
    "frame",
    None,
    lambda frame: encode_frame(frame[0], frame[2], frame[1]),
    _decode_frame,
    (
        Case(
            "APP to an application",
            (FrameType.APP, b"chat", b"hello"),
            _frame_fields(
                "09", "09 00 00 00", "04 00", "63 68 61 74", "68 65 6c 6c 6f"
            ),
        ),
        Case(
            "PING",
            (FrameType.PING, b"", bytes(range(16))),
            _frame_fields(
                "0d",
                "10 00 00 00",
                "00 00",
                "",
                "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f",
            ),
        ),
        Case(
            "an application's empty message",
            (FrameType.APP, b"x", b""),
            _frame_fields("09", "01 00 00 00", "01 00", "78", ""),
        ),
        Case(
            "nothing at all, of a type that may be ignored",
            (0xFF, b"", b""),
            _frame_fields("ff", "00 00 00 00", "00 00", "", ""),
        ),
    ),
)

VERSION_I = Layout(
    "VERSION_I",
    120,
    VersionI.encode,
    VersionI.decode,
    (
        Case(
            "a node with TLS, a ticket and one secret",
            VersionI(
                1,
                1,
                True,
                Role.NODE,
                TAG,
                NODE_KEY,
                INCARNATION,
                LONG_NONCE,
                TICKET,
                (KEY_ID,),
                1,
                0x100000,
            ),
            (
                ("magic", _MAGIC),
                ("version_min", "01"),
                ("version_max", "01"),
                ("flags (1 tls, 2 renews)", "01"),
                ("role (0 node, 1 client)", "00"),
                ("cluster_tag", _TAG),
                ("node_key", _NODE_KEY),
                ("incarnation", _INCARNATION),
                ("nonce_i", _LONG_NONCE),
                ("ticket", _TICKET),
                ("key_ids", f"{_KEY_ID} 00 00 00 00 00 00 00 00 00 00 00 00"),
                ("features", "01 00 00 00 00 00 00 00"),
                ("frame_bytes_max", "00 00 10 00"),
                ("reserved", "00 00 00 00"),
            ),
        ),
        Case(
            "a client of four secrets, without TLS, of a later version",
            VersionI(
                1,
                2,
                False,
                Role.CLIENT,
                TAG,
                NODE_KEY,
                0,
                LONG_NONCE,
                bytes(16),
                (1, 2, 3, 0xFFFFFFFF),
                0,
                0x10000,
            ),
            (
                ("magic", _MAGIC),
                ("version_min", "01"),
                ("version_max", "02"),
                ("flags (1 tls, 2 renews)", "00"),
                ("role (0 node, 1 client)", "01"),
                ("cluster_tag", _TAG),
                ("node_key", _NODE_KEY),
                ("incarnation", "00 00 00 00 00 00 00 00"),
                ("nonce_i", _LONG_NONCE),
                ("ticket", _ZEROS),
                ("key_ids", "01 00 00 00 02 00 00 00 03 00 00 00 ff ff ff ff"),
                ("features", "00 00 00 00 00 00 00 00"),
                ("frame_bytes_max", "00 00 01 00"),
                ("reserved", "00 00 00 00"),
            ),
        ),
    ),
)

VERSION_R = Layout(
    "VERSION_R",
    96,
    VersionR.encode,
    VersionR.decode,
    (
        Case(
            "an answer that asks for TLS",
            VersionR(
                1,
                1,
                1,
                True,
                1,
                TAG,
                NODE_KEY,
                INCARNATION,
                LONG_NONCE,
                KEY_ID,
                0x100000,
                0x8000000000000001,
            ),
            (
                ("magic", _MAGIC),
                ("chosen", "01"),
                ("version_min", "01"),
                ("version_max", "01"),
                ("flags (1 tls)", "01"),
                ("cb_type", "01"),
                ("reserved", "00 00 00 00 00 00 00"),
                ("cluster_tag", _TAG),
                ("node_key", _NODE_KEY),
                ("incarnation", _INCARNATION),
                ("nonce_r", _LONG_NONCE),
                ("key_id", _KEY_ID),
                ("frame_bytes_max", "00 00 10 00"),
                ("features", "01 00 00 00 00 00 00 80"),
            ),
        ),
    ),
)

REJECT = Layout(
    "REJECT",
    3,
    Reject.encode,
    Reject.decode,
    tuple(
        Case(
            code.name,
            Reject(code, 1, 1),
            (
                ("code", f"{code:02x}"),
                ("version_min", "01"),
                ("version_max", "01"),
            ),
        )
        for code in RejectCode
    ),
)


def _chunk_fields(
    number: str, flags: str, kind: str, message_bytes: str, data: str
) -> Fields:
    return (
        ("message_no", number),
        ("flags (1 first, 2 last)", flags),
        ("type", kind),
        ("reserved", "00 00"),
        ("message_bytes", message_bytes),
        ("bytes of the message", data),
    )


def _datagram_fields(
    kind: str,
    mac: str,
    *,
    flags: str = "01",
    sent_ms: str = "00 00 00 00 00 00 00 00",
    nonce: str = _ZEROS,
    echo: str = _ZEROS,
    cookie: str = _ZEROS,
    port: str = "39 1b",
    ticket: str = _ZEROS,
) -> Fields:
    return (
        ("magic", _MAGIC),
        ("ver_min", "01"),
        ("ver_max", "01"),
        ("type", kind),
        ("flags (1 tls)", flags),
        ("key_id", _KEY_ID),
        ("sent_ms", sent_ms),
        ("node_key", _NODE_KEY),
        ("incarnation", _INCARNATION),
        ("nonce", nonce),
        ("echo", echo),
        ("cookie", cookie),
        ("tcp_port", port),
        ("reserved", "00 00"),
        ("cluster_tag", _TAG),
        ("ticket", ticket),
        ("reserved", "00 00 00 00 00 00 00 00"),
        ("HMAC-SHA256", mac),
    )


def _hello(kind: HelloType, **more: Any) -> Hello:
    more = {"tcp_port": 6969, "tls": True, **more}
    return Hello(kind, KEY_ID, NODE_KEY, INCARNATION, cluster_tag=TAG, **more)


HELLO = Layout(
    "HELLO",
    160,
    lambda hello: hello.encode(KEYS),
    lambda data: Hello.decode(data, KEYS, TAG),
    (
        Case(
            "HELLO, the question",
            _hello(HelloType.HELLO, nonce=NONCE, sent_ms=1_700_000_000_000),
            _datagram_fields(
                "01",
                "29c119ace72d1aa499118cfa0e7f8a7075bff450702cb939c0e1b99c1ea9a8f4",
                sent_ms="00 68 e5 cf 8b 01 00 00",
                nonce=_NONCE,
            ),
        ),
        Case(
            "RETRY",
            _hello(HelloType.RETRY, echo=NONCE, cookie=COOKIE),
            _datagram_fields(
                "02",
                "1dc6f414a7d8da5b9dcb505f42440ab9d9f846e4e88a09e213749719b8218222",
                echo=_NONCE,
                cookie=_COOKIE,
            ),
        ),
        Case(
            "HELLO, with the cookie",
            _hello(HelloType.HELLO, nonce=NONCE, cookie=COOKIE, ticket=TICKET),
            _datagram_fields(
                "01",
                "cad8e0d504766cc95b26dd6ca0f1dbfa36325020164fd4c53155389e03a83ac8",
                nonce=_NONCE,
                cookie=_COOKIE,
                ticket=_TICKET,
            ),
        ),
        Case(
            "HELLO_ACK, from a node without TLS",
            _hello(
                HelloType.HELLO_ACK,
                echo=NONCE,
                ticket=TICKET,
                tcp_port=7001,
                tls=False,
            ),
            _datagram_fields(
                "03",
                "976cd3d5a97730f3fb80545b3b66249afbc6c55b0673358f63c4bead6f861e9f",
                flags="00",
                echo=_NONCE,
                port="59 1b",
                ticket=_TICKET,
            ),
        ),
        Case(
            "BYE, from a node without TLS",
            _hello(HelloType.BYE, tls=False),
            _datagram_fields(
                "04",
                "e9adc269ea7ec2ecfab37ed737035ae4a43d23ba646506dd2b2a78e8c7aff61f",
                flags="00",
            ),
        ),
    ),
)

CHUNK = Layout(
    "CHUNK",
    None,
    Chunk.encode,
    Chunk.decode,
    (
        Case(
            "the beginning of a compressed APP message of 100,000 bytes",
            Chunk(7, 1, FrameType.APP | COMPRESSED_BIT, 100_000, b"hello"),
            _chunk_fields("07 00 00 00", "01", "49", "a0 86 01 00", "68 65 6c 6c 6f"),
        ),
        Case(
            "its end",
            Chunk(7, 2, FrameType.APP | COMPRESSED_BIT, 100_000, b"!"),
            _chunk_fields("07 00 00 00", "02", "49", "a0 86 01 00", "21"),
        ),
        Case(
            "a REQUEST in one piece",
            Chunk(8, 3, FrameType.REQUEST, 9, bytes([5, 0, 0, 0, 0, 0, 0, 0, 0x3F])),
            _chunk_fields(
                "08 00 00 00", "03", "0a", "09 00 00 00", "05 00 00 00 00 00 00 00 3f"
            ),
        ),
    ),
)

LAYOUTS = (FRAME, VERSION_I, VERSION_R, REJECT, HELLO, CHUNK)
