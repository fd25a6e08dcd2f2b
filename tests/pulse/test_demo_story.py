"""
What the demonstration says when it can't show what it promises.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessTerminated
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.demo_node import DemoNode
from mycorrizal.pulse.demo_story import (
    START_TIMEOUT_S,
    STOP_TIMEOUT_S,
    DemoFailed,
    DemoStory,
)
from mycorrizal.testing import World


class Process:
    """A process that ends when it is signalled, unless it is stubborn."""

    pid = 17

    def __init__(self, node: DemoNode, *, stubborn: bool) -> None:
        self.node = node
        self.stubborn = stubborn
        self.signals: list[str] = []

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)
        if name == "KILL" or not self.stubborn:
            self.node.processEnded(Failure(ProcessTerminated(signal=15)))


class DemoTests(SynchronousTestCase):
    """A demonstration whose processes we play."""

    stubborn = False

    def setUp(self) -> None:
        self.world = World(seed=1)
        self.host = self.world.host("here")
        self.processes: list[Process] = []
        self.command: list[str] = []
        self.environment: dict[str, str] = {}
        self.play: Callable[[DemoNode], object] = lambda node: None
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        reactor: Any = self.host.reactor
        reactor.spawnProcess = self.spawn
        self.story: list[str] = []
        self.demo = DemoStory(
            self.host.runtime, Path(directory.name), ["twist"], self.story.append
        )

    def spawn(
        self, node: DemoNode, path: str, command: list[str], environment: dict[str, str]
    ) -> None:
        """Stand in for the reactor's own."""
        process: Any = Process(node, stubborn=self.stubborn)
        node.transport = process
        self.processes.append(process)
        self.command, self.environment = command, environment
        self.play(node)

    def run_demo(self) -> DemoFailed:
        """How it fails."""
        running = Deferred.fromCoroutine(self.demo.run())
        with self.assertRaises(DemoFailed) as raised:
            self.world.result_of(running, limit_s=100)
        failed: DemoFailed = raised.exception
        return failed

    def test_command(self) -> None:
        """The nodes are real ones, on loopback, with a state of their own."""
        self.patch_environment("MYCORRIZAL_LISTEN", "0.0.0.0:1")
        self.play = lambda node: node.processEnded(Failure(ProcessTerminated(1)))
        self.run_demo()
        self.assertEqual(self.command[:3], ["twist", "--node-id", "anna"])
        self.assertIn("127.0.0.1:0", self.command)
        self.assertIn("--state-dir", self.command)
        self.assertNotIn("MYCORRIZAL_LISTEN", self.environment)
        self.assertIn("PATH", self.environment)

    def patch_environment(self, name: str, value: str) -> None:
        """Set a variable for this test."""
        self.patch(os, "environ", {**os.environ, name: value})

    def test_ends_at_once(self) -> None:
        """A node that ends at once is named, and so is its exit code."""

        def play(node: DemoNode) -> None:
            node.errReceived(b"mycorrizal: something is wrong\n")
            node.processEnded(Failure(ProcessTerminated(64)))

        self.play = play
        failed = self.run_demo()
        self.assertEqual(str(failed), "anna ended at once (exit code 64)")
        assert failed.node is not None
        self.assertEqual(list(failed.node.log), ["mycorrizal: something is wrong"])

    def test_never_listens(self) -> None:
        """A node that never opens its ports is not waited for without end."""
        failed = self.run_demo()
        self.assertIn(f"within {START_TIMEOUT_S:g} s", str(failed))
        self.assertAlmostEqual(self.world.now_s, START_TIMEOUT_S, places=3)

    def test_nobody_answers(self) -> None:
        """A port where no node answers is a failure too."""
        self.play = lambda node: node.outReceived(
            b"x listens on 10.0.0.1:7, TCP and UDP\n"
        )
        running = Deferred.fromCoroutine(self.demo.run())
        with self.assertRaisesRegex(Exception, "nothing listens there"):
            self.world.result_of(running)
        self.assertEqual(len(self.processes), 3)

    def test_interrupted(self) -> None:
        """It can be stopped at any moment."""
        running = Deferred.fromCoroutine(self.demo.run())
        self.world.advance(1)
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.world.result_of(self.demo.clean_up())
        self.assertEqual(self.processes[0].signals, ["TERM"])


class StubbornTests(DemoTests):
    """Processes that do not end when they are asked to."""

    stubborn = True

    def test_interrupted(self) -> None:
        """They are killed after a while."""
        running = Deferred.fromCoroutine(self.demo.run())
        running.addErrback(lambda _: None)
        running.cancel()
        cleaning = self.demo.clean_up()
        self.world.advance(STOP_TIMEOUT_S - 0.01)
        self.assertNoResult(cleaning)
        self.world.advance(0.02)
        self.successResultOf(cleaning)
        self.assertEqual(self.processes[0].signals, ["TERM", "KILL"])
