# -*- test-case-name: tests.mycel.operations.test_routing -*-
"""
How an operation finds its slot's primary, wherever it begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from mycorrizal.mycel.messages import (
    BUSY,
    INDETERMINATE,
    NOT_OWNER,
    UNREACHED,
    Answer,
    Asked,
    Done,
    PutIf,
    Refused,
    Remake,
    Repeatable,
    Routed,
    encode,
)
from mycorrizal.mycel.messages import decode_answer as decode
from mycorrizal.mycel.operations.asking import Waiter
from mycorrizal.mycel.operations.latencies import Latencies
from mycorrizal.mycel.operations.primary import OnDone, Primary
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.routes import ELSEWHERE, SETTLED
from mycorrizal.nodosum import ANSWERED, LINK_LOST, TIMED_OUT, Link
from mycorrizal.runtime import Runtime, Timer

#: How often an operation may be passed on before it is sent back.
HOPS_MAX = 3
#: Pause before an operation is tried again: its primary is changing.
RETRY_S = 0.02


#: What stands for an answer that can't be read.
_NOT_READ = Refused(NOT_OWNER)


class Sender(Protocol):
    """What sends a request over a link: `mycorrizal.nodosum.Channel`."""

    app_id: bytes

    def call(
        self,
        link: Link,
        payload: bytes,
        on_reply: Callable[[int, bytes], None],
        deadline: float,
    ) -> int: ...


class Router:
    """
    The way of operations to their primaries.

    :param link_to: The link to a node, if it is up.
    :ivar latencies: What times operations, if anybody wants to know.
    """

    def __init__(
        self,
        runtime: Runtime,
        claims: Claims,
        primary: Primary,
        channel: Sender,
        link_to: Callable[[bytes], Link | None],
    ) -> None:
        self.runtime = runtime
        self.claims = claims
        self.primary = primary
        self.channel = channel
        self.link_to = link_to
        #: In order of arrival, as every run of a seed must have it.
        self.under_way: dict[Operation, None] = {}
        #: Links whose queue was full at the last try: who comes later waits, too.
        self.full: set[Link] = set()
        self.latencies: Latencies | None = None
        self._stopped = False
        self._later: dict[Operation, float] = {}
        self._timer: Timer | None = None

    def route(
        self, request: Routed, slot: int, deadline: float, done: OnDone
    ) -> Operation | None:
        """
        Have an operation done by its primary, this node or another.

        :param deadline: When it becomes indeterminate, monotonic.
        :param done: Called once, maybe at once, with the answer.
        :return: What can be cancelled; None if this node is the primary and
            need not ask others first.
        """
        if self.claims.routes.status[slot] == SETTLED:
            self.primary.perform(request, slot, deadline, done)
            return None
        operation = Operation(self, request, slot, deadline, done)
        operation.attempt()
        return operation

    def passed_on(
        self, request: Routed, slot: int, deadline: float, done: OnDone
    ) -> Operation | None:
        """
        Route an operation that another node sent to us.

        :return: As of `route`.
        """
        if self.claims.routes.status[slot] != ELSEWHERE:
            self.primary.perform(request, slot, deadline, done)
        elif request.hops >= HOPS_MAX:
            done(Refused(NOT_OWNER))
        else:
            request = msgspec.structs.replace(request, hops=request.hops + 1)
            if isinstance(request, Repeatable) and isinstance(done, Waiter):
                request = msgspec.structs.replace(request, origin=done.origin)
            return self.route(request, slot, deadline, done)
        return None

    def ask(
        self,
        node_key: bytes,
        request: Asked,
        deadline: float,
        done: Callable[[int, Answer | None], None],
    ) -> Call | None:
        """
        Ask one node something, once.

        :param done: Called once with how it ended, and the answer if there is
            one.
        :return: What can be cancelled; None if it could not be asked.
        """
        link = self.link_to(node_key)
        if link is None:
            return None

        def replied(how: int, payload: bytes) -> None:
            answer: Answer | None = None
            try:
                if how == ANSWERED:
                    answer = decode(payload, request)
            finally:
                done(how, answer)

        call_id = self.channel.call(link, encode(request), replied, deadline)
        return Call(link, call_id) if call_id else None

    def try_later(self, operation: Operation) -> None:
        """
        Try an operation again after `RETRY_S`.

        One timer serves all, and a link whose queue is full is tried by one of
        them: thousands that wait for it cost next to nothing.
        """
        if self._stopped:
            operation.end(Refused(NOT_OWNER, "the node was stopped"))
            return
        self._later.pop(operation, None)
        self._later[operation] = self.runtime.now() + RETRY_S
        if self._timer is None:
            self._timer = self.runtime.call_later(RETRY_S, self._try)

    def _try(self) -> None:
        self.full.clear()
        now = self.runtime.now()
        for operation, due in list(self._later.items()):
            if due <= now and self._later.pop(operation, None) is not None:
                operation.attempt()
        self._timer = None
        # In the order in which they are due.
        for due in self._later.values():
            self._timer = self.runtime.call_later(max(0.0, due - now), self._try)
            break

    def wake(self) -> None:
        """Primaries have changed: try again what waits for one, now."""
        for operation in list(self._later):
            if self._later.pop(operation, None) is not None:
                operation.attempt()
        if not self._later and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def forget(self, operation: Operation) -> None:
        """An operation is over."""
        self.under_way.pop(operation, None)
        if not self._later or operation not in self._later:
            return
        del self._later[operation]
        timer = self._timer
        if not self._later and timer is not None and timer.active():
            timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """Nothing can be reached any more: end all that waits."""
        self._stopped = True
        for operation in list(self.under_way):
            operation.end(Refused(NOT_OWNER, "the node was stopped"))


class Call:
    """
    One question to one node, which has no answer yet.
    """

    __slots__ = ("_link", "_call_id")

    def __init__(self, link: Link, call_id: int) -> None:
        self._link = link
        self._call_id = call_id

    def cancel(self) -> None:
        """Nobody waits for the answer any more; harmless when it has come."""
        self._link.cancel(self._call_id)


class Operation(Waiter):
    """
    One operation on its way to its primary, tried until it gets there.
    """

    __slots__ = (
        "_router", "_request", "_payload", "_slot", "_deadline", "_done", "_call",
        "_lost", "_began_at",
    )  # fmt: skip

    def __init__(
        self, router: Router, request: Routed, slot: int, deadline: float, done: OnDone
    ) -> None:
        self.wanted = True
        self._router = router
        self._request = request
        self._payload = encode(request)
        self._slot = slot
        self._deadline = deadline
        self._done: OnDone | None = done
        self._call: tuple[Link, int] | None = None
        #: Whether it may have been done: who was asked was lost, or has begun it.
        self._lost = isinstance(request, Remake)
        latencies = router.latencies
        self._began_at = 0.0 if latencies is None else latencies.begin()
        router.under_way[self] = None

    def attempt(self) -> None:
        """Send it to whoever is primary now."""
        if self._done is None:
            return
        router = self._router
        if router.claims.routes.status[self._slot] != ELSEWHERE:
            router.primary.perform(self._request, self._slot, self._deadline, self)
            return
        # It may be this node itself, which waits for others to agree.
        primary = router.claims.routes.primaries[self._slot]
        link = None if primary is None else router.link_to(primary)
        if link is not None and not (router.full and link in router.full):
            call_id = router.channel.call(
                link, self._payload, self._answered, self._deadline
            )
            if call_id:
                self._call = (link, call_id)
                return
            router.full.add(link)
        self._retry()

    def _retry(self) -> None:
        router = self._router
        if router.runtime.now() + RETRY_S >= self._deadline:
            # Whoever was asked has refused it, or was lost and may have done it.
            reason = INDETERMINATE if self._lost else UNREACHED
            self.end(Refused(reason, "no primary was reached in time"))
        else:
            router.try_later(self)

    def _answered(self, how: int, payload: bytes) -> None:
        self._call = None
        if self._done is None:
            return
        if how == ANSWERED:
            answer: Answer = _NOT_READ
            try:
                answer = decode(payload, self._request)
            finally:
                self(answer)
        elif how == TIMED_OUT:
            self.end(Refused(INDETERMINATE, "no answer in time"))
        else:
            # The link was lost, or the other side is not ready: whoever is
            # primary then gets it again.
            self._lost = self._lost or how == LINK_LOST
            self._retry()

    def __call__(self, answer: Answer) -> None:
        """A primary has answered."""
        if self._done is None:
            return
        if isinstance(answer, Refused) and answer.reason == NOT_OWNER:
            self._retry()
        elif self._lost and _not_written(self._request, answer):
            # What is in the way may be what this very operation wrote.
            self.end(Refused(INDETERMINATE, "a node died that may have written it"))
        else:
            self.end(answer)

    def end(self, answer: Answer) -> None:
        """Give the answer, unless it was given or nobody waits."""
        done, self._done = self._done, None
        self.wanted = False
        router = self._router
        router.forget(self)
        if done is not None:
            if self._began_at and router.latencies is not None:
                router.latencies.ended(self._request, self._began_at)
            done(answer)

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        self._done = None
        self.wanted = False
        self._router.forget(self)
        if self._call is not None:
            link, call_id = self._call
            link.cancel(call_id)


def _not_written(request: Routed, answer: Answer) -> bool:
    """Whether somebody says that a write was not done, but for all others."""
    if isinstance(answer, Refused):
        return answer.reason in (UNREACHED, BUSY)
    return (
        isinstance(request, PutIf)
        and isinstance(answer, Done)
        and answer.existed != request.if_present
    )
