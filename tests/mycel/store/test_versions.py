"""Tests of versions and digests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.mycel.store.lru import INF, Entry
from mycorrizal.mycel.store.versions import (
    DIGEST_MARGIN_S,
    entry_digest,
    slot_digest,
)

A, B = b"a" * 16, b"b" * 16

copies = st.tuples(
    st.binary(min_size=1, max_size=4),
    st.integers(0, (1 << 63) - 1),
    st.sampled_from([A, B]),
    st.booleans(),
)


def entry(key: bytes, stamp: int, deadline: float = INF) -> Entry:
    """An entry on no ring."""
    return Entry(b"value", deadline, None, None, key, 0, stamp, A)


class DigestTests(SynchronousTestCase):
    """Two nodes can tell whether they hold the same copies."""

    def test_golden(self) -> None:
        """Nodes of different versions agree: these numbers never change."""
        self.assertEqual(
            entry_digest(b"user:123", 1 << 57, A, False), 0x9BC4_547F_AC3F_FAEA
        )
        self.assertEqual(
            entry_digest(b"user:123", 1 << 57, A, True), 0x9D71_3716_EB45_D5A4
        )
        self.assertEqual(
            entry_digest(b"", (1 << 63) - 1, B, False), 0x334E_803D_C981_6A10
        )

    @given(copies, copies)
    def test_differs(
        self,
        one: tuple[bytes, int, bytes, bool],
        other: tuple[bytes, int, bytes, bool],
    ) -> None:
        """Two copies have the same digest only if they are the same."""
        same = entry_digest(*one) == entry_digest(*other)
        self.assertEqual(same, one == other)

    def test_empty(self) -> None:
        """Nothing has the digest 0, for good."""
        self.assertEqual(slot_digest([], 5.0), (0, INF))

    def test_order_does_not_matter(self) -> None:
        """Two nodes that got the same copies in another order agree."""
        one, other = entry(b"1", 1), entry(b"2", 2)
        self.assertEqual(slot_digest([one, other], 0.0), slot_digest([other, one], 0.0))
        self.assertNotEqual(
            slot_digest([one], 0.0)[0], slot_digest([one, other], 0.0)[0]
        )

    def test_about_to_expire(self) -> None:
        """What one node may have dropped before the other does not count."""
        stays, goes = entry(b"1", 1), entry(b"2", 2, deadline=10.0)
        both = slot_digest([stays, goes], 10.0 - DIGEST_MARGIN_S - 0.1)
        self.assertEqual(both[1], 10.0 - DIGEST_MARGIN_S)
        self.assertNotEqual(both[0], slot_digest([stays], 0.0)[0])
        self.assertEqual(
            slot_digest([stays, goes], 10.0 - DIGEST_MARGIN_S),
            slot_digest([stays], 0.0),
        )
