# -*- test-case-name: tests.mycel.test_messages -*-
"""
What nodes ask each other for a scan.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from mycorrizal.mycel.config import SCAN_KEYS_MAX
from mycorrizal.mycel.fields import BucketName, Key, KeyPart, Message, Question
from mycorrizal.mycel.slots.placement import SLOTS

_BITMAP_BYTES: Final = SLOTS // 8

SlotNumber = Annotated[int, Meta(ge=0, le=SLOTS)]
#: One bit for each slot, the lowest of the first byte for slot 0.
SlotBits = Annotated[bytes, Meta(min_length=_BITMAP_BYTES, max_length=_BITMAP_BYTES)]


class Scan(Question, tag=46):
    """
    Which keys do these slots have, in order of slots and keys?  Answered by
    `Scanned`.

    :ivar slot: Those before it are done, and in it the keys up to `after`.
    :ivar slots: The slots that are asked for; the node should be their primary.
    """

    bucket: BucketName
    prefix: KeyPart
    slot: SlotNumber
    after: KeyPart
    slots: SlotBits
    limit: Annotated[int, Meta(ge=1, le=SCAN_KEYS_MAX)]


class Scanned(Message, tag=57):
    """
    The keys up to a place.

    :ivar slot: Those before it are done, and in it the keys up to `after`.
    """

    keys: Annotated[tuple[Key, ...], Meta(max_length=SCAN_KEYS_MAX)]
    slot: SlotNumber
    after: KeyPart


def bits_of(slots: list[int]) -> bytes:
    """Some slots, as a bit for each that there is."""
    bits = bytearray(_BITMAP_BYTES)
    for slot in slots:
        bits[slot >> 3] |= 1 << (slot & 7)
    return bytes(bits)


def is_set(bits: bytes, slot: int) -> bool:
    """Whether a slot is among these."""
    return bool(bits[slot >> 3] & 1 << (slot & 7))
