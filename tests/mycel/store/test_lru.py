"""Tests of rings in order of use."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.store.lru import INF, Entry, new_ring, push, take_off

ORIGIN = b"o" * 16


def entry(key: bytes, value: bytes | None = b"value") -> Entry:
    """An entry on no ring."""
    return Entry(value, INF, None, None, key, 7, 99, ORIGIN)


def oldest_first(ring: Entry) -> list[bytes]:
    """A ring's keys in one direction, after a check that the other agrees."""
    there, back = [], []
    at = ring.newer
    while at is not ring:
        there.append(at.key)
        at = at.newer
    at = ring.older
    while at is not ring:
        back.append(at.key)
        at = at.older
    assert there == back[::-1], (there, back)
    return there


class RingTests(SynchronousTestCase):
    """A ring knows which entry was used the longest ago."""

    def test_empty(self) -> None:
        """A new ring has no entry."""
        self.assertEqual(oldest_first(new_ring()), [])

    def test_push(self) -> None:
        """The last entry put on is the newest."""
        ring = new_ring()
        for key in (b"1", b"2", b"3"):
            push(ring, entry(key))
        self.assertEqual(oldest_first(ring), [b"1", b"2", b"3"])

    def test_take_off(self) -> None:
        """Entries leave from the middle and from both ends."""
        ring = new_ring()
        entries = [entry(b"%d" % number) for number in range(4)]
        for one in entries:
            push(ring, one)
        take_off(entries[1])
        self.assertEqual(oldest_first(ring), [b"0", b"2", b"3"])
        take_off(entries[0])
        take_off(entries[3])
        self.assertEqual(oldest_first(ring), [b"2"])
        take_off(entries[2])
        self.assertEqual(oldest_first(ring), [])
        self.assertIsNone(entries[2].newer)
        self.assertIsNone(entries[2].older)


class EntryTests(SynchronousTestCase):
    """An entry is one copy of one key."""

    def test_version(self) -> None:
        """A version is the stamp, then the node that issued it."""
        self.assertEqual(entry(b"1").version, (99, ORIGIN))

    def test_repr(self) -> None:
        """An entry prints itself, not its whole ring and not its value."""
        ring = new_ring()
        one, other = entry(b"1"), entry(b"2", None)
        push(ring, one)
        push(ring, other)
        self.assertEqual(repr(one), "<Entry b'1': 5 bytes, stamp 99>")
        self.assertEqual(repr(other), "<Entry b'2': deleted, stamp 99>")

    def test_not_tracked(self) -> None:
        """However many entries there are, garbage collection is not slower."""
        table = {b"1": entry(b"1")}
        self.assertFalse(gc.is_tracked(table[b"1"]))
        self.assertFalse(gc.is_tracked(table))
