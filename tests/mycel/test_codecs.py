"""
Values that are not bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import (
    CodecError,
    ConfigError,
    JsonCodec,
    MsgpackCodec,
    PartialFailure,
    ValueTooLarge,
)
from mycorrizal.mycel.codecs import decoded, encoded, find_codec
from mycorrizal.mycel.config import VALUE_BYTES_MAX
from tests.mycel.cases import ClusterTestCase


class User(msgspec.Struct):
    """What an application may want to keep."""

    name: str
    age: int = 0


class Reversed:
    """A codec of a program's own."""

    def encode(self, value: str) -> bytes:
        return value[::-1].encode()

    def decode(self, data: bytes) -> str:
        return data.decode()[::-1]


class CodecTests(SynchronousTestCase):
    """Codecs by themselves."""

    def test_by_name(self) -> None:
        """JSON and MessagePack have names; bytes need nothing."""
        value = {"name": "Ada", "tags": [1, 2.5, None]}
        json, msgpack = find_codec("json"), find_codec("msgpack")
        assert json is not None and msgpack is not None
        self.assertEqual(json.encode([1, "a"]), b'[1,"a"]')
        self.assertEqual(msgpack.encode([1]), b"\x91\x01")
        for codec in (json, msgpack):
            self.assertEqual(codec.decode(codec.encode(value)), value)
        self.assertIsNone(find_codec(None))
        self.assertIsNone(find_codec("bytes"))

    def test_of_a_type(self) -> None:
        """What is decoded can be of a type, and is checked."""
        for codec in (JsonCodec(User), MsgpackCodec(User)):
            data = codec.encode(User("Ada", 36))
            self.assertEqual(codec.decode(data), User("Ada", 36))
            wrong = codec.encode({"name": 5})
            self.assertRaises(CodecError, decoded, codec, "b", wrong)

    def test_one_of_its_own(self) -> None:
        """Any object that encodes and decodes will do."""
        codec = find_codec(Reversed())
        self.assertEqual(encoded(codec, "b", "abc"), b"cba")
        self.assertEqual(decoded(codec, "b", b"cba"), "abc")

    def test_none_at_all(self) -> None:
        """What is no codec is refused, and what would be one is said."""
        for wrong in ("pickle", "", 5, object(), str):
            error = self.assertRaises(ConfigError, find_codec, wrong)
            self.assertEqual(error.field, "codec")
            self.assertIn("'json', 'msgpack'", str(error))

    def test_errors(self) -> None:
        """A codec that fails is an error that names the bucket and the reason."""
        for call in (
            lambda: encoded(JsonCodec(), "b", object()),
            lambda: encoded(Reversed(), "b", 5),
            lambda: decoded(JsonCodec(), "b", b"{"),
            lambda: decoded(Reversed(), "b", b"\xff"),
        ):
            error = self.assertRaises(CodecError, call)
            self.assertIn("bucket 'b'", str(error))
            self.assertIsNotNone(error.__cause__)

    def test_no_bytes(self) -> None:
        """What a codec makes must be bytes."""

        class Wrong(Reversed):
            def encode(self, value: str) -> Any:
                return value

        self.assertRaises(CodecError, encoded, Wrong(), "b", "text")


class BucketTests(ClusterTestCase):
    """A bucket with a codec on two of three nodes."""

    def setUp(self) -> None:
        super().setUp()
        self.result_of(self.cache(0).create_bucket("j", codec="json"))
        self.cache(1).use_codec("j", JsonCodec(User))

    def test_values(self) -> None:
        """Each call takes and gives values; a node without the codec has bytes."""
        for key in self.keys_owned_by(0, count=2) + self.keys_owned_by(2, count=2):
            self.result_of(self.cache(0).put("j", key, {"name": "Ada"}))
            found = self.result_of(self.cache(0).get("j", key))
            self.assertEqual(found, {"name": "Ada"})
            self.assertEqual(self.result_of(self.cache(1).get("j", key)), User("Ada"))
            raw = self.result_of(self.cache(2).get("j", key))
            self.assertEqual(raw, b'{"name":"Ada"}')
            entry = self.result_of(self.cache(1).entry("j", key))
            self.assertEqual(entry.value, User("Ada"))
            self.assertFalse(self.result_of(self.cache(0).add("j", key, "other")))
            self.result_of(self.cache(1).replace("j", key, User("Bob", 5)))
            many = self.result_of(self.cache(1).get_many("j", [key, "none"]))
            self.assertEqual(many, {key: User("Bob", 5), "none": None})
        self.result_of(self.cache(0).put_many("j", {"x": 1, "y": [2]}))
        self.assertEqual(self.result_of(self.cache(0).get("j", "y")), [2])

    def test_absent(self) -> None:
        """What is not there is None, whatever the codec."""
        for node in range(3):
            self.assertIsNone(self.result_of(self.cache(node).get("j", "none")))
            self.assertIsNone(self.result_of(self.cache(node).entry("j", "none")))

    def test_wrong_bytes(self) -> None:
        """Bytes that are none of the codec's fail the read, of that key alone."""
        for key in (self.key_owned_by(0), self.key_owned_by(1)):
            self.result_of(self.cache(2).put("j", key, b"{"))
            self.failure_of(CodecError, self.cache(0).get("j", key))
            self.failure_of(CodecError, self.cache(0).entry("j", key))
            self.result_of(self.cache(0).put("j", "good", 1))
            call = self.cache(0).get_many("j", ["good", key])
            error = self.failure_of(PartialFailure, call)
            self.assertEqual(error.done, {"good": 1})
            self.assertIsInstance(error.failed[key], CodecError)

    def test_wrong_value(self) -> None:
        """A value that can't be encoded is refused, and nothing is sent."""
        calls = self.cache(0).put("j", "k", object()), self.cache(0).add("j", "k", {1j})
        for call in calls:
            self.failureResultOf(call, CodecError)
        too_large = "x" * VALUE_BYTES_MAX
        self.failureResultOf(self.cache(0).put("j", "k", too_large), ValueTooLarge)
        self.assertIsNone(self.result_of(self.cache(0).get("j", "k")))

    def test_taken_away(self) -> None:
        """Without its codec a bucket has bytes again; a new bucket keeps it."""
        self.result_of(self.cache(0).put("j", "k", 1))
        self.result_of(self.cache(1).drop_bucket("j"))
        self.result_of(self.cache(2).create_bucket("j"))
        self.result_of(self.cache(0).put("j", "k", 2))
        self.cache(0).use_codec("j", None)
        self.assertEqual(self.result_of(self.cache(0).get("j", "k")), b"2")
