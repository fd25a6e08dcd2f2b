# -*- test-case-name: tests.nodosum.wire.test_compression -*-
"""
Compression of payloads, where both sides of a link have it.

Who inflates never trusts what a payload says of itself: the result is bounded,
and one that would be longer is refused (HTTP/2 and others learned it from
"zip bombs").  Nothing is inflated of anybody who has not proved the secret.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from typing import Protocol

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.wire.limits import Feature

try:
    import zstandard
except ImportError:  # an optional requirement
    zstandard = None  # type: ignore[assignment]

#: Shorter payloads cost more time than they save.
COMPRESS_BYTES_MIN = 50 * 1024
#: What is tried first, from the middle of the payload.
SAMPLE_BYTES = 4 * 1024
#: A payload is worth it that becomes this much of itself, or less.
WORTH = 0.9


class Codec(Protocol):
    """
    One way to compress.

    :ivar feature: The bit that both sides offered.
    :ivar bytes_max: Longest payload that is compressed: about 20 ms, in which
        the process does nothing else.
    """

    feature: Feature
    bytes_max: int

    def compress(self, data: bytes) -> bytes: ...

    def inflate(self, data: bytes, bytes_max: int) -> bytes:
        """
        :raises RemoteProtocolError: It is broken, or more than `bytes_max`.
        """


class Zstd:
    """Zstandard (RFC 8878) at level 1: one frame, which says its size."""

    feature = Feature.ZSTD
    bytes_max = 8 * 1024 * 1024

    def __init__(self) -> None:
        self.compress: Callable[[bytes], bytes] = zstandard.ZstdCompressor(
            level=1, write_content_size=True
        ).compress
        self._decompress = zstandard.ZstdDecompressor().decompress

    def inflate(self, data: bytes, bytes_max: int) -> bytes:
        """See `Codec`."""
        try:
            size = zstandard.frame_content_size(data)
            if size < 0:
                raise RemoteProtocolError("a compressed payload hides its size")
            if size > bytes_max:
                raise _too_long(bytes_max)
            # No more than that is written, whatever is in the frame.
            return self._decompress(data, allow_extra_data=False)
        except zstandard.ZstdError:
            raise RemoteProtocolError("a compressed payload is broken") from None


class Zlib:
    """zlib (RFC 1950) at level 1, for where there is nothing better."""

    feature = Feature.ZLIB
    bytes_max = 1024 * 1024

    def compress(self, data: bytes) -> bytes:
        """See `Codec`."""
        return zlib.compress(data, 1)

    def inflate(self, data: bytes, bytes_max: int) -> bytes:
        """See `Codec`."""
        inflating = zlib.decompressobj()
        try:
            # One byte more than is allowed tells that there is more.
            inflated = inflating.decompress(data, bytes_max + 1)
        except zlib.error:
            raise RemoteProtocolError("a compressed payload is broken") from None
        if len(inflated) > bytes_max:
            raise _too_long(bytes_max)
        if not inflating.eof or inflating.unused_data:
            raise RemoteProtocolError("a compressed payload is broken")
        return inflated


def _too_long(bytes_max: int) -> RemoteProtocolError:
    return RemoteProtocolError(f"a payload inflates to more than {bytes_max} bytes")


def offered(compression: str) -> Feature:
    """
    What this side offers.

    :param compression: ``auto``: zstd if it is installed; ``zlib``: that, too;
        ``off``.
    """
    features = Feature(0)
    if compression != "off" and zstandard is not None:
        features |= Feature.ZSTD
    if compression == "zlib":
        features |= Feature.ZLIB
    return features


@functools.cache
def _codec(feature: Feature) -> Codec:
    # Neither remembers anything from one payload to the next.
    return Zstd() if feature is Feature.ZSTD else Zlib()


def codec_for(features: int) -> Codec | None:
    """What a link compresses with, given the features that both sides offer."""
    for feature in (Feature.ZSTD, Feature.ZLIB):
        if features & feature:
            return _codec(feature)
    return None


def packed(codec: Codec, prefix: bytes, payload: bytes) -> bytes | None:
    """
    A message's bytes compressed, if that is worth it.

    :param prefix: What the message has before its payload.
    :return: None: it is too short, too long, or does not get smaller.
    """
    size = len(payload)
    if not COMPRESS_BYTES_MIN <= size <= codec.bytes_max:
        return None
    start = (size - SAMPLE_BYTES) // 2
    sample = payload[start : start + SAMPLE_BYTES]
    if len(codec.compress(sample)) > WORTH * SAMPLE_BYTES:
        return None
    smaller = codec.compress(prefix + payload if prefix else payload)
    return smaller if len(smaller) <= WORTH * (len(prefix) + size) else None
