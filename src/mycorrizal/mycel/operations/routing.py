# -*- test-case-name: tests.mycel.operations.test_routing -*-
"""
How an operation finds its slot's primary, wherever it begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from mycorrizal.mycel.messages import (
    INDETERMINATE,
    NOT_OWNER,
    Answer,
    Refused,
    Routed,
    encode,
)
from mycorrizal.mycel.messages import decode_answer as decode
from mycorrizal.mycel.operations.primary import OnDone, Primary
from mycorrizal.mycel.slots.view import View
from mycorrizal.nodosum import ANSWERED, TIMED_OUT, Link
from mycorrizal.runtime import Runtime, Timer

#: How often an operation may be passed on before it is sent back.
HOPS_MAX = 3
#: Pause before an operation is tried again: its primary is changing.
RETRY_S = 0.02


class Sender(Protocol):
    """What sends a request over a link: `mycorrizal.nodosum.Channel`."""

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
    """

    def __init__(
        self,
        runtime: Runtime,
        view: View,
        primary: Primary,
        channel: Sender,
        link_to: Callable[[bytes], Link | None],
    ) -> None:
        self.runtime = runtime
        self.view = view
        self.primary = primary
        self.channel = channel
        self.link_to = link_to
        #: In order of arrival, as every run of a seed must have it.
        self.under_way: dict[Operation, None] = {}

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
        view = self.view
        if view.placement.primaries[slot] == view.me and not view.unsettled[slot]:
            self.primary.perform(request, slot, deadline, done)
            return None
        operation = Operation(self, request, slot, deadline, done)
        operation.attempt()
        return operation

    def passed_on(
        self, request: Routed, slot: int, deadline: float, done: OnDone
    ) -> None:
        """Route an operation that another node sent to us."""
        if self.view.placement.primaries[slot] == self.view.me:
            self.primary.perform(request, slot, deadline, done)
        elif request.hops >= HOPS_MAX:
            done(Refused(NOT_OWNER))
        else:
            request = msgspec.structs.replace(request, hops=request.hops + 1)
            self.route(request, slot, deadline, done)

    def stop(self) -> None:
        """Nothing can be reached any more: end all that waits."""
        for operation in list(self.under_way):
            operation.end(Refused(NOT_OWNER, "the node was stopped"))


class Operation:
    """
    One operation on its way to its primary, tried until it gets there.
    """

    __slots__ = (
        "_router", "_request", "_payload", "_slot", "_deadline", "_done", "_call",
        "_timer",
    )  # fmt: skip

    def __init__(
        self, router: Router, request: Routed, slot: int, deadline: float, done: OnDone
    ) -> None:
        self._router = router
        self._request = request
        self._payload = encode(request)
        self._slot = slot
        self._deadline = deadline
        self._done: OnDone | None = done
        self._call: tuple[Link, int] | None = None
        self._timer: Timer | None = None
        router.under_way[self] = None

    def attempt(self) -> None:
        """Send it to whoever is primary now."""
        if self._done is None:
            return
        router = self._router
        primary = router.view.placement.primaries[self._slot]
        if primary == router.view.me:
            router.primary.perform(
                self._request, self._slot, self._deadline, self._told
            )
            return
        link = None if primary is None else router.link_to(primary)
        if link is not None:
            call_id = router.channel.call(
                link, self._payload, self._answered, self._deadline
            )
            if call_id:
                self._call = (link, call_id)
                return
        self._retry()

    def _retry(self) -> None:
        runtime = self._router.runtime
        if runtime.now() + RETRY_S >= self._deadline:
            self.end(Refused(INDETERMINATE, "no answer in time"))
        else:
            self._timer = runtime.call_later(RETRY_S, self.attempt)

    def _answered(self, how: int, payload: bytes) -> None:
        self._call = None
        if self._done is None:
            return
        if how == TIMED_OUT:
            self.end(Refused(INDETERMINATE, "no answer in time"))
        elif how != ANSWERED:
            # The link was lost, or the other side is not ready: whoever is
            # primary then gets it again.
            self._retry()
        else:
            answer: Answer = Refused(NOT_OWNER)
            try:
                answer = decode(payload, self._request)
            finally:
                self._told(answer)

    def _told(self, answer: Answer) -> None:
        if self._done is None:
            return
        if isinstance(answer, Refused) and answer.reason == NOT_OWNER:
            self._retry()
        else:
            self.end(answer)

    def end(self, answer: Answer) -> None:
        """Give the answer, unless it was given or nobody waits."""
        done, self._done = self._done, None
        self._forget()
        if done is not None:
            done(answer)

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        self._done = None
        self._forget()
        if self._call is not None:
            link, call_id = self._call
            link.cancel(call_id)

    def _forget(self) -> None:
        self._router.under_way.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
