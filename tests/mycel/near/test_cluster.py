"""
Near copies in a cluster of three.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from mycorrizal import ConfigError, Indeterminate, NotRunning, UnknownBucket
from mycorrizal.mycel.config import LIMIT_MAX
from mycorrizal.mycel.messages import NEVER, Copy
from mycorrizal.mycel.near.copies import CHECK_S, FRESH_S, NearStats
from mycorrizal.mycel.near.streams import SUBSCRIBED_S
from mycorrizal.testing import seeds
from tests.mycel.cases import ClusterTestCase


class NearTestCase(ClusterTestCase):
    """Node 2 keeps near copies; the key's owners are nodes 0 and 1."""

    def setUp(self) -> None:
        super().setUp()
        self.key = self.key_owned_by(0, 1)
        self.cache(2).keep_near("b")
        self.cluster.advance(0.5)
        self.put(b"v1")

    def put(self, value: bytes, by: int = 0, **terms: Any) -> None:
        """Put the key, through a node."""
        self.result_of(self.cache(by).put("b", self.key, value, **terms))

    def read(self) -> bytes | None:
        """What node 2 reads."""
        value: bytes | None = self.result_of(self.cache(2).get("b", self.key))
        return value

    def at_once(self) -> bytes | None:
        """What node 2 reads without asking anybody; None if it would have to."""
        call = self.cache(2).get("b", self.key)
        if not call.called:
            call.cancel()
            self.failureResultOf(call, CancelledError)
            return None
        value: bytes | None = self.successResultOf(call)
        return value

    def stats(self) -> NearStats:
        """What node 2 has counted."""
        stats = self.cache(2).near_stats("b")
        assert stats is not None
        return stats


