# -*- test-case-name: tests.mycel.store.test_versions -*-
"""
What makes one copy of a key newer than another, and how two nodes tell
whether they hold the same copies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from xxhash import xxh3_64_intdigest

from mycorrizal.mycel.store.lru import INF, Entry

#: A stamp of the hybrid logical clock and the 16-byte key of the node that
#: issued it.  Versions compare as tuples do; no two writes share one.
Version: TypeAlias = tuple[int, bytes]

#: Bytes of a node key.
ORIGIN_BYTES: Final = 16

#: How long a deleted key is remembered, so that a node which was away cannot
#: bring it back.  A node that is away for longer is wiped when it returns.
TOMBSTONE_TTL_S: Final = 3600.0

#: Tombstones of a bucket on one node: about 30 MB, and 27 deletes a second
#: remembered for the hour.
TOMBSTONES_MAX: Final = 100_000

#: The part of a bucket's `max_bytes` that its tombstones may take, so that
#: deletes never crowd out what is there to be read.
TOMBSTONE_BYTES_SHARE: Final = 1 / 8

#: Entries that have less to live than this are left out of digests: one node
#: may have dropped them while another has not.
DIGEST_MARGIN_S: Final = 2.0


def entry_digest(key: bytes, stamp: int, origin: bytes, deleted: bool) -> int:
    """
    A 64-bit number that differs, but for chance, between any two copies.

    It is visible on the wire: owners compare the XOR over a slot.

    :param stamp: 0 to 2**63 - 1.
    :param origin: 16 bytes.
    """
    return xxh3_64_intdigest(origin + (b"\1" if deleted else b"\0") + key, stamp)


def slot_digest(entries: Iterable[Entry], now: float) -> tuple[int, float]:
    """
    The XOR of `entry_digest` over entries and tombstones, but for those about
    to expire.

    :return: The digest, and until when it is that if nothing is written.
    """
    digest, until_s = 0, INF
    for entry in entries:
        right_until_s = entry.deadline - DIGEST_MARGIN_S
        if now < right_until_s:
            until_s = min(until_s, right_until_s)
            digest ^= entry_digest(
                entry.key, entry.stamp, entry.origin, entry.value is None
            )
    return digest, until_s
