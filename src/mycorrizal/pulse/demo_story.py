# -*- test-case-name: tests.pulse.test_demo_story -*-
"""
The story that ``pulse demo`` tells: three nodes, the death of one, and the
proof that nothing was lost.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
    FirstError,
    gatherResults,
)

from mycorrizal.errors import MycorrizalError
from mycorrizal.nodosum import Address, KeyRing, derive_key, format_address
from mycorrizal.pulse import render
from mycorrizal.pulse.access import DEFAULT_CLUSTER_NAME
from mycorrizal.pulse.client import PulseClient
from mycorrizal.pulse.demo_node import TWIST, DemoNode
from mycorrizal.pulse.messages import (
    AskGet,
    AskPut,
    AskStatus,
    Ok,
    Question,
    Status,
    Value,
)
from mycorrizal.pulse.progress import Progress
from mycorrizal.runtime import Runtime
from mycorrizal.state import cluster_directory, make_secret, read_secret

NAMES = ("anna", "bert", "cleo")
BUCKET = "demo"
VALUES = 500

#: Bounds of each step, for a slow and busy machine; all take a second or two.
START_TIMEOUT_S = 30.0
MEMBERS_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 3.0
#: Between two looks at what a node says.
LOOK_INTERVAL_S = 0.05

_T = TypeVar("_T", Ok, Status, Value)


class DemoFailed(MycorrizalError):
    """
    Something in the demonstration was not as it should be.

    :ivar node: The node that it is about, if it is about one.
    """

    def __init__(self, sentence: str, node: DemoNode | None = None) -> None:
        super().__init__(sentence)
        self.node = node


class DemoStory:
    """
    The demonstration, step by step, as it happens.

    :param directory: An empty one, for secret and state.
    :param command: What begins the command line of a node.
    :param tell: Takes each line of the story.
    :ivar steps: What has happened so far, and when, in seconds.
    :cvar options: That each node is started with besides its addresses.
    :cvar steps_expected: How many there are when all is told.
    """

    options: Sequence[str] = ()
    steps_expected = 13

    def __init__(
        self,
        runtime: Runtime,
        directory: Path,
        command: Sequence[str] = TWIST,
        tell: Callable[[str], object] = click.echo,
        progress: Progress | None = None,
    ) -> None:
        self._runtime = runtime
        self._progress = progress or Progress(quiet=True)
        self._directory = directory
        self._command = command
        self.steps: list[tuple[float, str]] = []
        self._tell_line = tell
        self._began_at = runtime.now()
        self._nodes = [DemoNode(name) for name in NAMES]
        self._clients: dict[DemoNode, PulseClient] = {}
        self._values: dict[str, bytes] = {}

    # -- the story ------------------------------------------------------------------

    async def run(self) -> None:
        """
        Tell it, as it happens.

        :raises DemoFailed: Something that should have happened did not.
        """
        anna, bert, cleo = self._nodes
        await self._start()
        await self._see_members(self._nodes, "each of the three sees three alive")
        await self._put(anna)
        await self._read(bert)
        held = await self._held_by(cleo)
        self._tell(f"kill -9 {cleo.pid}: {cleo.name}, who holds {held} of the values")
        killed_at = self._runtime.now()
        cleo.signal("KILL")
        await self._soon(cleo.ended, f"{cleo.name} survived kill -9", cleo)
        await self._see_members([anna, bert], "both others see two alive", killed_at)
        for survivor in (anna, bert):
            await self._read(survivor)
        await self._see_copies([anna, bert], killed_at)
        status = await self._status(anna)
        self._tell_line("")
        self._tell_line(render.members(status, render.terminal_width()))
        self._tell_line("")
        self._tell_line(render.buckets(status.buckets, render.terminal_width()))
        self._tell_line("")

    def conclude(self) -> str:
        """What is said at the end, if all was seen to happen."""
        return f"All {VALUES} values outlived the process. Now with nodes of yours:"

    async def _start(self) -> None:
        path = cluster_directory(self._directory, DEFAULT_CLUSTER_NAME)
        make_secret(path, self._runtime.token_bytes)
        key = derive_key(read_secret(path / "secret"), DEFAULT_CLUSTER_NAME)
        # One address is enough to find all: the first node's.
        first, *others = self._nodes
        self._tell(f"start {first.name}: twist mycorrizal --listen 127.0.0.1:0")
        address = await self._started(first, ())
        names = " and ".join(node.name for node in others)
        self._tell(f"start {names}, each with --static {format_address(address)}")
        starting = [
            Deferred.fromCoroutine(self._started(node, (address,))) for node in others
        ]
        addresses = [address, *await _all(starting)]
        for node, address in zip(self._nodes, addresses, strict=True):
            client = PulseClient(self._runtime, address, KeyRing([key]))
            self._clients[node] = client
            await client.connect(ANSWER_TIMEOUT_S)
            where = f"{format_address(address)} (process {node.pid})"
            self._tell(f"{node.name} listens on {where}")

    async def _started(self, node: DemoNode, known: tuple[Address, ...]) -> Address:
        command = [*self._command, "--node-id", node.name]
        command += ["--listen", "127.0.0.1:0", "--state-dir", str(self._directory)]
        command += ["--bucket", f"{BUCKET}:ttl=15m,max_entries=100000,replicas=1"]
        command += self.options
        for seed in known:
            command += ["--static", format_address(seed)]
        # A setting that is meant for some other node is not for these.
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MYCORRIZAL_")
        }
        node.start(self._runtime.reactor, command, environment)
        address: Address | None = await self._soon(
            node.listening, f"{node.name} did not open its ports", node, START_TIMEOUT_S
        )
        if address is None:
            raise DemoFailed(f"{node.name} ended at once ({node.exit})", node)
        return address

    async def _put(self, node: DemoNode) -> None:
        began_at = self._runtime.now()
        token_bytes = self._runtime.token_bytes
        self._values = {f"key-{n}": token_bytes(16) for n in range(VALUES)}
        questions = [AskPut(BUCKET, key, it) for key, it in self._values.items()]
        copies = {reply.copies for reply in await self._ask_all(node, questions, Ok)}
        if copies != {2}:
            raise DemoFailed(f"values are on {copies} nodes, not on 2", node)
        self._tell(
            f"put {VALUES} values through {node.name}: each is on two nodes "
            f"({self._since(began_at)})"
        )

    async def _read(self, node: DemoNode) -> None:
        began_at = self._runtime.now()
        questions = [AskGet(BUCKET, key) for key in self._values]
        replies = await self._ask_all(node, questions, Value)
        wanted = self._values.values()
        wrong = sum(
            reply.value != value for reply, value in zip(replies, wanted, strict=True)
        )
        if wrong:
            raise DemoFailed(
                f"{wrong} of {VALUES} values read through {node.name} are not what "
                "was put",
                node,
            )
        self._tell(
            f"read {VALUES} values through {node.name}: all are as they were put "
            f"({self._since(began_at)})"
        )

    async def _see_members(
        self, nodes: Sequence[DemoNode], what: str, since: float | None = None
    ) -> None:
        async def missing() -> DemoFailed | None:
            for node in nodes:
                status = await self._status(node)
                states = [member.state for member in status.members]
                if states.count("alive") != len(nodes):
                    return DemoFailed(
                        f"{node.name} sees only {', '.join(states)}", node
                    )
                if BUCKET not in [bucket.name for bucket in status.buckets]:
                    return DemoFailed(f"{node.name} knows no bucket {BUCKET!r}", node)
            return None

        await self._until(missing)
        after = "" if since is None else f", {self._since(since)} after the kill"
        self._tell(f"{what}{after}")

    async def _see_copies(self, nodes: Sequence[DemoNode], since: float) -> None:
        async def missing() -> DemoFailed | None:
            for node in nodes:
                held = await self._held_by(node)
                if held != VALUES:
                    return DemoFailed(
                        f"{node.name} holds only {held} of {VALUES} values", node
                    )
            return None

        await self._until(missing)
        self._tell(
            f"each value is on two nodes again, {self._since(since)} after the kill"
        )

    # -- asking ---------------------------------------------------------------------

    async def _status(self, node: DemoNode) -> Status:
        (reply,) = await self._ask_all(node, [AskStatus()], Status)
        return reply

    async def _held_by(self, node: DemoNode) -> int:
        buckets = (await self._status(node)).buckets
        return sum(bucket.entries for bucket in buckets if bucket.name == BUCKET)

    async def _ask_all(
        self, node: DemoNode, questions: Sequence[Question], kind: type[_T]
    ) -> list[_T]:
        client = self._clients[node]
        try:
            asked = [client.ask(question, ANSWER_TIMEOUT_S) for question in questions]
            replies = await _all(asked)
        except MycorrizalError as error:
            raise DemoFailed(f"{node.name} did not answer: {error}", node) from None
        answers = [reply for reply in replies if isinstance(reply, kind)]
        if len(answers) != len(questions):
            odd = next(reply for reply in replies if not isinstance(reply, kind))
            raise DemoFailed(f"{node.name} answered: {odd}", node)
        return answers

    # -- time -----------------------------------------------------------------------

    def _tell(self, what: str) -> None:
        at_s = self._runtime.now() - self._began_at
        self.steps.append((at_s, what))
        # The bar stands below what was told, and gives way to it.
        self._progress.end()
        self._tell_line(f"{click.style(f'{at_s:6.2f} s', dim=True)}   {what}")
        done = len(self.steps)
        if done < self.steps_expected:
            of = self.steps_expected
            self._progress.show(done / of, f"step {done + 1} of {of}")

    def _since(self, moment: float) -> str:
        passed_s = self._runtime.now() - moment
        return f"{passed_s:.1f} s" if passed_s > 1 else f"{passed_s * 1000:.0f} ms"

    async def _until(self, missing: Callable[[], Awaitable[DemoFailed | None]]) -> None:
        """Wait until nothing is missing; fail with what still is."""
        ends_at = self._runtime.now() + MEMBERS_TIMEOUT_S
        while (failed := await missing()) is not None:
            if self._runtime.now() > ends_at:
                raise failed
            pause: Deferred[None] = Deferred()
            timer = self._runtime.call_later(LOOK_INTERVAL_S, pause.callback, None)
            try:
                await pause
            finally:
                timer.cancel()

    async def _soon(
        self,
        event: Deferred[Any],
        otherwise: str,
        node: DemoNode,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Any:
        # The event is the process's: it outlives whoever waits for it.
        waiting: Deferred[Any] = Deferred()
        event.addCallback(lambda it: None if waiting.called else waiting.callback(it))
        timer = self._runtime.call_later(timeout_s, waiting.cancel)
        try:
            return await waiting
        except CancelledError:
            if timer.active():
                raise
            raise DemoFailed(f"{otherwise} within {timeout_s:g} s", node) from None
        finally:
            timer.cancel()

    # -- the end --------------------------------------------------------------------

    def clean_up(self) -> Deferred[Any]:
        """End the processes that are left; fires when they have ended."""
        self._progress.end()
        for client in self._clients.values():
            client.abort()
        left = [node for node in self._nodes if node.running]
        for node in left:
            node.signal("TERM")
        by_force = self._runtime.call_later(STOP_TIMEOUT_S, self.kill)
        ended = DeferredList([node.ended for node in left])
        return ended.addBoth(lambda _: by_force.cancel())

    def kill(self) -> None:
        """End the processes that are left, at once."""
        for node in self._nodes:
            node.signal("KILL")


async def _all(asked: Sequence[Deferred[Any]]) -> list[Any]:
    """What all of them give, or what the first of them fails with."""
    try:
        return await gatherResults(asked, consumeErrors=True)
    except FirstError as error:
        error.subFailure.raiseException()
