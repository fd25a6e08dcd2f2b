"""Tests of who owns what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.mycel.slots.placement import (
    COUNT_CACHED_MAX,
    SLOTS,
    Placement,
    bucket_seed,
    rank,
    slot_of,
)

A, B, C, D = (bytes([number]) * 16 for number in range(1, 5))

node_keys = st.binary(min_size=16, max_size=16)
members = st.lists(node_keys, min_size=1, max_size=6, unique=True)


def placement_of(nodes: Sequence[bytes], hosts: Sequence[str] = ()) -> Placement:
    """A placement over these nodes."""
    placement = Placement()
    for number, node in enumerate(nodes):
        placement.add(node, hosts[number] if hosts else "")
    return placement


def whole(placement: Placement) -> list[tuple[bytes, ...]]:
    """Every slot's order."""
    return [placement.ranked(slot) for slot in range(SLOTS)]


class GoldenTests(SynchronousTestCase):
    """
    Two nodes of different versions must agree: these numbers never change.
    """

    def test_bucket_seed(self) -> None:
        """A bucket's seed comes from its name in UTF-8."""
        self.assertEqual(bucket_seed("sessions"), 0x4E76_B61A_D7E9_2501)
        self.assertEqual(bucket_seed("größe"), 0xA6D7_BBEA_01D4_872C)

    def test_slot_of(self) -> None:
        """A key's slot depends on the bucket and on each byte of the key."""
        seed = bucket_seed("sessions")
        self.assertEqual(
            [slot_of(seed, key) for key in (b"", b"user:123", b"user:124", b"\xff")],
            [504, 772, 121, 923],
        )
        self.assertEqual(slot_of(bucket_seed("other"), b"user:123"), 533)

    def test_rank(self) -> None:
        """A node's rank for a slot is a 64-bit number."""
        self.assertEqual(rank(0, A), 0xD596_7995_53B0_9FDC)
        self.assertEqual(rank(1, A), 0x3634_C181_2C55_6939)
        self.assertEqual(rank(1023, D), 0xC760_CBCD_5221_A3FB)

    def test_owners(self) -> None:
        """Four nodes share out the first slots like this."""
        placement = placement_of([A, B, C, D])
        self.assertEqual(
            ["".join("ABCD"[n[0] - 1] for n in placement.ranked(s)) for s in range(8)],
            ["ADBC", "DBAC", "CDAB", "BCDA", "DACB", "BCDA", "DACB", "DACB"],
        )

    def test_owners_on_two_hosts(self) -> None:
        """Four nodes on two hosts share out the first slots like this."""
        placement = placement_of([A, B, C, D], ["x", "x", "y", "y"])
        self.assertEqual(
            [
                "".join("ABCD"[n[0] - 1] for n in placement.owners(s, 2))
                for s in range(8)
            ],
            ["AD", "DB", "CA", "BC", "DA", "BC", "DA", "DA"],
        )


class PlacementTests(SynchronousTestCase):
    """Members share out the slots."""

    def test_nobody(self) -> None:
        """Without members no slot has an owner."""
        placement = Placement()
        self.assertIsNone(placement.primary(0))
        self.assertEqual(placement.owners(0, 2), ())
        self.assertEqual(placement.ranked(1023), ())
        self.assertEqual(len(placement), 0)

    def test_alone(self) -> None:
        """A node alone is the primary of every slot."""
        placement = placement_of([A])
        self.assertEqual(placement.primaries, [A] * SLOTS)
        self.assertEqual(placement.owners(7, 3), (A,))
        self.assertIn(A, placement)
        self.assertNotIn(B, placement)

    def test_last_one_leaves(self) -> None:
        """When the last member leaves, no slot has an owner."""
        placement = placement_of([A])
        placement.remove(A)
        self.assertEqual(placement.primaries, [None] * SLOTS)
        self.assertEqual(placement.members, ())

    def test_ranked_by_rank(self) -> None:
        """The highest rank comes first."""
        placement = placement_of([A, B, C, D])
        for slot in range(SLOTS):
            ranks = [rank(slot, node) for node in placement.ranked(slot)]
            self.assertEqual(ranks, sorted(ranks, reverse=True))
            self.assertEqual(placement.primary(slot), placement.ranked(slot)[0])

    def test_owners_count(self) -> None:
        """As many owners as asked for, and no more than there are members."""
        placement = placement_of([A, B, C])
        self.assertEqual(placement.owners(5, 0), ())
        self.assertEqual(placement.owners(5, -1), ())
        self.assertEqual(placement.owners(5, 2), placement.ranked(5)[:2])
        self.assertEqual(placement.owners(5, 3), placement.ranked(5))
        self.assertEqual(placement.owners(5, 4), placement.ranked(5))

    def test_owners_kept(self) -> None:
        """Answers are remembered up to a count, and not one past it."""
        placement = placement_of([A, B])
        at, past = COUNT_CACHED_MAX, COUNT_CACHED_MAX + 1
        self.assertIs(placement.owners(0, at), placement.owners(0, at))
        self.assertIsNot(placement.owners(0, past), placement.owners(0, past))

    def test_owners_follow_changes(self) -> None:
        """What was asked before a join or a leave does not count after it."""
        placement = placement_of([A])
        self.assertEqual(placement.owners(0, 2), (A,))
        placement.add(B)
        self.assertEqual(set(placement.owners(0, 2)), {A, B})
        placement.remove(A)
        self.assertEqual(placement.owners(0, 2), (B,))

    def test_unknown_leaves(self) -> None:
        """Who is not a member can't leave."""
        self.assertRaises(KeyError, placement_of([A]).remove, B)

    def test_twice(self) -> None:
        """A member that is added again keeps its one place."""
        placement = placement_of([A, B])
        before = whole(placement)
        placement.add(A, "x")
        self.assertEqual(whole(placement), before)
        self.assertEqual(placement.members, (A, B))

    def test_balance(self) -> None:
        """Ten nodes hold about a tenth of the slots each."""
        placement = placement_of([bytes([n]) * 16 for n in range(10)])
        shares = Counter(placement.primaries).values()
        self.assertEqual(len(shares), 10)
        self.assertGreater(min(shares), 0.6 * SLOTS / 10)
        self.assertLess(max(shares), 1.4 * SLOTS / 10)

    def test_keys_spread(self) -> None:
        """Keys fill the slots evenly."""
        seed = bucket_seed("b")
        slots = Counter(slot_of(seed, b"user:%d" % n) for n in range(100_000))
        self.assertEqual(len(slots), SLOTS)
        self.assertLess(max(slots.values()), 1.6 * 100_000 / SLOTS)


