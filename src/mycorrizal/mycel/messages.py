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
    LOAD_MS_MAX,
    VALUE_BYTES_MAX,
)
from mycorrizal.mycel.store.versions import ORIGIN_BYTES

#: In place of a number of milliseconds.
DEFAULT_TTL: Final = 0
NEVER: Final = -1
#: Entries of one `Push`.
PUSHED_MAX: Final = 4096
#: What a loader failed with, as those who wait elsewhere are told.
PROBLEM_CHARACTERS_MAX: Final = 256

BucketName = Annotated[str, Meta(min_length=1, max_length=BUCKET_NAME_BYTES_MAX)]
Key = Annotated[bytes, Meta(min_length=1, max_length=KEY_BYTES_MAX)]
Value = Annotated[bytes, Meta(max_length=VALUE_BYTES_MAX)]
Milliseconds = Annotated[int, Meta(ge=-1, le=2**53)]
Stamp = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Origin = Annotated[bytes, Meta(min_length=ORIGIN_BYTES, max_length=ORIGIN_BYTES)]
Hops = Annotated[int, Meta(ge=0, le=8)]
Token = Annotated[int, Meta(ge=0, le=2**63 - 1)]


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


class Load(_Message, tag=64):
    """
    Give the value, or the right to load it.  Answered by `Found` or `Leased`,
    maybe after somebody else has loaded it; by `Found` with no value and stamp
    0 if it is known to be nowhere.

    :ivar asker: The node that asks.
    :ivar token: Stands for this wish, and then for the lease.
    :ivar wait_ms: How long the asker waits, and may take to load.
    :ivar stale_ms: A value that has no more than this to live is to be loaded
        again by one of those who read it.
    :ivar anew: Whether to load though there is a value, or a load under way.
    """

    bucket: BucketName
    key: Key
    asker: Origin
    token: Token
    wait_ms: Annotated[int, Meta(ge=1, le=LOAD_MS_MAX)]
    stale_ms: Annotated[int, Meta(ge=0, le=2**53)] = 0
    anew: bool = False
    hops: Hops = 0


class Fill(_Message, tag=65):
    """
    What was loaded, None if it is nowhere.  Answered by `Done`, existed if the
    lease was still good, so that it was stored.

    :ivar ttl_ms: Of the value; if there is none, how long to remember that.
    """

    bucket: BucketName
    key: Key
    token: Token
    value: Value | None
    ttl_ms: Milliseconds
    clock: Stamp
    hops: Hops = 0


class Forgo(_Message, tag=66):
    """
    I wait no more, or load no more.  Answered by `Done`.

    :ivar problem: What the loader failed with, for those who wait; None:
        another of them is to load.
    """

    bucket: BucketName
    key: Key
    token: Token
    problem: Annotated[str, Meta(max_length=PROBLEM_CHARACTERS_MAX)] | None = None
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


class Leased(_Message, tag=67):
    """
    Load it: nobody else does, until you fill or forgo.

    :ivar value: Meanwhile this one will do, though it is about to expire.
    """

    value: Value | None = None
    stamp: Stamp = 0


class Refused(_Message, tag=34):
    """
    It was not done.

    :ivar reason: unknown_bucket, conflict, too_many, not_owner, load_failed or
        indeterminate.
    """

    reason: Annotated[str, Meta(max_length=32)]
    text: Annotated[str, Meta(max_length=1024)] = ""


UNKNOWN_BUCKET: Final = "unknown_bucket"
CONFLICT: Final = "conflict"
TOO_MANY: Final = "too_many"
NOT_OWNER: Final = "not_owner"
INDETERMINATE: Final = "indeterminate"
LOAD_FAILED: Final = "load_failed"

#: What a caller asks of a primary, itself or through others.
Keyed = Get | Put | Touch | Load | Fill | Forgo
Routed = Keyed | CreateBucket
Request = Routed | Copy | Fetch | Push | AskSettled | Buckets | Leaving | Returned
Answer = Found | Done | Leased | Refused

encode = msgspec.msgpack.Encoder().encode
_decode_request: Any = msgspec.msgpack.Decoder(Request).decode
_decode_answer: Any = msgspec.msgpack.Decoder(Answer).decode
#: What may answer a request, where that is not `Done`.
_EXPECTED: Final[dict[type, tuple[type, ...]]] = {
    Get: (Found, Refused),
    Fetch: (Found, Refused),
    Load: (Found, Leased, Refused),
}
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
    expected = _EXPECTED.get(type(request), (Done, Refused))
    if not isinstance(answer, expected):
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
