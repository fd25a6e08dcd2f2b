# -*- test-case-name: tests.mycel.store.test_sizing -*-
"""
What an entry really takes of the process's memory.
"""

from __future__ import annotations

import sys
from typing import Final

from mycorrizal.mycel.store.lru import INF, ring_end


def _allocated_bytes(size_bytes: int) -> int:
    """What the allocator sets aside: it rounds up to 16 (the C library too)."""
    return size_bytes + 15 & -16


#: A dict's part of an entry.  It holds 24 bytes for each entry it has room
#: for, and one or two for each of 1.5 times as many index slots.  It is 50 to
#: 100 % full, since it doubles: 27 to 54 bytes, 40 on average.
_DICT_BYTES: Final = 40

#: The allocator's own for an entry's five objects: heads and tails of pools.
#: Measured, as what was missing with 100,000 entries.
_POOLS_BYTES: Final = 12

#: An entry without its key and value: the Struct, its deadline, its stamp, and
#: its place in the dict.  The rest it shares with others.
_FIXED_BYTES: Final = (
    _allocated_bytes(sys.getsizeof(ring_end()))
    + _allocated_bytes(sys.getsizeof(INF))
    + _allocated_bytes(sys.getsizeof(1 << 57))
    + _DICT_BYTES
    + _POOLS_BYTES
)

#: A place in a dict, and a time of its own.
OUTLIVED_BYTES: Final = _DICT_BYTES + _allocated_bytes(sys.getsizeof(INF))

#: A bytes object without its content, and what rounds its size up.
_BYTES_ROUND: Final = sys.getsizeof(b"") + 15


def entry_bytes(key_bytes: int, value_bytes: int) -> int:
    """
    What an entry is charged, in bytes; within 10 % of what it takes.

    Not charged is what a bucket takes besides: 40 kB, and with its first few
    thousand entries up to 0.3 MB, since each slot has a dict.

    :param key_bytes: The key's length.
    :param value_bytes: The value's length; 0 for a tombstone.
    """
    if not value_bytes:
        # There is but one empty value, as there is but one None.
        return (key_bytes + _BYTES_ROUND & -16) + _FIXED_BYTES
    return (
        (key_bytes + _BYTES_ROUND & -16)
        + (value_bytes + _BYTES_ROUND & -16)
        + _FIXED_BYTES
    )
