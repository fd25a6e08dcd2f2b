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
    is_bucket_name,
)
from mycorrizal.mycel.slots.placement import SLOTS, SLOTSET_BYTES
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
SlotNumber = Annotated[int, Meta(ge=0, lt=SLOTS)]
SlotSet = Annotated[bytes, Meta(min_length=SLOTSET_BYTES, max_length=SLOTSET_BYTES)]
Incarnation = Annotated[int, Meta(ge=0, le=2**63 - 1)]


def _check_name(name: str) -> None:
    # Only where a bucket comes to be: elsewhere a name is looked up, no more.
    if not is_bucket_name(name):
        raise ValueError("a bucket's name can't be printed, or is too long")


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

    def __post_init__(self) -> None:
        _check_name(self.name)


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


class Claim(_Message, tag=11):
    """
    I want to be primary of these slots.  Answered by `Claimed`.

    :ivar slots: See `slotset.to_bytes`.
    """

    slots: SlotSet
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

    def __post_init__(self) -> None:
        _check_name(self.name)


class Buckets(_Message, tag=12):
    """These buckets exist.  Answered by `Done`."""

    buckets: Annotated[tuple[BucketEntry, ...], Meta(max_length=BUCKETS_MAX)]
    clock: Stamp


class Leaving(_Message, tag=13):
    """
    I am about to leave: keep what I push, though I am a member still.
    Answered by `Done`.
    """


class Moved(_Message, tag=18):
    """
    These slots, which you have promised to me, are not mine any more.  Answered
    by `Done`.

    :ivar promised: Whom I have promised them to, if that is so.
    """

    slots: SlotSet
    promised: tuple[Origin, Incarnation] | None = None


class Page(_Message, tag=14):
    """
    What do you hold of these slots?  Answered by `Paged`.

    :ivar slot: Where to begin, after the key `after`.
    """

    bucket: BucketName
    slots: SlotSet
    slot: SlotNumber = 0
    after: Annotated[bytes, Meta(max_length=KEY_BYTES_MAX)] = b""


class Compare(_Message, tag=15):
    """
    What are your digests of these slots?  Answered by `Compared`.

    :ivar everything: Also of what is about to expire.
    """

    bucket: BucketName
    slots: SlotSet
    everything: bool = False


class Offered(_Message):
    """A version that somebody holds."""

    key: Key
    stamp: Stamp
    origin: Origin


class Offer(_Message, tag=16):
    """Which of these versions are news to you?  Answered by `Lacking`."""

    bucket: BucketName
    entries: Annotated[tuple[Offered, ...], Meta(max_length=PUSHED_MAX)]


class Evict(_Message, tag=17):
    """These versions had to make room.  Answered by `Done`."""

    bucket: BucketName
    entries: Annotated[tuple[Offered, ...], Meta(max_length=PUSHED_MAX)]


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

    :ivar reason: unknown_bucket, conflict, too_many, not_owner, indeterminate
        or promised.
    :ivar promised: The node that a slot was promised to, and its incarnation.
    """

    reason: Annotated[str, Meta(max_length=32)]
    text: Annotated[str, Meta(max_length=1024)] = ""
    promised: tuple[Origin, Incarnation] | None = None


class Denied(_Message):
    """Slots that were promised to a better-ranked node, which is alive."""

    node_key: Origin
    incarnation: Incarnation
    slots: SlotSet


class Claimed(_Message, tag=35):
    """
    What a node says to a claim: yes to all slots but those denied.

    :ivar held: Of which of them it holds anything.
    :ivar known: The nodes it knows, and their incarnations.
    """

    denied: Annotated[tuple[Denied, ...], Meta(max_length=SLOTS)]
    held: SlotSet
    known: Annotated[tuple[tuple[Origin, Incarnation], ...], Meta(max_length=SLOTS)]
    clock: Stamp


class Paged(_Message, tag=36):
    """
    Some of what a node holds.

    :ivar more: Whether there may be more, from this slot and key on.
    """

    entries: Annotated[tuple[Pushed, ...], Meta(max_length=PUSHED_MAX)]
    more: bool
    slot: SlotNumber = 0
    after: Annotated[bytes, Meta(max_length=KEY_BYTES_MAX)] = b""


class Compared(_Message, tag=37):
    """
    The digests of slots, ascending.

    :ivar steady: Which of them have a primary that is settled.
    :ivar epoch: Stands for the members that may own slots.
    """

    digests: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(max_length=SLOTS)]
    steady: SlotSet
    epoch: Annotated[int, Meta(ge=0)]


class Lacking(_Message, tag=38):
    """Which of the versions offered are news, by their places."""

    places: Annotated[
        tuple[Annotated[int, Meta(ge=0, lt=PUSHED_MAX)], ...],
        Meta(max_length=PUSHED_MAX),
    ]


UNKNOWN_BUCKET: Final = "unknown_bucket"
CONFLICT: Final = "conflict"
TOO_MANY: Final = "too_many"
NOT_OWNER: Final = "not_owner"
INDETERMINATE: Final = "indeterminate"
#: A copy was not taken: the slot was promised to the node whose key is the text.
PROMISED: Final = "promised"

#: What a caller asks of a primary, itself or through others.
Routed = Get | Put | Touch | CreateBucket
Request = (
    Get | Put | Touch | CreateBucket | Copy | Fetch | Push | Claim | Buckets
    | Leaving | Moved | Page | Compare | Offer | Evict
)  # fmt: skip
Answer = Found | Done | Refused | Claimed | Paged | Compared | Lacking

#: What is answered by something else than `Done`.
_ANSWERS: Final[dict[type, type]] = {
    Get: Found, Fetch: Found, Claim: Claimed, Page: Paged, Compare: Compared,
    Offer: Lacking,
}  # fmt: skip

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
    expected = _ANSWERS.get(type(request), Done)
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
