# -*- test-case-name: tests.mycel.test_load_messages -*-
"""
What nodes say to each other about loads of what is not in the cache.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from mycorrizal.mycel.config import LOAD_MS_MAX
from mycorrizal.mycel.fields import (
    AboutKey,
    BucketName,
    Hops,
    Key,
    Message,
    Milliseconds,
    Origin,
    Stamp,
    Value,
)

#: What a loader failed with, as those who wait elsewhere are told.
PROBLEM_CHARACTERS_MAX: Final = 256

Token = Annotated[int, Meta(ge=0, le=2**63 - 1)]

# -- asked of a slot's primary -------------------------------------------------


class Load(AboutKey, tag=64):
    """
    Give the value, or the right to load it.  Answered by `Found` or `Leased`,
    maybe after somebody else has loaded it; by `Found` with no value and stamp
    0 if it is known to be nowhere.

    :ivar asker: The node that asks.
    :ivar token: Stands for this wish, and then for the lease.
    :ivar wait_ms: How long the asker waits, and may take to load.
    :ivar stale_ms: A value that has no more than this to live is to be loaded
        again by one of those who read it.
    :ivar anew: Whether to load though there is a value, or a load under way.
    """

    bucket: BucketName
    key: Key
    asker: Origin
    token: Token
    wait_ms: Annotated[int, Meta(ge=1, le=LOAD_MS_MAX)]
    stale_ms: Annotated[int, Meta(ge=0, le=2**53)] = 0
    anew: bool = False
    hops: Hops = 0


class Fill(AboutKey, tag=65):
    """
    What was loaded, None if it is nowhere.  Answered by `Done`, existed if the
    lease was still good, so that it was stored.

    :ivar ttl_ms: Of the value; if there is none, how long to remember that.
    """

    bucket: BucketName
    key: Key
    token: Token
    value: Value | None
    ttl_ms: Milliseconds
    clock: Stamp
    hops: Hops = 0


class Forgo(AboutKey, tag=66):
    """
    I wait no more, or load no more.  Answered by `Done`.

    :ivar problem: What the loader failed with, for those who wait; None:
        another of them is to load.
    """

    bucket: BucketName
    key: Key
    token: Token
    problem: Annotated[str, Meta(max_length=PROBLEM_CHARACTERS_MAX)] | None = None
    hops: Hops = 0


# -- an answer ----------------------------------------------------------------------


class Leased(Message, tag=67):
    """
    Load it: nobody else does, until you fill or forgo.

    :ivar value: Meanwhile this one will do, though it is about to expire.
    """

    value: Value | None = None
    stamp: Stamp = 0


#: What is asked about the loading of a key.
AboutLoad = Load | Fill | Forgo
