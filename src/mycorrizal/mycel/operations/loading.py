# -*- test-case-name: tests.mycel.test_loading -*-
"""
The calling side of a load: ask for the value, load it if told to, fill.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from mycorrizal.clock import HybridClock
from mycorrizal.errors import (
    CacheBusy,
    Indeterminate,
    LoadFailed,
    MycorrizalError,
    NotRunning,
    TooManyLoads,
    UnknownBucket,
)
from mycorrizal.mycel.arguments import value_bytes
from mycorrizal.mycel.config import (
    LOAD_MS_MAX,
    LOAD_TIMEOUT_S,
    LOADS_MAX,
    OPERATION_TIMEOUT_S,
)
from mycorrizal.mycel.load_messages import PROBLEM_CHARACTERS_MAX
from mycorrizal.mycel.messages import (
    BUSY,
    LOAD_FAILED,
    NEVER,
    TOO_MANY,
    UNKNOWN_BUCKET,
    Answer,
    Fill,
    Forgo,
    Found,
    Leased,
    Load,
    Refused,
)
from mycorrizal.mycel.operations.routing import Operation, Router
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.runtime import Runtime, Timer

#: How long a caller waits for what its loader gave to be stored.  Then it gets
#: it all the same, and it is stored behind its back.
FILL_WAIT_S = 0.5

#: Returns the value, None if there is none, or either later.
Loader = Callable[[], Any]


def deferred_of(result: Any) -> Deferred[Any]:
    """What a user's function returned, as a Deferred, also if it is there now."""
    if isinstance(result, Deferred):
        return result
    if inspect.iscoroutine(result):
        return Deferred.fromCoroutine(result)
    if asyncio.isfuture(result):
        return Deferred.fromFuture(result)
    return succeed(result)


@attrs.frozen
class Terms:
    """
    How one caller wants a key to be loaded.

    :ivar ttl_s: Of the value, the bucket's default worked out; None: for ever.
    :ivar negative_ttl_s: How long it is remembered that there is none; None:
        for ever.
    :ivar jitter: Share of `ttl_s` that may be taken off, by chance.
    :ivar stale_s: How long it is served beyond `ttl_s` while it is loaded again.
    :ivar anew: Whether to load though there is a value.
    :ivar encode: Makes bytes of what the loader gives; may raise anything.
    """

    loader: Loader
    ttl_s: float | None
    negative_ttl_s: float | None = 0
    jitter: float = 0
    stale_s: float = 0
    timeout_s: float = LOAD_TIMEOUT_S
    anew: bool = False
    encode: Callable[[Any], bytes] = value_bytes

    def ttl_ms(self, value: bytes | None, random: Callable[[], float]) -> int:
        """How long the value, or that there is none, is kept."""
        ttl_s = self.ttl_s
        if value is None:
            ttl_s = self.negative_ttl_s
            if ttl_s == 0:
                return 0
        elif ttl_s is not None:
            ttl_s = ttl_s * (1 - self.jitter * random()) + self.stale_s
        return NEVER if ttl_s is None else max(1, round(ttl_s * 1000))


class Around(Protocol):
    """What a load needs of its node."""

    runtime: Runtime
    clock: HybridClock
    claims: Claims
    router: Router


class Loads:
    """
    The loads that callers of one node wait for, or that go on behind them.

    :ivar under_way: In order, as every run of a seed must have it.
    """

    def __init__(self, around: Around) -> None:
        self.around = around
        self.under_way: dict[Flight, None] = {}

    def begin(
        self, bucket: str, key: bytes, slot: int, terms: Terms
    ) -> Deferred[bytes | None]:
        """Have a key, loaded if need be; see `Cache.get_or_load`."""
        if len(self.under_way) >= LOADS_MAX:
            text = f"{LOADS_MAX} loads are under way on this node"
            return fail(TooManyLoads(f"{text}: wait for some before you begin more"))
        flight = Flight(self, bucket, key, slot, terms)
        self.under_way[flight] = None
        result = flight.result
        flight.ask()
        return result

    def stop(self) -> None:
        """Fail all that still waits, and cancel the loaders."""
        for flight in list(self.under_way):
            flight.fail(NotRunning("the cache"))


class Stage(Enum):
    """How far a load is."""

    ASKING = "asking"  # the primary has not answered, or another loads
    LOADING = "loading"  # the lease is ours, and the loader at work
    STORING = "storing"  # what it gave is on its way to the owners
    OVER = "over"