class ReadTests(NearTestCase):
    """Reads from near copies."""

    def test_served_near(self) -> None:
        """What was read once is read without the network, until it is written."""
        self.assertIsNone(self.at_once())
        self.assertEqual(self.read(), b"v1")
        self.assertEqual(self.at_once(), b"v1")
        self.put(b"v2")
        self.cluster.advance(0.01)
        self.assertIsNone(self.at_once())
        self.assertEqual(self.read(), b"v2")
        self.assertEqual(self.at_once(), b"v2")
        self.assertEqual(self.stats().invalidated, 1)

    def test_for_long(self) -> None:
        """It is served for as long as nothing happens."""
        self.read()
        for _ in range(100):
            self.cluster.advance(0.5)
            self.assertEqual(self.at_once(), b"v1")
        self.assertEqual(self.stats().voided, 0)

    def test_every_kind_of_write(self) -> None:
        """Put, put_ttl, delete and load end it, on whichever node they are asked."""
        for number in range(3):
            cache = self.cache(number)
            for write in (
                lambda: cache.put("b", self.key, b"v"),  # noqa: B023
                lambda: cache.put_ttl("b", self.key, 60),  # noqa: B023
                lambda: cache.get_or_load("b", self.key, lambda: b"x", anew=True),  # noqa: B023
                lambda: cache.delete("b", self.key),  # noqa: B023
            ):
                self.put(b"v1")
                self.read()
                self.assertIsNotNone(self.at_once())
                self.result_of(write())
                self.cluster.advance(0.01)
                self.assertIsNone(self.at_once())

    def test_own_writes(self) -> None:
        """A node reads what it has written as soon as it knows that it has."""
        for number in range(50):
            self.read()
            value = b"%d" % number
            self.put(value, by=2)
            self.assertEqual(self.read(), value)
        self.result_of(self.cache(2).delete("b", self.key))
        self.assertIsNone(self.read())

    def test_delete_of_what_was_evicted(self) -> None:
        """A delete counts for a value that its owners have evicted before."""
        self.result_of(self.cache(0).create_bucket("small", max_entries=1))
        self.cache(2).keep_near("small")
        self.cluster.advance(0.5)
        first, second = self.keys_owned_by(0, 1, count=2, bucket="small")
        self.result_of(self.cache(0).put("small", first, b"v"))
        self.result_of(self.cache(2).get("small", first))
        self.result_of(self.cache(0).put("small", second, b"v"))
        self.assertIsNone(self.result_of(self.cache(0).get("small", first)))
        self.assertFalse(self.result_of(self.cache(1).delete("small", first)))
        self.cluster.advance(0.01)
        self.assertIsNone(self.result_of(self.cache(2).get("small", first)))

    def test_expiry(self) -> None:
        """It expires when its original does, to the millisecond."""
        self.put(b"v", ttl_s=2)
        self.cluster.advance(1)
        entry = self.result_of(self.cache(0).entry("b", self.key))
        self.read()
        self.cluster.advance(entry.remaining_s - 0.005)
        self.assertEqual(self.at_once(), b"v")
        self.cluster.advance(0.006)
        self.assertIsNone(self.at_once())
        self.assertIsNone(self.read())

    def test_nothing_there(self) -> None:
        """That there is no value is not remembered near."""
        self.result_of(self.cache(0).delete("b", self.key))
        self.assertIsNone(self.read())
        self.put(b"v")
        self.assertEqual(self.read(), b"v")

    def test_entry_asks_the_primary(self) -> None:
        """Who wants the newest asks for the entry."""
        self.read()
        self.cluster.partition([0, 1], [2])
        self.put(b"v2")
        self.assertEqual(self.at_once(), b"v1")
        call = self.cache(2).entry("b", self.key, timeout_s=0.5)
        self.failure_of(Indeterminate, call)

    def test_own_slots(self) -> None:
        """What the node is primary of is read from there."""
        key = self.key_owned_by(2, 0)
        self.result_of(self.cache(0).put("b", key, b"v"))
        self.assertEqual(self.successResultOf(self.cache(2).get("b", key)), b"v")
        self.assertEqual(self.stats().entries, 0)

    def test_other_buckets(self) -> None:
        """Other buckets are read as ever."""
        self.result_of(self.cache(0).create_bucket("o"))
        self.result_of(self.cache(0).put("o", "k", b"v"))
        self.assertEqual(self.result_of(self.cache(2).get("o", "k")), b"v")
        self.assertIsNone(self.cache(2).near_stats("o"))

    def test_cancel(self) -> None:
        """A read can be cancelled, and leaves nothing behind."""
        for step_ms in range(5):
            call = self.cache(2).get("b", self.key)
            self.cluster.advance(step_ms / 10_000)
            if call.called:
                break
            call.cancel()
            self.failureResultOf(call, CancelledError)
        self.cluster.advance(1)
        self.assertEqual(self.cluster[2].mycel.near.copies["b"]._readings, {})
        self.assertEqual(self.cluster[2].mycel.router.under_way, {})


class LoadTests(NearTestCase):
    """Loads of what is kept near."""

    def load(self, value: bytes = b"loaded", **terms: Any) -> bytes | None:
        """Get the key through node 2, or load it."""
        call = self.cache(2).get_or_load("b", self.key, lambda: value, **terms)
        loaded: bytes | None = self.result_of(call)
        return loaded

    def test_served_near(self) -> None:
        """A load is answered by the copy, and makes one."""
        self.assertEqual(self.load(), b"v1")
        self.assertEqual(self.at_once(), b"v1")
        hits = self.stats().hits
        self.assertEqual(self.load(), b"v1")
        self.assertEqual(self.stats().hits, hits + 1)

    def test_loads(self) -> None:
        """What is not there is loaded."""
        self.result_of(self.cache(0).delete("b", self.key))
        self.assertEqual(self.load(), b"loaded")
        self.assertEqual(self.read(), b"loaded")

    def test_stale(self) -> None:
        """A copy that is about to expire is loaded again, as it would be there."""
        self.load(anew=True, ttl_s=10, stale_s=5)
        self.assertEqual(self.load(stale_s=5), b"loaded")
        self.assertEqual(self.at_once(), b"loaded")
        self.cluster.advance(12)
        self.assertEqual(self.load(b"again", stale_s=5), b"loaded")
        self.cluster.advance(0.1)
        self.assertEqual(self.load(b"not this", stale_s=5), b"again")

    def test_cancel(self) -> None:
        """It can be cancelled in each of its parts."""
        for step_ms in range(12):
            inner: Deferred[bytes] = Deferred()
            self.result_of(self.cache(0).delete("b", self.key))
            call = self.cache(2).get_or_load("b", self.key, lambda: inner)  # noqa: B023
            self.cluster.advance(step_ms / 10_000)
            call.cancel()
            self.failureResultOf(call, CancelledError)
            self.cluster.advance(0.5)
        self.assertEqual(self.cache(2)._loads.under_way, {})
        self.assertEqual(self.cluster[0].mycel._primary.leasing.leases._held, {})


