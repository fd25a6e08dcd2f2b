# The parts of pytest-twisted that the tests use; it has no annotations itself.

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred

P = ParamSpec("P")
T = TypeVar("T")

def ensureDeferred(
    function: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Deferred[T]]: ...
def async_fixture(
    *, scope: str = ..., name: str | None = ...
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, T]]: ...
def async_yield_fixture(
    *, scope: str = ..., name: str | None = ...
) -> Callable[[Callable[P, AsyncIterator[T]]], Callable[P, T]]: ...
def blockon(deferred: Deferred[T]) -> T: ...
