# -*- test-case-name: tests.testing.test_errands -*-
"""
What clients of a storm do that takes more than one question: calls about many
keys, scans, and loads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail, succeed

from mycorrizal.errors import Indeterminate
from mycorrizal.testing.answers import Answer, SourceDown, failure
from mycorrizal.testing.history import FAIL, OK

if TYPE_CHECKING:
    from mycorrizal.testing.workload import Workload

#: What a client may give a call that loads.  Only the longest is longer than
#: several loads, one after the other, can take.
LOAD_TIMEOUTS_S: Final = (2.0, 5.0, 5.0, 10.0)
PATIENT_S: Final = 10.0
#: What a loader takes, at most.
LOADER_S_MAX: Final = 3.0
#: Keys of one call.
MANY_KEYS_MAX: Final = 6
#: What a client may give a call about many keys.
_TIMEOUTS_S: Final = (2.0, 5.0)


class Errands:
    """
    The longer ways of a storm's clients.
    """

    def __init__(self, workload: Workload) -> None:
        self._work = workload

    # -- many keys ----------------------------------------------------------------

    def _get_many(self, client: str, node: int) -> None:
        self._many(client, node, "get_many")

    def _put_many(self, client: str, node: int) -> None:
        self._many(client, node, "put_many")

    def _delete_many(self, client: str, node: int) -> None:
        self._many(client, node, "delete_many")

    def _many(self, client: str, node: int, op: str) -> None:
        work = self._work
        bucket, _ = work.place()
        count = 1 + int(work.random() * MANY_KEYS_MAX)
        keys = list(dict.fromkeys(work.place()[1] for _ in range(count)))
        timeout_s, t = work.one_of(_TIMEOUTS_S), work.arena.world.now_s
        given: Any = keys
        names: dict[str, str] = {}
        more: dict[str, Any] = {"timeout_s": timeout_s}
        expires_s: float | None = None
        if op == "put_many":
            more["ttl_s"], expires_s = work.times(bucket)
            first = len(work.history.records)
            names = {key: f"{client}.{first}.{key}" for key in keys}
            given = {key: work.payload(name) for key, name in names.items()}
        numbers = [
            work.history.invoke(
                t, client, op, bucket, key, names.get(key),
                ttl_s=expires_s, timeout_s=timeout_s,
            )
            for key in keys
        ]  # fmt: skip
        here = work.arena[node]
        done = getattr(here.cache(), op)(bucket, given, **more)
        read = partial(work.answers.of_many, op, here.node_id, keys)
        work.watch(done, numbers, node, read)
        work.cancel_some(done, node)

    def _scan(self, client: str, node: int) -> None:
        work = self._work
        bucket, _ = work.place()
        keys = work.keys()
        timeout_s, t = work.one_of(_TIMEOUTS_S), work.arena.world.now_s
        numbers = [
            work.history.invoke(t, client, "scan", bucket, key, timeout_s=timeout_s)
            for key in keys
        ]
        cache, limit = work.arena[node].cache(), work.one_of((3, 100))
        until = t + timeout_s

        async def scan() -> dict[bytes, None]:
            found: dict[bytes, None] = {}
            cursor: str | None = None
            while True:
                left_s = max(0.001, until - work.arena.world.now_s)
                page = await cache.scan(bucket, b"", cursor, limit, left_s)
                found.update(dict.fromkeys(page.keys))
                cursor = page.cursor
                if cursor is None:
                    return found

        def read(found: dict[bytes, None]) -> list[Answer]:
            return [Answer(existed=key.encode() in found) for key in keys]

        done = Deferred.fromCoroutine(scan())
        work.watch(done, numbers, node, read)
        work.cancel_some(done, node)

    # -- loads ----------------------------------------------------------------------

    def _load(self, client: str, node: int) -> None:
        work = self._work
        bucket, key = work.place()
        timeout_s, t = work.one_of(LOAD_TIMEOUTS_S), work.arena.world.now_s
        ttl_s, expires_s = work.times(bucket)
        loader = self._loader(client, node, bucket, key, expires_s)
        number = work.history.invoke(
            t, client, "get_or_load", bucket, key, timeout_s=timeout_s
        )
        here = work.arena[node]
        done = here.cache().get_or_load(
            bucket, key, loader, ttl_s=ttl_s, timeout_s=timeout_s,
            negative_ttl_s=work.one_of((0, 0, 2.0)),
        )  # fmt: skip

        def failed(error: BaseException) -> Answer:
            # Who does not wait long enough for a loader can't complain.
            if timeout_s >= PATIENT_S and isinstance(error, Indeterminate):
                return failure(error)
            return Answer(FAIL, error=f"{type(error).__name__}: {error}")

        of_one = work.answers.of_one
        work.watch(
            done, (number,), node,
            lambda it: [of_one("get_or_load", here.node_id, it)], failed,
        )  # fmt: skip
        work.cancel_some(done, node)

    def _loader(
        self, client: str, node: int, bucket: str, key: str, ttl_s: float | None
    ) -> Callable[[], Deferred[bytes | None]]:
        """What loads a value of its own, at once or later; or finds none, or fails."""
        work = self._work

        def load() -> Deferred[bytes | None]:
            t, value = work.arena.world.now_s, f"{client}.{len(work.history.records)}"
            number = work.history.invoke(
                t, client, "load", bucket, key, value, ttl_s=ttl_s
            )
            work.under_way[number] = node, work.arena.lives[node]
            kind, at_once = work.random(), work.random() < 0.2
            payload = work.payload(value)

            def outcome() -> Deferred[bytes | None]:
                work.end(number, Answer(OK if kind < 0.7 else FAIL))
                if kind < 0.7:
                    return succeed(payload)
                return succeed(None) if kind < 0.85 else fail(SourceDown(value))

            if at_once:
                return outcome()

            def cancelled(_: object) -> None:
                timer.cancel()
                work.end(number, Answer(FAIL, error="cancelled"))

            loaded: Deferred[bytes | None] = Deferred(cancelled)
            takes_s = work.random() * LOADER_S_MAX
            reactor: Any = work.arena.hosts[node].reactor
            timer = reactor.callLater(takes_s, lambda: outcome().chainDeferred(loaded))
            return loaded

        return load