class TrustTests(NearTestCase):
    """What ends the trust in copies."""

    def setUp(self) -> None:
        super().setUp()
        self.assertEqual(self.read(), b"v1")

    def test_cut_off(self) -> None:
        """Who can't ask the primary serves no copy after three seconds."""
        self.cluster.partition([0, 1], [2])
        self.put(b"v2")
        self.cluster.advance(FRESH_S - CHECK_S - 0.1)
        self.assertEqual(self.at_once(), b"v1")
        self.cluster.advance(CHECK_S + 0.1)
        self.assertIsNone(self.at_once())
        self.cluster.heal()
        self.settle()
        self.cluster.advance(2)
        self.assertEqual(self.read(), b"v2")
        self.assertEqual(self.at_once(), b"v2")

    def test_paused(self) -> None:
        """A process that was stopped for longer serves nothing that it had."""
        self.cluster.pause(2)
        self.cluster.advance(FRESH_S)
        self.put(b"v2")
        self.cluster.resume(2)
        self.assertNotEqual(self.at_once(), b"v1")
        self.assertEqual(self.read(), b"v2")

    def test_primary_dies(self) -> None:
        """With its primary a copy is gone; the next primary is asked."""
        self.cluster.crash(0)
        self.cluster.advance(0.1)
        self.assertIsNone(self.at_once())
        self.cluster.until(lambda: len(self.cluster[2].nodes()) >= 2)
        self.settle()
        self.put(b"v2", by=1)
        self.assertEqual(self.read(), b"v2")
        self.cluster.advance(2)
        self.read()
        self.assertEqual(self.at_once(), b"v2")
        self.put(b"v3", by=1)
        self.cluster.advance(0.01)
        self.assertEqual(self.read(), b"v3")

    def test_primary_restarts(self) -> None:
        """A primary that comes back is another one."""
        self.cluster.crash(0)
        self.cluster.restart(0)
        self.cluster.until(self.cluster.formed)
        self.settle()
        self.put(b"v2")
        self.assertEqual(self.read(), b"v2")

    def test_newcomer(self) -> None:
        """Copies of what a newcomer takes over are gone, and kept anew from there."""
        keys = [f"key {number}" for number in range(200)]
        for key in keys:
            self.result_of(self.cache(0).put("b", key, b"v1"))
            self.result_of(self.cache(2).get("b", key))
        late = self.cluster.add()
        self.result_of(late.when_ready())
        self.settle()
        for key in keys:
            self.result_of(late.cache().put("b", key, b"v2"))
        self.cluster.advance(0.1)
        for key in keys:
            self.assertEqual(self.result_of(self.cache(2).get("b", key)), b"v2")

    def lose_a_message(self, write: Callable[[], Deferred[Any]]) -> None:
        """Write, and let the news of it get lost."""
        stream = self.cluster[0].mycel.near._streams["b"]
        subscribers, stream.subscribers = stream.subscribers, {b"nobody": 1e12}
        self.result_of(write())
        stream.subscribers = subscribers

    def test_own_writes(self) -> None:
        """What this node wrote or loaded it reads, if its news are lost too."""
        cache = self.cache(2)
        for write in (
            lambda: cache.put("b", self.key, b"v2"),
            lambda: cache.delete("b", self.key),
            lambda: cache.get_or_load("b", self.key, lambda: b"v2", anew=True),
        ):
            self.put(b"v1")
            self.cluster.advance(2)
            self.read()
            self.assertEqual(self.at_once(), b"v1")
            self.lose_a_message(write)
            self.assertNotEqual(self.read(), b"v1")

    def test_slots_moved(self) -> None:
        """What its primary or this node says of slots that move is believed at once."""
        for number in (0, 2):
            self.cluster.advance(2)
            self.read()
            self.assertEqual(self.at_once(), b"v1")
            self.cluster[number].mycel.near.slots_moved()
            self.cluster.advance(0.01)
            self.assertIsNone(self.at_once())

    def test_link_lost(self) -> None:
        """With the link to its primary a copy is gone, though both live on."""
        self.cluster[2].mycel.near.link_down(self.cluster[1].nodosum.me.node_key)
        self.assertEqual(self.at_once(), b"v1")
        self.cluster[2].mycel.near.link_down(self.cluster[0].nodosum.me.node_key)
        self.assertIsNone(self.at_once())

    def test_message_lost(self) -> None:
        """A change that was lost is found out by asking, within a second."""
        self.lose_a_message(lambda: self.cache(0).put("b", self.key, b"v2"))
        self.assertEqual(self.at_once(), b"v1")
        self.cluster.advance(CHECK_S + 0.1)
        self.assertIsNone(self.at_once())
        self.assertEqual(self.read(), b"v2")

    def test_message_lost_then_another(self) -> None:
        """Or by the next change, of whichever key."""
        near = self.cluster[0].mycel.near
        near._streams["b"].changed(b"lost")
        other = self.keys_owned_by(0, count=2)[1]
        self.result_of(self.cache(0).put("b", other, b"v"))
        self.cluster.advance(0.01)
        self.assertIsNone(self.at_once())

    def test_newer_from_elsewhere(self) -> None:
        """A newer version that another owner brings, as after a cut, ends it too."""
        entry = self.result_of(self.cache(0).entry("b", self.key))
        stamp, origin = entry.version
        copy = Copy("b", self.key.encode(), b"newer", stamp + 1, origin, NEVER)
        primary = self.cluster[0].nodosum.me.node_key
        self.cluster[1].mycel.ask(primary, copy, 5, lambda answer: None)
        self.cluster.advance(0.01)
        self.assertIsNone(self.at_once())
        self.assertEqual(self.read(), b"newer")

    def test_not_subscribed(self) -> None:
        """A node that was not told for a while can't think that it was."""
        near = self.cluster[2].mycel.near
        near.stop()
        self.cluster.advance(SUBSCRIBED_S + 1)
        self.put(b"v2")
        self.put(b"v3")
        self.assertIsNone(self.cluster[0].mycel.buckets.by_name["b"].on_change)
        near._tick()
        self.cluster.advance(0.1)
        self.assertIsNone(self.at_once())
        self.assertEqual(self.read(), b"v3")
        self.put(b"v4")
        self.cluster.advance(0.01)
        self.assertEqual(self.read(), b"v4")

    def test_old_version(self) -> None:
        """Beside nodes that know nothing of near copies none are kept."""
        for node in self.cluster.nodes[:2]:
            del node.nodosum.applications.routes[b"SYSTEM-MYCEL-NEAR"]
        self.put(b"v2")
        self.cluster.advance(FRESH_S)
        self.assertEqual(self.read(), b"v2")
        self.assertIsNone(self.at_once())


