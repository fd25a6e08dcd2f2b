# -*- test-case-name: tests.mycel.test_messages -*-
"""
What the caches of nodes say to each other, in MessagePack.

A time to live travels as milliseconds that remain, so clocks need not agree;
each message that can lead to a write carries its sender's clock.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.config import (
    BUCKET_NAME_BYTES_MAX,
    BUCKETS_MAX,
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
)
from mycorrizal.mycel.store.versions import ORIGIN_BYTES

#: In place of a number of milliseconds.
DEFAULT_TTL: Final = 0
NEVER: Final = -1
#: Entries of one `Push`.
PUSHED_MAX: Final = 4096

BucketName = Annotated[str, Meta(min_length=1, max_length=BUCKET_NAME_BYTES_MAX)]
Key = Annotated[bytes, Meta(min_length=1, max_length=KEY_BYTES_MAX)]
Value = Annotated[bytes, Meta(max_length=VALUE_BYTES_MAX)]
Milliseconds = Annotated[int, Meta(ge=-1, le=2**53)]
Stamp = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Origin = Annotated[bytes, Meta(min_length=ORIGIN_BYTES, max_length=ORIGIN_BYTES)]
Hops = Annotated[int, Meta(ge=0, le=8)]


class _Message(msgspec.Struct, array_like=True, gc=False):
    """The shape of all messages."""


# -- asked of a slot's primary -------------------------------------------------


class Get(_Message, tag=1):
    """What is the value?  Answered by `Found`."""

    bucket: BucketName
    key: Key
    hops: Hops = 0


class Put(_Message, tag=2):
    """Write a value, or delete it (None).  Answered by `Done`."""

    bucket: BucketName
    key: Key
    value: Value | None
    ttl_ms: Milliseconds
    clock: Stamp
    hops: Hops = 0


class Touch(_Message, tag=3):
    """Give a value another time to live.  Answered by `Done`."""

    bucket: BucketName
    key: Key
    ttl_ms: Milliseconds
    clock: Stamp
    hops: Hops = 0


class CreateBucket(_Message, tag=4):
    """Create a bucket; asked of the primary of its name.  Answered by `Done`."""

    name: BucketName
    ttl_ms: Milliseconds
    max_entries: Annotated[int, Meta(ge=1)] | None
    max_bytes: Annotated[int, Meta(ge=1)] | None
    replicas: Annotated[int, Meta(ge=0, le=7)]
    clock: Stamp
    hops: Hops = 0


# -- between owners ---------------------------------------------------------------


class Copy(_Message, tag=8):
    """Hold this version too.  Answered by `Done`."""

    bucket: BucketName
    key: Key
    value: Value | None
    stamp: Stamp
    origin: Origin
    remaining_ms: Milliseconds


class Fetch(_Message, tag=9):
    """What do you yourself hold, tombstones included?  Answered by `Found`."""

    bucket: BucketName
    key: Key


class Pushed(_Message):
    """One entry on the move."""

    key: Key
    value: Value | None
    stamp: Stamp
    origin: Origin
    remaining_ms: Milliseconds


class Push(_Message, tag=10):
    """Hold these versions too: a slot has moved.  Answered by `Done`."""

    bucket: BucketName
    entries: Annotated[tuple[Pushed, ...], Meta(max_length=PUSHED_MAX)]


class AskSettled(_Message, tag=11):
    """
    Have you pushed all that has moved, with these members?  Answered by
    `Done`, existed if so.
    """

    epoch: int
    clock: Stamp


class BucketEntry(_Message):
    """A bucket that somebody knows."""

    name: BucketName
    ttl_ms: Milliseconds
    max_entries: Annotated[int, Meta(ge=1)] | None
    max_bytes: Annotated[int, Meta(ge=1)] | None
    replicas: Annotated[int, Meta(ge=0, le=7)]
    stamp: Stamp
    origin: Origin


class Buckets(_Message, tag=12):
    """These buckets exist.  Answered by `Done`."""

    buckets: Annotated[tuple[BucketEntry, ...], Meta(max_length=BUCKETS_MAX)]
    clock: Stamp


class Leaving(_Message, tag=13):
    """
    I am about to leave: keep what I push, though I am a member still.
    Answered by `Done`.
    """


class Returned(_Message, tag=14):
    """
    You are new to me.  If I am not to you: I did without you for a while.
    Answered by `Done`.
    """


class Relay(_Message, tag=15):
    """
    Ask this of a member that I have no link to.  Answered as what is in it.

    :ivar origin: Who asks.
    :ivar request: Any request but another of these, encoded.
    """

    to: Origin
    origin: Origin
    timeout_ms: Annotated[int, Meta(ge=1, le=2**32)]
    request: bytes
    hops: Hops = 0


# -- answers ------------------------------------------------------------------------


class Found(_Message, tag=32):
    """
    What was found; stamp 0: nothing, not even a tombstone.
    """

    value: Value | None
    stamp: Stamp = 0
    origin: bytes = b""
    remaining_ms: Milliseconds = NEVER


class Done(_Message, tag=33):
    """
    It is done.

    :ivar existed: Whether there was a value before.
    :ivar copies: How many nodes hold the new version.
    """

    existed: bool = True
    copies: Annotated[int, Meta(ge=0)] = 0
    stamp: Stamp = 0
    origin: bytes = b""


class Refused(_Message, tag=34):
    """
    It was not done.

    :ivar reason: unknown_bucket, conflict, too_many, not_owner or
        indeterminate.
    """

    reason: Annotated[str, Meta(max_length=32)]
    text: Annotated[str, Meta(max_length=1024)] = ""


UNKNOWN_BUCKET: Final = "unknown_bucket"
CONFLICT: Final = "conflict"
TOO_MANY: Final = "too_many"
NOT_OWNER: Final = "not_owner"
INDETERMINATE: Final = "indeterminate"

#: What a caller asks of a primary, itself or through others.
Routed = Get | Put | Touch | CreateBucket
Direct = (
    Get | Put | Touch | CreateBucket | Copy | Fetch | Push | AskSettled | Buckets
    | Leaving | Returned
)  # fmt: skip
Request = Direct | Relay
Answer = Found | Done | Refused

encode = msgspec.msgpack.Encoder().encode
_decode_request: Any = msgspec.msgpack.Decoder(Request).decode
_decode_answer: Any = msgspec.msgpack.Decoder(Answer).decode
#: What bytes that are no message can raise; the second if a text isn't UTF-8.
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_request(payload: bytes) -> Request:
    """
    Read a request, strictly.

    :raises RemoteProtocolError: It is none, or a bound is broken.
    """
    try:
        request: Request = _decode_request(payload)
    except _MALFORMED as error:
        raise RemoteProtocolError(f"malformed cache request: {error}") from None
    return request


def decode_answer(payload: bytes, request: Request) -> Answer:
    """
    Read the answer to a request, strictly.

    :raises RemoteProtocolError: It is none, or a bound is broken.
    """
    try:
        answer: Answer = _decode_answer(payload)
    except _MALFORMED as error:
        raise RemoteProtocolError(f"malformed cache answer: {error}") from None
    expected = Found if isinstance(request, (Get, Fetch)) else Done
    if not isinstance(answer, (expected, Refused)):
        raise RemoteProtocolError(f"{type(answer).__name__} is no answer to that")
    return answer


def remaining_ms(deadline: float, now: float) -> int:
    """A deadline as milliseconds that remain, `NEVER` for never."""
    if deadline == float("inf"):
        return NEVER
    return max(1, int((deadline - now) * 1000))


def deadline_of(milliseconds: int, now: float) -> float:
    """Milliseconds that remain as a deadline."""
    return float("inf") if milliseconds < 0 else now + milliseconds / 1000
