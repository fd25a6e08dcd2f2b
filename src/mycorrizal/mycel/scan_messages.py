# -*- test-case-name: tests.mycel.test_messages -*-
"""
What nodes ask each other for a scan.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mycorrizal.mycel.config import SCAN_KEYS_MAX
from mycorrizal.mycel.fields import BucketName, Key, KeyPart, Message, Question, SlotSet
from mycorrizal.mycel.slots.placement import SLOTS

#: Where a scan stands; after the last slot at its end.
ReachedSlot = Annotated[int, Meta(ge=0, le=SLOTS)]


class Scan(Question, tag=46):
    """
    Which keys do these slots have, in order of slots and keys?  Answered by
    `Scanned`.

    :ivar slot: Those before it are done, and in it the keys up to `after`.
    :ivar slots: The slots that are asked for; the node should be their primary.
    """

    bucket: BucketName
    prefix: KeyPart
    slot: ReachedSlot
    after: KeyPart
    slots: SlotSet
    limit: Annotated[int, Meta(ge=1, le=SCAN_KEYS_MAX)]


class Scanned(Message, tag=57):
    """
    The keys up to a place.

    :ivar slot: Those before it are done, and in it the keys up to `after`.
    """

    keys: Annotated[tuple[Key, ...], Meta(max_length=SCAN_KEYS_MAX)]
    slot: ReachedSlot
    after: KeyPart
