"""
Compression: when it is worth it, and what is refused when it comes in.
"""

from __future__ import annotations

import random
import tracemalloc
import zlib

import zstandard
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.wire import compression
from mycorrizal.nodosum.wire.compression import (
    COMPRESS_BYTES_MIN,
    Codec,
    Zlib,
    Zstd,
    codec_for,
    offered,
    packed,
)
from mycorrizal.nodosum.wire.limits import MESSAGE_BYTES_MAX, Feature

TEXT = b'{"user": 17, "name": "somebody", "roles": ["reader"]}' * 2000
NOISE = random.Random(1).randbytes(len(TEXT))
CODECS: tuple[Codec, ...] = (Zstd(), Zlib())


class OfferTests(SynchronousTestCase):
    """Which compression a link has."""

    def test_offers(self) -> None:
        """zstd is offered where it is installed, zlib when it is asked for."""
        both = Feature.ZSTD | Feature.ZLIB
        offers = {mode: offered(mode) for mode in ("auto", "zlib", "off")}
        self.assertEqual(offers, {"auto": Feature.ZSTD, "zlib": both, "off": 0})
        self.patch(compression, "zstandard", None)
        offers = {mode: offered(mode) for mode in ("auto", "zlib", "off")}
        self.assertEqual(offers, {"auto": 0, "zlib": Feature.ZLIB, "off": 0})

    def test_choice(self) -> None:
        """A link takes zstd if both have it, then zlib, else nothing."""
        found = [
            codec.feature if (codec := codec_for(features)) else None
            for features in range(5)
        ]
        zstd, zlib_ = Feature.ZSTD, Feature.ZLIB
        self.assertEqual(found, [None, zstd, zlib_, zstd, None])


class PackTests(SynchronousTestCase):
    """What is compressed, and what is not."""

    def test_worth_it(self) -> None:
        """What gets smaller is compressed, and inflates to itself."""
        for codec in CODECS:
            smaller = packed(codec, b"prefix", TEXT)
            assert smaller is not None
            self.assertLess(len(smaller), len(TEXT) / 10)
            back = codec.inflate(smaller, MESSAGE_BYTES_MAX)
            self.assertEqual(back, b"prefix" + TEXT)

    def test_sample(self) -> None:
        """Noise is found out by 4 KiB of it; the rest is not even tried."""

        class Counted(Zstd):
            tried: list[int]

            def __init__(self) -> None:
                super().__init__()
                compress, self.tried = self.compress, []

                def counted(data: bytes) -> bytes:
                    self.tried.append(len(data))
                    return compress(data)

                self.compress = counted

        codec = Counted()
        self.assertIsNone(packed(codec, b"", NOISE))
        self.assertEqual(codec.tried, [4096])
        # Where the sample lied, what was not worth it is not sent.
        middle = len(NOISE) // 2
        lying = NOISE[: middle - 3000] + TEXT[:6000] + NOISE[middle + 3000 :]
        self.assertIsNone(packed(codec, b"", lying))
        self.assertEqual(codec.tried, [4096, 4096, len(NOISE)])

    def test_a_tenth(self) -> None:
        """It takes a tenth: what gets smaller by less travels as it is."""
        draw = random.Random(2)
        for letters, expected in ((256, False), (200, False), (100, True)):
            payload = bytes(draw.randrange(letters) for _ in range(60_000))
            for codec in CODECS:
                self.assertIs(packed(codec, b"", payload) is not None, expected)

    def test_lengths_at_the_bounds(self) -> None:
        """50 KiB is long enough; each codec has a longest, to hold up nobody."""
        for codec in CODECS:
            for size, expected in (
                (COMPRESS_BYTES_MIN - 1, False), (COMPRESS_BYTES_MIN, True),
                (codec.bytes_max, True), (codec.bytes_max + 1, False),
            ):  # fmt: skip
                found = packed(codec, b"", bytes(size)) is not None
                self.assertIs(found, expected)


class InflateTests(SynchronousTestCase):
    """What a peer may send (F26)."""

    def refused(self, codec: Codec, data: bytes, words: str, limit: int = 1000) -> None:
        """It is an error that says so."""
        with self.assertRaises(RemoteProtocolError) as caught:
            codec.inflate(data, limit)
        self.assertIn(words, str(caught.exception))

    def test_at_the_bound(self) -> None:
        """What inflates to the limit is taken, a byte more is refused."""
        for codec in CODECS:
            self.assertEqual(
                codec.inflate(codec.compress(bytes(1000)), 1000), bytes(1000)
            )
            self.refused(codec, codec.compress(bytes(1001)), "more than 1000 bytes")
            self.assertEqual(codec.inflate(codec.compress(b""), 1000), b"")

    def test_bomb(self) -> None:
        """A bomb is refused, and takes no memory but for the limit's."""
        bombs = [codec.compress(bytes(256 << 20)) for codec in CODECS]
        tracemalloc.start()
        try:
            for codec, bomb in zip(CODECS, bombs, strict=True):
                self.assertLess(len(bomb), 2 << 20)
                self.refused(codec, bomb, "more than", 1 << 20)
            self.assertLess(tracemalloc.get_traced_memory()[1], 4 << 20)
        finally:
            tracemalloc.stop()

    def test_lie_about_the_size(self) -> None:
        """A frame that says it is short, and is long, is broken."""
        whole = Zstd().compress(bytes(500))
        short = Zstd().compress(bytes(400))
        # The size stands in the same place in both.
        self.assertEqual(whole[:5], short[:5])
        lie = short[:7] + whole[7:]
        self.assertEqual(zstandard.frame_content_size(lie), 400)
        self.refused(Zstd(), lie, "broken")
        self.refused(Zstd(), whole[:7] + short[7:], "broken")

    def test_size_that_is_not_told(self) -> None:
        """A frame that hides its size is refused: it may be a bomb."""
        hiding = zstandard.ZstdCompressor(write_content_size=False)
        self.refused(Zstd(), hiding.compress(bytes(100)), "hides its size")

    def test_cut_off(self) -> None:
        """A part of a compressed payload is broken, and so is one with more."""
        for codec in CODECS:
            data = codec.compress(TEXT[:900])
            for stop in range(len(data)):
                self.refused(codec, data[:stop], "broken")
            self.refused(codec, data + b"x", "broken")
            self.refused(codec, data + data, "broken")

    def test_flipped(self) -> None:
        """A flipped bit gives bytes within the limit or an error, nothing else."""
        for codec in CODECS:
            data = codec.compress(TEXT[:900])
            for bit in range(len(data) * 8):
                changed = bytearray(data)
                changed[bit // 8] ^= 1 << bit % 8
                try:
                    found = codec.inflate(bytes(changed), 1000)
                except RemoteProtocolError:
                    continue
                self.assertLessEqual(len(found), 1000)

    def test_not_of_this_codec(self) -> None:
        """What another codec made is broken."""
        self.refused(Zstd(), zlib.compress(TEXT), "broken")
        self.refused(Zlib(), Zstd().compress(TEXT), "broken")

    @given(st.binary(max_size=100))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes inflate to something within the limit, or are an error."""
        prefixes = (b"", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"\x78\x01")
        for codec in CODECS:
            for prefix in prefixes:
                try:
                    found = codec.inflate(prefix + data, 1000)
                except RemoteProtocolError:
                    continue
                self.assertLessEqual(len(found), 1000)
