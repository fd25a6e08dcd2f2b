"""
Many keys at once: one call, and an outcome for each.
"""

from __future__ import annotations

from typing import Any

from mycorrizal import (
    CacheError,
    ConfigError,
    Indeterminate,
    KeyTooLarge,
    PartialFailure,
    UnknownBucket,
    ValueTooLarge,
)
from mycorrizal.mycel.config import BULK_KEYS_MAX, VALUE_BYTES_MAX
from tests.mycel.cases import ClusterTestCase

COUNT = 600


class BulkTests(ClusterTestCase):
    """A cluster of three."""

    def values(self, count: int = COUNT) -> dict[str, bytes]:
        """So many values, by key."""
        return {f"k{number}": b"%d" % number for number in range(count)}

    def test_there_and_back(self) -> None:
        """What one node puts another gets, and a third deletes."""
        values = self.values()
        copies = self.result_of(self.cache(0).put_many("b", values))
        self.assertEqual(copies, dict.fromkeys(values, 2))
        self.assertEqual(list(copies), list(values))
        for number in range(3):
            found = self.result_of(self.cache(number).get_many("b", values))
            self.assertEqual(found, values)
        keys = ["none", *values]
        existed = self.result_of(self.cache(2).delete_many("b", keys))
        self.assertEqual(existed, {"none": False, **dict.fromkeys(values, True)})
        found = self.result_of(self.cache(1).get_many("b", keys))
        self.assertEqual(found, dict.fromkeys(keys))

    def test_few_messages(self) -> None:
        """Each other node is sent one message, not one for each key."""
        calls = [
            self.cluster[0].nodosum.link_to(self.cluster[it].nodosum.me.node_key).calls  # type: ignore[union-attr]
            for it in (1, 2)
        ]
        before = [each._last_id for each in calls]
        self.result_of(self.cache(0).get_many("b", self.values()))
        self.assertEqual([each._last_id for each in calls], [it + 1 for it in before])

    def test_times_to_live(self) -> None:
        """All values of a call have its time to live."""
        self.result_of(self.cache(0).put_many("b", self.values(9), ttl_s=5))
        self.cluster.advance(4.9)
        found = self.result_of(self.cache(1).get_many("b", self.values(9)))
        self.assertEqual(found, self.values(9))
        self.cluster.advance(0.1)
        found = self.result_of(self.cache(1).get_many("b", self.values(9)))
        self.assertEqual(found, dict.fromkeys(self.values(9)))

    def test_large_values(self) -> None:
        """Values that fill a message each come one by one."""
        largest = bytes(VALUE_BYTES_MAX)
        values = {f"k{number}": largest for number in range(8)}
        self.result_of(self.cache(0).put_many("b", values))
        self.assertEqual(self.result_of(self.cache(1).get_many("b", values)), values)
        self.cluster.check_invariants()

    def test_keys(self) -> None:
        """Keys may be of both kinds, and twice; each is in the result as given."""
        self.result_of(self.cache(0).put("b", "k", b"value"))
        found = self.result_of(self.cache(0).get_many("b", ["k", b"k", "k"]))
        self.assertEqual(found, {"k": b"value", b"k": b"value"})
        self.assertEqual(self.successResultOf(self.cache(0).get_many("b", [])), {})

    def test_owner_dies(self) -> None:
        """When an owner dies the values come from the others."""
        values = self.values()
        self.result_of(self.cache(0).put_many("b", values))
        self.cluster.crash(1)
        found = self.result_of(self.cache(0).get_many("b", values, timeout_s=20))
        self.assertEqual(found, values)

    def test_owner_is_silent(self) -> None:
        """Keys of a silent owner fail alone, and the outcomes of all are told."""
        values = self.values()
        self.result_of(self.cache(0).put_many("b", values))
        self.cluster.pause(1)
        theirs = self.keys_owned_by(1, count=5)
        ours = self.keys_owned_by(0, count=5)
        call = self.cache(0).get_many("b", theirs + ours, timeout_s=1)
        error = self.failure_of(PartialFailure, call)
        self.assertEqual(error.done, dict.fromkeys(ours))
        self.assertEqual(list(error.failed), theirs)
        for failed in error.failed.values():
            self.assertIsInstance(failed, Indeterminate)
        self.assertIn("5 of 10 keys failed, the first 'key ", str(error))

    def test_replica_is_silent(self) -> None:
        """Writes whose replica is silent are held by the next-ranked node, soon."""
        self.cluster.pause(1)
        theirs = self.keys_owned_by(2, 1, count=5)
        others = self.keys_owned_by(2, 0, count=5)
        began_at = self.cluster.world.now_s
        values = dict.fromkeys(theirs + others, b"")
        copies = self.result_of(self.cache(0).put_many("b", values, timeout_s=2))
        self.assertLess(self.cluster.world.now_s - began_at, 1)
        self.assertEqual(copies, dict.fromkeys(values, 2))

    def test_replicas_are_silent(self) -> None:
        """With nobody to stand in, they fail each for itself, in time."""
        self.cluster.pause(1)
        self.cluster.pause(2)
        theirs = self.keys_owned_by(0, 1, count=5)
        began_at = self.cluster.world.now_s
        call = self.cache(0).put_many("b", dict.fromkeys(theirs, b""), timeout_s=2)
        error = self.failure_of(PartialFailure, call)
        self.assertLessEqual(self.cluster.world.now_s - began_at, 2.3)
        self.assertEqual((error.done, list(error.failed)), ({}, theirs))

    def test_while_slots_move(self) -> None:
        """Nothing is missed while a newcomer takes slots over."""
        values = self.values(300)
        self.result_of(self.cache(0).put_many("b", values))
        late = self.cluster.add()
        for _ in range(20):
            found = self.result_of(self.cache(0).get_many("b", values))
            self.assertEqual(found, values)
            self.cluster.advance(0.05)
        self.result_of(late.when_ready())
        self.assertEqual(self.result_of(late.cache().get_many("b", values)), values)
        self.settle()


class RefusalTests(ClusterTestCase):
    """What is wrong with a call is said at once, and nothing is asked."""

    size = 1

    def refused(self, error: type[Exception], call: Any) -> Any:
        """The error of a call."""
        return self.failureResultOf(call, error).value

    def test_too_many(self) -> None:
        """One call takes so many keys, and not one more."""
        here = self.cache(0)
        keys = [f"{number}" for number in range(BULK_KEYS_MAX + 1)]
        self.result_of(here.get_many("b", keys[1:]))
        for call in (
            here.get_many("b", keys),
            here.delete_many("b", keys),
            here.put_many("b", dict.fromkeys(keys, b"")),
        ):
            self.assertIn("4,096", str(self.refused(CacheError, call)))

    def test_what_single_calls_refuse(self) -> None:
        """Wrong buckets, keys, values and times are refused as ever."""
        here = self.cache(0)
        self.refused(UnknownBucket, here.get_many("none", ["k"]))
        self.refused(KeyTooLarge, here.get_many("b", ["k", ""]))
        self.refused(KeyTooLarge, here.delete_many("b", ["k" * 1025]))
        self.refused(CacheError, here.put_many("b", {"k": "text"}))
        too_large = {"k": bytes(VALUE_BYTES_MAX + 1)}
        self.refused(ValueTooLarge, here.put_many("b", too_large))
        self.refused(ConfigError, here.put_many("b", {"k": b""}, ttl_s=-1))
        self.assertIsNone(self.result_of(here.get("b", "k")))
