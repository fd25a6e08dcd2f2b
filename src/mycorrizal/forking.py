# -*- test-case-name: tests.test_forking -*-
"""
What is left of a node in a process that was forked from its own: nothing.  (A shell.)
"""

from __future__ import annotations

from typing import Protocol

from twisted.application.service import Service

from mycorrizal.runtime import Runtime


class SupportsDisowning(Protocol):
    """A node, as it is seen from here."""

    running: int
    runtime: Runtime

    def disown(self) -> None:
        """Let go of all that is the other process's, without a word."""


class ForkGuard(Service):
    """
    Who makes a node let go of its sockets in each process that is forked from its
    own, and of nothing in its own.

    Both have the same connections then.  Whatever the fork wrote would stand in the
    middle of what the node writes; and as long as it lived nobody would see the node's
    connections close, nor could the node's port, or its state, be used again.
    """

    def __init__(self, node: SupportsDisowning) -> None:
        self._node = node

    def startService(self) -> None:
        """The node has sockets from now on."""
        super().startService()
        self._node.runtime.when_forked(self.forked)

    def forked(self) -> None:
        """This is the new process: nothing has run in it before."""
        if self._node.running:
            self._node.runtime.disown()
            self._node.disown()
