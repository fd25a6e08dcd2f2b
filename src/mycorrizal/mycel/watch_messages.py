# -*- test-case-name: tests.mycel.test_messages -*-
"""
What nodes tell each other of changes that somebody watches.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Final

from msgspec import Meta

from mycorrizal.mycel.fields import (
    BucketName,
    Key,
    KeyPart,
    Message,
    Milliseconds,
    Question,
)

#: Changes in one answer.
EVENTS_MAX: Final = 256


class EventKind(Enum):
    """What has happened to a key."""

    PUT = "put"  # a value was written, or got a new time to live
    DELETE = "delete"  # it was deleted
    EXPIRE = "expire"  # its time to live has run out
    EVICT = "evict"  # the bucket was full, and others were used later
    CLEAR = "clear"  # its bucket was cleared or dropped
    LOST = "lost"  # not known: there may have been changes of any key


class Watch(Question, tag=47):
    """
    What has happened since you were last asked?  Answered by `Events`, when
    something has happened or patience is over; the first time at once.

    :ivar watch: The asker's number for it.
    """

    bucket: BucketName
    prefix: KeyPart
    watch: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    patience_ms: Milliseconds


class Event(Message):
    """One change of one key."""

    kind: EventKind
    key: Key


class Events(Message, tag=58):
    """
    Changes, in their order.

    :ivar lost: How many more there were after these, which are not told.
    :ivar fresh: Whether what has happened before is not known here.
    """

    events: Annotated[tuple[Event, ...], Meta(max_length=EVENTS_MAX)]
    lost: Annotated[int, Meta(ge=0)] = 0
    fresh: bool = False
