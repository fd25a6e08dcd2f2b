"""Tests for `mycorrizal.testing.verdicts`: each check can fail."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing.conditions import Conditions
from mycorrizal.testing.evictions import Evictions
from mycorrizal.testing.history import (
    FAIL,
    INFO,
    OK,
    PUTS,
    READS,
    History,
    Version,
    operations,
)
from mycorrizal.testing.verdicts import Verdict, judge


def version(number: int) -> Version:
    """The number-th version there is."""
    return number << 16, "00" * 16


class VerdictTests(SynchronousTestCase):
    """A history that breaks a promise is found, one that keeps it is not."""

    def setUp(self) -> None:
        self.history = History()
        self.conditions = Conditions(replicas=1)
        self.conditions.well(0.0, 3)
        self.now = 0.0
        self.evictions = Evictions(lambda: self.now)

    def did(
        self,
        op: str,
        value: str | None = None,
        number: int | None = None,
        outcome: str = OK,
        **more: Any,
    ) -> None:
        """One second passes, and in it an operation on one key."""
        begun = {name: more.pop(name) for name in ("ttl_s",) if name in more}
        began, took_s = self.now, more.pop("took_s", 0.5)
        timeout_s = more.pop("timeout_s", 5.0)
        self.now += 1.0
        written = value if op in PUTS else None
        where = more.pop("bucket", "b"), "k"
        it = self.history.invoke(
            began, "c0", op, *where, written, timeout_s=timeout_s, **begun
        )
        found = value if op in READS else None
        stands = None if number is None else version(number)
        more.setdefault("copies", 2 if op in PUTS else 0)
        self.history.end(
            began + took_s, it, outcome, value=found, version=stands, **more
        )

    def judged(self) -> Verdict:
        found = operations(self.history.records)
        return judge(found, self.conditions, self.evictions)

    def evict(self, number: int, *, led: bool = True) -> None:
        """A node lets a version of the key go."""
        node: Any = object()
        self.evictions.evicted("b", b"k", node, version(number), led=led)

    def check(self, *invariants: str) -> None:
        """These are broken, and no others."""
        broken = [invariant for _, invariant, _ in self.judged().problems]
        self.assertEqual(broken, list(invariants))

    def test_all_is_well(self) -> None:
        """Writes, reads and deletes as they should be."""
        self.did("put", "v1", 1)
        self.did("get", "v1")
        self.did("entry", "v1", 1)
        self.did("put", "v2", 2)
        self.did("entry", "v2", 2)
        self.did("delete", None, 3)
        self.did("get")
        self.check()
        self.assertEqual((self.judged().judged, self.judged().excluded), (7, 0))

    def test_lost(self) -> None:
        """An acknowledged write is gone."""
        self.did("put", "v1", 1)
        self.did("get")
        self.check("acknowledged")

    def test_may_be_lost(self) -> None:
        """... which is no wonder when both of its holders have died."""
        self.did("put", "v1", 1)
        self.conditions.died(1.1)
        self.conditions.died(1.2)
        self.now = 8.0
        self.conditions.well(7.0, 1)
        self.did("get")
        self.check()

    def test_stale(self) -> None:
        """A value that was overwritten is read."""
        self.did("put", "v1", 1)
        self.did("put", "v2", 2)
        self.did("entry", "v1", 1)
        self.check("stale")

    def test_in_a_split(self) -> None:
        """... which is not judged while the cluster was split."""
        self.did("put", "v1", 1)
        self.did("put", "v2", 2)
        self.conditions.split("cut", 1.9)
        self.did("entry", "v1", 1)
        self.check()
        self.assertEqual(self.judged().excluded, 1)

    def test_deleted(self) -> None:
        """A value that was deleted is read."""
        self.did("put", "v1", 1)
        self.did("delete", None, 2)
        self.did("entry", "v1", 1)
        self.check("deleted")

    def test_returned(self) -> None:
        """An older value comes back when the last one has expired."""
        self.did("put", "v1", 1)
        self.did("put", "v2", 2, ttl_s=1.0)
        self.now = 9.0
        self.did("entry", "v1", 1)
        self.check("returned")

    def test_order(self) -> None:
        """Of two writes, the later has the lower version."""
        self.did("put", "v1", 5)
        self.did("put", "v2", 4)
        self.check("order")

    def test_phantom(self) -> None:
        """A value is read that nobody wrote, or whose write failed."""
        self.did("get", "v9")
        self.did("put", "v1", outcome=FAIL)
        self.did("get", "v1")
        self.check("phantom", "phantom")

    def test_expired(self) -> None:
        """A value is read long after its time to live."""
        self.did("put", "v1", 1, ttl_s=1.0)
        self.now = 9.0
        self.did("get", "v1")
        self.check("expired")

    def test_expired_but_touched(self) -> None:
        """... which is right if it was given a longer one meanwhile."""
        self.did("put", "v1", 1, ttl_s=1.0)
        self.did("touch", None, 2, ttl_s=60.0, copies=2)
        self.now = 9.0
        self.did("entry", "v1", 2)
        self.check()

    def test_touched_before(self) -> None:
        """... and wrong if what was touched is another value, of before."""
        self.did("put", "v1", 1)
        self.did("touch", None, 2, ttl_s=60.0, copies=2)
        self.did("put", "v2", 3, ttl_s=1.0)
        self.now = 9.0
        self.did("entry", "v2", 3)
        self.check("expired")

    def test_has_expired(self) -> None:
        """Nothing is read of what may have expired."""
        self.did("put", "v1", 1, ttl_s=1.0)
        self.did("get")
        self.check()

    def test_may_have_been_deleted(self) -> None:
        """Nothing is read where a delete may have had an effect."""
        self.did("put", "v1", 1)
        self.did("delete", outcome=INFO)
        self.did("get")
        self.check()

    def test_deleted_by_itself(self) -> None:
        """
        A delete that was tried again finds nothing, as it may where owners
        change.
        """
        self.did("put", "v1", 1)
        self.did("delete", existed=False)
        self.check("acknowledged")
        self.conditions.upset = lambda since, until: (since, until) == (1.0, 1.5)
        self.check()

    def test_evicted(self) -> None:
        """Nothing is read of what a full bucket let go."""
        self.did("put", "v1", 1)
        self.evict(1)
        self.did("get")
        self.check()

    def test_another_was_evicted(self) -> None:
        """... but an older version that went excuses nothing."""
        self.did("put", "v1", 1)
        self.evict(1)
        self.did("put", "v2", 2)
        self.did("get")
        self.check("acknowledged")

    def test_evicted_afterwards(self) -> None:
        """... nor does what went when it had been missed already."""
        self.did("put", "v1", 1)
        self.did("get")
        self.evict(1)
        self.check("acknowledged")

    def test_copy_evicted(self) -> None:
        """A copy that went is missed only where owners may have changed."""
        self.did("put", "v1", 1)
        self.evict(1, led=False)
        self.did("get")
        self.check()
        self.evictions.upset = lambda since, until: False
        self.check("acknowledged")

    def test_evicted_and_back(self) -> None:
        """What was missed for having been evicted is read all the same."""
        self.did("put", "v1", 1)
        self.did("get", "v1")
        self.evict(1)
        self.did("get")
        self.check()
        self.did("entry", "v1", 1)
        self.check("evicted")

    def test_evicted_and_older(self) -> None:
        """When a value was evicted, an older one is read."""
        self.did("put", "v1", 1)
        self.did("put", "v2", 2)
        self.evict(2)
        self.did("entry", "v1", 1)
        self.check("evicted")

    def test_written_again(self) -> None:
        """... which is right if it was written again."""
        self.did("put", "v1", 1)
        self.evict(1)
        self.did("get")
        self.did("put", "v2", 2)
        self.did("get", "v2")
        self.check()

    def test_late(self) -> None:
        """An operation takes longer than it may."""
        self.did("get", timeout_s=2.0, took_s=2.5)
        self.check()
        self.did("get", timeout_s=2.0, took_s=2.6)
        self.check("time")

    def test_cut_short(self) -> None:
        """What is still under way at the end is late if it should have ended."""
        self.history.invoke(1.0, "c0", "get", "b", "k", timeout_s=2.0)
        found = operations(self.history.records)
        for now, late in ((3.5, 0), (3.6, 1)):
            verdict = judge(found, self.conditions, self.evictions, now)
            self.assertEqual(len(verdict.problems), late)

    def test_late_for_a_pause(self) -> None:
        """... which is right if a process stood still as long."""
        self.conditions.pauses.append((0.5, 1.5))
        self.did("get", timeout_s=2.0, took_s=3.5)
        self.check()

    def test_not_done(self) -> None:
        """A value is read whose conditional write was not done."""
        self.did("put", "v1", 1)
        self.did("add", "v2", existed=True)
        self.did("get", "v1")
        self.check()
        self.did("get", "v2")
        self.check("phantom")

    def test_conditional(self) -> None:
        """What conditional writes did is read, as if it had been put."""
        self.did("add", "v1", 1, existed=False)
        self.did("get", "v1")
        self.did("replace", "v2", 2)
        self.did("get", "v2")
        self.check()
        self.did("entry", "v1", 1)
        self.check("stale")

    def test_nothing_to_replace(self) -> None:
        """A replace finds nothing, where something was written."""
        self.did("put", "v1", 1)
        self.did("replace", "v2", existed=False)
        self.check("acknowledged")

    def test_added_though_there(self) -> None:
        """An add is done, though there is a value: its own version is no excuse."""
        self.did("put", "v1", 1)
        self.did("add", "v2", 2, existed=False)
        self.check("acknowledged")

    def test_added_though_deleted(self) -> None:
        """An add is not done, though the key was deleted."""
        self.did("put", "v1", 1)
        self.did("delete", None, 2)
        self.did("add", "v2", existed=True)
        self.check("deleted")

    def test_scanned(self) -> None:
        """A scan misses what is there, or finds what was deleted."""
        self.did("put", "v1", 1)
        self.did("scan", existed=True)
        self.check()
        self.did("scan", existed=False)
        self.check("acknowledged")
        self.did("delete_many", None, 2)
        self.did("scan", existed=False)
        self.check("acknowledged")
        self.did("scan", existed=True)
        self.check("acknowledged", "deleted")

    def test_scanned_what_came_later(self) -> None:
        """... but what may have been written since the delete is found."""
        self.did("put", "v1", 1)
        self.did("delete", None, 2)
        self.did("put", "v2", outcome=INFO)
        self.did("scan", existed=True)
        self.check()

    def load(self, value: str, *, for_s: float = 3.0, client: str = "c0") -> None:
        """A loader is called now, and takes so long; no time passes."""
        it = self.history.invoke(self.now, client, "load", "b", "k", value)
        self.history.end(self.now + for_s, it, OK)

    def test_loaded(self) -> None:
        """What was loaded may be read, then and later."""
        self.load("v1", for_s=0.5)
        self.now += 1
        self.did("get_or_load", "v1")
        self.did("get", "v1")
        self.check()

    def test_late_fill(self) -> None:
        """What began to be loaded before a write or delete is read after it."""
        for op, value in (("put", "v2"), ("delete", None), ("put_many", "v3")):
            self.setUp()
            self.load("v1")
            self.now += 0.1
            self.did(op, value, 2)
            self.did("get", "v1")
            self.check("late-fill")

    def test_late_fill_in_a_split(self) -> None:
        """... as it may where nodes were of two minds meanwhile."""
        self.load("v1")
        self.now += 0.1
        self.conditions.split("cut", 0.2)
        self.conditions.mended("cut")
        self.conditions.splits.end(0.5)
        self.did("delete", None, 2)
        self.did("get", "v1")
        self.check()

    def test_loaded_after(self) -> None:
        """What began to be loaded after a delete is read, or met by a scan."""
        self.did("delete", None, 2, took_s=0.5)
        self.load("v1", for_s=0.2)
        self.now += 1
        self.did("get", "v1")
        self.did("scan", existed=True)
        self.check()

    def test_met_a_late_fill(self) -> None:
        """A scan meets what was loaded too late."""
        self.load("v1")
        self.now += 0.1
        self.did("delete", None, 2)
        self.did("scan", existed=True)
        self.check("deleted")

    def test_joined_before(self) -> None:
        """Who waited before the write may be given what was loaded."""
        self.load("v1")
        self.now += 0.1
        waits = self.history.invoke(self.now, "c1", "get_or_load", "b", "k")
        self.did("delete", None, 2)
        self.history.end(3.5, waits, OK, value="v1")
        self.check()

    def test_two_flights(self) -> None:
        """Two loaders are called for one key at one time."""
        self.load("v1")
        self.now += 1
        self.load("v2", client="c1")
        self.check("one-flight")
        self.conditions.upset = lambda since, until: (since, until) == (0.0, 1.0)
        self.check()

    def test_two_flights_for_a_write(self) -> None:
        """... which is right if it was written after the first was asked for."""
        asked = self.history.invoke(0.0, "c0", "get_or_load", "b", "k")
        self.did("delete", None, 2, took_s=0.5)
        self.load("v1")
        self.now += 0.5
        self.load("v2", client="c1")
        self.history.end(4.0, asked, OK, value="v1")
        self.check()

    def test_one_after_the_other(self) -> None:
        """... or when the first has ended, by whichever clock."""
        self.load("v1", for_s=2.0)
        self.now += 1.96
        self.load("v2")
        self.check()
