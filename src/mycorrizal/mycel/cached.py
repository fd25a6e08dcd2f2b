# -*- test-case-name: tests.mycel.test_cached -*-
"""
Functions whose results the cluster remembers.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

import attrs
from twisted.internet.defer import Deferred, fail

from mycorrizal.errors import ConfigError
from mycorrizal.mycel.cache import Cache
from mycorrizal.mycel.codecs import Codec
from mycorrizal.mycel.config import LOAD_TIMEOUT_S

P = ParamSpec("P")
T = TypeVar("T")

#: Arguments whose text is the same in every process.
_PLAIN = (type(None), bool, int, float, str, bytes)


class HasCache(Protocol):
    """What has a cache: a node."""

    def cache(self) -> Cache: ...


#: Where results are kept: a node, its cache, or what returns the cache when it
#: is called, for functions that are written before there is a node.
Where = Cache | HasCache | Callable[[], Cache]


@attrs.frozen
class Keeping:
    """
    Where and how results are kept.

    :ivar terms: What `Cache.get_or_load` is told.
    """

    where: Where
    bucket: str
    key: Callable[..., str | bytes] | None
    terms: dict[str, Any]

    @property
    def cache(self) -> Cache:
        """The cache."""
        where: Any = self.where
        if isinstance(where, Cache):
            return where
        made: Cache = where.cache() if hasattr(where, "cache") else where()
        return made


class Cached(Generic[P, T]):
    """
    A function whose results the cluster remembers; what `cached` makes.

    It returns Deferreds, whatever the function itself returns, and does so
    from the cache if it can.  A result that can't be decoded, because it was
    made by another version of the program, is made anew.
    """

    def __init__(self, function: Callable[P, Awaitable[T]], keeping: Keeping) -> None:
        self._function = function
        self._keeping = keeping
        self._key = keeping.key or plain_key(function)
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return self._have(False, args, kwargs)

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """
        Call the function now, and put its result in the place of what is there.

        :return: As of a call.
        """
        return self._have(True, args, kwargs)

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Deferred[bool]:
        """
        Forget the result for these arguments, on all nodes: whoever calls when
        this has fired gets what the function returns after this was called.

        :return: Fires with whether there was one; fails as `Cache.delete`.
        """
        try:
            key = self._key(*args, **kwargs)
        except ConfigError as error:
            return fail(error)
        return self._keeping.cache.delete(self._keeping.bucket, key)

    def _have(self, anew: bool, args: Any, kwargs: Any) -> Deferred[T]:
        try:
            key = self._key(*args, **kwargs)
        except ConfigError as error:
            return fail(error)
        keeping = self._keeping

        def load() -> Any:
            return self._function(*args, **kwargs)

        return keeping.cache.get_or_load(
            keeping.bucket, key, load, anew=anew, **keeping.terms
        )

    def __get__(self, instance: object, owner: type) -> Any:
        """The method of an object, with its own `invalidate` and `refresh`."""
        if instance is None:
            return self
        keeping, key = self._keeping, self._key
        bound = functools.partial(key, instance)
        function: Any = self._function
        method = function.__get__(instance, owner)
        return type(self)(method, attrs.evolve(keeping, key=bound))


class CachedInAsyncio(Generic[P, T]):
    """
    The same for asyncio: the function runs as a task of its loop, so that it
    may await what that runs, and futures are returned.
    """

    def __init__(self, cached: Cached[P, T]) -> None:
        self._cached = cached
        functools.update_wrapper(self, cached)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        return _future(self._cached(*args, **kwargs))

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """As `Cached.refresh`."""
        return _future(self._cached.refresh(*args, **kwargs))

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[bool]:
        """As `Cached.invalidate`."""
        return _future(self._cached.invalidate(*args, **kwargs))

    def __get__(self, instance: object, owner: type) -> Any:
        """The method of an object."""
        bound = self._cached.__get__(instance, owner)
        return self if instance is None else CachedInAsyncio(bound)


def _future(result: Deferred[T]) -> asyncio.Future[T]:
    return result.asFuture(asyncio.get_running_loop())


def _in_a_task(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    @functools.wraps(function)
    def start(*args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return asyncio.ensure_future(function(*args, **kwargs))

    return start


def plain_key(function: Callable[..., Any]) -> Callable[..., str]:
    """
    What makes keys of a function's name and arguments, by position or by name.

    :return: Raises `ConfigError` if an argument is not None, a bool, int, float,
        str or bytes, or a tuple of those: the text of other things need not be
        the same in another process.
    """
    signature = inspect.signature(function)
    name = f"{function.__module__}.{function.__qualname__}"
    by_name = {
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind is parameter.VAR_KEYWORD
    }

    def key(*args: Any, **kwargs: Any) -> str:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        for parameter in by_name:
            named = bound.arguments[parameter]
            bound.arguments[parameter] = tuple(sorted(named.items()))
        for parameter, value in bound.arguments.items():
            if not _plain(value):
                raise ConfigError(
                    "key",
                    f"{parameter!r} of {name} is a {type(value).__name__}, of which "
                    "no key can be made; give @cached a key=function",
                )
        return f"{name}({', '.join(map(repr, bound.arguments.values()))})"

    return key


def _plain(value: object) -> bool:
    # Exactly these: a subclass may have another text.
    if type(value) is tuple:
        return all(map(_plain, value))
    return type(value) in _PLAIN


@overload
def cached(
    where: Where,
    bucket: str,
    *,
    key: Callable[..., str | bytes] | None = None,
    codec: Codec | str | None = None,
    ttl_s: float | None = 0,
    negative_ttl_s: float | None = 0,
    jitter: float = 0,
    stale_s: float = 0,
    timeout_s: float = LOAD_TIMEOUT_S,
    in_asyncio: Literal[False] = False,
) -> Callable[[Callable[P, Awaitable[T]]], Cached[P, T]]: ...


@overload
def cached(
    where: Where,
    bucket: str,
    *,
    key: Callable[..., str | bytes] | None = None,
    codec: Codec | str | None = None,
    ttl_s: float | None = 0,
    negative_ttl_s: float | None = 0,
    jitter: float = 0,
    stale_s: float = 0,
    timeout_s: float = LOAD_TIMEOUT_S,
    in_asyncio: Literal[True],
) -> Callable[[Callable[P, Awaitable[T]]], CachedInAsyncio[P, T]]: ...


def cached(
    where: Where,
    bucket: str,
    *,
    key: Callable[..., str | bytes] | None = None,
    in_asyncio: bool = False,
    **terms: Any,
) -> Callable[[Callable[P, Awaitable[T]]], Any]:
    """
    Let the cluster remember what a function returns.

    The function returns a Deferred or is an ``async def`` function::

        @cached(node, "users", ttl_s=60, codec=MsgpackCodec(User))
        async def user(user_id: int) -> User: ...

        ada = await user(7)  # called once in the whole cluster
        await user.invalidate(7)  # and once more after this

    :param where: A node, its cache, or a function that returns the cache.
    :param bucket: The bucket; create it before the first call.
    :param key: Makes a key of the arguments; by default it is the function's
        module, name and arguments, which must be plain: see `plain_key`.
    :param codec: Makes bytes of results and back, as `MsgpackCodec`; without
        one, that of the bucket does and, if that has none, results are bytes.
        None is never encoded: it is remembered for `negative_ttl_s`.
    :param in_asyncio: The function awaits what asyncio's loop runs: run it as a
        task there, and return futures, not Deferreds.
    :param terms: `ttl_s`, `negative_ttl_s`, `jitter`, `stale_s` and `timeout_s`
        as of `Cache.get_or_load`.
    :return: Makes a `Cached` of a function, or a `CachedInAsyncio`.
    """
    keeping = Keeping(where, bucket, key, terms)

    def decorate(function: Callable[P, Awaitable[T]]) -> Any:
        if in_asyncio:
            return CachedInAsyncio(Cached(_in_a_task(function), keeping))
        return Cached(function, keeping)

    return decorate
