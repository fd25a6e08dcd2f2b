# -*- test-case-name: tests.mycel.test_codecs -*-
"""
How an application's values become bytes, and bytes values.
"""

from __future__ import annotations

from typing import Any, Protocol

import attrs
import msgspec

from mycorrizal.errors import CodecError, ConfigError


class Codec(Protocol):
    """
    What makes bytes of an application's values, and values of bytes.

    It is called with values that other nodes have written: what it decodes must
    not be able to run code (no pickle).
    """

    def encode(self, value: Any) -> bytes:
        """The bytes of a value; may raise anything."""

    def decode(self, data: bytes) -> Any:
        """The value of bytes; may raise anything."""


@attrs.define
class JsonCodec:
    """
    Values as JSON, by msgspec.

    :ivar type: What is decoded must be of this type, a `msgspec.Struct` or an
        attrs class for instance; any JSON by default.
    """

    type: Any = Any
    _encoder: Any = attrs.field(init=False, repr=False, factory=msgspec.json.Encoder)
    _decoder: Any = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._decoder = msgspec.json.Decoder(self.type)

    def encode(self, value: Any) -> bytes:
        """The JSON of a value."""
        data: bytes = self._encoder.encode(value)
        return data

    def decode(self, data: bytes) -> Any:
        """The value of some JSON."""
        return self._decoder.decode(data)


@attrs.define
class MsgpackCodec:
    """
    Values as MessagePack, by msgspec.

    :ivar type: As in `JsonCodec`.
    """

    type: Any = Any
    _encoder: Any = attrs.field(init=False, repr=False, factory=msgspec.msgpack.Encoder)
    _decoder: Any = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._decoder = msgspec.msgpack.Decoder(self.type)

    def encode(self, value: Any) -> bytes:
        """The MessagePack of a value."""
        data: bytes = self._encoder.encode(value)
        return data

    def decode(self, data: bytes) -> Any:
        """The value of some MessagePack."""
        return self._decoder.decode(data)


def find_codec(codec: Codec | str | None) -> Codec | None:
    """
    What a caller means by a codec.

    :param codec: ``"bytes"`` or None: none; ``"json"``; ``"msgpack"``; or one.
    :raises ConfigError: It is none of these.
    """
    if codec is None or codec == "bytes":
        return None
    if codec == "json":
        return JsonCodec()
    if codec == "msgpack":
        return MsgpackCodec()
    if isinstance(codec, str) or not (
        callable(getattr(codec, "encode", None))
        and callable(getattr(codec, "decode", None))
    ):
        raise ConfigError(
            "codec",
            f"{codec!r} is none: give 'bytes', 'json', 'msgpack' or an object with "
            "encode and decode",
        )
    return codec


def encoded(codec: Codec | None, bucket: str, value: Any) -> bytes:
    """
    A value as the bytes to be stored.

    :raises CodecError: There are none.
    """
    if codec is not None:
        try:
            value = codec.encode(value)
        except Exception as error:
            raise CodecError(
                f"the codec of bucket {bucket!r} can't encode this value: "
                f"{type(error).__name__}: {error}"
            ) from error
    if not isinstance(value, bytes):
        raise CodecError(
            f"a value is bytes, not {type(value).__name__}; use_codec gives bucket "
            f"{bucket!r} a codec for others"
        )
    return value


def decoded(codec: Codec | None, bucket: str, data: bytes | None) -> Any:
    """
    Stored bytes as a value; None stays None.

    :raises CodecError: They are none of that codec.
    """
    if codec is None or data is None:
        return data
    try:
        return codec.decode(data)
    except Exception as error:
        raise CodecError(
            f"the codec of bucket {bucket!r} can't decode a value of {len(data)} "
            f"bytes: {type(error).__name__}: {error}"
        ) from error
