"""Tests for `mycorrizal.testing.watch`: each check can fail."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.slots.placement import bucket_seed, slot_of
from mycorrizal.nodosum import MemberDied
from mycorrizal.testing.arena import Arena
from mycorrizal.testing.conditions import Conditions
from mycorrizal.testing.history import OK, Operation
from mycorrizal.testing.watch import DEATH_S, PROBLEMS_MAX, SECOND_LINK_S, Watch
from tests.testing.quiet import Quiet, a_plan


class WatchTests(Quiet, SynchronousTestCase):
    """One who looks into all nodes, and tells what is wrong."""

    def setUp(self) -> None:
        super().setUp()
        self.conditions = Conditions(1)
        self.watch = Watch(self.arena_of, self.conditions)
        self.arena: Arena = Arena(a_plan(), lambda node, life: self.watch.set_up(node))
        for number in range(3):
            self.arena.start(number)
        self.arena.until(self.arena.converged)
        made = self.arena[0].cache().create_bucket("b", max_entries=10, replicas=1)
        self.arena.result_of(made)

    def arena_of(self) -> Arena:
        return self.arena

    def check(self, *invariants: str) -> None:
        """These are broken, and no others."""
        self.assertEqual([it[1] for it in self.watch.problems], list(invariants))

    def put(self) -> Any:
        """Put a value; the table that has it on one of its nodes."""
        self.arena.result_of(self.arena[0].cache().put("b", "k", b"v"))
        for node in self.arena.nodes:
            for table in node.mycel.buckets.by_name["b"].store._tables:
                if b"k" in table:
                    return table
        raise AssertionError("it is nowhere")

    def test_all_is_well(self) -> None:
        """Nothing is wrong with nodes that are left alone."""
        self.put()
        self.watch.begin()
        self.arena.advance(10)
        self.check()
        self.assertGreater(len(self.conditions.well_at), 10)

    def test_versions(self) -> None:
        """The version of a key goes back, or its entry is another's."""
        table = self.put()
        self.watch.look()
        table[b"k"].stamp -= 1
        self.watch.look()
        self.check("versions")

    def test_not_an_owner(self) -> None:
        """Who is no owner may drop a version and be given an older one again."""
        self.put()
        for node in self.arena.nodes:
            store = node.mycel.buckets.by_name["b"].store
            if not store.held():
                slot = slot_of(bucket_seed("b"), b"k")
                store.merge(slot, b"k", b"w", 9, b"o" * 16, float("inf"), 0.0)
                self.watch.look()
                entry = store.peek(slot, b"k", 0.0)
                assert entry is not None
                entry.stamp -= 1
        self.watch.look()
        self.check()

    def test_evicted_version(self) -> None:
        """An entry is older than the one that was evicted there before."""
        table, arena = self.put(), self.arena
        self.watch.look()
        entry = table[b"k"]
        holder = next(
            node for node in arena.nodes
            if table in node.mycel.buckets.by_name["b"].store._tables
        )  # fmt: skip
        version = entry.stamp, entry.origin.hex()
        arena.evictions.evicted("b", b"k", holder, version, led=True)
        entry.stamp -= 1
        self.watch.look()
        self.check("evicted")

    def test_clock(self) -> None:
        """The clock of stamps goes back."""
        self.put()
        self.watch.look()
        self.arena[0].mycel.clock.last -= 1
        self.watch.look()
        self.check("clock")

    def test_second_link(self) -> None:
        """Two links of one pair are up for longer than a moment."""
        protocols: Any = self.arena[0].nodosum.mesh.protocols
        again = [*protocols, *protocols]
        self.arena[0].nodosum.mesh.protocols = again  # type: ignore[assignment]
        self.watch.look()
        self.check()
        self.arena.advance(SECOND_LINK_S + 0.1)
        self.watch.look()
        self.check("one-link", "one-link")

    def test_groups(self) -> None:
        """Nodes that serve and don't know each other are a split cluster."""
        for one, other in ((0, 1), (1, 0)):
            peers = self.arena[one].nodosum.membership.peers
            del peers[self.arena[other].nodosum.me.node_key]
            self.watch.look()
            self.watch.look()
            met = one == 0
            self.assertEqual(self.conditions.splits.since is None, met)
        since = self.conditions.splits.since
        self.assertTrue(since is not None and since <= self.arena.world.now_s)

    def test_groups_in_a_moment(self) -> None:
        """... but not if they meet before it is looked again."""
        peers = [node.nodosum.membership.peers for node in self.arena.nodes]
        keys = [node.nodosum.me.node_key for node in self.arena.nodes]
        gone = peers[0].pop(keys[1]), peers[1].pop(keys[0])
        self.watch.look()
        peers[0][keys[1]], peers[1][keys[0]] = gone
        self.watch.look()
        self.assertIsNone(self.conditions.splits.since)

    def test_stranger(self) -> None:
        """A link to somebody who is not of the cluster."""
        link = next(iter(self.arena[0].nodosum.mesh.protocols))
        link.peer_id = "mallory"
        self.watch.look()
        self.check("strangers")

    def test_bounds(self) -> None:
        """A queue, or the number of timers, is beyond its bound."""
        link = next(iter(self.arena[0].nodosum.mesh.protocols))
        flow = link.lanes.flow(b"chat")
        flow.post(b"head", b"payload")
        flow.queued_bytes = 1 << 40
        self.watch.look()
        self.check("bounds")

    def test_taken_for_dead(self) -> None:
        """A node that lives is taken for dead; it may write apart."""
        self.arena.advance(20)
        node = next(it for it in self.arena[0].nodes() if it.id == "n1")
        self.arena[0].nodosum.member_changed(MemberDied(node))
        self.check("life")
        self.assertIsNotNone(self.conditions.splits.since)

    def test_death_is_noticed(self) -> None:
        """A node that died is still taken for a member."""
        self.arena.advance(20)
        peer = self.arena[0].nodosum.membership.peers[self.arena[1].nodosum.me.node_key]
        self.arena.crash(1)
        self.arena.advance(DEATH_S + 1)
        self.watch.look()
        self.check()
        self.assertFalse(peer.member)
        peer.state = next(
            it.state for it in self.arena[0].nodosum.membership.peers.values()
            if it.member
        )  # fmt: skip
        self.watch.look()
        self.check("death")

    def test_copies_at_ack(self) -> None:
        """A write is on fewer nodes than its client is told."""
        table = self.put()
        entry, now = table[b"k"], self.arena.world.now_s
        write = Operation(
            1, "c0", "put", "b", "k", "v", None, 5.0, now, now, OK,
            version=(entry.stamp, entry.origin.hex()), copies=2,
        )  # fmt: skip
        self.watch.acknowledged(write)
        self.check()
        write.copies = 3
        self.watch.acknowledged(write)
        self.check("copies-at-ack")

    def test_evicted_at_ack(self) -> None:
        """A copy that was let go for want of room has been there."""
        self.arena.result_of(
            self.arena[0].cache().create_bucket("tiny", max_entries=1, replicas=2)
        )
        cache, ended = self.arena[0].cache(), []
        for number in range(4):
            key = f"k{number}"
            began = self.arena.world.now_s
            self.arena.result_of(cache.put("tiny", key, b"v"))
            ended.append((key, began, self.arena.world.now_s))
        evictions = list(self.arena.evictions)
        self.assertGreater(len(evictions), 0)
        self.assertTrue(any(it.led for it in evictions))
        key, began, now = ended[0]
        write = Operation(
            1, "c0", "put", "tiny", key, "v", None, 5.0, began, now, OK,
            version=(0, ""), copies=3,
        )  # fmt: skip
        self.watch.acknowledged(write)
        self.check()
        evictions_of = self.arena.evictions.by("tiny", key.encode(), (0, ""))
        self.assertGreater(len(evictions_of), 0)
        self.arena.evictions._by_key.clear()
        self.watch.acknowledged(write)
        self.check("copies-at-ack")

    def test_limits(self) -> None:
        """A bucket holds more than it may, a tenth more for others' sake."""
        self.put()
        store = self.arena[0].mycel.buckets.by_name["b"].store
        store.entries = 11
        self.watch.look()
        self.check()
        store.entries = 12
        self.watch.look()
        self.check("bounds")

    def test_bytes(self) -> None:
        """A bucket takes more memory than it may."""
        made = self.arena[0].cache().create_bucket("m", max_bytes=8000, replicas=1)
        self.arena.result_of(made)
        store = self.arena[0].mycel.buckets.by_name["m"].store
        store.size_bytes = 9800
        self.watch.look()
        self.check()
        store.size_bytes = 9801
        self.watch.look()
        self.check("bounds")

    def test_changed_greeting(self) -> None:
        """A link is up though its greeting was changed; it is told once."""
        link = next(iter(self.arena[0].nodosum.mesh.protocols))
        transport: Any = link._transport
        self.arena.world.rewritten.add(transport.connection_id)
        self.watch.look()
        self.watch.look()
        self.check("greetings", "greetings")
        told = {text.partition(" is ")[0] for _, _, text in self.watch.problems}
        self.assertEqual(len(told), 2, "each end tells of it")

    def test_errors(self) -> None:
        """A node logs an error of its own; what we raise ourselves is none."""
        failure = Failure(ValueError("a bug"))
        for text in ("A subscriber failed", "The receive function of {x} failed"):
            self.watch.logged(
                {
                    "log_level": LogLevel.critical,
                    "log_format": text,
                    "log_failure": failure,
                }
            )
        self.watch.logged({"log_level": LogLevel.warn, "log_format": "Well"})
        self.check("errors")
        self.assertIn("a bug", self.watch.problems[0][2])

    def test_bound(self) -> None:
        """Of many problems, the first ones are remembered."""
        for number in range(PROBLEMS_MAX + 1):
            self.watch.problem("views", str(number))
        self.assertEqual(len(self.watch.problems), PROBLEMS_MAX)
