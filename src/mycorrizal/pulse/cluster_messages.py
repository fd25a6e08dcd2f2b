# -*- test-case-name: tests.pulse.test_event_commands -*-
"""
What Pulse asks a whole cluster by way of one node.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

_TEXT_BYTES_MAX: Final = 1024
_NODES_MAX: Final = 4096

_Text = Annotated[str, Meta(max_length=_TEXT_BYTES_MAX)]
Pause = Annotated[float, Meta(ge=0, le=2)]


class AskAll(msgspec.Struct, tag="all"):
    """
    Ask this of every node, yourself included.  Answered by `FromAll`.

    :ivar question: One that may be asked of all, encoded.
    :ivar pause_s: To wait before.
    """

    question: bytes
    pause_s: Pause = 0.0


class AskEvents(msgspec.Struct, tag="events"):
    """
    What has happened to you?  Answered by `Events`.

    :ivar after: For each node, the stamp of the last event that is known.
    :ivar limit: The last so many; 0: all that are kept.
    """

    after: Annotated[dict[_Text, int], Meta(max_length=_NODES_MAX)] = {}
    limit: Annotated[int, Meta(ge=0)] = 0


class AskExplain(msgspec.Struct, tag="explain"):
    """What do you know of a key?  Answered by `Known`."""

    bucket: _Text
    key: _Text


class AskVitals(msgspec.Struct, tag="vitals"):
    """
    What could be wrong with you?  Answered by `Vitals`.

    :ivar probe: Whether to try first which members can be reached.
    """

    probe: bool = False


class AskConfig(msgspec.Struct, tag="config"):
    """What are your settings?  Answered by `HasConfig`."""


class AskKeys(msgspec.Struct, tag="keys_of"):
    """Which keys do you accept?  Answered by `KeysInForce`."""


class AskChangeKeys(msgspec.Struct, tag="change_keys"):
    """
    Change which secrets you accept.  Answered by `KeysInForce`.

    :ivar key: To add: a secret; else a fingerprint.
    """

    action: Literal["add", "use", "remove"]
    key: _Text

    def __repr__(self) -> str:
        # It may be a secret.
        return f"AskChangeKeys({self.action!r})"


class FromOne(msgspec.Struct):
    """
    What one node answered.

    :ivar reply: Encoded; None: it did not answer, and `problem` says why.
    :ivar took_ms: From the question to the answer.
    """

    node_id: str
    reply: bytes | None
    problem: str = ""
    took_ms: float = 0.0


class FromAll(msgspec.Struct, tag="from_all"):
    """What every node answered, by id."""

    answers: list[FromOne]


class EventEntry(msgspec.Struct):
    """As `mycorrizal.recorder.Event`."""

    stamp: int
    wall_s: float
    node: str
    kind: str
    level: str
    text: str
    fields: dict[str, str | int | float] = {}


class Events(msgspec.Struct, tag="happened"):
    """What has happened to one node, oldest first."""

    events: list[EventEntry]


class HeldVersion(msgspec.Struct):
    """
    A version of a value, as one node holds it.

    :ivar stamp: Orders versions; its upper 48 bits are milliseconds.
    :ivar origin: The node that wrote it.
    :ivar value_bytes: None: it is a delete.
    :ivar expired: Whether the delete stands for a value whose time was over.
    """

    stamp: int
    origin: str
    value_bytes: int | None
    remaining_s: float | None
    expired: bool = False


class Known(msgspec.Struct, tag="known"):
    """
    What one node knows of a key.

    :ivar slot: -1: it does not know the bucket.
    :ivar owners: Who should hold it, the best-ranked first.
    :ivar primary: Where this node sends operations.
    :ivar serving: Whether this node is primary of the slot.
    :ivar settled: Whether it is, and has all that others held.
    :ivar cleared: The stamp of the last clear; -1: there was none.
    :ivar evicted: Values of the bucket that went for want of room, here.
    """

    slot: int
    owners: list[str] = []
    primary: str = ""
    serving: bool = False
    settled: bool = False
    version: HeldVersion | None = None
    cleared: int = -1
    evicted: int = 0
    full: bool = False


class Probe(msgspec.Struct):
    """
    One try to connect to a member.

    :ivar address: Where it listens, as it or others say.
    :ivar problem: Why that failed, as the end of a sentence; empty: it did not.
    """

    node_id: str
    address: str
    problem: str = ""


class CertificateEnd(msgspec.Struct):
    """
    When a certificate ends.

    :ivar node_id: Whose it is, or whose chain it stands in.
    :ivar name: Empty: it is the node's own; else that of the authority.
    :ivar until_s: Seconds since the epoch.
    """

    node_id: str
    name: str
    until_s: float


class Vitals(msgspec.Struct, tag="has_vitals"):
    """
    What a node knows that may be wrong.

    :ivar wall_s: Its clock when it answered.
    :ivar refusals: Address and reason, of those that refused it.
    :ivar silent: Addresses at which nobody was found.
    :ivar discovery: Way and problem, of those that fail.
    :ivar replicas: The copies that buckets want, by name.
    :ivar crowded: Buckets at their limits that lose values, and how many.
    :ivar stalls: How often it did not run, and for how long in all, in what it
        remembers.
    :ivar conflicts: What was in conflict.
    :ivar refused: Whom it refused, and why.
    :ivar probes: What came of trying to reach others, where that was asked for.
    :ivar certificates: Its own, those above it, and those that others have shown.
    :ivar buckets: What its own settings want of buckets, by name: each setting,
        in words.
    """

    node_id: str
    version: str
    address: str
    host: str
    tls: str
    single: bool
    wall_s: float
    members: dict[str, str]
    missing: int
    refusals: list[tuple[str, str]]
    silent: list[str]
    discovery: list[tuple[str, str]]
    replicas: dict[str, int]
    crowded: dict[str, int]
    stalls: int
    stalled_s: float
    conflicts: list[str]
    refused: list[str]
    probes: list[Probe] = []
    certificates: list[CertificateEnd] = []
    buckets: dict[str, dict[str, str]] = {}


class LiveSetting(msgspec.Struct):
    """
    One setting of a node.

    :ivar text: Its value; a secret is masked.
    :ivar source: ``given``, or ``default``.
    """

    text: str
    source: str


class HasConfig(msgspec.Struct, tag="has_config"):
    """A node's settings, by name."""

    settings: dict[str, LiveSetting]


class KeysInForce(msgspec.Struct, tag="has_keys"):
    """
    The keys that a node accepts, by their fingerprints.

    :ivar secrets: The first signs.
    :ivar clients: By name.
    """

    secrets: list[str]
    clients: dict[str, str]


ClusterQuestion = (
    AskAll | AskEvents | AskExplain | AskVitals | AskConfig | AskKeys | AskChangeKeys
)
ClusterReply = FromAll | Events | Known | Vitals | HasConfig | KeysInForce
