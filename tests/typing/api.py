"""
The public interface as a user's type checker sees it.  Checked, never run.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore

from mycorrizal import (
    UNCHANGED,
    Application,
    BucketSettings,
    Cache,
    Cached,
    CachedInAsyncio,
    CacheEntry,
    Config,
    Copies,
    JsonCodec,
    MemberDied,
    MemberEvent,
    MemberJoined,
    MemberLeft,
    MsgpackCodec,
    Mycorrizal,
    MycorrizalError,
    NearStats,
    Node,
    PeerBusy,
    cached,
    new_secret,
)
from mycorrizal.testing import SimCluster


def settings() -> None:
    """Settings are given as texts, lists and numbers, and read as values."""
    config = Config(
        listen="127.0.0.1:0",
        static=["a:1", "b"],
        secret=new_secret(bytes(32)),
        buckets=["sessions:ttl=15m", BucketSettings("pages", ttl_s=60)],
        labels={"zone": "a"},
        ready_timeout_s="1m",
    )
    assert_type(config.listen, tuple[str, int])
    assert_type(config.static, tuple[tuple[str, int], ...])
    assert_type(config.buckets, tuple[BucketSettings, ...])
    assert_type(config.ready_timeout_s, float)
    assert_type(Config.from_sources(environment={"MYCORRIZAL_ID": "a"}), Config)
    Config(lisen="127.0.0.1:0")  # type: ignore[call-arg]
    Config("127.0.0.1:0")  # type: ignore[call-arg]


async def node(reactor: IReactorCore) -> None:
    """A node is a service, and what it returns can be awaited."""
    made = Mycorrizal(reactor, Config(single=True))
    made.startService()
    assert_type(made.when_ready(), Deferred[None])
    await made.when_ready()
    assert_type(made.node_id, str)
    assert_type(made.address, str)
    assert_type(made.nodes(), tuple[Node, ...])
    assert_type(made.nodes()[0].labels, dict[str, str])
    assert_type(made.cache(), Cache)
    assert_type(made.register_application("chat"), Application)
    assert_type(made.get_application("chat"), Application)
    assert_type(made.subscribe(member_changed), Callable[[], None])
    assert_type(made.stopService(), Deferred[None])


def member_changed(event: MemberEvent) -> str:
    """An event is one of three, and a checker knows when all were seen."""
    match event:
        case MemberJoined(seen):
            return assert_type(seen, Node).id
        case MemberLeft(seen) | MemberDied(seen):
            return seen.address


async def messages(chat: Application) -> None:
    """Receive functions may return anything, a Deferred among it."""

    def receive(payload: bytes, sender: str) -> Deferred[None]:
        return Deferred()

    chat.set_receive_func(receive)
    chat.set_receive_func(lambda payload, sender: print(sender, payload))
    chat.set_request_func(lambda payload, sender: payload)
    assert_type(chat.send(b"hello"), Deferred[None])
    assert_type(await chat.request(b"hello", "b", timeout_s=1.5), bytes)
    try:
        chat.post(b"hello", ["a", "b"])
    except PeerBusy as busy:
        assert_type(busy.node_ids, tuple[str, ...])
    except MycorrizalError:
        pass
    chat.post("hello")  # type: ignore[arg-type]
    chat.set_receive_func(lambda payload: None)  # type: ignore[misc,arg-type]


async def values(cache: Cache) -> None:
    """Keys are texts or bytes, values what the bucket's codec makes of them."""
    await cache.create_bucket("sessions", ttl_s=900, max_entries=100, replicas=1)
    assert_type(await cache.put("sessions", "a", b"1"), Copies)
    assert_type(await cache.put("sessions", b"a", b"1", ttl_s=None), Copies)
    assert_type(await cache.get("sessions", "a", timeout_s=1.0), Any)
    assert_type(await cache.put_ttl("sessions", "a", 60), bool)
    assert_type(await cache.delete("sessions", "a"), bool)
    entry = await cache.entry("sessions", "a")
    assert_type(entry, CacheEntry | None)
    if entry is not None:
        assert_type(entry.remaining_s, float | None)
        assert_type(entry.version, tuple[int, bytes])
    assert_type(cache.buckets(), dict[str, BucketSettings])
    cache.keep_near("sessions", max_entries=1000)
    assert_type(cache.near_stats("sessions"), NearStats | None)
    copies: int = await cache.put("sessions", "a", b"1", copies_min=2)
    assert_type(copies, int)
    assert_type(await cache.add("sessions", "a", b"1"), bool)
    assert_type(await cache.replace("sessions", "a", b"1", ttl_s=5), bool)
    cache.put(b"sessions", "a", b"1")  # type: ignore[arg-type]


