"""A node in a process that was forked from its own; see tests/integration for more."""

from __future__ import annotations

import gc
import os

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Forked, NotRunning
from mycorrizal.forking import ForkGuard
from mycorrizal.runtime import Runtime
from mycorrizal.testing import SimCluster


class OwnNode:
    """A node that only counts how often it was let go of."""

    def __init__(self) -> None:
        self.runtime = Runtime(object())
        self.running = 1
        self.disowned = 0

    def disown(self) -> None:
        """Count."""
        self.disowned += 1


class ForkedTests(SynchronousTestCase):
    """What a node does in the fork: here as if the simulated process were one."""

    def setUp(self) -> None:
        self.cluster = SimCluster(3, seed=self.id(), buckets=["b"])
        self.cluster.until(self.cluster.formed)
        self.node = self.cluster[0]
        self.application = self.node.register_application("chat")
        self.cluster[1].register_application("chat")
        self.cluster.result_of(self.application.send(b"before"))
        guards = [it for it in self.node if isinstance(it, ForkGuard)]
        self.assertEqual(len(guards), 1)
        guards[0].forked()

    def test_messages(self) -> None:
        """Nothing is sent to anybody, however it is asked for (F54)."""
        application = self.application
        for failed in (
            application.send(b"x"),
            application.send(b"x", ["n1"]),
            application.send(bytes(100_000), ["n1"]),
            application.request(b"x", "n1"),
        ):
            self.failureResultOf(failed, Forked)
        self.assertRaises(Forked, application.post, b"x")
        self.assertRaises(Forked, application.post, b"x", ["n1"])
        self.assertRaises(Forked, application.post, bytes(100_000), ["n1"])

    def test_cache(self) -> None:
        """Nothing is read from the cache, or written to it (F54)."""
        cache = self.node.cache()
        for failed in (
            cache.get("b", "k"),
            cache.put("b", "k", b"v"),
            cache.delete("b", "k"),
            cache.create_bucket("other"),
            cache.get_many("b", ["k"]),
            cache.get_or_load("b", "k", lambda: b"v"),
        ):
            error = self.failureResultOf(failed, Forked).value
            self.assertIn("the cache runs in the process that this one", str(error))
        self.assertRaises(Forked, cache.keep_near, "b", max_entries=1, max_bytes=1)

    def test_stop(self) -> None:
        """It can't say goodbye, which would be the other process's (F54)."""
        self.failureResultOf(self.node.stopService(), NotRunning, Forked)
        self.assertEqual(self.node.runtime.pending_timers(), 0)

    def test_no_timer(self) -> None:
        """Nothing is done later (F54)."""
        self.cluster.advance(3)
        self.assertEqual(self.node.runtime.pending_timers(), 0)


class GuardTests(SynchronousTestCase):
    """When a node is let go of."""

    def fork(self) -> int:
        """Fork, and wait for the other process; it ends with a code of its own."""
        pid = os.fork()
        if not pid:
            return 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_real_fork(self) -> None:
        """In a fork, once; in the process itself, never (F54)."""
        node = OwnNode()
        guard = ForkGuard(node)
        guard.startService()
        if not (code := self.fork()):
            os._exit(10 + node.disowned + node.runtime.forked)
        self.assertEqual(code, 12)
        self.assertEqual((node.disowned, node.runtime.forked), (0, False))

    def test_stopped(self) -> None:
        """One that runs no more, or that is gone, has nothing to let go of."""
        node = OwnNode()
        guard = ForkGuard(node)
        guard.startService()
        node.running = 0
        if not (code := self.fork()):
            os._exit(10 + node.disowned + node.runtime.forked)
        self.assertEqual(code, 10)
        node.running = 1
        del guard
        gc.collect()
        if not (code := self.fork()):
            os._exit(10 + node.disowned)
        self.assertEqual(code, 10)
