# -*- test-case-name: tests.testing.test_answers -*-
"""
What clients are told, together with the versions that a cache keeps to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred

from mycorrizal.errors import (
    BucketConflict,
    CacheError,
    Indeterminate,
    MycorrizalError,
    PartialFailure,
    PeerBusy,
    PeerUnreachable,
    RemoteFailure,
    UnknownBucket,
)
from mycorrizal.mycel.messages import Done, Found
from mycorrizal.mycel.operations.routing import Operation as Routing
from mycorrizal.service import Mycorrizal
from mycorrizal.testing.history import FAIL, INFO, OK, READS, TELLING, Version

_O = TypeVar("_O")

#: What certainly had no effect.
_FAILED = (BucketConflict, UnknownBucket, PeerUnreachable, PeerBusy, RemoteFailure)


class SourceDown(Exception):
    """A loader of a storm failed, as it was to."""


@attrs.frozen
class Answer:
    """
    The end of an operation, as `History.end` takes it.
    """

    outcome: str = OK
    value: str | None = None
    version: Version | None = None
    copies: int = 0
    existed: bool = True
    error: str = ""


def known(error: BaseException) -> bool:
    """Whether that is an error which a client may be told."""
    return isinstance(error, (MycorrizalError, CancelledError, SourceDown))


def failure(error: BaseException) -> Answer:
    """What it means to a client that it is told of an error."""
    certain = isinstance(error, (*_FAILED, SourceDown)) or (
        isinstance(error, CacheError) and not isinstance(error, Indeterminate)
    )
    text = f"{type(error).__name__}: {error}"
    return Answer(FAIL if certain else INFO, error=text)


class Answers:
    """
    One who hears what the nodes of a storm are answered inside.
    """

    def __init__(self) -> None:
        #: What a node's router told last: the answer of the operation whose
        #: Deferred fires now, if that was routed.
        self._one: dict[str, object] = {}
        #: Likewise, all that a call about many keys was answered.
        self._many: dict[str, object] = {}

    def set_up(self, node: Mycorrizal) -> None:
        """Listen to what a new process is told of versions."""
        router, cache, node_id = node.mycel.router, node.cache(), node.node_id
        route, run = router.route, cache._run

        def routed(
            request: Any, slot: int, deadline: float, done: Callable[[Any], None]
        ) -> Routing | None:
            def told(answer: Any) -> None:
                self._one[node_id] = answer
                done(answer)

            return route(request, slot, deadline, told)

        def running(
            count: int, make: Any, finish: Callable[[Deferred[Any], _O], None]
        ) -> Deferred[Any]:
            def finished(result: Deferred[Any], outcome: _O) -> None:
                self._many[node_id] = outcome
                finish(result, outcome)

            return run(count, make, finished)

        router.route = routed  # type: ignore[method-assign]
        cache._run = running  # type: ignore[method-assign]

    def of_one(self, op: str, node_id: str, result: Any) -> Answer:
        """
        The answer to an operation on one key.

        :param result: What its Deferred fires with now.
        """
        if op in ("get", "get_or_load"):
            return Answer(value=_name(result))
        told = self._one.get(node_id)
        if op == "entry":
            result = None if result is None else result.value
        return _answer(op, told, result)

    def of_many(
        self, op: str, node_id: str, keys: Sequence[str], result: Any
    ) -> list[Answer]:
        """
        The answers to a call about several keys.

        :param result: What its Deferred fires or fails with now.
        """
        told: Any = self._many[node_id]
        failed: Any = {}
        if isinstance(result, PartialFailure):
            result, failed = result.done, result.failed
        return [
            failure(failed[key]) if key in failed else _answer(op, each, result[key])
            for key, each in zip(keys, told, strict=True)
        ]


def _answer(op: str, told: object, result: Any) -> Answer:
    version: Version | None = None
    if isinstance(told, (Done, Found)) and told.stamp:
        version = told.stamp, told.origin.hex()
    if op in READS:
        return Answer(value=_name(result), version=version)
    if isinstance(told, Done):
        existed = told.existed or op not in TELLING
        return Answer(version=version, copies=told.copies, existed=existed)
    return Answer()


def _name(value: bytes | None) -> str | None:
    return None if value is None else value.partition(b"|")[0].decode()
