"""
Functions whose results the cluster remembers.
"""

from __future__ import annotations

from typing import Any

import attrs
import msgspec
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from mycorrizal import (
    Cache,
    Cached,
    CacheError,
    ConfigError,
    MsgpackCodec,
    UnknownBucket,
    cached,
)
from mycorrizal.mycel.cached import plain_key
from tests.mycel.cases import ClusterTestCase


class User(msgspec.Struct):
    """What is cached."""

    number: int
    name: str


@attrs.frozen
class Account:
    """Another kind of thing that is cached."""

    owner: str
    roles: list[str]


class Database:
    """
    Where users come from.

    :ivar asked: The numbers that were asked for.
    """

    def __init__(self) -> None:
        self.names = {7: "Ada"}
        self.asked: list[int] = []

    async def user(self, number: int) -> User | None:
        """A user, if there is one."""
        self.asked.append(number)
        name = await succeed(self.names.get(number))
        return None if name is None else User(number, name)


class CachedTests(ClusterTestCase):
    """A function that is cached on each of three nodes."""

    def setUp(self) -> None:
        super().setUp()
        self.database = Database()
        self.users = [self.function(number) for number in range(3)]

    def function(self, number: int, **terms: Any) -> Cached[[int], User | None]:
        """The function as a node has it."""
        codec = MsgpackCodec(User)
        decorate = cached(self.cluster[number], "b", codec=codec, **terms)
        made: Cached[[int], User | None] = decorate(self.database.user)
        return made

    def test_called_once(self) -> None:
        """It is called once, wherever it is called."""
        for user in self.users:
            self.assertEqual(self.result_of(user(7)), User(7, "Ada"))
        self.assertEqual(self.database.asked, [7])

    def test_at_the_same_time(self) -> None:
        """So it is if it is called from everywhere at the same time."""
        waiting = [self.users[number % 3](7) for number in range(300)]
        for result in waiting:
            self.assertEqual(self.result_of(result), User(7, "Ada"))
        self.assertEqual(self.database.asked, [7])

    def test_invalidate(self) -> None:
        """After an invalidation it is called again, wherever that was."""
        self.result_of(self.users[0](7))
        self.database.names[7] = "Ada Lovelace"
        self.assertEqual(self.result_of(self.users[1](7)), User(7, "Ada"))
        self.assertTrue(self.result_of(self.users[2].invalidate(7)))
        self.assertFalse(self.result_of(self.users[2].invalidate(7)))
        for user in self.users:
            self.assertEqual(self.result_of(user(7)), User(7, "Ada Lovelace"))
        self.assertEqual(self.database.asked, [7, 7])

    def test_refresh(self) -> None:
        """A refresh calls it now, and everybody has what it returns then."""
        self.result_of(self.users[0](7))
        self.database.names[7] = "Ada Lovelace"
        refreshed = self.result_of(self.users[1].refresh(7))
        self.assertEqual(refreshed, User(7, "Ada Lovelace"))
        self.assertEqual(self.result_of(self.users[2](7)), User(7, "Ada Lovelace"))
        self.assertEqual(self.database.asked, [7, 7])

    def test_none(self) -> None:
        """None is remembered if that is asked."""
        for _ in range(2):
            self.assertIsNone(self.result_of(self.users[0](8)))
        self.assertEqual(self.database.asked, [8, 8])
        user = self.function(1, negative_ttl_s=60)
        for _ in range(2):
            self.assertIsNone(self.result_of(user(9)))
        self.assertEqual(self.database.asked, [8, 8, 9])

    def test_terms(self) -> None:
        """Results live as long as was asked."""
        user = self.function(1, ttl_s=10, jitter=0.1)
        self.result_of(user(7))
        key = "tests.mycel.test_cached.Database.user(7)"
        entry = self.result_of(self.cache(0).entry("b", key))
        self.assertTrue(9 < entry.remaining_s < 10, entry.remaining_s)
        user = self.function(1, jitter=2)
        self.failure_of(ConfigError, user(7))

    def test_other_version(self) -> None:
        """What can't be decoded, as another version made it, is made anew."""
        key = "tests.mycel.test_cached.Database.user(7)"
        self.result_of(self.cache(0).put("b", key, b"\x81\xa1x\x01"))
        self.assertEqual(self.result_of(self.users[2](7)), User(7, "Ada"))
        self.assertEqual(self.result_of(self.users[1](7)), User(7, "Ada"))
        self.assertEqual(self.database.asked, [7])

    def test_never_decodable(self) -> None:
        """What can't be decoded when it is new is an error, not a loop."""
        codec = MsgpackCodec(int)
        wrong = cached(self.cluster[0], "b", codec=codec)(self.database.user)
        self.failure_of(msgspec.ValidationError, wrong(7))
        self.assertLessEqual(len(self.database.asked), 2)

    def test_cancel(self) -> None:
        """Cancelling a call cancels what the function waits for."""
        inner: Deferred[bytes] = Deferred()

        @cached(self.cluster[0], "b")
        def slow() -> Deferred[bytes]:
            return inner

        call = slow()
        self.cluster.advance(0.5)
        call.cancel()
        self.failureResultOf(call, CancelledError)
        self.assertTrue(inner.called)