async def many_values(cache: Cache) -> None:
    """Calls about many keys fire with a result for each of them."""
    found = await cache.get_many("sessions", ["a", b"b"])
    assert_type(found, dict[str | bytes, Any])
    copies = await cache.put_many("sessions", {"a": b"1"}, copies_min=1)
    assert_type(copies["a"], Copies)
    existed = await cache.delete_many("sessions", found)
    assert_type(existed, dict[str | bytes, bool])


async def whole_buckets(cache: Cache) -> None:
    """Buckets are altered by what is given, and codecs are objects or names."""

    class Reversed:
        def encode(self, value: str) -> bytes:
            return value[::-1].encode()

        def decode(self, data: bytes) -> str:
            return data.decode()[::-1]

    await cache.create_bucket("s", max_bytes=10**6, write="one", codec="json")
    await cache.alter_bucket("s", ttl_s=None, max_entries=10)
    await cache.alter_bucket("s", ttl_s=UNCHANGED, write="async")
    cache.use_codec("s", Reversed())
    cache.use_codec("s", JsonCodec(dict[str, int]))
    assert_type(await cache.clear("s"), None)
    assert_type(await cache.drop_bucket("s"), None)
    cache.create_bucket("s", write="none")  # type: ignore[arg-type]
    cache.use_codec("s", 5)  # type: ignore[arg-type]


async def loads(cache: Cache, made: Mycorrizal) -> None:
    """Loaders return values now or later; cached functions keep their types."""
    call = cache.get_or_load("users", "a", lambda: b"1", ttl_s=60, stale_s=5)
    assert_type(await call, Any)

    def deferred() -> Deferred[bytes | None]:
        return Deferred()

    async def coroutine() -> bytes:
        return b"1"

    await cache.get_or_load("users", "a", deferred, negative_ttl_s=None)
    await cache.get_or_load("users", "a", coroutine, jitter=0.1)
    await cache.get_or_load("users", "a", lambda: {"a": 1}, codec=JsonCodec())
    cache.get_or_load("users", "a", b"1")  # type: ignore[arg-type]

    @cached(made, "users", codec=MsgpackCodec(list[int]), ttl_s=60)
    async def numbers(first: int, *, last: int) -> list[int]:
        return [first, last]

    assert_type(numbers(1, last=2), Deferred[list[int]])
    assert_type(await numbers.refresh(1, last=2), list[int])
    assert_type(await numbers.invalidate(1, last=2), bool)
    numbers("1", last=2)  # type: ignore[arg-type]
    numbers(1)  # type: ignore[call-arg]

    @cached(lambda: cache, "users")
    def page(name: str) -> Deferred[bytes]:
        return Deferred()

    assert_type(page("a"), Deferred[bytes])
    kept: Cached[[str], bytes] = page
    kept.refresh("a")

    @cached(cache, "users", in_asyncio=True)
    async def task(name: str) -> bytes:
        return b""

    asyncs: CachedInAsyncio[[str], bytes] = task
    asyncs.refresh("a")
    assert_type(task("a"), Future[bytes])
    assert_type(task.invalidate("a"), Future[bool])


def cluster() -> None:
    """A simulated cluster gives the results of Deferreds as they are."""
    made = SimCluster(3, seed=7)
    made.until(made.formed, limit_s=30)
    assert_type(made[0], Mycorrizal)
    assert_type(made.result_of(made[0].cache().delete("a", "b")), bool)


#: What `twisted.internet.task.react` takes.
main: Callable[[Any], Coroutine[Deferred[Any], Any, None]] = node