class SettingsTests(NearTestCase):
    """Which buckets, and how much."""

    def test_senseless(self) -> None:
        """An unknown bucket or a senseless limit is refused by name."""
        cache = self.cache(2)
        self.assertRaises(UnknownBucket, cache.keep_near, "x")
        for limits in (
            {"max_entries": 0},
            {"max_bytes": 0},
            {"max_entries": LIMIT_MAX + 1},
        ):
            error = self.assertRaises(ConfigError, cache.keep_near, "b", **limits)
            self.assertEqual([error.field], list(limits))
        cache.keep_near("b", max_entries=LIMIT_MAX, max_bytes=LIMIT_MAX)

    def test_bound(self) -> None:
        """No more copies are kept than were asked for."""
        self.cache(2).keep_near("b", max_entries=10)
        for key in self.keys_owned_by(0, count=20):
            self.result_of(self.cache(0).put("b", key, b"v"))
            self.result_of(self.cache(2).get("b", key))
        self.assertEqual(self.stats().entries, 10)
        self.assertEqual(self.stats().evicted, 10)

    def test_no_more(self) -> None:
        """When they are not wanted any more they go, and nothing is asked or told."""
        self.read()
        self.cache(2).keep_no_near("b")
        self.cache(2).keep_no_near("b")
        self.assertIsNone(self.at_once())
        self.assertIsNone(self.cache(2).near_stats("b"))
        self.cluster.advance(SUBSCRIBED_S + 1)
        self.put(b"v2")
        self.assertIsNone(self.cluster[0].mycel.buckets.by_name["b"].on_change)
        self.assertIsNone(self.cluster[2].mycel.near._timer)
        self.cache(2).keep_near("b")
        self.cluster.advance(0.5)
        self.read()
        self.assertEqual(self.at_once(), b"v2")

    def test_nobody(self) -> None:
        """Where nobody keeps copies nobody is told."""
        for node in self.cluster.nodes[1:]:
            self.assertIsNone(
                node.mycel.near._timer if node is not self.cluster[2] else None
            )
        self.result_of(self.cache(0).create_bucket("o"))
        self.result_of(self.cache(0).put("o", "k", b"v"))
        for node in self.cluster.nodes:
            self.assertIsNone(node.mycel.buckets.by_name["o"].on_change)

    def test_stop(self) -> None:
        """A node that keeps copies stops and leaves nothing behind."""
        self.read()
        self.cluster.close()
        self.assertRaises(NotRunning, self.cache(2).keep_near, "b")
        self.cluster.close()


