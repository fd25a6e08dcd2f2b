# -*- test-case-name: tests.testing.test_workload -*-
"""
The clients of a storm: each does one thing after the other at its node.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from mycorrizal.errors import (
    BucketConflict,
    CacheError,
    Indeterminate,
    MycorrizalError,
    PeerBusy,
    PeerUnreachable,
    RemoteFailure,
    UnknownBucket,
)
from mycorrizal.mycel.messages import Done, Found, Refused
from mycorrizal.mycel.operations.routing import Operation as Routing
from mycorrizal.service import Mycorrizal
from mycorrizal.testing.arena import Arena
from mycorrizal.testing.history import FAIL, INFO, OK, History, Operation, Version
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
)  # fmt: skip
#: A client waits for nobody at least this long, in seconds.
_GAP_MIN_S = 0.002

#: What certainly had no effect.
_FAILED = (BucketConflict, UnknownBucket, PeerUnreachable, PeerBusy, RemoteFailure)


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
        #: What a node's router told last: the answer of the operation whose
        #: Deferred fires now, if that was routed.
        self._told: dict[str, Done | Found | Refused | None] = {}

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
                getattr(self, f"_{op}")(client, node)
                return

    # -- operations -----------------------------------------------------------

    def _place(self) -> tuple[str, str]:
        bucket = self.one_of((MAIN, MAIN, MAIN, BRIEF, SMALL, self.one_of(EXTRA)))
        return bucket, f"k{int(self.random() * KEYS)}"

    def _put(self, client: str, node: int) -> None:
        bucket, key = self._place()
        value = f"{client}.{len(self.history.records)}"
        size = 0 if self.random() < 0.95 else int(self.random() * 60_000)
        ttl_s: float | None = 0
        if bucket == BRIEF or self.random() < 0.1:
            ttl_s = self.one_of((0, 0.5, 2.0, 8.0, 30.0))
        expires_s = ttl_s or (BRIEF_TTL_S if bucket == BRIEF else None)
        payload = value.encode() + b"|" + bytes(size)
        self._do(
            client, node, "put", bucket, key, value, expires_s,
            lambda cache, timeout_s: cache.put(
                bucket, key, payload, ttl_s, timeout_s
            ),
        )  # fmt: skip

    def _get(self, client: str, node: int) -> None:
        bucket, key = self._place()
        self._do(
            client, node, "get", bucket, key, None, None,
            lambda cache, timeout_s: cache.get(bucket, key, timeout_s),
        )  # fmt: skip

    def _entry(self, client: str, node: int) -> None:
        self.read(client, node, *self._place())

    def read(self, client: str, node: int, bucket: str, key: str) -> None:
        """Read one key with its version."""
        self._do(
            client, node, "entry", bucket, key, None, None,
            lambda cache, timeout_s: cache.entry(bucket, key, timeout_s),
        )  # fmt: skip

    def _delete(self, client: str, node: int) -> None:
        bucket, key = self._place()
        self._do(
            client, node, "delete", bucket, key, None, None,
            lambda cache, timeout_s: cache.delete(bucket, key, timeout_s),
        )  # fmt: skip

    def _touch(self, client: str, node: int) -> None:
        bucket, key = self._place()
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
        router = node.mycel.router
        route, node_id = router.route, node.node_id

        def listening(
            request: Any, slot: int, deadline: float, done: Callable[[Any], None]
        ) -> Routing | None:
            def told(answer: Any) -> None:
                self._told[node_id] = answer
                done(answer)

            return route(request, slot, deadline, told)

        router.route = listening  # type: ignore[method-assign]

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
        if not done.called and self.random() < 0.01:
            self.arena.world.later(self.random(), self.arena.perform, node, done.cancel)

    def _watch(
        self,
        done: Deferred[Any],
        number: int,
        node: int,
        op: str,
    ) -> None:
        node_id = self.arena[node].node_id
        self.under_way[number] = node, self.arena.lives[node]

        def ok(result: Any) -> None:
            if self.under_way.pop(number, None) is None:
                return  # Its node died.
            value, version, copies, existed = self._read(op, node_id, result)
            ended = self.history.end(
                self.arena.world.now_s, number, OK,
                value=value, version=version, copies=copies, existed=existed,
            )  # fmt: skip
            if ended.acknowledged:
                self._acknowledged(ended)

        def failed(failure: Failure) -> None:
            if self.under_way.pop(number, None) is None:
                return
            error = failure.value
            known = isinstance(error, (MycorrizalError, CancelledError))
            certain = isinstance(error, _FAILED) or (
                isinstance(error, CacheError) and not isinstance(error, Indeterminate)
            )
            self.history.end(
                self.arena.world.now_s, number,
                FAIL if certain else INFO,
                error=f"{type(error).__name__}: {error}",
            )  # fmt: skip
            if not known:
                failure.raiseException()

        done.addCallbacks(ok, failed)

    def _read(
        self, op: str, node_id: str, result: Any
    ) -> tuple[str | None, Version | None, int, bool]:
        """Value, version, copies and whether it was there, from an answer."""
        told = self._told.get(node_id)
        version: Version | None = None
        if isinstance(told, (Done, Found)) and told.stamp and op != "get":
            version = told.stamp, told.origin.hex()
        if op == "get":
            return None if result is None else _name(result), None, 0, True
        if op == "entry":
            value = None if result is None else _name(result.value)
            return value, version, 0, True
        if isinstance(told, Done) and op in ("put", "delete", "touch"):
            existed = told.existed or op == "put"
            return None, version, told.copies, existed
        return None, None, 0, True

    def lost(self, node: int) -> None:
        """A node's process died, and with it its clients' operations."""
        life, t = self.arena.lives[node], self.arena.world.now_s
        for number, where in list(self.under_way.items()):
            if where == (node, life):
                del self.under_way[number]
                self.history.end(t, number, INFO, error="the node died")


def _name(value: bytes) -> str:
    return value.partition(b"|")[0].decode()
