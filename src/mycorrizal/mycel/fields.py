# -*- test-case-name: tests.mycel.test_messages -*-
"""
What the messages of the cache are made of, each with its bounds.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mycorrizal.mycel.config import (
    BUCKET_NAME_BYTES_MAX,
    KEY_BYTES_MAX,
    LIMIT_MAX,
    REPLICAS_MAX,
    VALUE_BYTES_MAX,
)
from mycorrizal.mycel.slots.placement import SLOTS, SLOTSET_BYTES
from mycorrizal.mycel.store.versions import ORIGIN_BYTES

BucketName = Annotated[str, Meta(min_length=1, max_length=BUCKET_NAME_BYTES_MAX)]
Key = Annotated[bytes, Meta(min_length=1, max_length=KEY_BYTES_MAX)]
#: What keys begin with, or where one stands; empty: any, or before all.
KeyPart = Annotated[bytes, Meta(max_length=KEY_BYTES_MAX)]
Value = Annotated[bytes, Meta(max_length=VALUE_BYTES_MAX)]
Milliseconds = Annotated[int, Meta(ge=-1, le=2**53)]
Stamp = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Origin = Annotated[bytes, Meta(min_length=ORIGIN_BYTES, max_length=ORIGIN_BYTES)]
Hops = Annotated[int, Meta(ge=0, le=8)]
Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]
Replicas = Annotated[int, Meta(ge=0, le=REPLICAS_MAX)]
SlotNumber = Annotated[int, Meta(ge=0, lt=SLOTS)]
#: See `slotset.to_bytes`.
SlotSet = Annotated[bytes, Meta(min_length=SLOTSET_BYTES, max_length=SLOTSET_BYTES)]
Incarnation = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Message(msgspec.Struct, array_like=True, gc=False):
    """The shape of all messages."""


class Question(Message):
    """What a caller asks of another node."""


class AboutKey(Question):
    """What is asked of the primary of a key's slot."""


class AboutBucket(Question):
    """What is asked of the primary of the slot of a bucket's name."""
