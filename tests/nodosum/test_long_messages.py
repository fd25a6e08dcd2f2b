"""
Messages, requests and answers of any length, as applications see them.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import PeerBusy, RemoteFailure, RemoteProtocolError
from mycorrizal.nodosum.applications import Application
from mycorrizal.nodosum.link import CALL_ID
from mycorrizal.nodosum.wire.chunks import Chunk
from mycorrizal.nodosum.wire.compression import Zlib, Zstd
from mycorrizal.nodosum.wire.frame import encode_frame
from mycorrizal.nodosum.wire.limits import (
    COMPRESSED_BIT,
    IGNORABLE_BIT,
    MESSAGE_BYTES_MAX,
    Feature,
    FrameType,
    Goodbye,
)
from mycorrizal.nodosum.wire.signals import encode_goodbye, encode_ping
from tests.nodosum.ends import Couple

MIB = 1024 * 1024
TEXT = b'{"user": 17, "name": "somebody", "roles": ["reader"]}' * 40_000
NOISE = random.Random(1).randbytes(2 * MIB)
#: Lengths around each at which a message begins to travel in another way.
LENGTHS = sorted(
    {
        middle + step
        for middle in (0, 50 * 1024, 64 * 1024, 2 * 64 * 1024)
        for step in (-13, -12, -9, -8, -5, -4, -1, 0, 1, 4, 8)
        if middle + step >= 0
    }
)


class LongMessagesTestCase(SynchronousTestCase):
    """The application chat on nodes a and b, which keeps what it gets."""

    def setUp(self) -> None:
        self.use(Feature.ZSTD)

    def use(self, features: int) -> None:
        """Let these features be in force."""
        self.couple = Couple(features)
        self.a: Application = self.couple.a.applications.register("chat")
        self.b: Application = self.couple.b.applications.register("chat")
        self.got: list[bytes] = []
        self.b.set_receive_func(lambda payload, sender: self.got.append(payload))
        self.b.set_request_func(lambda payload, sender: payload[::-1])
        self.sent_bytes = 0
        transport = self.couple.a.transports["b"]
        take = transport.take

        def counted() -> bytes:
            data = take()
            self.sent_bytes += len(data)
            return data

        transport.take = counted  # type: ignore[method-assign]


class ArrivalTests(LongMessagesTestCase):
    """Whatever is sent arrives."""

    def test_any_length(self) -> None:
        """Messages, questions and answers of any length arrive as they were sent."""
        for features in (0, Feature.ZSTD, Feature.ZLIB):
            for source in (TEXT, NOISE):
                self.use(features)
                sent = [source[:length] for length in LENGTHS]
                for number, payload in enumerate(sent):
                    if number % 2:
                        self.a.post(payload)
                    else:
                        self.a.send(payload)
                    asked = self.a.request(payload, "b")
                    self.couple.run()
                    self.assertEqual(self.successResultOf(asked), payload[::-1])
                self.assertEqual(self.got, sent)
                self.assertIsNone(self.couple.error)

    def test_order(self) -> None:
        """Long and short messages arrive in the order in which they were sent."""
        sent = []
        for number in range(200):
            size = (3, 60_000, 100, 300_000)[number % 4] + number
            source = TEXT if number % 3 else NOISE
            sent.append((b"%d:" % number + source)[:size])
            self.a.send(sent[-1])
            if not number % 7:
                self.couple.run()
        self.couple.run()
        self.assertEqual(self.got, sent)

    def test_longest(self) -> None:
        """64 MiB, with a call's id, is a message, a question and an answer."""
        longest = bytes(self.a.message_bytes_max)
        self.assertEqual(len(longest), MESSAGE_BYTES_MAX - 8)
        self.a.post(longest)
        self.couple.run()
        asked = self.a.request(longest, "b")
        self.couple.run()
        self.assertEqual(self.got, [longest])
        self.assertEqual(self.successResultOf(asked), longest)

    def test_to_all(self) -> None:
        """A message to many is compressed once."""
        calls: list[int] = []
        codec: Any = self.couple.at_a.lanes.codec
        compress = codec.compress

        def counted(data: bytes) -> Any:
            calls.append(len(data))
            return compress(data)

        self.patch(codec, "compress", counted)
        for name in "cdef":
            self.couple.a.link(name, features=Feature.ZSTD)
        self.a.post(TEXT)
        self.assertEqual(calls, [4096, len(TEXT)])
        self.couple.run()
        self.assertEqual(self.got, [TEXT])

    def test_busy(self) -> None:
        """A question too long for the queue fails at once, and leaves nothing."""
        self.couple.at_a.pause()
        for _ in range(4):
            self.a.post(NOISE)
        self.failureResultOf(self.a.request(NOISE, "b"), PeerBusy)
        self.assertEqual(len(self.couple.at_a.calls), 0)
        with self.assertRaises(PeerBusy):
            self.a.post(NOISE)
        self.assertNoResult(self.a.send(NOISE))
        self.couple.at_a.resume()
        self.couple.run()
        self.assertEqual(len(self.got), 5)

    def test_failing_answer(self) -> None:
        """An answer of more than 64 MiB is a failure there, which says so."""
        self.b.set_request_func(lambda *_: bytes(MESSAGE_BYTES_MAX - 7))
        asked = self.a.request(b"?", "b")
        self.couple.run()
        error = self.failureResultOf(asked, RemoteFailure).value
        self.assertIn(str(MESSAGE_BYTES_MAX - 8), str(error))

    def test_slow_function(self) -> None:
        """A message longer than the inbox waits alone for a slow function."""
        waiting: list[Deferred[None]] = []

        def receive(payload: bytes, sender: str) -> Deferred[None]:
            self.got.append(payload)
            waiting.append(Deferred())
            return waiting[-1]

        self.b.set_receive_func(receive)
        for size in (1, 10 * MIB, 2):
            self.a.send(NOISE[:1] * size)
            self.couple.run()
        waiting[0].callback(None)
        self.assertEqual([len(one) for one in self.got], [1, 10 * MIB])
        self.assertEqual(self.b.dropped, 1)


