# -*- test-case-name: tests.mycel.test_messages -*-
"""
What nodes say to each other about buckets.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from mycorrizal.mycel.config import (
    BUCKETS_MAX,
    DROPPED_MAX,
    LIMIT_MAX,
    WriteMode,
    is_bucket_name,
)
from mycorrizal.mycel.fields import (
    AboutBucket,
    BucketName,
    Hops,
    Limit,
    Message,
    Milliseconds,
    Origin,
    Replicas,
    Stamp,
)

#: In place of a limit that is to be taken away.
NO_LIMIT: Final = 0

NewLimit = Annotated[int, Meta(ge=NO_LIMIT, le=LIMIT_MAX)]


def _check_name(name: str) -> None:
    # Only where a bucket comes to be: elsewhere a name is looked up, no more.
    if not is_bucket_name(name):
        raise ValueError("a bucket's name can't be printed, or is too long")


# -- asked of the primary of a bucket's name; answered by `Done` --------------------


class CreateBucket(AboutBucket, tag=4):
    """Create a bucket."""

    name: BucketName
    ttl_ms: Milliseconds
    max_entries: Limit | None
    max_bytes: Limit | None
    replicas: Replicas
    clock: Stamp
    hops: Hops = 0
    write: WriteMode = "all"

    def __post_init__(self) -> None:
        _check_name(self.name)


class AlterBucket(AboutBucket, tag=41):
    """Change the settings of a bucket; those that are None stay."""

    name: BucketName
    ttl_ms: Milliseconds | None
    max_entries: NewLimit | None
    max_bytes: NewLimit | None
    replicas: Replicas | None
    write: WriteMode | None
    clock: Stamp
    hops: Hops = 0


class ClearBucket(AboutBucket, tag=42):
    """Delete all that was written to a bucket before now."""

    name: BucketName
    clock: Stamp
    hops: Hops = 0


class DropBucket(AboutBucket, tag=43):
    """Delete a bucket."""

    name: BucketName
    clock: Stamp
    hops: Hops = 0


# -- told to everybody --------------------------------------------------------------


class BucketEntry(Message):
    """
    A bucket that somebody knows, or knows to be dropped.

    :ivar stamp: With `origin` the version of its settings, or of its drop.
    :ivar created: The stamp of its creation: whatever was dropped before is
        another bucket.
    :ivar cleared: What was written to it up to this stamp is gone.
    """

    name: BucketName
    ttl_ms: Milliseconds
    max_entries: Limit | None
    max_bytes: Limit | None
    replicas: Replicas
    stamp: Stamp
    origin: Origin
    write: WriteMode = "all"
    created: Stamp = 0
    cleared: Stamp = 0
    dropped: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name)


class Buckets(Message, tag=12):
    """
    These buckets exist, or were dropped.  Answered by `Done` when what was
    cleared or dropped is gone.
    """

    buckets: Annotated[
        tuple[BucketEntry, ...], Meta(max_length=BUCKETS_MAX + DROPPED_MAX)
    ]
    clock: Stamp


#: What is asked about a bucket as a whole.
Administered = CreateBucket | AlterBucket | ClearBucket | DropBucket
