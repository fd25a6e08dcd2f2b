# -*- test-case-name: tests.mycel.near.test_messages -*-
"""
What nodes say to each other about near copies, in MessagePack.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.config import BUCKETS_MAX, KEY_BYTES_MAX
from mycorrizal.mycel.fields import BucketName, Key, Milliseconds, Stamp, Value
from mycorrizal.mycel.messages import NEVER

T = TypeVar("T")

#: Stands for a stream; 0 for none.
StreamId = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Sequence = Annotated[int, Meta(ge=0, le=2**63 - 1)]

#: In place of a stream: the node does not vouch for that.
NO_STREAM: Final = 0


class _Message(msgspec.Struct, array_like=True, gc=False):
    """The shape of all messages."""


class Check(_Message, tag=1):
    """
    How far are the streams of these buckets?  Go on to tell me what changes.
    Answered by `State`.
    """

    buckets: Annotated[tuple[BucketName, ...], Meta(max_length=BUCKETS_MAX)]


class Read(_Message, tag=2):
    """
    What is the value, if you can vouch for it?  Answered by `Vouched`.
    """

    bucket: BucketName
    key: Key


class Changed(_Message, tag=3):
    """
    The value of a key has changed; an empty key: of any key.  Not answered.

    :ivar sequence: One more than that of the one before in this stream.
    """

    bucket: BucketName
    stream: StreamId
    sequence: Sequence
    key: Annotated[bytes, Meta(max_length=KEY_BYTES_MAX)]


class State(_Message, tag=16):
    """
    Stream and last sequence number for each bucket that was asked about, in
    that order; `NO_STREAM` for one that is not known.
    """

    streams: Annotated[
        tuple[tuple[StreamId, Sequence], ...], Meta(max_length=BUCKETS_MAX)
    ]


class Vouched(_Message, tag=17):
    """
    The value, None if there is none.  Each change after that sequence number
    will be told in that stream; `NO_STREAM`: ask as everybody does.
    """

    stream: StreamId
    sequence: Sequence = 0
    value: Value | None = None
    stamp: Stamp = 0
    remaining_ms: Milliseconds = NEVER


Request = Check | Read

encode = msgspec.msgpack.Encoder().encode
_decode_request: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_decode_changed = msgspec.msgpack.Decoder(Changed)
_decode_state = msgspec.msgpack.Decoder(State)
_decode_vouched = msgspec.msgpack.Decoder(Vouched)
#: What bytes that are no message can raise; the second if a text isn't UTF-8.
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_request(payload: bytes) -> Request:
    """
    Read a request, strictly.

    :raises RemoteProtocolError: It is none, or a bound is broken.
    """
    return _strictly(_decode_request, payload)


def decode_changed(payload: bytes) -> Changed:
    """As `decode_request`, for news of a change."""
    return _strictly(_decode_changed, payload)


def decode_state(payload: bytes) -> State:
    """As `decode_request`, for the answer to a `Check`."""
    return _strictly(_decode_state, payload)


def decode_vouched(payload: bytes) -> Vouched:
    """As `decode_request`, for the answer to a `Read`."""
    return _strictly(_decode_vouched, payload)


def _strictly(decoder: msgspec.msgpack.Decoder[T], payload: bytes) -> T:
    try:
        return decoder.decode(payload)
    except _MALFORMED as error:
        raise RemoteProtocolError(f"malformed near message: {error}") from None