class StormTests(ClusterTestCase):
    """Anything at any time."""

    def setUp(self) -> None:
        """Each seed makes its own cluster."""

    @seeds(5)
    def test_never_older_than_promised(self, seed: int) -> None:
        """
        Whatever fails, no read is older than what the primary gave 3 seconds
        before; when all is well again, all read the same.
        """
        ClusterTestCase.setUp(self)
        chance = Random(seed)
        keys = [f"k{number}" for number in range(6)]
        #: For each key, the times at which each value was acknowledged.
        written: dict[str, list[float]] = {key: [] for key in keys}
        for number in range(3):
            self.cache(number).keep_near("b")
        self.cluster.advance(1)
        world, problems = self.cluster.world, []

        def near_reads() -> None:
            for node in self.cluster.running:
                copies = node.mycel.near.copies["b"]
                for key in keys:
                    value = copies.get(key.encode(), node.runtime.now())
                    newer = [] if value is None else written[key][int(value) + 1 :]
                    if newer and world.now_s - newer[0] > FRESH_S:
                        problems.append((node.node_id, key, value, newer))

        for step in range(250):
            key, number = chance.choice(keys), chance.randrange(3)
            self.cluster.advance(chance.random() * 0.2)
            if chance.random() < 0.3:
                value = b"%d" % len(written[key])
                put = self.cache(0).put("b", key, value, timeout_s=60)
                self.result_of(put)
                written[key].append(world.now_s)
            else:
                get = self.cache(number).get("b", key, timeout_s=60)
                get.addErrback(lambda failure: None)
            if step % 60 == 20:
                self.cluster.partition([0, 1], [2])
            elif step % 60 == 50:
                self.cluster.heal()
            near_reads()
        self.cluster.heal()
        self.settle()
        self.cluster.advance(FRESH_S)
        self.assertEqual(problems, [])
        for key in keys:
            values = {
                self.result_of(self.cache(number).get("b", key)) for number in range(3)
            }
            self.assertEqual(values, {b"%d" % (len(written[key]) - 1)})
