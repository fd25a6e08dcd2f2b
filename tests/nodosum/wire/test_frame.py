"""
Frames, from any portions of bytes.
"""

from __future__ import annotations

import itertools
import tracemalloc

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import LocalProtocolError, RemoteProtocolError
from mycorrizal.nodosum.wire.frame import (
    HEADER,
    HEADER_BYTES,
    FrameDecoder,
    encode_frame,
)
from mycorrizal.nodosum.wire.limits import FrameType
from tests.nodosum.wire.cases import FRAME, Frame, single_frames

STREAM = b"".join(case.data for case in FRAME.cases)
FRAMES = [case.message for case in FRAME.cases]

app_ids = st.binary(max_size=8)
frames = st.tuples(st.integers(0, 255), app_ids, st.binary(max_size=40))
#: Frames of one application and length, as most are; they take a short cut.
alike = st.lists(
    st.tuples(st.just(9), st.just(b"chat"), st.binary(min_size=3, max_size=3))
)


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data in portions, cut at these places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


def take(decoder: FrameDecoder, data: bytes) -> list[Frame]:
    """Give a decoder some bytes; the frames they complete, one by one."""
    return single_frames(decoder.receive_data(data))


def decoded(chunks: list[bytes], limit: int) -> tuple[list[Frame], str | None]:
    """
    The frames in these chunks, and the error's text; what the decoder keeps
    on the way is within its bound.
    """
    decoder = FrameDecoder(limit)
    found: list[Frame] = []
    for chunk in chunks:
        found += take(decoder, chunk)
        assert decoder.buffered_bytes() < HEADER_BYTES + limit
    return found, None if decoder.error is None else str(decoder.error)


class EncodeTests(SynchronousTestCase):
    """Writing frames."""

    def test_at_the_limit(self) -> None:
        """A frame may be as long as the peer allows, and not a byte longer."""
        at = encode_frame(9, bytes(96), b"chat", frame_bytes_max=100)
        self.assertEqual(len(at), HEADER_BYTES + 100)
        with self.assertRaises(LocalProtocolError):
            encode_frame(9, bytes(97), b"chat", frame_bytes_max=100)

    def test_default_limit(self) -> None:
        """Without another word a frame has at most 64 KiB."""
        self.assertEqual(len(encode_frame(9, bytes(1 << 16))), 8 + (1 << 16))
        with self.assertRaises(LocalProtocolError):
            encode_frame(9, bytes((1 << 16) + 1))

    def test_application_id(self) -> None:
        """An application's id must fit its u16 length."""
        encode_frame(9, b"", bytes(0xFFFF))
        with self.assertRaises(LocalProtocolError):
            encode_frame(9, b"", bytes(0x10000))


