"""
The bytes of version 1, which stay the same for ever (F50).

`version_1.txt` was written once.  A change of the code that breaks one of these
tests would keep nodes of two releases from understanding each other: it needs a
new version of the protocol, and a file of its own.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.link import CALL_ID
from mycorrizal.nodosum.messages import (
    ClientWelcome,
    PeerEntry,
    Peers,
    Probe,
    Probed,
    Welcome,
    decode,
    decode_system,
    encode,
)
from mycorrizal.nodosum.wire.chunks import Assembly, Chunk, cut
from mycorrizal.nodosum.wire.compression import Zlib, Zstd
from mycorrizal.nodosum.wire.frame import HEADER_BYTES, FrameDecoder, encode_frame
from mycorrizal.nodosum.wire.limits import (
    COMPRESSED_BIT,
    ErrorCode,
    FrameType,
    Goodbye,
    RejectCode,
)
from mycorrizal.nodosum.wire.signals import (
    decode_goodbye,
    decode_ping,
    encode_goodbye,
    encode_ping,
)
from mycorrizal.nodosum.wire.version import Reject
from tests.nodosum.wire.cases import CHUNK, HELLO, NODE_KEY, REJECT, single_frames
from tests.nodosum.wire.pairs import Pair, side

FILE = Path(__file__).with_name("version_1.txt")
TEXT = b"version 1 " * 20
TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WELCOME = Welcome(
    "node-a",
    "host-a",
    {"zone": "west"},
    "0.1.0",
    (("10.0.0.1", 6969), ("::1", 7000)),
    0x0000018BCFE56800_0001 & (2**63 - 1),
    False,
    (PeerEntry(NODE_KEY, 7, (("10.0.0.2", 6969),)),),
)
CLIENT_WELCOME = ClientWelcome("node-a", "0.1.0", ("*:*:*",))
PEERS = Peers(
    (
        PeerEntry(NODE_KEY, 2**64 - 1, ()),
        PeerEntry(NODE_KEY, 8, (), "node-b", "host-b", {"zone": "east"}, "0.2.0"),
    )
)
SYSTEM = (Probe(5, NODE_KEY, 8), Probed(5, 1, 250))


def read_file() -> dict[str, bytes]:
    """Each name in the file, and its bytes."""
    lines = [line for line in FILE.read_text().splitlines() if line and line[0] != "#"]
    pairs = (line.split(": ") for line in lines)
    return {name: bytes.fromhex(digits) for name, digits in pairs}


def encoded() -> dict[str, bytes]:
    """The same as today's code writes it."""
    found = {f"UDP {case.name}": HELLO.encode(case.message) for case in HELLO.cases}
    for tls in (False, True):
        pair = Pair(side("a", tls=tls, features=3), side("b", tls=tls, features=1))
        for kind, frame in pair.run().sent.items():
            found[f"{kind.name} with TLS {'on' if tls else 'off'}"] = frame
    for case in REJECT.cases:
        body = REJECT.encode(case.message)
        found[f"REJECT {case.name}"] = encode_frame(FrameType.REJECT, body)
    found["WELCOME"] = encode_frame(FrameType.WELCOME, encode(WELCOME))
    found["WELCOME of a client"] = encode_frame(
        FrameType.WELCOME, encode(CLIENT_WELCOME)
    )
    found["PEERS"] = encode_frame(FrameType.PEERS, encode(PEERS))
    for message in SYSTEM:
        name = f"SYSTEM {type(message).__name__}"
        found[name] = encode_frame(FrameType.SYSTEM, encode(message))
    ping = encode_ping(0x0102030405060708, 0x1112131415161718)
    found["PING"] = encode_frame(FrameType.PING, ping)
    found["PONG"] = encode_frame(FrameType.PONG, ping)
    for reason in Goodbye:
        body = encode_goodbye(reason, 9, "why")
        found[f"GOODBYE {reason.name}"] = encode_frame(FrameType.GOODBYE, body)
    call_id = CALL_ID.pack(0x0102030405060708)
    found["APP"] = encode_frame(FrameType.APP, b"hello", b"chat")
    found["REQUEST"] = encode_frame(FrameType.REQUEST, call_id + b"question", b"chat")
    found["REPLY"] = encode_frame(FrameType.REPLY, call_id + b"answer")
    for code in ErrorCode:
        body = call_id + bytes([code]) + b"why"
        found[f"ERROR {code.name}"] = encode_frame(FrameType.ERROR, body)
    found["TRACE"] = encode_frame(FrameType.TRACE, call_id + TRACEPARENT, b"chat")
    found["CANCEL"] = encode_frame(FrameType.CANCEL, call_id)
    for case in CHUNK.cases:
        body = CHUNK.encode(case.message)
        found[f"CHUNK {case.name}"] = encode_frame(FrameType.CHUNK, body, b"chat")
    chunks = cut(7, FrameType.REQUEST, b"chat", call_id, TEXT, 100)
    found["a REQUEST in three CHUNKs"] = b"".join(chunks)
    for name, codec in (("zstd", Zstd()), ("zlib", Zlib())):
        body = codec.compress(TEXT)
        frame = encode_frame(FrameType.APP | COMPRESSED_BIT, body, b"chat")
        found[f"APP compressed with {name}"] = frame
    return found


