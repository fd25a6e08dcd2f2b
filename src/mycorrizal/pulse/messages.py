# -*- test-case-name: tests.pulse.test_messages -*-
"""
What Pulse asks a node, and what the node answers, in MessagePack.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from mycorrizal.errors import LocalProtocolError, RemoteProtocolError
from mycorrizal.pulse.bench_messages import AskBench, Benched, Benching
from mycorrizal.pulse.cluster_messages import ClusterQuestion, ClusterReply
from mycorrizal.pulse.drain_messages import AskDrain, Draining
from mycorrizal.version import __version__

APPLICATION_ID: Final = "SYSTEM-PULSE"
_TEXT_BYTES_MAX = 1024
_NODES_MAX = 256

#: When a value is written: always, if there is none, if there is one.
Only = Literal["", "add", "replace"]
Text = Annotated[str, Meta(max_length=_TEXT_BYTES_MAX)]
Texts = Annotated[tuple[Text, ...], Meta(max_length=_NODES_MAX)]


class AskStatus(msgspec.Struct, tag="status"):
    """
    How are you?  Answered by `Status`.

    :ivar links: Whether to ask all others for their broken links, too.
    """

    links: bool = False


class AskPing(msgspec.Struct, tag="ping"):
    """How far is a node from you?  Answered by `RoundTrip`."""

    node_id: Text


class AskSend(msgspec.Struct, tag="send"):
    """Send a message from an application; to nobody means to all."""

    application: Text
    data: bytes
    node_ids: Texts = ()


class AskCreate(msgspec.Struct, tag="create"):
    """Create a bucket."""

    bucket: Text
    ttl_s: float | None = None
    max_entries: int | None = None
    max_bytes: int | None = None
    replicas: int = 1
    write: Text = "all"


class AskAlter(msgspec.Struct, tag="alter"):
    """
    Change settings of a bucket; those that are not given stay.

    :ivar changes: As `mycorrizal.mycel.Cache.alter_bucket` has them, by name.
    """

    bucket: Text
    changes: Annotated[dict[Text, float | int | str | None], Meta(max_length=16)]


class AskClear(msgspec.Struct, tag="clear"):
    """Delete all values of a bucket."""

    bucket: Text


class AskDrop(msgspec.Struct, tag="drop"):
    """Delete a bucket."""

    bucket: Text


class AskScan(msgspec.Struct, tag="scan"):
    """Which keys are there?  Answered by `Keys`."""

    bucket: Text
    prefix: Text = ""
    cursor: Annotated[str, Meta(max_length=2 * _TEXT_BYTES_MAX)] | None = None
    limit: int = 1000


class AskWatch(msgspec.Struct, tag="watch"):
    """
    What happens to keys?  Answered by `Watched`, at once the first time.

    :ivar watch: What the first answer said; 0: this is the first time.
    """

    bucket: Text
    prefix: Text = ""
    watch: int = 0


class AskPut(msgspec.Struct, tag="put"):
    """
    Write a value; ttl_s as `mycorrizal.mycel.Cache.put` has it.

    :ivar only: When: always, if there is none, if there is one.
    """

    bucket: Text
    key: Text
    value: bytes
    ttl_s: float | None = 0
    only: Only = ""


class AskGet(msgspec.Struct, tag="get"):
    """Read a value.  Answered by `Value`."""

    bucket: Text
    key: Text


class AskDelete(msgspec.Struct, tag="delete"):
    """Delete a value."""

    bucket: Text
    key: Text


class AskTtl(msgspec.Struct, tag="ttl"):
    """Give a value another time to live."""

    bucket: Text
    key: Text
    ttl_s: float | None


class AskLeave(msgspec.Struct, tag="leave"):
    """Leave the cluster, or have another node leave it."""

    node_id: Text


class Echo(msgspec.Struct, tag="echo"):
    """Asked of one node by another, to measure the way.  Answered by `Ok`."""


Question = (
    AskStatus
    | AskPing
    | AskSend
    | AskCreate
    | AskAlter
    | AskClear
    | AskDrop
    | AskScan
    | AskWatch
    | AskPut
    | AskGet
    | AskDelete
    | AskTtl
    | AskLeave
    | Echo
    | AskBench
    | AskDrain
    | ClusterQuestion
)


class NodeStatus(msgspec.Struct):
    """
    The node that answers.

    :ivar lag_ms: How late it was at worst in the last 5 to 10 s; None: it is of a
        version that does not say.
    """

    id: str
    version: str
    incarnation: int
    address: str
    uptime_s: float
    cluster: str
    secret: str
    tls: str
    single: bool
    lag_ms: float | None = None


class MemberStatus(msgspec.Struct):
    """
    One node, as the one that answers sees it.

    :ivar link: up, down, or ``via`` and the node that hears it in our place;
        empty for the node itself.
    :ivar unlinked: The live members that this one has no link to, and who
        hears each in its place, if anybody; where links were asked for.
    :ivar secret: The fingerprint of the secret that the link was made with.
    :ivar lag_ms: What it says of its own, where links were asked for; None: it
        did not answer.
    :ivar missing: The copies that it has still to make or fetch; None, too.
    :ivar drained: Whether it is out of service.
    """

    id: str
    address: str
    state: str
    rtt_ms: float | None
    version: str
    host: str
    labels: dict[str, str]
    link: str = ""
    unlinked: dict[str, str] = {}
    secret: str = ""
    lag_ms: float | None = None
    missing: int | None = None
    drained: bool = False


class BucketStatus(msgspec.Struct):
    """This node's share of a bucket, and the bucket's settings."""

    name: str
    entries: int
    bytes: int
    hits: int
    misses: int
    puts: int
    deletes: int
    expired: int
    evicted: int
    ttl_s: float | None
    max_entries: int | None
    max_bytes: int | None
    replicas: int
    write: str = "all"


class Status(msgspec.Struct, tag="is"):
    """
    How a node is.

    :ivar latencies: Of gets and puts that went to another node, how many took how
        long, as `mycorrizal.mycel.operations.latencies` counts them.
    """

    node: NodeStatus
    members: list[MemberStatus]
    buckets: list[BucketStatus]
    applications: list[str]
    under_replicated: int
    latencies: dict[str, list[int]] = {}


class RoundTrip(msgspec.Struct, tag="round_trip"):
    """How long the way to a node and back took."""

    node_id: str
    rtt_ms: float


class Value(msgspec.Struct, tag="value"):
    """A value, None if there is none."""

    value: bytes | None
    remaining_s: float | None = None


class Keys(msgspec.Struct, tag="keys"):
    """Some keys; a cursor if there may be more."""

    keys: list[bytes]
    cursor: str | None = None


class WatchedEvent(msgspec.Struct):
    """One change: a name of `mycorrizal.EventKind`."""

    kind: str
    key: bytes


class Watched(msgspec.Struct, tag="watched"):
    """
    What has happened.

    :ivar watch: With which to ask for more.
    """

    watch: int
    events: list[WatchedEvent] = []


class Ok(msgspec.Struct, tag="ok"):
    """
    It is done.

    :ivar existed: Whether the value was there.
    :ivar copies: How many nodes hold it.
    """

    existed: bool = True
    copies: int = 0


class Failed(msgspec.Struct, tag="failed"):
    """
    It was not done.

    :ivar error: The name of the error's class.
    """

    error: str
    text: str


Reply = (
    Status
    | RoundTrip
    | Value
    | Keys
    | Watched
    | Ok
    | Failed
    | Benched
    | Benching
    | Draining
    | ClusterReply
)

encode = msgspec.msgpack.Encoder().encode
_decode_question: Any = msgspec.msgpack.Decoder(Question).decode
_decode_reply: Any = msgspec.msgpack.Decoder(Reply).decode


def encode_question(question: Question) -> bytes:
    """
    The bytes of a question, checked as the node will check them.

    :raises LocalProtocolError: A text in it is too long, or is not Unicode.
    """
    try:
        payload = encode(question)
        _decode_question(payload)
    except UnicodeEncodeError:
        raise LocalProtocolError("names and keys must be valid UTF-8") from None
    except (msgspec.MsgspecError, OverflowError) as error:
        raise LocalProtocolError(f"this cannot be asked: {error}") from None
    return payload


class UnknownQuestion(RemoteProtocolError):
    """It is well-formed, and this version has no answer to it; another may."""


def decode_question(payload: bytes) -> Question:
    """
    :raises UnknownQuestion: It is one of another version, or out of bounds.
    :raises RemoteProtocolError: It is none.
    """
    try:
        question: Question = _decode_question(payload)
    except msgspec.ValidationError as error:
        raise UnknownQuestion(
            f"is of version {__version__}, which does not take that question ({error})"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"malformed question of Pulse: {error}") from None
    return question


def decode_reply(payload: bytes) -> Reply:
    """
    :raises RemoteProtocolError: It is none.
    """
    try:
        reply: Reply = _decode_reply(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"malformed answer to Pulse: {error}") from None
    return reply
