# -*- test-case-name: tests.mycel.test_config -*-
"""
Settings of the cache, frozen, with units.
"""

from __future__ import annotations

from typing import Literal, get_args

import attrs

from mycorrizal.errors import ConfigError

#: How long an operation may take, unless its caller says otherwise: longer than
#: it takes to find that the node asked is dead, and to ask the next one.
OPERATION_TIMEOUT_S = 10.0
#: How long `get_or_load` may take, its loader included, unless told otherwise.
LOAD_TIMEOUT_S = 30.0
#: No load may take longer: its key can't be loaded by anybody else meanwhile.
LOAD_MS_MAX = 3_600_000
#: The longest that a caller may wait, which is as good as for ever.
TIMEOUT_S_MAX = 24 * 3600.0
#: Entries of a bucket for which no limit was asked.
ENTRIES_MAX_DEFAULT = 100_000
#: Copies beyond the primary's.
REPLICAS_MAX = 7
#: A bucket's name, in UTF-8.
BUCKET_NAME_BYTES_MAX = 128
#: A key, in UTF-8 if it is a string.
KEY_BYTES_MAX = 1024
#: A value: what a node can copy to another in a moment.
VALUE_BYTES_MAX = 8 * 1024 * 1024
#: Buckets of a cluster.
BUCKETS_MAX = 1024
#: Dropped buckets that are remembered, so that no node that was away brings
#: them back; of more the first are forgotten.
DROPPED_MAX = 1024
#: Operations that may be under way for the callers of one node, each key of a
#: bulk call one of them: about a second's work.  More fail with `CacheBusy`.
OPERATIONS_MAX = 8192
#: Operations of other nodes that one node may be working on: as many as two of
#: them can have under way.
SERVED_MAX = 16_384
#: Loads that the callers of one node may wait for, or have going on behind them;
#: beyond the operations, which they are not to hold up.
LOADS_MAX = 8192
#: Watches of one node's callers.
WATCHES_MAX = 256
#: Keys of one bulk call.
BULK_KEYS_MAX = 4096
#: Keys of one page of a scan.
SCAN_KEYS_MAX = 1000
#: Keys of one message, however small: what another operation may wait for.
BATCH_KEYS_MAX = 512
#: Largest `max_entries` and `max_bytes`.
LIMIT_MAX = 2**53
#: No time to live is longer; also what a clock of 48 bits can hold.
TTL_S_MAX = 100 * 365 * 24 * 3600.0


def is_bucket_name(name: object) -> bool:
    """Whether that can name a bucket: 1 to 128 bytes that can be printed."""
    return (
        isinstance(name, str)
        and name.isprintable()
        and 0 < len(name.encode()) <= BUCKET_NAME_BYTES_MAX
    )


#: When a write is acknowledged: when all live owners hold it; when the primary
#: and one replica do; when the primary does.
WriteMode = Literal["all", "one", "async"]
WRITE_MODES: tuple[str, ...] = get_args(WriteMode)


@attrs.frozen
class BucketSettings:
    """
    What a bucket is to be like.

    :ivar ttl_s: Time to live of values put without one, in seconds; None:
        they never expire.
    :ivar max_entries: Values held per node; None: any number.
    :ivar max_bytes: Memory taken per node; None: any.
    :ivar replicas: Copies on other nodes.
    :ivar write: When a write is acknowledged: ``"all"``, when all live owners
        hold it; ``"one"``, when the primary and one replica do; ``"async"``,
        when the primary does.
    """

    name: str
    ttl_s: float | None = None
    max_entries: int | None = None
    max_bytes: int | None = None
    replicas: int = 1
    write: WriteMode = "all"

    def validate(self, field: str = "bucket") -> None:
        """
        :raises ConfigError: A setting makes no sense; names `field`.
        """
        # As strict as those who are told of it: what they can't read would cost
        # the link to each of them, and again whenever they meet.
        ttl_s: object = self.ttl_s
        if not is_bucket_name(self.name):
            raise ConfigError(
                f"{field}.name", f"needs 1 to {BUCKET_NAME_BYTES_MAX} printable bytes"
            )
        if ttl_s is not None and not (
            isinstance(ttl_s, (int, float)) and 0 < ttl_s <= TTL_S_MAX
        ):
            raise ConfigError(f"{field}.ttl", "must be above 0, as in ttl=15m")
        for name in ("max_entries", "max_bytes"):
            limit = getattr(self, name)
            if limit is not None and not (
                type(limit) is int and 1 <= limit <= LIMIT_MAX
            ):
                raise ConfigError(f"{field}.{name}", f"must be 1 to {LIMIT_MAX}")
        if type(self.replicas) is not int or not 0 <= self.replicas <= REPLICAS_MAX:
            raise ConfigError(f"{field}.replicas", f"must be 0 to {REPLICAS_MAX}")
        if self.write not in WRITE_MODES:
            raise ConfigError(
                f"{field}.write", f"must be one of {', '.join(WRITE_MODES)}"
            )

    def difference(self, other: BucketSettings) -> str:
        """What is different in another's settings, in words; empty if nothing."""
        return ", ".join(
            f"{field.name} is {getattr(other, field.name)}, "
            f"not {getattr(self, field.name)}"
            for field in attrs.fields(BucketSettings)
            if getattr(self, field.name) != getattr(other, field.name)
        )


@attrs.frozen
class MycelConfig:
    """
    What the cache needs to know.

    :ivar buckets: Created when the node is ready, unless they exist.
    """

    buckets: tuple[BucketSettings, ...] = ()