class DecoratorTests(ClusterTestCase):
    """What can be decorated, and with what."""

    def test_kinds_of_function(self) -> None:
        """A function returns a Deferred, or is async; the result is a Deferred."""

        @cached(self.cluster[0], "b")
        def deferred(name: str) -> Deferred[bytes]:
            return succeed(name.encode())

        @cached(self.cluster[1], "b")
        async def coroutine(name: str) -> bytes:
            return name.encode()

        for function in (deferred, coroutine):
            for call in (function("v"), function(name="v")):
                self.assertIsInstance(call, Deferred)
                self.assertEqual(self.result_of(call), b"v")

    def test_errors(self) -> None:
        """What the function fails with, its caller fails with; so do other errors."""

        @cached(self.cluster[0], "b")
        def failing() -> Deferred[bytes]:
            return fail(KeyError("nobody"))

        @cached(self.cluster[0], "nowhere")
        async def nowhere() -> bytes:
            return b""

        @cached(self.cluster[0], "b")
        async def text() -> str:
            return "text"

        self.failure_of(KeyError, failing())
        self.failure_of(UnknownBucket, nowhere())
        error = self.failure_of(CacheError, text())
        self.assertIn("codec", str(error))

    def test_where(self) -> None:
        """Results are kept with a node, a cache, or what returns one later."""
        caches: list[Cache] = []
        places = (self.cluster[0], self.cache(0), lambda: caches[0])

        async def function() -> bytes:
            return b"v"

        made = [cached(place, "b")(function) for place in places]
        caches.append(self.cache(0))
        for one in made:
            self.assertEqual(self.result_of(one()), b"v")
        self.assertEqual(self.cache(0).stats("b").puts, 1)

    def test_key(self) -> None:
        """A key may be made of whatever matters."""

        @cached(
            self.cluster[0], "b", key=lambda user, verbose=False: f"user:{user.number}"
        )
        async def page(user: User, verbose: bool = False) -> bytes:
            return user.name.encode()

        self.assertEqual(self.result_of(page(User(7, "Ada"), verbose=True)), b"Ada")
        self.assertEqual(self.result_of(page(User(7, "other"))), b"Ada")
        self.assertEqual(self.result_of(self.cache(1).get("b", "user:7")), b"Ada")
        self.assertTrue(self.result_of(page.invalidate(User(7, ""))))

    def test_method(self) -> None:
        """A method is cached with a key that says of which object."""
        calls: list[str] = []
        node = self.cluster[0]

        class Shop:
            def __init__(self, name: str) -> None:
                self.name = name

            @cached(node, "b", key=lambda self, item: f"{self.name}:{item}")
            async def price(self, item: str) -> bytes:
                """What it costs."""
                calls.append(self.name)
                return f"{item} at {self.name}".encode()

        for _ in range(2):
            for name in ("a", "b"):
                price = self.result_of(Shop(name).price("tea"))
                self.assertEqual(price, f"tea at {name}".encode())
        self.assertEqual(calls, ["a", "b"])
        self.assertTrue(self.result_of(Shop("a").price.invalidate("tea")))
        self.result_of(Shop("b").price.refresh("tea"))
        self.result_of(Shop("a").price("tea"))
        self.assertEqual(calls, ["a", "b", "b", "a"])
        self.assertEqual(Shop.price.__doc__, "What it costs.")
        self.assertEqual(Shop.price.__name__, "price")

    def test_no_key(self) -> None:
        """Arguments of which no key can be made are named, and nothing is called."""

        @cached(self.cluster[0], "b")
        async def page(user: User) -> bytes:
            raise AssertionError

        for call in (page, page.invalidate, page.refresh):
            failure: Any = self.failureResultOf(call(User(7, "Ada")), ConfigError)
            self.assertEqual(failure.value.field, "key")
            self.assertIn("'user' of ", str(failure.value))
            self.assertIn("is a User", str(failure.value))
            self.assertIn("key=function", str(failure.value))

    def test_codec(self) -> None:
        """MessagePack keeps Structs, attrs classes and plain things apart."""
        for kind, value in (
            (User, User(1, "Ada")),
            (Account, Account("Ada", ["admin"])),
            (dict[str, float], {"pi": 3.14}),
            (Any, [1, None, "x", b"y"]),
        ):
            codec = MsgpackCodec(kind)
            self.assertEqual(codec.decode(codec.encode(value)), value)
        self.assertEqual(MsgpackCodec(User), MsgpackCodec(User))
        self.assertRaises(msgspec.ValidationError, MsgpackCodec(User).decode, b"\x01")


class PlainKeyTests(ClusterTestCase):
    """Keys made of arguments."""

    size = 1
    replicas = 0

    def test_same_arguments(self) -> None:
        """The same arguments make the same key, however they are given."""

        def function(a: int, b: str = "x", *rest: int, **named: int) -> None:
            pass

        key = plain_key(function)
        self.assertEqual(key(1), key(a=1, b="x"))
        self.assertEqual(key(1, c=2, d=3), key(1, d=3, c=2))
        self.assertTrue(key(1).startswith("tests.mycel.test_cached.PlainKeyTests."))
        self.assertTrue(key(1).endswith("function(1, 'x', (), ())"), key(1))

    def test_different_arguments(self) -> None:
        """Different arguments, or functions, make different keys."""

        def function(a: object, b: object = None, *rest: int, **named: int) -> None:
            pass

        key = plain_key(function)
        keys = [
            key(1),
            key("1"),
            key(1.0),
            key(True),
            key(None),
            key(b"1"),
            key((1,)),
            key(1, 2),
            key(1, 2, 3),
            key(1, 2, c=3),
            key("1, 2"),
            plain_key(plain_key)(None),
        ]
        self.assertEqual(len(set(keys)), len(keys), keys)

    def test_not_plain(self) -> None:
        """Things whose text may differ in another process are refused."""

        def function(a: object, **named: object) -> None:
            pass

        class Text(str):
            pass

        key = plain_key(function)
        for thing in (object(), [], {}, set(), Text("x"), (1, [])):
            self.assertRaises(ConfigError, key, thing)
            self.assertRaises(ConfigError, key, 1, b=thing)
