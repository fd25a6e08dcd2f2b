"""Tests for `mycorrizal.testing.checkers`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import BucketSettings, Mycorrizal
from mycorrizal.mycel.slots.placement import bucket_seed, slot_of
from mycorrizal.mycel.store import Bucket, Cause
from mycorrizal.testing import SimCluster
from mycorrizal.testing.checkers import copies_are_wrong, views_differ

BUCKET, KEY, VALUE = "sessions", b"user:1", b"Ada"
SLOT = slot_of(bucket_seed(BUCKET), KEY)


class CheckerTests(SynchronousTestCase):
    """A checker is quiet when all is well, and finds each kind of fault."""

    def setUp(self) -> None:
        self.cluster = SimCluster(3, seed=1, buckets=[f"{BUCKET}:ttl=15m,replicas=1"])
        self.cluster.until(self.cluster.formed)
        self.cluster.result_of(self.cluster[0].cache().put(BUCKET, KEY, VALUE))
        self.cluster.until(self.cluster.converged)
        self.assertEqual(self.problems(), [])
        view = self.cluster[0].mycel.view
        keys = set(view.placement.owners(SLOT, 2))
        self.owners = [n for n in self.cluster.nodes if n.nodosum.me.node_key in keys]
        (self.other,) = [n for n in self.cluster.nodes if n not in self.owners]

    def problems(self) -> list[str]:
        nodes, world = self.cluster.nodes, self.cluster.world
        return [*views_differ(nodes), *copies_are_wrong(nodes), *world.errors()]

    def check(self, *fragments: str) -> None:
        """The checkers find these, and the cluster's check does not pass."""
        problems = self.problems()
        for fragment in fragments:
            self.assertTrue(
                any(fragment in problem for problem in problems), (fragment, problems)
            )
        with self.assertRaises(AssertionError) as raised:
            self.cluster.check_invariants()
        for fragment in fragments:
            self.assertIn(fragment, str(raised.exception))

    def plant(
        self, node: Mycorrizal, value: bytes, stamp: int, ttl_s: float = 900
    ) -> None:
        """Put a version straight into one node's memory."""
        now = node.runtime.now()
        merged = self.store(node).merge(
            SLOT, KEY, value, stamp, b"\1" * 16, now + ttl_s, now
        )
        self.assertTrue(merged)

    def store(self, node: Mycorrizal) -> Bucket:
        return node.mycel.buckets.by_name[BUCKET].store

    def test_evicted_copy(self) -> None:
        """An owner need not have what it let go for want of room."""
        cluster = SimCluster(3, seed=1, buckets=["tiny:max_entries=2,replicas=2"])
        cluster.until(cluster.formed)
        for number in range(12):
            put = cluster[0].cache().put("tiny", f"k{number}", b"v")
            cluster.result_of(put)
        cluster.until(cluster.converged)
        cluster.check_invariants()
        self.assertNotEqual(list(copies_are_wrong(cluster.nodes)), [])
        held = [node.mycel.buckets.by_name["tiny"].store for node in cluster.nodes]
        self.assertEqual([store.entries for store in held], [2, 2, 2])

    def test_never_had_what_has_expired(self) -> None:
        """An owner that never had the last value may hold the one before."""
        self.plant(self.owners[0], b"old", 2**61)
        self.plant(self.owners[1], b"old", 2**61)
        self.plant(self.owners[0], b"new", 2**61 + 1, ttl_s=0.5)
        store = self.store(self.owners[0])
        self.cluster.until(lambda: store.tombstones, 2.0)
        nodes, evictions = self.cluster.nodes, self.cluster.evictions
        self.assertNotEqual(list(copies_are_wrong(nodes)), [])
        self.assertEqual(list(copies_are_wrong(nodes, evictions)), [])

    def test_missing_copy(self) -> None:
        """A copy that an owner has lost."""
        self.store(self.owners[1]).drop_slot(SLOT, Cause.MOVED)
        self.check(
            f"{BUCKET}/{KEY!r} in slot {SLOT} is on ['{self.owners[0].node_id}']"
        )

    def test_copy_left_over(self) -> None:
        """A copy on a node that is no owner."""
        self.plant(self.other, VALUE, 1)
        self.check("is on ['n0', 'n1', 'n2'], its owners are ")

    def test_stale_version(self) -> None:
        """An owner with another version of a value."""
        (entry,) = self.store(self.owners[0]).scan(SLOT, b"", 1)
        self.plant(self.owners[0], b"Grace", entry.stamp + 1)
        self.check(f"{BUCKET}/{KEY!r} in slot {SLOT} has 2 versions: ")

    def test_copies_live_apart(self) -> None:
        """A copy of one owner may have a moment more to live than the other's."""
        for ttl_s in (2.001, 1.999, 1.995):
            for node in self.owners:
                self.store(node).drop_slot(SLOT, Cause.MOVED)
            for node, more_s in zip(self.owners, (0.0, 0.01), strict=True):
                self.plant(node, VALUE, 1, ttl_s + more_s)
            self.assertEqual(self.problems(), [], ttl_s)

    def test_about_to_expire(self) -> None:
        """What expires in this moment may be gone from one node already."""
        for ttl_s, found in ((1.9, 0), (2.1, 1)):
            self.store(self.other).drop_slot(SLOT, Cause.MOVED)
            self.plant(self.other, VALUE, 1, ttl_s)
            self.assertEqual(len(self.problems()) > 0, found, ttl_s)

    def test_view_that_differs(self) -> None:
        """A node that others take for dead, and that has other owners in mind."""
        node = self.cluster[1]
        alone = node.mycel.view.members[node.nodosum.me.node_key]
        node.mycel.view.change([alone])
        self.check("nodes disagree on the members that own slots: ")

    def test_member_that_is_not_seen(self) -> None:
        """Right after a crash the others have not noticed."""
        self.cluster.crash(2, "silence")
        problems = list(views_differ(self.cluster.running))
        self.assertEqual(
            problems,
            [
                f"{n} sees ['n0', 'n1', 'n2'] alive, not ['n0', 'n1']"
                for n in ("n0", "n1")
            ],
        )

    def test_bucket_that_one_knows(self) -> None:
        """A bucket that not every node knows, the first one neither."""
        node = self.cluster[2]
        bucket = node.mycel.buckets.add(BucketSettings("pages"), (1, b"\1" * 16))
        now = node.runtime.now()
        bucket.store.merge(SLOT, b"a", b"b", 1, b"\1" * 16, now + 900, now)
        self.check("n2 knows buckets {'pages': ", "pages/b'a' in slot")

    def test_error_in_code(self) -> None:
        """What code raised into its reactor is found as well."""

        def fail() -> None:
            raise ZeroDivisionError("a bug")

        self.cluster.hosts[1].reactor.callLater(0, fail)
        self.cluster.advance(0.1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.check("n1: a bug")

    def test_no_nodes(self) -> None:
        """Nothing is wrong with no nodes."""
        self.assertEqual([*views_differ([]), *copies_are_wrong([])], [])