class CompressionTests(LongMessagesTestCase):
    """Long messages are compressed where both sides can."""

    def test_smaller(self) -> None:
        """What gets smaller goes so, both ways; what does not goes as it is."""
        for features in (Feature.ZSTD, Feature.ZLIB, Feature.ZSTD | Feature.ZLIB):
            self.use(features)
            self.a.post(TEXT[:MIB])
            self.couple.run()
            self.assertLess(self.sent_bytes, MIB / 20)
            self.a.post(NOISE)
            self.couple.run()
            self.assertGreater(self.sent_bytes, len(NOISE))
            self.assertEqual(self.got, [TEXT[:MIB], NOISE])

    def test_not_agreed(self) -> None:
        """Nothing is compressed where one side can't."""
        self.use(0)
        self.a.post(TEXT)
        self.couple.run()
        self.assertGreater(self.sent_bytes, len(TEXT))

    def test_one_frame(self) -> None:
        """What has no more than 64 KiB when it is compressed needs no chunks."""
        self.a.post(TEXT)
        self.couple.clock.advance(0)
        kinds = [kind for kind, *_ in self.couple.a.transports["b"].frames()]
        self.assertEqual(kinds, [FrameType.APP | COMPRESSED_BIT])

    def test_compressed_and_cut(self) -> None:
        """What is longer even so is cut after it was compressed."""
        half = b"".join(NOISE[at : at + 64] + bytes(64) for at in range(0, MIB, 64))
        self.a.post(half)
        self.couple.clock.advance(0)
        frames = self.couple.a.transports["b"].frames()
        self.assertEqual({kind for kind, *_ in frames}, {FrameType.CHUNK})
        chunks = [Chunk.decode(payload) for *_, payload in frames]
        self.assertEqual({one.kind for one in chunks}, {9 | COMPRESSED_BIT})
        self.assertLess(chunks[0].message_bytes, 0.7 * len(half))
        self.couple.run()
        self.assertEqual(self.got, [half])


