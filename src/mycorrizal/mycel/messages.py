# -*- test-case-name: tests.mycel.test_messages -*-
"""
What the caches of nodes say to each other, in MessagePack.

A time to live travels as milliseconds that remain, so clocks need not agree;
each message that can lead to a write carries its sender's clock.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.bucket_messages import (
    AlterBucket,
    ClearBucket,
    DropBucket,
)
from mycorrizal.mycel.bucket_messages import BucketEntry as BucketEntry
from mycorrizal.mycel.bucket_messages import Buckets as Buckets
from mycorrizal.mycel.bucket_messages import CreateBucket as CreateBucket
from mycorrizal.mycel.config import BATCH_KEYS_MAX
from mycorrizal.mycel.fields import (
    AboutKey,
    BucketName,
    Hops,
    Incarnation,
    Key,
    Message,
    Milliseconds,
    Origin,
    Question,
    Stamp,
    Value,
)
from mycorrizal.mycel.load_messages import Fill as Fill
from mycorrizal.mycel.load_messages import Forgo as Forgo
from mycorrizal.mycel.load_messages import Leased as Leased
from mycorrizal.mycel.load_messages import Load as Load
from mycorrizal.mycel.scan_messages import Scan as Scan
from mycorrizal.mycel.scan_messages import Scanned as Scanned
from mycorrizal.mycel.slot_messages import (
    Claim,
    Claimed,
    Compare,
    Compared,
    Drained,
    Evict,
    Lacking,
    Leaving,
    Moved,
    Offer,
    Page,
    Paged,
    Push,
)
from mycorrizal.mycel.watch_messages import Event as Event
from mycorrizal.mycel.watch_messages import Events as Events
from mycorrizal.mycel.watch_messages import Watch as Watch
from mycorrizal.nodosum import printable

#: Longer numbers are none: Python refuses to read very long ones.
LIMIT_DIGITS_MAX: Final = 20
#: In place of a number of milliseconds.
DEFAULT_TTL: Final = 0
NEVER: Final = -1

# -- asked of a slot's primary -------------------------------------------------


class Get(AboutKey, tag=1):
    """What is the value?  Answered by `Found`."""

    bucket: BucketName
    key: Key
    hops: Hops = 0


class Put(AboutKey, tag=2):
    """
    Write a value, or delete it (None).  Answered by `Done`.

    :ivar clock: Of who asks; no other operation of that node has the same.
    :ivar origin: Who asks, if this was passed on.
    """

    bucket: BucketName
    key: Key
    value: Value | None
    ttl_ms: Milliseconds
    clock: Stamp
    hops: Hops = 0
    origin: Origin | None = None


class Touch(AboutKey, tag=3):
    """
    Give a value another time to live.  Answered by `Done`.

    :ivar clock: As in `Put`.
    :ivar origin: As in `Put`.
    """

    bucket: BucketName
    key: Key
    ttl_ms: Milliseconds
    clock: Stamp
    hops: Hops = 0
    origin: Origin | None = None


class PutIf(AboutKey, tag=40):
    """
    Write a value if there is one, or if there is none.  Answered by `Done`;
    it was written if `Done.existed` is `if_present`.

    :ivar clock: As in `Put`.
    :ivar origin: As in `Put`.
    """

    bucket: BucketName
    key: Key
    value: Value
    ttl_ms: Milliseconds
    if_present: bool
    clock: Stamp
    hops: Hops = 0
    origin: Origin | None = None


class Remake(AboutKey, tag=20):
    """
    Go on with a write that I began when I was primary, in the same version: what
    was written since is newer.  Answered by `Done`.
    """

    bucket: BucketName
    key: Key
    value: Value | None
    stamp: Stamp
    origin: Origin
    remaining_ms: Milliseconds
    existed: bool
    hops: Hops = 0


#: What is made once, however often its caller asks.
Repeatable: TypeAlias = Put | PutIf | Touch


# -- asked of the node that is primary of several slots ------------------------------


class GetMany(Question, tag=44):
    """
    What are the values?  Answered by `Many`, some of them `Found` if all are
    too much for one answer.

    :ivar patience_ms: What has no answer by then is answered as it is.
    """

    bucket: BucketName
    keys: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=BATCH_KEYS_MAX)]
    patience_ms: Milliseconds


class Item(Message):
    """One value to be written; None deletes."""

    key: Key
    value: Value | None
    ttl_ms: Milliseconds


class PutMany(Question, tag=45):
    """
    Write or delete these.  Answered by `Many`.

    :ivar patience_ms: As in `GetMany`.
    """

    bucket: BucketName
    items: Annotated[tuple[Item, ...], Meta(min_length=1, max_length=BATCH_KEYS_MAX)]
    clock: Stamp
    patience_ms: Milliseconds


# -- between owners ---------------------------------------------------------------


class Copy(Message, tag=8):
    """Hold this version too.  Answered by `Done`."""

    bucket: BucketName
    key: Key
    value: Value | None
    stamp: Stamp
    origin: Origin
    remaining_ms: Milliseconds


class Fetch(Message, tag=9):
    """What do you yourself hold, tombstones included?  Answered by `Found`."""

    bucket: BucketName
    key: Key


class Relay(Message, tag=19):
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


class Found(Message, tag=32):
    """
    What was found; stamp 0: nothing, not even a tombstone.
    """

    value: Value | None
    stamp: Stamp = 0
    origin: bytes = b""
    remaining_ms: Milliseconds = NEVER


class Done(Message, tag=33):
    """
    It is done.

    :ivar existed: Whether there was a value before.
    :ivar copies: How many nodes hold the new version.
    """

    existed: bool = True
    copies: Annotated[int, Meta(ge=0)] = 0
    stamp: Stamp = 0
    origin: bytes = b""


class Refused(Message, tag=34):
    """
    It was not done.

    :ivar reason: unknown_bucket, conflict, too_many, senseless, busy,
        not_owner, indeterminate, unreached, promised or load_failed.
    :ivar promised: The node that a slot was promised to, and its incarnation.
    """

    reason: Annotated[str, Meta(max_length=32)]
    text: Annotated[str, Meta(max_length=1024)] = ""
    promised: tuple[Origin, Incarnation] | None = None

    def __post_init__(self) -> None:
        # It ends up in logs and on terminals, and may quote a loader's error.
        if not self.text.isprintable():
            self.text = printable(self.text.encode(errors="replace"))

    @property
    def limit(self) -> int:
        """How many may be under way, if it is busy; 0 if it says no number."""
        text = self.text
        number = text.isascii() and text.isdigit() and len(text) < LIMIT_DIGITS_MAX
        return int(text) if number else 0


UNKNOWN_BUCKET: Final = "unknown_bucket"
CONFLICT: Final = "conflict"
TOO_MANY: Final = "too_many"
SENSELESS: Final = "senseless"
BUSY: Final = "busy"
NOT_OWNER: Final = "not_owner"
INDETERMINATE: Final = "indeterminate"
#: It was not done: its primary could not be reached in time.
UNREACHED: Final = "unreached"
#: A copy was not taken: its slot was promised to another node.
PROMISED: Final = "promised"
#: The loader of the node that was to load has failed.
LOAD_FAILED: Final = "load_failed"


#: What an operation on one key is answered with.
One = Found | Done | Refused


class Many(Message, tag=56):
    """The answers to the first operations of several, in their order."""

    answers: Annotated[
        tuple[One, ...],
        Meta(min_length=1, max_length=BATCH_KEYS_MAX),
    ]


#: What a caller asks about one key, and its primary does.
OfKey = Get | Put | Touch | PutIf | Load | Fill | Forgo | Remake
#: What a caller asks of the primary of one slot, itself or through others.
Routed = (
    Get | Put | Touch | PutIf | Load | Fill | Forgo | Remake
    | CreateBucket | AlterBucket | ClearBucket | DropBucket
)  # fmt: skip
#: What a caller asks of another node.
Asked = Routed | GetMany | PutMany | Scan | Watch
Direct = (
    Get | Put | Touch | PutIf | Load | Fill | Forgo | Remake
    | CreateBucket | AlterBucket | ClearBucket | DropBucket | GetMany | PutMany | Scan
    | Watch | Copy | Fetch | Push | Claim | Buckets | Leaving | Moved | Page | Compare
    | Offer | Evict | Drained
)  # fmt: skip
Request = Direct | Relay
Answer = One | Leased | Many | Scanned | Events | Claimed | Paged | Compared | Lacking

#: What answers what; `Done`, or that it was refused, the rest.
_ANSWERS: dict[type, tuple[type, ...]] = {
    Get: (Found, Refused), Fetch: (Found, Refused), Load: (Found, Leased, Refused),
    GetMany: (Many, Refused), PutMany: (Many, Refused), Scan: (Scanned, Refused),
    Watch: (Events, Refused), Claim: (Claimed, Refused), Page: (Paged, Refused),
    Compare: (Compared, Refused), Offer: (Lacking, Refused),
}  # fmt: skip
_DONE = (Done, Refused)

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
    # This and what follows is asked for each call: `isinstance` is slow here.
    if answer.__class__ not in _ANSWERS.get(request.__class__, _DONE):
        raise RemoteProtocolError(f"{type(answer).__name__} is no answer to that")
    if answer.__class__ is Many:
        _check_many(answer, request)
    return answer


def _check_many(many: Many, request: Request) -> None:
    """Whether these can be the answers to several operations."""
    answers = many.answers
    if isinstance(request, GetMany):
        fitting = len(answers) <= len(request.keys)
        fitting = fitting and not any(isinstance(answer, Done) for answer in answers)
    else:
        assert isinstance(request, PutMany)
        fitting = len(answers) == len(request.items)
        fitting = fitting and not any(isinstance(answer, Found) for answer in answers)
    if not fitting:
        raise RemoteProtocolError(f"{len(answers)} answers, which are none to that")


def remaining_ms(deadline: float, now: float) -> int:
    """A deadline as milliseconds that remain, `NEVER` for never."""
    if deadline == float("inf"):
        return NEVER
    return max(1, int((deadline - now) * 1000))


def deadline_of(milliseconds: int, now: float) -> float:
    """Milliseconds that remain as a deadline."""
    return float("inf") if milliseconds < 0 else now + milliseconds / 1000
