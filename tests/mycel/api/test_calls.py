"""
How many operations may be under way, and what is left of those that are given up.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from mycorrizal import CacheBusy, Degraded, NotRunning
from mycorrizal.mycel.api import calls
from mycorrizal.mycel.config import OPERATIONS_MAX
from tests.mycel.cases import ClusterTestCase


class BoundTests(ClusterTestCase):
    """One node's callers."""

    def test_operations(self) -> None:
        """So many may be under way; one more fails at once and is not begun."""
        self.patch(calls, "OPERATIONS_MAX", 3)
        here, key = self.cache(0), self.key_owned_by(1)
        begun = [here.put("b", key, b"%d" % number) for number in range(3)]
        error = self.failureResultOf(here.put("b", key, b"3"), CacheBusy).value
        self.assertEqual(error.limit, 3)
        self.assertIn("not begun", str(error))
        self.failureResultOf(here.get_many("b", ["x"]), CacheBusy)
        for put in begun:
            self.result_of(put)
        self.assertEqual(self.result_of(here.get("b", key)), b"2")
        self.result_of(here.put_many("b", {"x": b"", "y": b"", "z": b""}))
        self.failureResultOf(here.delete_many("b", "abcd"), CacheBusy)
        self.assertEqual(here._in_flight, 0)

    def test_own_reads(self) -> None:
        """What needs nobody else is answered, however much is under way."""
        here, key = self.cache(0), self.key_owned_by(0)
        self.result_of(here.put("b", key, b"value"))
        self.patch(calls, "OPERATIONS_MAX", 0)
        self.assertEqual(self.successResultOf(here.get("b", key)), b"value")

    def test_at_the_bound(self) -> None:
        """As many as the bound at once do no harm, and all are done."""
        here, key = self.cache(0), self.key_owned_by(1)
        done: list[object] = []
        for _ in range(OPERATIONS_MAX):
            here.get("b", key).addBoth(done.append)
        self.failureResultOf(here.get("b", key), CacheBusy)
        self.cluster.until(lambda: len(done) == OPERATIONS_MAX)
        self.assertEqual({*done}, {None})
        self.result_of(here.put("b", key, b"value"))


class CancelTests(ClusterTestCase):
    """Calls that are given up."""

    def test_not_done(self) -> None:
        """A write that is cancelled in the turn it was made is not done."""
        key = self.key_owned_by(1)
        call = self.cache(0).put("b", key, b"value")
        call.cancel()
        self.failureResultOf(call, CancelledError)
        self.cluster.advance(1)
        self.assertIsNone(self.result_of(self.cache(0).get("b", key)))
        self.assertEqual(self.cluster[1].cache().stats("b").puts, 0)

    def test_begun(self) -> None:
        """One that has begun is done all the same."""
        key = self.key_owned_by(1, 2)
        self.cluster.pause(2)
        call = self.cache(0).put("b", key, b"value", timeout_s=60)
        self.cluster.advance(0.2)
        call.cancel()
        self.failureResultOf(call, CancelledError)
        self.cluster.resume(2)
        self.cluster.advance(1)
        self.assertEqual(self.result_of(self.cache(0).get("b", key)), b"value")

    def test_nothing_is_left(self) -> None:
        """The owner forgets calls that were cancelled, and those of lost links."""
        serving = self.cluster[1].mycel._serving
        key = self.key_owned_by(1, 2)
        self.cluster.pause(2)
        for give_up in (True, False):
            call = self.cache(0).put("b", key, b"value", timeout_s=60)
            call.addErrback(lambda failure: None)
            self.cluster.advance(0.2)
            self.assertEqual(len(serving), 1)
            if give_up:
                call.cancel()
            else:
                self.cluster.crash(0)
            self.cluster.advance(1)
            self.assertEqual(len(serving), 0)

    def test_many(self) -> None:
        """A call about many keys can be cancelled, too."""
        here = self.cache(0)
        keys = [self.key_owned_by(number) for number in (1, 2)]
        call = here.put_many("b", dict.fromkeys(keys, b"value"))
        call.cancel()
        self.failureResultOf(call, CancelledError)
        self.cluster.advance(1)
        self.assertEqual(self.result_of(here.get_many("b", keys)), dict.fromkeys(keys))
        self.assertEqual(here._in_flight, 0)

    def test_stopped(self) -> None:
        """Calls about many keys fail when their node stops, and leave nothing."""
        self.cluster.pause(1)
        call = self.cache(0).get_many(
            "b", self.keys_owned_by(1, count=3), timeout_s=100
        )
        self.cluster[0].mycel.stopService()
        self.failureResultOf(call, NotRunning)
        self.assertEqual(self.cache(0)._in_flight, 0)


class DegradedTests(ClusterTestCase):
    """Members are missing."""

    replicas = 2

    def test_copies(self) -> None:
        """A put says when it has fewer copies, and fails if more are demanded."""
        copies = self.result_of(self.cache(0).put("b", "k", b"1", copies_min=3))
        self.assertEqual((copies, copies.degraded), (3, False))
        self.cluster.stop(2)
        copies = self.result_of(self.cache(0).put("b", "k", b"2", copies_min=2))
        self.assertEqual((copies, copies.wanted, copies.degraded), (2, 3, True))
        call = self.cache(0).put("b", "k", b"3", copies_min=3)
        error = self.failure_of(Degraded, call)
        self.assertEqual((error.copies, error.wanted), (2, 3))
        self.assertEqual(self.result_of(self.cache(0).get("b", "k")), b"3")

    def test_others(self) -> None:
        """So do add, replace and puts of many."""
        self.cluster.stop(2)
        here = self.cache(0)
        self.failure_of(Degraded, here.add("b", "k", b"1", copies_min=3))
        self.failure_of(Degraded, here.replace("b", "k", b"2", copies_min=3))
        self.assertFalse(self.result_of(here.add("b", "k", b"3", copies_min=3)))
        copies = self.result_of(here.put_many("b", {"k": b"4"}, copies_min=2))
        self.assertTrue(copies["k"].degraded)