class DecodeTests(SynchronousTestCase):
    """Reading frames."""

    def test_one_byte_at_a_time(self) -> None:
        """Each case comes through a network that delivers single bytes (F23)."""
        for case in FRAME.cases:
            decoder = FrameDecoder()
            for at in range(len(case.data) - 1):
                self.assertEqual(take(decoder, case.data[at : at + 1]), [])
                self.assertEqual(decoder.buffered_bytes(), at + 1)
            found = take(decoder, case.data[-1:])
            self.assertEqual(found, [case.message], case.name)
            self.assertEqual(decoder.buffered_bytes(), 0)

    def test_two_in_one_chunk(self) -> None:
        """Frames that arrive together are told apart, in their order (F23)."""
        self.assertEqual(single_frames(FrameDecoder().receive_data(STREAM)), FRAMES)
        for case in FRAME.cases:
            both = single_frames(FrameDecoder().receive_data(case.data * 2))
            self.assertEqual(both, [case.message] * 2)

    def test_trailing_data(self) -> None:
        """The beginning of the next frame is kept until its rest comes."""
        for case in FRAME.cases:
            for cut in range(1, len(STREAM)):
                decoder = FrameDecoder()
                found = take(decoder, case.data + STREAM[:cut])
                found += take(decoder, STREAM[cut:])
                self.assertEqual(found, [case.message, *FRAMES])

    def test_truncated(self) -> None:
        """A part of a frame is not a frame, and not an error either."""
        for case in FRAME.cases:
            for length in range(len(case.data)):
                decoder = FrameDecoder()
                self.assertEqual(take(decoder, case.data[:length]), [])
                self.assertIsNone(decoder.error)
                self.assertEqual(decoder.buffered_bytes(), length)

    def test_oversize(self) -> None:
        """A frame of exactly the limit is taken, one past it is an error (F22)."""
        for limit in (0, 1, 100, 1 << 16):
            at, over = encode_frame(9, bytes(limit)), HEADER.pack(1, 9, limit + 1, 0)
            found, error = decoded([at], limit)
            self.assertEqual((len(found[0][2]), error), (limit, None))
            found, error = decoded([over], limit)
            self.assertEqual(found, [])
            self.assertEqual(error, f"frame of {limit + 1} bytes, limit {limit}")

    def test_only_chunks_are_long(self) -> None:
        """A CHUNK may have 1 MiB, any other frame 64 KiB; neither a byte more."""
        at = encode_frame(FrameType.CHUNK, bytes(1 << 20), b"", 1 << 20)
        found, error = decoded([at, at], 1 << 20)
        self.assertEqual(
            ([len(frame[2]) for frame in found], error), ([1 << 20] * 2, None)
        )
        for kind, limit in ((FrameType.CHUNK, 1 << 20), (9, 1 << 16), (0xFF, 1 << 16)):
            for over in (limit + 1, 0xFFFFFFFF):
                found, error = decoded([HEADER.pack(1, kind, over, 0)], 1 << 20)
                self.assertEqual(error, f"frame of {over} bytes, limit {limit}")
        _, error = decoded([HEADER.pack(2, FrameType.CHUNK, 1 << 20, 0)], 1 << 20)
        self.assertEqual(error, "frame version 2, expected 1")

    def test_application_id_longer_than_frame(self) -> None:
        """An application id may fill its frame, not exceed it (F22)."""
        self.assertEqual(
            decoded([HEADER.pack(1, 9, 3, 3) + b"abc"], 100), ([(9, b"abc", b"")], None)
        )
        self.assertEqual(
            decoded([HEADER.pack(1, 9, 3, 4) + b"abcd"], 100),
            ([], "application id of 4 bytes in 3"),
        )

    def test_wrong_version(self) -> None:
        """A frame of another version is an error, whatever its length."""
        for version in (0, 2, 255):
            _, error = decoded([HEADER.pack(version, 9, 0xFFFFFFFF, 0)], 100)
            self.assertEqual(error, f"frame version {version}, expected 1")

    def test_error_is_last(self) -> None:
        """Frames before a broken one are good, and nothing behind it is read."""
        decoder = FrameDecoder()
        broken = HEADER.pack(2, 9, 0, 0)
        self.assertEqual(take(decoder, STREAM + broken + STREAM), FRAMES)
        self.assertIsInstance(decoder.error, RemoteProtocolError)
        self.assertEqual(take(decoder, STREAM), [])
        self.assertEqual(decoder.buffered_bytes(), 0)

    def test_flipped_bit(self) -> None:
        """A flipped bit gives other frames or an error, never an exception."""
        for bit in range(len(STREAM) * 8):
            data = bytearray(STREAM)
            data[bit // 8] ^= 1 << bit % 8
            found, error = decoded([bytes(data)], 1 << 20)
            self.assertTrue(found != FRAMES or error is not None, bit)

    def test_short_packets_do_not_panic(self) -> None:
        """One to seven bytes of a header, which used to end the process, wait."""
        for length in range(HEADER_BYTES):
            self.assertEqual(decoded([STREAM[:length]], 100), ([], None))

    def test_long_claim_allocates_nothing(self) -> None:
        """A frame takes the memory of what came, not of what was claimed (F22)."""
        decoder = FrameDecoder(64 << 20)
        tracemalloc.start()
        try:
            take(decoder, HEADER.pack(1, FrameType.CHUNK, 64 << 20, 0))
            take(decoder, bytes(1000))
            self.assertLess(tracemalloc.get_traced_memory()[1], 64 * 1024)
        finally:
            tracemalloc.stop()
        self.assertEqual(decoder.buffered_bytes(), HEADER_BYTES + 1000)

    def test_long_frame_is_joined_once(self) -> None:
        """A frame that comes in many pieces costs no copy for each of them."""
        decoder = FrameDecoder()
        data = encode_frame(9, bytes(64_000))
        for at in range(0, 64_000, 1000):
            take(decoder, data[at : at + 1000])
        self.assertEqual(len(decoder._parts), 64)
        self.assertEqual(take(decoder, data[64_000:])[0][2], bytes(64_000))

    @given(st.lists(frames, max_size=8) | alike, st.lists(st.integers(0), max_size=12))
    def test_round_trip(self, written: list[Frame], cuts: list[int]) -> None:
        """Whatever is written is read, however the network cuts it."""
        stream = b"".join(encode_frame(kind, body, app) for kind, app, body in written)
        self.assertEqual(decoded(chunked(stream, cuts), 1000), (written, None))

    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=30),
                frames.map(lambda frame: encode_frame(frame[0], frame[2], frame[1])),
                st.builds(
                    HEADER.pack,
                    st.sampled_from([1, 1, 1, 0, 2]),
                    st.integers(0, 255),
                    st.one_of(st.integers(0, 40), st.integers(0, 0xFFFFFFFF)),
                    st.integers(0, 12),
                ),
            ),
            max_size=6,
        ).map(b"".join),
        st.lists(st.integers(0), max_size=12),
        st.sampled_from([0, 1, 16, 32, 1 << 20]),
    )
    @example(STREAM, [], 4)
    @example(b"\x01\x09\xff\xff\xff\xff\x00\x00", [3], 1 << 20)
    def test_any_bytes_in_any_portions(
        self, stream: bytes, cuts: list[int], limit: int
    ) -> None:
        """
        Any bytes give the same frames and the same error however they are cut, never an
        exception, and never keep more than a frame may have (F23, F24).
        """
        whole = decoded([stream], limit)
        self.assertEqual(decoded(chunked(stream, cuts), limit), whole)
        single = [stream[at : at + 1] for at in range(len(stream))]
        self.assertEqual(decoded(single, limit), whole)