class GoldenTests(SynchronousTestCase):
    """What version 1 is."""

    def setUp(self) -> None:
        self.golden = read_file()

    def payload(self, name: str) -> bytes:
        """The payload of one frame."""
        decoder = FrameDecoder()
        ((_, _, payload),) = single_frames(decoder.receive_data(self.golden[name]))
        self.assertIsNone(decoder.error)
        return payload

    def test_written(self) -> None:
        """Today's code writes these bytes, all but what a compressor chooses."""
        today = encoded()
        # There may be more by now, which version 1 ignores or never meets.
        self.assertLessEqual(set(self.golden), set(today))
        for name, data in self.golden.items():
            if "compressed with" not in name:
                self.assertEqual(today[name], data, name)

    def test_frames(self) -> None:
        """Each frame is one, and has the type of its name."""
        for name, data in self.golden.items():
            if name.startswith("UDP") or " in " in name:
                continue
            self.payload(name) if data[1] > 5 else None
            kind = FrameType(data[1] & ~COMPRESSED_BIT)
            self.assertTrue(name.startswith(kind.name), name)
            length = int.from_bytes(data[2:6], "little")
            self.assertEqual(len(data), HEADER_BYTES + length, name)

    def test_messages(self) -> None:
        """What peers tell each other is read as it was meant."""
        self.assertEqual(decode(Welcome, self.payload("WELCOME")), WELCOME)
        client = self.payload("WELCOME of a client")
        self.assertEqual(decode(ClientWelcome, client), CLIENT_WELCOME)
        self.assertEqual(decode(Peers, self.payload("PEERS")), PEERS)
        for message in SYSTEM:
            payload = self.payload(f"SYSTEM {type(message).__name__}")
            self.assertEqual(decode_system(payload), message)

    def test_signals(self) -> None:
        """So is what a link says of itself."""
        numbers = (0x0102030405060708, 0x1112131415161718)
        for name in ("PING", "PONG"):
            self.assertEqual(decode_ping(self.payload(name)), numbers)
        for reason in Goodbye:
            said = decode_goodbye(self.payload(f"GOODBYE {reason.name}"))
            self.assertEqual(said, (reason, 9, "why"))
        for code in RejectCode:
            self.assertEqual(
                Reject.decode(self.payload(f"REJECT {code.name}")), Reject(code, 1, 1)
            )

    def test_chunks(self) -> None:
        """A message in chunks is put together."""
        decoder, assembly = FrameDecoder(), Assembly()
        data = self.golden["a REQUEST in three CHUNKs"]
        frames = single_frames(decoder.receive_data(data))
        whole = [assembly.add(app_id, payload) for _, app_id, payload in frames]
        message = CALL_ID.pack(0x0102030405060708) + TEXT
        self.assertEqual(whole, [None, None, (FrameType.REQUEST, b"chat", message)])
        for case in CHUNK.cases:
            payload = self.payload(f"CHUNK {case.name}")
            self.assertEqual(Chunk.decode(payload), case.message)

    def test_compressed(self) -> None:
        """What was compressed once is inflated for ever."""
        for name, codec in (("zstd", Zstd()), ("zlib", Zlib())):
            payload = self.payload(f"APP compressed with {name}")
            self.assertEqual(codec.inflate(payload, len(TEXT)), TEXT)
