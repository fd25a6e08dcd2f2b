# -*- test-case-name: tests.mycel.operations.test_bulk -*-
"""
Operations on many keys: a message to each node that is primary of some of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from mycorrizal.mycel.buckets import BucketTable
from mycorrizal.mycel.config import BATCH_KEYS_MAX
from mycorrizal.mycel.messages import (
    INDETERMINATE,
    NOT_OWNER,
    UNKNOWN_BUCKET,
    Answer,
    Found,
    Get,
    GetMany,
    Item,
    Many,
    OfKey,
    One,
    Put,
    PutMany,
    Refused,
)
from mycorrizal.mycel.operations.asking import Waiter
from mycorrizal.mycel.operations.routing import RETRY_S, Call, Router
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.mycel.slots.routes import ELSEWHERE
from mycorrizal.nodosum import TIMED_OUT
from mycorrizal.runtime import Timer

#: Bytes of keys and values in one message, unless one value alone has more: what
#: another operation may have to wait for.
BATCH_BYTES: Final = 256 * 1024
#: Messages of one call that one node may have unanswered.
BATCHES_MAX: Final = 4
#: How long before its caller gives up a node answers what it can, at most.
MARGIN_S: Final = 0.25
#: What a key or an answer takes besides its bytes, at most.
_ITEM_BYTES: Final = 64

#: An answer for each operation, in their order.
OnAnswers: TypeAlias = Callable[[Sequence[One]], None]

_LATE = Refused(INDETERMINATE, "no answer in time")


class _Part(Waiter):
    """One operation of a batch."""

    __slots__ = ("_batch", "_number", "origin")

    def __init__(self, batch: Batch, number: int, origin: bytes | None) -> None:
        self.wanted = True
        self.origin = origin
        self._batch = batch
        self._number = number

    def __call__(self, answer: Answer) -> None:
        if self.wanted:
            assert isinstance(answer, One)
            self.wanted = False
            self._batch.answered(self._number, answer)


class Batch:
    """
    Operations that this node does as primary of their slots, each in its own
    way: one that has to wait holds up no other.

    :param patience_s: When those without an answer become indeterminate.
    :param done: Called once, maybe at once.
    :param origin: The node that asks, if it is another.
    """

    def __init__(
        self,
        router: Router,
        requests: Sequence[OfKey],
        slots: Sequence[int],
        patience_s: float,
        done: OnAnswers,
        origin: bytes | None = None,
    ) -> None:
        runtime, status = router.runtime, router.claims.routes.status
        self._done = done
        self._answers: list[One] = [_LATE] * len(requests)
        self._missing = len(requests)
        self._parts = [_Part(self, number, origin) for number in range(len(requests))]
        self._timer: Timer | None = None
        deadline = runtime.now() + patience_s
        for request, slot, part in zip(requests, slots, self._parts, strict=True):
            if status[slot] != ELSEWHERE:
                router.primary.perform(request, slot, deadline, part)
            else:
                part(Refused(NOT_OWNER))
        if self._missing:
            self._timer = runtime.call_later(patience_s, self._end)

    def answered(self, number: int, answer: One) -> None:
        """One of them is done."""
        self._answers[number] = answer
        self._missing -= 1
        if not self._missing:
            self._end()

    def _end(self) -> None:
        self.cancel()
        self._done(self._answers)

    def cancel(self) -> None:
        """Nobody waits any more: what has not begun is not done."""
        for part in self._parts:
            part.wanted = False
        if self._timer is not None:
            self._timer.cancel()


class Bulk:
    """
    One call about many keys, tried until all have their answers.

    :param requests: One for each key; all of one kind.
    :param slots: Their slots.
    :param deadline: When those that are left become indeterminate, monotonic.
    :param done: Called once, maybe at once.
    """

    def __init__(
        self,
        router: Router,
        requests: Sequence[OfKey],
        slots: Sequence[int],
        deadline: float,
        done: OnAnswers,
    ) -> None:
        self._router = router
        self._requests = requests
        self._slots = slots
        self._deadline = deadline
        self._done: OnAnswers | None = done
        self._answers: list[One] = [_LATE] * len(requests)
        self._missing = len(requests)
        self._waiting: dict[bytes, deque[int]] = {}
        self._unanswered: dict[bytes, int] = {}
        self._calls: dict[Call | None, None] = {}
        self._batches: dict[Batch, None] = {}
        self._again: list[int] = []
        self._timer: Timer | None = None
        self._turn: Timer | None = None

    def begin(self) -> None:
        """Send what there is to send."""
        self._sort(range(len(self._requests)))

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._done = None
        for timer in (self._timer, self._turn):
            if timer is not None:
                timer.cancel()
        for call in self._calls:
            if call is not None:
                call.cancel()
        for batch in self._batches:
            batch.cancel()
        self._calls.clear()
        self._batches.clear()

    # -- out --------------------------------------------------------------------

    def _sort(self, numbers: Sequence[int]) -> None:
        """Send operations to whoever is primary of their slots now."""
        primaries = self._router.claims.routes.primaries
        for number in numbers:
            primary = primaries[self._slots[number]]
            if primary is None:
                self._try_again((number,))
            else:
                self._waiting.setdefault(primary, deque()).append(number)
        for node_key in list(self._waiting):
            self._pump(node_key)

    def _pump(self, node_key: bytes) -> None:
        waiting = self._waiting.get(node_key)
        here = node_key == self._router.claims.me
        if here and self._turn is not None and self._turn.active():
            return
        unanswered_max = 1 if here else BATCHES_MAX
        while (
            waiting
            and self._done is not None
            and self._unanswered.get(node_key, 0) < unanswered_max
        ):
            numbers = self._take(waiting)
            self._unanswered[node_key] = self._unanswered.get(node_key, 0) + 1
            if here:
                self._perform(node_key, numbers)
                return
            self._send(node_key, numbers)

    def _take(self, waiting: deque[int]) -> list[int]:
        numbers: list[int] = []
        size_bytes = 0
        while waiting and len(numbers) < BATCH_KEYS_MAX:
            request = self._requests[waiting[0]]
            size_bytes += _ITEM_BYTES + len(request.key)
            if isinstance(request, Put) and request.value is not None:
                size_bytes += len(request.value)
            if numbers and size_bytes > BATCH_BYTES:
                break
            numbers.append(waiting.popleft())
        return numbers

    def _perform(self, me: bytes, numbers: list[int]) -> None:
        ended = False

        def done(answers: Sequence[One]) -> None:
            nonlocal ended
            ended = True
            if batch is not None:
                self._batches.pop(batch, None)
            self._unanswered[me] -= 1
            self._take_answers(numbers, answers)
            if self._done is not None and self._waiting.get(me):
                # In a turn of its own: so many at once would hold others up.
                self._turn = self._router.runtime.call_later(0, self._pump, me)

        batch: Batch | None = None
        batch = Batch(
            self._router,
            [self._requests[number] for number in numbers],
            [self._slots[number] for number in numbers],
            self._deadline - self._router.runtime.now(),
            done,
        )
        if not ended:
            self._batches[batch] = None

    def _send(self, node_key: bytes, numbers: list[int]) -> None:
        request = _message([self._requests[number] for number in numbers], self._left())
        call: Call | None = None

        def done(how: int, answer: Answer | None) -> None:
            self._calls.pop(call, None)
            self._unanswered[node_key] -= 1
            self._replied(numbers, how, answer)
            self._pump(node_key)

        call = self._router.ask(node_key, request, self._deadline, done)
        if call is None:
            self._unanswered[node_key] -= 1
            self._try_again(numbers)
        else:
            self._calls[call] = None

    def _left(self) -> float:
        left_s = self._deadline - self._router.runtime.now()
        return max(left_s / 2, left_s - MARGIN_S)

    # -- back -------------------------------------------------------------------

    def _replied(self, numbers: list[int], how: int, answer: Answer | None) -> None:
        if isinstance(answer, Many):
            self._take_answers(numbers, answer.answers)
        elif isinstance(answer, Refused):
            self._take_answers(numbers, [answer] * len(numbers))
        elif how == TIMED_OUT:
            self._take_answers(numbers, [_LATE] * len(numbers))
        else:
            # The link was lost, or the other side is not ready.
            self._try_again(numbers)

    def _take_answers(self, numbers: list[int], answers: Sequence[One]) -> None:
        again = []
        for number, answer in zip(numbers, answers, strict=False):
            if isinstance(answer, Refused) and answer.reason == NOT_OWNER:
                again.append(number)
            else:
                self._answers[number] = answer
                self._missing -= 1
        if again:
            self._try_again(again)
        if len(answers) < len(numbers):
            # All would have been too much for one message: the rest at once.
            self._sort(numbers[len(answers) :])
        if not self._missing:
            self._end()

    def _try_again(self, numbers: Sequence[int]) -> None:
        self._again += numbers
        runtime = self._router.runtime
        if self._done is None or (self._timer is not None and self._timer.active()):
            return
        if runtime.now() + RETRY_S >= self._deadline:
            # What is left has no answer.  Those under way may have one yet.
            self._missing -= len(self._again)
            self._again.clear()
            if not self._missing:
                self._timer = runtime.call_later(0, self._end)
        else:
            self._timer = runtime.call_later(RETRY_S, self._retry)

    def _retry(self) -> None:
        again, self._again = self._again, []
        self._sort(again)

    def _end(self) -> None:
        done = self._done
        self.cancel()
        if done is not None:
            done(self._answers)


def _message(requests: list[OfKey], patience_s: float) -> GetMany | PutMany:
    """One message of operations on one bucket."""
    first, patience_ms = requests[0], max(1, int(patience_s * 1000))
    if isinstance(first, Get):
        keys = tuple(request.key for request in requests)
        return GetMany(first.bucket, keys, patience_ms)
    assert isinstance(first, Put)
    items = tuple(
        Item(request.key, request.value, request.ttl_ms)
        for request in requests
        if isinstance(request, Put)
    )
    return PutMany(first.bucket, items, first.clock, patience_ms)


def serve_batch(
    router: Router,
    buckets: BucketTable,
    request: GetMany | PutMany,
    done: Waiter,
    origin: bytes,
) -> Batch | None:
    """
    Do what another node asks about several keys.

    :param origin: That node.

    :return: What can be cancelled, if there is no answer yet.
    """
    bucket = buckets.by_name.get(request.bucket)
    if bucket is None:
        done(Refused(UNKNOWN_BUCKET, request.bucket))
        return None
    requests = _operations(request)
    return Batch(
        router,
        requests,
        [slot_of(bucket.seed, each.key) for each in requests],
        request.patience_ms / 1000,
        lambda answers: done(Many(tuple(_fitting(answers)))),
        origin,
    )


def _operations(request: GetMany | PutMany) -> list[OfKey]:
    bucket = request.bucket
    if isinstance(request, GetMany):
        return [Get(bucket, key) for key in request.keys]
    return [
        Put(bucket, item.key, item.value, item.ttl_ms, request.clock)
        for item in request.items
    ]


def _fitting(answers: Sequence[One]) -> Iterator[One]:
    """The first answers, as many as fit one message and at least one."""
    size_bytes = 0
    for number, answer in enumerate(answers):
        size_bytes += _ITEM_BYTES
        if isinstance(answer, Found) and answer.value is not None:
            size_bytes += len(answer.value)
        if number and size_bytes > BATCH_BYTES:
            return
        yield answer
