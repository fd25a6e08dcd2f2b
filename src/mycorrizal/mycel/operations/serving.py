# -*- test-case-name: tests.mycel.operations.test_serving -*-
"""
The operations of other nodes that this one is working on.
"""

from __future__ import annotations

from typing import Protocol

from mycorrizal.mycel.buckets import BucketTable
from mycorrizal.mycel.config import OPERATION_TIMEOUT_S, SERVED_MAX
from mycorrizal.mycel.fields import AboutBucket, AboutKey
from mycorrizal.mycel.leases import WAITERS_MAX
from mycorrizal.mycel.messages import (
    BUSY,
    TOO_MANY,
    Answer,
    Asked,
    Get,
    Load,
    Refused,
    Repeatable,
    Routed,
    Scan,
    Watch,
    encode,
)
from mycorrizal.mycel.operations.asking import Waiter
from mycorrizal.mycel.operations.bulk import serve_batch
from mycorrizal.mycel.operations.primary import read
from mycorrizal.mycel.operations.routing import Router
from mycorrizal.mycel.operations.scanning import answer_scan
from mycorrizal.mycel.operations.watching import Outboxes
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.mycel.slots.routes import SETTLED
from mycorrizal.nodosum import Link, Route
from mycorrizal.runtime import Runtime


class Cancellable(Protocol):
    """An operation that may be on its way to somewhere else."""

    def cancel(self) -> None: ...


class Slots(Route, Protocol):
    """The application whose calls they are, which knows the slots of operations."""

    def slot(self, request: Routed) -> int: ...


class Served(Waiter):
    """
    Another node, which waits for the answer to one call.

    :ivar operation: What works on it, if that can be cancelled.
    :ivar table: Of those without an answer, if it is in one.
    """

    __slots__ = ("operation", "origin", "table", "_call_id", "_link", "_serving")

    def __init__(self, serving: Serving, call_id: int, link: Link) -> None:
        self.wanted = True
        self._serving = serving
        self._call_id = call_id
        self._link = link
        self.operation: Cancellable | None = None
        self.origin: bytes | None = None
        self.table: Table | None = None

    def __call__(self, answer: Answer) -> None:
        """Send the answer, unless nobody waits any more."""
        if not self.wanted:
            return
        self.wanted = False
        link = self._link
        if self.table is not None:
            self._serving.ended(self.table, self._call_id, link)
        if not link.closed:
            link.reply(self._call_id, encode(answer), self._serving.app_id)

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.wanted = False
        if self.operation is not None:
            self.operation.cancel()


#: By call id and link.
Table = dict[tuple[int, Link], Served]


class Serving:
    """
    All calls of other nodes that have no answer yet, so that they can be
    cancelled; bounded, since each is work under way.  Those that wait for a
    loader, maybe for long, do not count among the others.

    :param route: Of the application whose calls they are.
    :param app_id: Its id.
    """

    def __init__(
        self,
        route: Slots,
        app_id: bytes,
        runtime: Runtime,
        router: Router,
        buckets: BucketTable,
        outboxes: Outboxes,
    ) -> None:
        self._route = route
        self.app_id = app_id
        self._now = runtime.now
        self._router = router
        self._buckets = buckets
        self._status = router.claims.routes.status
        self._outboxes = outboxes
        self._served: Table = {}
        self._loading: Table = {}

    def __len__(self) -> int:
        return len(self._served) + len(self._loading)

    def serve(self, call_id: int, request: Asked, link: Link) -> None:
        """A caller on another node asks something."""
        if request.__class__ is Get and self._read(call_id, request, link):
            return
        served = Served(self, call_id, link)
        operation: Cancellable | None
        table, timeout_s = self._served, OPERATION_TIMEOUT_S
        if isinstance(request, Load):
            table, timeout_s = self._loading, request.wait_ms / 1000
            if len(table) >= WAITERS_MAX:
                served(Refused(TOO_MANY, "too many loads are under way"))
                return
        elif len(table) >= SERVED_MAX:
            served(Refused(BUSY, str(SERVED_MAX)))
            return
        if isinstance(request, (AboutKey, AboutBucket)):
            deadline = self._now() + timeout_s
            slot = self._route.slot(request)
            if isinstance(request, Repeatable):
                served.origin = request.origin or link.node_key
            operation = self._router.passed_on(request, slot, deadline, served)
        elif isinstance(request, Scan):
            now, claims = self._now(), self._router.claims
            served(answer_scan(self._buckets, claims, request, now))
            return
        elif isinstance(request, Watch):
            operation = self._outboxes.ask(link, request, served)
        else:
            operation = serve_batch(
                self._router, self._buckets, request, served, link.node_key
            )
        if served.wanted:
            served.operation = operation
            served.table = table
            table[call_id, link] = served
            link.serving[call_id] = self._route

    def _read(self, call_id: int, get: Get, link: Link) -> bool:
        """
        Answer what can be read here at once, without ado.

        :return: Whether it could.
        """
        bucket = self._buckets.by_name.get(get.bucket)
        if bucket is None:
            return False
        slot = slot_of(bucket.seed, get.key)
        if self._status[slot] != SETTLED:
            return False
        found = read(bucket, slot, get.key, self._now())
        link.reply(call_id, encode(found), self.app_id)
        return True

    def ended(self, table: Table, call_id: int, link: Link) -> None:
        """A call of a table has its answer."""
        if table.pop((call_id, link), None) is not None:
            link.serving.pop(call_id, None)

    def cancelled(self, call_id: int, link: Link) -> None:
        """The caller waits no more, or its link is gone."""
        for table in (self._served, self._loading):
            served = table.pop((call_id, link), None)
            if served is not None:
                served.cancel()
