# -*- test-case-name: tests.testing.test_workload -*-
"""
The clients of a storm: each does one thing after the other at its node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mycorrizal.errors import PartialFailure
from mycorrizal.service import Mycorrizal
from mycorrizal.testing.answers import Answer, Answers, failure, known
from mycorrizal.testing.arena import Arena
from mycorrizal.testing.errands import Errands
from mycorrizal.testing.history import INFO, History, Operation
from mycorrizal.testing.plans import Plan
from mycorrizal.testing.postbox import Postbox

#: Buckets, by name: for ever; with a time to live; with too little room; the last
#: are created meanwhile, and their settings are in dispute.
MAIN, BRIEF, SMALL = "main", "brief", "small"
EXTRA = ("extra0", "extra1", "extra2")
BRIEF_TTL_S = 5.0
#: Keys of a bucket: few, so that clients meet.
KEYS = 16
#: What a client may give an operation.
TIMEOUTS_S = (0.5, 2.0, 5.0, 5.0)
#: How often what is done, of a hundred.
_CUSTOM = (
    ("put", 34), ("get", 20), ("entry", 12), ("delete", 12), ("touch", 6),
    ("send", 8), ("request", 5), ("create", 3),
    ("add", 6), ("replace", 6), ("load", 12), ("get_many", 3), ("put_many", 3),
    ("delete_many", 1), ("scan", 2),
)  # fmt: skip
#: A client waits for nobody at least this long, in seconds.
_GAP_MIN_S = 0.002


class Workload:
    """
    All clients of a storm and what they were told.

    :param acknowledged: Called with each write at the moment when its client is
        told that it is done.
    :ivar history: Of all clients.
    :ivar over: Whether nothing new is to begin.
    """

    def __init__(
        self,
        arena: Arena,
        plan: Plan,
        history: History,
        postbox: Postbox,
        acknowledged: Callable[[Operation], object],
    ) -> None:
        self.arena = arena
        self.history = history
        self.postbox = postbox
        self.over = False
        self.random = arena.world.stream("work").random
        self.under_way: dict[int, tuple[int, int]] = {}
        self._plan = plan
        self._acknowledged = acknowledged
        self.answers = Answers()
        self._errands = Errands(self)

    # -- the clients ----------------------------------------------------------

    def begin(self) -> None:
        """Let the clients come."""
        for number in range(self._plan.clients):
            self.arena.world.later(self.random(), self._step, f"c{number}", number)

    def _step(self, client: str, number: int) -> None:
        if self.over:
            return
        gap_s = -math.log(1.0 - self.random()) / self._plan.rate
        self.arena.world.later(_GAP_MIN_S + gap_s, self._step, client, number)
        # A client keeps to its node, but moves on when that is gone.
        node = number % len(self.arena)
        for _ in range(len(self.arena)):
            if self.arena.awake(node):
                self.arena.perform(node, partial(self.act, client, node))
                return
            node = (node + 1) % len(self.arena)

    def one_of(self, choices: Any) -> Any:
        """One of some, drawn."""
        return choices[int(self.random() * len(choices))]

    def act(self, client: str, node: int) -> None:
        """One operation, drawn."""
        draw = self.random() * sum(weight for _, weight in _CUSTOM)
        for op, weight in _CUSTOM:
            draw -= weight
            if draw < 0:
                of = self if hasattr(self, f"_{op}") else self._errands
                getattr(of, f"_{op}")(client, node)
                return

    # -- operations -----------------------------------------------------------

    def place(self) -> tuple[str, str]:
        bucket = self.one_of((MAIN, MAIN, MAIN, BRIEF, SMALL, self.one_of(EXTRA)))
        return bucket, f"k{int(self.random() * KEYS)}"

    def keys(self) -> list[str]:
        """All keys that any bucket may have."""
        return [f"k{number}" for number in range(KEYS)]

    def times(self, bucket: str) -> tuple[float | None, float | None]:
        """A time to live, drawn, and what it comes to in that bucket."""
        ttl_s: float | None = 0
        if bucket == BRIEF or self.random() < 0.1:
            ttl_s = self.one_of((0, 0.5, 2.0, 8.0, 30.0))
        return ttl_s, ttl_s or (BRIEF_TTL_S if bucket == BRIEF else None)

    def payload(self, value: str) -> bytes:
        """What is written under that name; sometimes it is long."""
        size = 0 if self.random() < 0.95 else int(self.random() * 60_000)
        return value.encode() + b"|" + bytes(size)

    def _put(self, client: str, node: int) -> None:
        self._write(client, node, "put")

    def _add(self, client: str, node: int) -> None:
        self._write(client, node, "add")

    def _replace(self, client: str, node: int) -> None:
        self._write(client, node, "replace")

    def _write(self, client: str, node: int, op: str) -> None:
        bucket, key = self.place()
        value = f"{client}.{len(self.history.records)}"
        payload = self.payload(value)
        ttl_s, expires_s = self.times(bucket)
        self._do(
            client, node, op, bucket, key, value, expires_s,
            lambda cache, timeout_s: getattr(cache, op)(
                bucket, key, payload, ttl_s, timeout_s
            ),
        )  # fmt: skip

    def _get(self, client: str, node: int) -> None:
        bucket, key = self.place()
        self._do(
            client, node, "get", bucket, key, None, None,
            lambda cache, timeout_s: cache.get(bucket, key, timeout_s),
        )  # fmt: skip

    def _entry(self, client: str, node: int) -> None:
        self.read(client, node, *self.place())

    def read(self, client: str, node: int, bucket: str, key: str) -> None:
        """Read one key with its version."""
        self._do(
            client, node, "entry", bucket, key, None, None,
            lambda cache, timeout_s: cache.entry(bucket, key, timeout_s),
        )  # fmt: skip

    def _delete(self, client: str, node: int) -> None:
        bucket, key = self.place()
        self._do(
            client, node, "delete", bucket, key, None, None,
            lambda cache, timeout_s: cache.delete(bucket, key, timeout_s),
        )  # fmt: skip

    def _touch(self, client: str, node: int) -> None:
        bucket, key = self.place()
        ttl_s = self.one_of((2.0, 20.0) if bucket == BRIEF else (None, 40.0))
        self._do(
            client, node, "touch", bucket, key, None, ttl_s,
            lambda cache, timeout_s: cache.put_ttl(bucket, key, ttl_s, timeout_s),
        )  # fmt: skip

    def _create(self, client: str, node: int) -> None:
        bucket = self.one_of(EXTRA)
        replicas = self._plan.replicas if self.random() < 0.7 else 2
        self._do(
            client, node, "create", bucket, "", None, None,
            lambda cache, timeout_s: cache.create_bucket(
                bucket, max_entries=100_000, replicas=replicas, timeout_s=timeout_s
            ),
        )  # fmt: skip

    def _send(self, client: str, node: int) -> None:
        here = self.arena[node]
        targets = [it for it in here.nodosum.applications.links if self.random() < 0.5]
        size = 0 if self.random() < 0.9 else int(self.random() * 200_000)
        t = self.arena.world.now_s
        number = self.history.invoke(t, client, "send")
        done = self.postbox.send(here, targets, size)
        self._watch(done, number, node, "send")

    def _request(self, client: str, node: int) -> None:
        here, t = self.arena[node], self.arena.world.now_s
        others = sorted(here.nodosum.applications.links)
        if not others:
            return
        timeout_s = self.one_of(TIMEOUTS_S)
        number = self.history.invoke(t, client, "request", timeout_s=timeout_s)
        application = self.postbox.application(here)
        payload = f"{client}.{number}".encode()
        done = application.request(payload, self.one_of(others), timeout_s)
        self._watch(done, number, node, "request")

    # -- what comes of it -----------------------------------------------------

    def set_up(self, node: Mycorrizal) -> None:
        """Listen to what a new process is told of versions."""
        self.answers.set_up(node)

    def _do(
        self,
        client: str,
        node: int,
        op: str,
        bucket: str,
        key: str,
        value: str | None,
        ttl_s: float | None,
        call: Callable[[Any, float], Deferred[Any]],
    ) -> None:
        timeout_s, t = self.one_of(TIMEOUTS_S), self.arena.world.now_s
        number = self.history.invoke(
            t, client, op, bucket, key, value, ttl_s=ttl_s, timeout_s=timeout_s
        )
        done = call(self.arena[node].cache(), timeout_s)
        self._watch(done, number, node, op)
        self.cancel_some(done, node)

    def cancel_some(self, done: Deferred[Any], node: int) -> None:
        """One client of a hundred does not wait for the answer."""
        if not done.called and self.random() < 0.01:
            self.arena.world.later(self.random(), self.arena.perform, node, done.cancel)

    def _watch(self, done: Deferred[Any], number: int, node: int, op: str) -> None:
        node_id, of_one = self.arena[node].node_id, self.answers.of_one
        self.watch(done, (number,), node, lambda it: [of_one(op, node_id, it)])

    def watch(
        self,
        done: Deferred[Any],
        numbers: Sequence[int],
        node: int,
        read: Callable[[Any], Sequence[Answer]],
        failed: Callable[[BaseException], Answer] = failure,
    ) -> None:
        """
        Write down what comes of operations that end together.

        :param read: Gives their answers.
        :param failed: What an error means for each of them.
        """
        here = node, self.arena.lives[node]
        self.under_way.update((number, here) for number in numbers)

        def ok(result: Any) -> None:
            if numbers[0] in self.under_way:  # Else its node died.
                for number, answer in zip(numbers, read(result), strict=True):
                    self.end(number, answer)

        def not_ok(reason: Failure) -> None:
            error = reason.value
            assert error is not None
            if isinstance(error, PartialFailure):
                ok(error)
                return
            for number in numbers:
                self.end(number, failed(error))
            if not known(error):
                reason.raiseException()

        done.addCallbacks(ok, not_ok)

    def end(self, number: int, answer: Answer) -> None:
        """An operation has ended, unless its node has died before."""
        if self.under_way.pop(number, None) is None:
            return
        ended = self.history.end(
            self.arena.world.now_s, number, answer.outcome,
            value=answer.value, version=answer.version, copies=answer.copies,
            existed=answer.existed, error=answer.error,
        )  # fmt: skip
        if ended.acknowledged:
            self._acknowledged(ended)

    def lost(self, node: int) -> None:
        """A node's process died, and with it its clients' operations."""
        life = self.arena.lives[node]
        for number, where in list(self.under_way.items()):
            if where == (node, life):
                self.end(number, Answer(INFO, error="the node died"))