class Flight:
    """
    One caller's wish to have a key, from the question to the answer.

    Callers of one node do not share a flight: each asks the primary, so that
    none gets what was loaded before a write that it knows of.

    :ivar result: Fires with the value.
    """

    _log = Logger()

    __slots__ = (
        "_bucket", "_key", "_loader", "_loads", "_operation", "_slot", "_stage",
        "_terms", "_timer", "_token", "_until", "result",
    )  # fmt: skip

    def __init__(
        self, loads: Loads, bucket: str, key: bytes, slot: int, terms: Terms
    ) -> None:
        runtime = loads.around.runtime
        self._loads = loads
        self._bucket = bucket
        self._key = key
        self._slot = slot
        self._terms = terms
        self._until = runtime.now() + terms.timeout_s
        self._token = int.from_bytes(runtime.token_bytes(8), "little") >> 1
        self._stage = Stage.ASKING
        self._operation: Operation | None = None
        self._loader: Deferred[Any] | None = None
        self._timer: Timer | None = None
        self.result: Deferred[bytes | None] = Deferred(self._cancelled)

    # -- asking -----------------------------------------------------------------

    def ask(self) -> None:
        """Ask the primary for the value, or for the lease."""
        around, terms = self._loads.around, self._terms
        load = Load(
            self._bucket,
            self._key,
            around.claims.me,
            self._token,
            min(max(1, int(terms.timeout_s * 1000)), LOAD_MS_MAX),
            int(terms.stale_s * 1000),
            terms.anew,
        )
        operation = around.router.route(load, self._slot, self._until, self._answered)
        if self._stage is Stage.ASKING:
            self._operation = operation

    def _answered(self, answer: Answer) -> None:
        if self._stage is not Stage.ASKING:
            return  # It was cancelled, or the node was stopped.
        self._operation = None
        if isinstance(answer, (Found, Leased)) and answer.stamp:
            self._loads.around.clock.observe(answer.stamp)
        if isinstance(answer, Found):
            self._finish(answer.value)
        elif isinstance(answer, Leased):
            self._stage = Stage.LOADING
            if answer.value is not None:
                self._go_on_behind(answer.value)
            self._load()
        elif isinstance(answer, Refused):
            self.fail(self._refused(answer))

    def _refused(self, refused: Refused) -> MycorrizalError:
        if refused.reason == LOAD_FAILED:
            return LoadFailed(self._bucket, refused.text)
        if refused.reason == TOO_MANY:
            return TooManyLoads(refused.text)
        if refused.reason == BUSY:
            return CacheBusy("at the node that owns the key", refused.limit)
        if refused.reason == UNKNOWN_BUCKET:
            return UnknownBucket(self._bucket)
        # The lease may be on its way here.
        self._forgo(None)
        timeout_s = self._terms.timeout_s
        return Indeterminate(
            f"no answer within {timeout_s:g} s: {refused.text or refused.reason}"
        )

    def _go_on_behind(self, stale: bytes) -> None:
        """The caller is served, and what it was served is loaded again."""
        result, self.result = self.result, Deferred()
        self.result.addErrback(self._refresh_failed)
        result.callback(stale)

    def _refresh_failed(self, failure: Failure) -> None:
        if not failure.check(NotRunning):
            self._log.failure(
                "A value of bucket {bucket} that is about to expire could not be "
                "loaded again",
                failure=failure,
                bucket=self._bucket,
            )

    # -- loading ----------------------------------------------------------------

    def _load(self) -> None:
        if self._stage is not Stage.LOADING:
            return  # The node was stopped by whoever got the stale value.
        runtime = self._loads.around.runtime
        self._timer = runtime.call_later(self._until - runtime.now(), self._late)
        try:
            loader = deferred_of(self._terms.loader())
        except Exception:
            self._failed(Failure())
            return
        self._loader = loader
        loader.addCallbacks(self._loaded, self._failed)
        if self not in self._loads.under_way:
            self._cancel_loader()  # It has cancelled the call that it is for.

    def _late(self) -> None:
        self._timer = None
        self._forgo(None)
        text = f"the loader took longer than {self._terms.timeout_s:g} s"
        self.fail(Indeterminate(text))

    def _failed(self, failure: Failure) -> None:
        self._loader = None
        if self._stage is Stage.LOADING:
            kind = type(failure.value).__name__
            problem = f"{kind}: {failure.getErrorMessage()}"
            self._forgo(problem.encode(errors="replace").decode())
            self.fail(failure)

    def _loaded(self, value: Any) -> None:
        self._loader = None
        if self._stage is not Stage.LOADING:
            return
        try:
            data = None if value is None else self._terms.encode(value)
        except Exception:
            self._failed(Failure())
        else:
            self._store(data)

    def _store(self, value: bytes | None) -> None:
        self._stop_timer()
        self._stage = Stage.STORING
        around = self._loads.around
        runtime = around.runtime
        fill = Fill(
            self._bucket,
            self._key,
            self._token,
            value,
            self._terms.ttl_ms(value, runtime.random),
            around.clock.last,
        )
        self._timer = runtime.call_later(FILL_WAIT_S, self._finish, value)

        def filled(answer: Answer) -> None:
            if self._stage is Stage.STORING:
                self._finish(value)

        deadline = runtime.now() + OPERATION_TIMEOUT_S
        around.router.route(fill, self._slot, deadline, filled)

    def _forgo(self, problem: str | None) -> None:
        if problem is not None:
            problem = problem[:PROBLEM_CHARACTERS_MAX]
        around = self._loads.around
        forgo = Forgo(self._bucket, self._key, self._token, problem)
        deadline = around.runtime.now() + OPERATION_TIMEOUT_S
        around.router.route(forgo, self._slot, deadline, lambda _: None)

    # -- the end ----------------------------------------------------------------

    def _finish(self, value: bytes | None) -> None:
        self._end()
        if not self.result.called:
            self.result.callback(value)

    def fail(self, problem: MycorrizalError | Failure) -> None:
        """Give the caller an error."""
        was = self._stage
        self._end()
        if not self.result.called:
            self.result.errback(problem)
        if was is Stage.LOADING:
            self._cancel_loader()

    def _end(self) -> None:
        self._stage = Stage.OVER
        self._loads.under_way.pop(self, None)
        self._stop_timer()
        operation, self._operation = self._operation, None
        if operation is not None:
            operation.cancel()

    def _cancelled(self, result: Deferred[bytes | None]) -> None:
        was = self._stage
        self._end()
        if was in (Stage.ASKING, Stage.LOADING):
            self._forgo(None)
        self._cancel_loader()

    def _cancel_loader(self) -> None:
        loader, self._loader = self._loader, None
        if loader is not None:
            try:
                loader.cancel()
            except Exception:
                self._log.failure("A loader could not be cancelled")

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