class HostTests(SynchronousTestCase):
    """Copies are kept on different hosts where there is a choice."""

    def test_replica_on_the_other_host(self) -> None:
        """With two hosts no slot has both copies on one."""
        hosts = {A: "x", B: "x", C: "x", D: "y"}
        placement = placement_of(list(hosts), list(hosts.values()))
        for slot in range(SLOTS):
            owners = placement.owners(slot, 2)
            self.assertEqual({hosts[node] for node in owners}, {"x", "y"})
            self.assertEqual(owners[0], placement.ranked(slot)[0])

    def test_replicas_on_three_hosts(self) -> None:
        """With three hosts, three copies are on all of them."""
        hosts = dict(zip([bytes([n]) * 16 for n in range(9)], "xyzxyzxyz", strict=True))
        placement = placement_of(list(hosts), list(hosts.values()))
        for slot in range(SLOTS):
            self.assertEqual(len({hosts[n] for n in placement.owners(slot, 3)}), 3)

    def test_third_copy_on_two_hosts(self) -> None:
        """Where the third copy must share a host, it is not the primary's."""
        hosts = {A: "x", B: "x", C: "y", D: "y"}
        placement = placement_of(list(hosts), list(hosts.values()))
        for slot in range(SLOTS):
            first, *rest = (hosts[node] for node in placement.owners(slot, 3))
            self.assertNotIn(first, rest)

    def test_one_host(self) -> None:
        """Without a choice the best-ranked are taken."""
        placement = placement_of([A, B, C], ["x", "x", "x"])
        for slot in range(SLOTS):
            self.assertEqual(placement.owners(slot, 2), placement.ranked(slot)[:2])

    def test_unknown_hosts_differ(self) -> None:
        """A node that names no host shares it with nobody."""
        placement = placement_of([A, B, C], ["", "", ""])
        for slot in range(SLOTS):
            self.assertEqual(placement.owners(slot, 2), placement.ranked(slot)[:2])

    def test_host_changes(self) -> None:
        """A member that comes back on another host is placed by that."""
        placement = placement_of([A, B, C], ["x", "x", "x"])
        placement.owners(0, 2)
        placement.add(C, "y")
        for slot in range(SLOTS):
            self.assertIn(C, placement.owners(slot, 2))


class MovingTests(SynchronousTestCase):
    """A change moves as little as it can."""

    @given(members, node_keys)
    def test_join(self, nodes: list[bytes], newcomer: bytes) -> None:
        """A join moves only what the newcomer wins."""
        placement = placement_of([n for n in nodes if n != newcomer])
        before = whole(placement)
        placement.add(newcomer)
        for slot, order in enumerate(whole(placement)):
            rest = tuple(node for node in order if node != newcomer)
            self.assertEqual(rest, before[slot])
            owners = placement.owners(slot, 2)
            self.assertEqual(owners, order[:2])

    @given(members, st.data())
    def test_leave(self, nodes: list[bytes], data: st.DataObject) -> None:
        """A leave moves only what the leaver held."""
        placement = placement_of(nodes)
        leaver = data.draw(st.sampled_from(nodes))
        before = whole(placement)
        placement.remove(leaver)
        for slot, order in enumerate(whole(placement)):
            self.assertEqual(order, tuple(n for n in before[slot] if n != leaver))

    @given(
        members, st.lists(st.sampled_from(["", "x", "y", "z"]), min_size=6), st.data()
    )
    def test_order_of_joins(
        self, nodes: list[bytes], hosts: list[str], data: st.DataObject
    ) -> None:
        """The table depends on who is in, not on who came first or has left."""
        one = placement_of(nodes, hosts)
        other = Placement()
        passer_by = data.draw(node_keys.filter(lambda key: key not in nodes))
        steps = data.draw(st.permutations(range(len(nodes))))
        leaves_after = data.draw(st.integers(0, len(nodes)))
        other.add(passer_by, "x")
        for number, step in enumerate(steps):
            if number == leaves_after:
                other.remove(passer_by)
            other.add(nodes[step], hosts[step])
        if leaves_after == len(nodes):
            other.remove(passer_by)
        self.assertEqual(whole(one), whole(other))
        self.assertEqual(one.primaries, other.primaries)
        for slot in range(0, SLOTS, 16):
            self.assertEqual(one.owners(slot, 3), other.owners(slot, 3))
