# -*- test-case-name: tests.mycel.test_messages -*-
"""
What nodes say to each other about slots, and who holds them.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from mycorrizal.mycel.fields import (
    BucketName,
    Incarnation,
    Key,
    KeyPart,
    Message,
    Milliseconds,
    Origin,
    SlotNumber,
    SlotSet,
    Stamp,
    Value,
)
from mycorrizal.mycel.slots.placement import SLOTS

#: Entries of one `Push`.
PUSHED_MAX: Final = 4096

# -- asked ----------------------------------------------------------------------------


class Pushed(Message):
    """One entry on the move."""

    key: Key
    value: Value | None
    stamp: Stamp
    origin: Origin
    remaining_ms: Milliseconds


class Push(Message, tag=10):
    """Hold these versions too: a slot has moved.  Answered by `Done`."""

    bucket: BucketName
    entries: Annotated[tuple[Pushed, ...], Meta(max_length=PUSHED_MAX)]


class Claim(Message, tag=11):
    """
    I want to be primary of these slots.  Answered by `Claimed`.

    :ivar slots: See `slotset.to_bytes`.
    """

    slots: SlotSet
    clock: Stamp


class Leaving(Message, tag=13):
    """
    I am about to leave: keep what I push, though I am a member still.
    Answered by `Done`.
    """


class Drained(Message, tag=21):
    """
    Whether I am drained: I stay, and own no slots while others do.  Answered by
    `Done`.

    :ivar turn: Counts what I have said of it in this life: the highest holds.
    """

    turn: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    drained: bool


class Moved(Message, tag=18):
    """
    These slots, which you have promised to me, are not mine any more.  Answered
    by `Done`.

    :ivar promised: Whom I have promised them to, if that is so.
    """

    slots: SlotSet
    promised: tuple[Origin, Incarnation] | None = None


class Page(Message, tag=14):
    """
    What do you hold of these slots?  Answered by `Paged`.

    :ivar slot: Where to begin, after the key `after`.
    """

    bucket: BucketName
    slots: SlotSet
    slot: SlotNumber = 0
    after: KeyPart = b""


class Compare(Message, tag=15):
    """
    What are your digests of these slots?  Answered by `Compared`.

    :ivar everything: Also of what is about to expire.
    """

    bucket: BucketName
    slots: SlotSet
    everything: bool = False


class Offered(Message):
    """A version that somebody holds."""

    key: Key
    stamp: Stamp
    origin: Origin


class Offer(Message, tag=16):
    """Which of these versions are news to you?  Answered by `Lacking`."""

    bucket: BucketName
    entries: Annotated[tuple[Offered, ...], Meta(max_length=PUSHED_MAX)]


class Evict(Message, tag=17):
    """These versions had to make room.  Answered by `Done`."""

    bucket: BucketName
    entries: Annotated[tuple[Offered, ...], Meta(max_length=PUSHED_MAX)]


# -- answers -------------------------------------------------------------------------

_Places: TypeAlias = Annotated[
    tuple[Annotated[int, Meta(ge=0, lt=PUSHED_MAX)], ...],
    Meta(max_length=PUSHED_MAX),
]


class Denied(Message):
    """Slots that were promised to a better-ranked node, which is alive."""

    node_key: Origin
    incarnation: Incarnation
    slots: SlotSet


class Claimed(Message, tag=35):
    """
    What a node says to a claim: yes to all slots but those denied.

    :ivar held: Of which of them it holds anything.
    :ivar known: The nodes it knows, and their incarnations.
    """

    denied: Annotated[tuple[Denied, ...], Meta(max_length=SLOTS)]
    held: SlotSet
    known: Annotated[tuple[tuple[Origin, Incarnation], ...], Meta(max_length=SLOTS)]
    clock: Stamp


class Paged(Message, tag=36):
    """
    Some of what a node holds.

    :ivar more: Whether there may be more, from this slot and key on.
    """

    entries: Annotated[tuple[Pushed, ...], Meta(max_length=PUSHED_MAX)]
    more: bool
    slot: SlotNumber = 0
    after: KeyPart = b""


class Compared(Message, tag=37):
    """
    The digests of slots, ascending.

    :ivar steady: Which of them have a primary that is settled.
    :ivar epoch: Stands for the members that may own slots.
    """

    digests: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(max_length=SLOTS)]
    steady: SlotSet
    epoch: Annotated[int, Meta(ge=0)]


class Lacking(Message, tag=38):
    """
    Which of the versions offered are news, by their places.

    :ivar newer: Of which keys a higher version is here.
    """

    places: _Places
    newer: _Places = ()