class BadPeerTests(LongMessagesTestCase):
    """What breaks a rule closes the link, with a reason (F22, F26, F50)."""

    def receive(self, *frames: bytes) -> str:
        """Node b gets these; why it drops the link, or nothing."""
        try:
            for frame in frames:
                self.couple.at_b.receive_data(frame)
        except RemoteProtocolError as error:
            return str(error)
        return ""

    def chunk(self, kind: int, payload: bytes, app_id: bytes = b"chat") -> bytes:
        """A message in one CHUNK."""
        chunk = Chunk(1, 3, kind, len(payload), payload)
        return encode_frame(FrameType.CHUNK, chunk.encode(), app_id, MIB)

    def test_bomb(self) -> None:
        """A message that inflates to more than 64 MiB is refused, cut or not."""
        for codec, features in ((Zstd(), Feature.ZSTD), (Zlib(), Feature.ZLIB)):
            bomb = codec.compress(bytes(MESSAGE_BYTES_MAX + 1))
            kind = FrameType.APP | COMPRESSED_BIT
            frames = [self.chunk(kind, bomb[:MIB])] if len(bomb) < MIB else []
            if len(bomb) <= 60_000:
                frames.append(encode_frame(kind, bomb, b"chat"))
            self.assertTrue(frames)
            for frame in frames:
                self.use(features)
                self.assertIn("more than 67108864 bytes", self.receive(frame))
                self.assertEqual(self.got, [])

    def test_longest_inflated(self) -> None:
        """One that inflates to 64 MiB exactly is taken."""
        payload = Zstd().compress(bytes(MESSAGE_BYTES_MAX))
        frame = encode_frame(FrameType.APP | COMPRESSED_BIT, payload, b"chat")
        self.assertEqual(self.receive(frame), "")
        self.assertEqual([len(one) for one in self.got], [MESSAGE_BYTES_MAX])

    def test_compression_that_nobody_offered(self) -> None:
        """Compression without the feature in force is an error."""
        self.use(0)
        payload = Zstd().compress(TEXT)
        kind = FrameType.APP | COMPRESSED_BIT
        for frame in (encode_frame(kind, payload, b"chat"), self.chunk(kind, payload)):
            self.assertIn("nobody offered", self.receive(frame))

    def test_what_may_not_be_compressed(self) -> None:
        """A handshake, WELCOME, PEERS and chunks are never compressed."""
        payload = Zstd().compress(b"x")
        for kind in (*range(8), FrameType.CHUNK):
            self.setUp()
            frame = encode_frame(kind | COMPRESSED_BIT, payload)
            self.assertIn(f"compressed frame of type {int(kind)}", self.receive(frame))

    def test_before_welcome(self) -> None:
        """Before WELCOME nothing is cut, and nothing inflated."""
        self.couple.at_b.up = False
        payload = Zstd().compress(TEXT)
        frame = encode_frame(FrameType.APP | COMPRESSED_BIT, payload, b"chat")
        self.assertIn("compressed", self.receive(frame))
        self.assertIn("before WELCOME", self.receive(self.chunk(FrameType.APP, b"x")))

    def test_call_without_an_id(self) -> None:
        """A question in chunks needs its id, too."""
        frame = self.chunk(FrameType.REQUEST, b"short")
        self.assertIn("without an id", self.receive(frame))

    def test_own_frames(self) -> None:
        """What the link says of itself may come cut, or compressed."""
        ping = encode_ping(1, 2)
        codec = Zstd()
        for frame in (
            self.chunk(FrameType.PING, ping, b""),
            encode_frame(FrameType.PING | COMPRESSED_BIT, codec.compress(ping)),
            self.chunk(FrameType.PING | COMPRESSED_BIT, codec.compress(ping), b""),
        ):
            self.couple.b.owner.received.clear()
            self.assertEqual(self.receive(frame), "")
            self.assertEqual(self.couple.b.owner.received, [(FrameType.PING, ping)])

    def test_types_that_may_be_ignored(self) -> None:
        """An unknown message with bit 7 is ignored, cut, compressed or neither."""
        kinds = [kind | IGNORABLE_BIT for kind in range(0x80)]
        for kind in kinds:
            frame = encode_frame(kind, b"no zstd at all", b"chat")
            self.assertEqual(self.receive(frame, self.chunk(kind, b"?")), "")
        self.assertEqual((self.got, self.couple.b.owner.received), ([], []))

    def test_unknown_application(self) -> None:
        """A long message for nobody is dropped, a long question told so."""
        question = CALL_ID.pack(7) + bytes(100_000)
        frames = [
            self.chunk(FrameType.APP, bytes(100_000), b"other"),
            self.chunk(FrameType.REQUEST, question, b"other"),
        ]
        self.assertEqual(self.receive(*frames), "")
        self.couple.clock.advance(0)
        kinds = [kind for kind, *_ in self.couple.b.transports["a"].frames()]
        self.assertEqual(kinds, [FrameType.ERROR])

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([*FrameType, 33, 0x80, 0xC9, 9 | 64, 10 | 64, 16 | 64]),
                st.sampled_from([b"", b"chat", b"other"]),
                st.one_of(
                    st.binary(max_size=40),
                    st.builds(
                        lambda *fields: Chunk(*fields).encode(),
                        st.integers(1, 3),
                        st.integers(0, 3),
                        st.sampled_from([9, 10, 11, 12, 13, 17, 9 | 64, 0x80]),
                        st.integers(0, 30),
                        st.binary(max_size=20),
                    ),
                    st.binary(max_size=60).map(Zstd().compress),
                ),
            ),
            max_size=12,
        )
    )
    def test_any_frames(self, frames: list[tuple[int, bytes, bytes]]) -> None:
        """Any frames are received, or are an error with a reason; nothing else."""
        self.setUp()
        data = [encode_frame(kind, body, app_id) for kind, app_id, body in frames]
        self.receive(*data)
        link = self.couple.at_b
        self.assertLessEqual(link._assembly.kept_bytes(), sum(map(len, data)))
        self.couple.lose()
        self.assertEqual((len(link._assembly), link.queued_bytes), (0, 0))

    def test_goodbye_in_the_middle(self) -> None:
        """A message whose end never comes harms nobody."""
        chunk = Chunk(1, 1, FrameType.APP, MIB, bytes(60_000))
        first = encode_frame(FrameType.CHUNK, chunk.encode(), b"chat")
        goodbye = encode_frame(FrameType.GOODBYE, encode_goodbye(Goodbye.LEAVING))
        self.assertEqual(self.receive(first, goodbye), "")
        self.couple.lose()
        self.assertEqual(self.got, [])
