"""
The bytes that caches exchange, and that nothing else gets in.
"""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.config import (
    BUCKET_NAME_BYTES_MAX,
    BUCKETS_MAX,
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
)
from mycorrizal.mycel.messages import (
    NEVER,
    PUSHED_MAX,
    AskSettled,
    BucketEntry,
    Buckets,
    Copy,
    CreateBucket,
    Done,
    Fetch,
    Found,
    Get,
    Leaving,
    Push,
    Pushed,
    Put,
    Refused,
    Request,
    Touch,
    deadline_of,
    decode_answer,
    decode_request,
    encode,
    remaining_ms,
)
from mycorrizal.nodosum.wire.limits import MESSAGE_BYTES_MAX

ORIGIN = bytes(range(16))
_ORIGIN = "c410000102030405060708090a0b0c0d0e0f"

#: Each message and its bytes.
REQUESTS: list[tuple[Request, str]] = [
    (Get("b", b"k"), "9401a162c4016b00"),
    (Get("b", b"k", 2), "9401a162c4016b02"),
    (
        Put("b", b"k", b"v", NEVER, 256),
        "9702a162c4016bc40176ffcd010000",
    ),
    (
        Put("b", b"k", None, 0, 2**63 - 1, 1),
        "9702a162c4016bc000cf7fffffffffffffff01",
    ),
    (Touch("b", b"k", 60000, 0), "9603a162c4016bcdea600000"),
    (
        CreateBucket("s", NEVER, 100000, None, 1, 5),
        "9804a173ffce000186a0c0010500",
    ),
    (
        Copy("b", b"k", b"v", 7, ORIGIN, 1500),
        f"9708a162c4016bc4017607{_ORIGIN}cd05dc",
    ),
    (Fetch("b", b"k"), "9309a162c4016b"),
    (
        Push("b", (Pushed(b"k", None, 7, ORIGIN, NEVER),)),
        f"930aa1629195c4016bc007{_ORIGIN}ff",
    ),
    (Leaving(), "910d"),
    (AskSettled(2**64 - 1, 9), "930bcfffffffffffffffff09"),
    (
        Buckets((BucketEntry("s", 1000, None, 4096, 7, 1, ORIGIN),), 3),
        f"930c9197a173cd03e8c0cd10000701{_ORIGIN}03",
    ),
]
_GET, _PUT = REQUESTS[0][0], REQUESTS[2][0]
#: Answers, with a request that they answer.
ANSWERS: list[tuple[Found | Done | Refused, Request, str]] = [
    (Found(None), _GET, "9520c000c400ff"),
    (Found(b"v", 7, ORIGIN, 1500), _GET, f"9520c4017607{_ORIGIN}cd05dc"),
    (Done(), _PUT, "9521c30000c400"),
    (Done(False, 2, 7, ORIGIN), _PUT, f"9521c20207{_ORIGIN}"),
    (Refused("not_owner"), _GET, "9322a96e6f745f6f776e6572a0"),
    (Refused("conflict", "x"), _PUT, "9322a8636f6e666c696374a178"),
]
ALL = [data for _, data in REQUESTS] + [data for *_, data in ANSWERS]


class BytesTests(SynchronousTestCase):
    """Nodes of this version understand each other's bytes."""

    def test_requests(self) -> None:
        """Each request has exactly these bytes, and they mean that request."""
        for request, data in REQUESTS:
            self.assertEqual(encode(request).hex(), data)
            self.assertEqual(decode_request(bytes.fromhex(data)), request)

    def test_answers(self) -> None:
        """So has each answer."""
        for answer, request, data in ANSWERS:
            self.assertEqual(encode(answer).hex(), data)
            self.assertEqual(decode_answer(bytes.fromhex(data), request), answer)

    def test_truncated_and_trailing(self) -> None:
        """A byte less or more is no message."""
        for request, data in REQUESTS:
            whole = bytes.fromhex(data)
            for wrong in (*(whole[:end] for end in range(len(whole))), whole + b"\0"):
                self.assertRaises(RemoteProtocolError, decode_request, wrong)
            self.assertEqual(decode_request(whole), request)

    def test_mistaken_for_each_other(self) -> None:
        """A request is no answer, and an answer no request."""
        for _, data in REQUESTS:
            raw = bytes.fromhex(data)
            self.assertRaises(RemoteProtocolError, decode_answer, raw, _GET)
        for *_, data in ANSWERS:
            self.assertRaises(RemoteProtocolError, decode_request, bytes.fromhex(data))

    def test_answer_to_something_else(self) -> None:
        """What was read is no answer to a write, nor the other way round."""
        for request in (_PUT, *(it for it, _ in REQUESTS if type(it) is not Fetch)):
            wrong = Done() if isinstance(request, Get) else Found(None)
            with self.assertRaises(RemoteProtocolError):
                decode_answer(encode(wrong), request)
        with self.assertRaises(RemoteProtocolError):
            decode_answer(encode(Done()), Fetch("b", b"k"))

    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are a message or a protocol error."""
        self.check_any(data)

    @given(st.sampled_from(ALL), st.data())
    def test_changed_bytes(self, data: str, draw: st.DataObject) -> None:
        """So are the bytes of a message with some of them changed."""
        changed = bytearray.fromhex(data)
        for _ in range(draw.draw(st.integers(1, 3))):
            place = draw.draw(st.integers(0, len(changed) - 1))
            changed[place] = draw.draw(st.integers(0, 255))
        self.check_any(bytes(changed))

    @given(st.integers(1, 40), st.sampled_from([0x91, 0x81, 0xC1, 0xDD, 0xC6]))
    def test_nested_bytes(self, depth: int, byte: int) -> None:
        """So is what is nested a thousand times, or claims to be huge."""
        self.check_any(bytes([byte]) * depth * 1000)
        self.check_any(b"\x94\x01\xa1b" + bytes([byte]) + b"\xff" * depth)

    def check_any(self, data: bytes) -> None:
        """Nothing but a message or `RemoteProtocolError` comes of it."""
        try:
            decode_request(data)
        except RemoteProtocolError:
            pass
        for request in (_GET, _PUT):
            try:
                decode_answer(data, request)
            except RemoteProtocolError:
                pass


class BoundTests(SynchronousTestCase):
    """Each bound holds, at the bound and one past it."""

    def check(self, good: msgspec.Struct, bad: msgspec.Struct) -> None:
        """The first can be read, and the second not."""
        self.assertEqual(decode_request(encode(good)), good)
        self.assertRaises(RemoteProtocolError, decode_request, encode(bad))

    def test_keys(self) -> None:
        """A key has 1 to 1024 bytes."""
        self.check(Get("b", bytes(KEY_BYTES_MAX)), Get("b", bytes(KEY_BYTES_MAX + 1)))
        self.check(Get("b", b"k"), Get("b", b""))

    def test_values(self) -> None:
        """A value has a largest size, and may be empty."""
        good, bad = bytes(VALUE_BYTES_MAX), bytes(VALUE_BYTES_MAX + 1)
        self.check(Put("b", b"k", good, 0, 0), Put("b", b"k", bad, 0, 0))
        self.check(Put("b", b"k", b"", 0, 0), Put("b", b"k", bad, 0, 0))

    def test_bucket_names(self) -> None:
        """A bucket's name has 1 to 128 characters."""
        longest = "n" * BUCKET_NAME_BYTES_MAX
        self.check(Get(longest, b"k"), Get(longest + "n", b"k"))
        self.check(Get("n", b"k"), Get("", b"k"))

    def test_times(self) -> None:
        """A time is -1 or more."""
        self.check(Touch("b", b"k", -1, 0), Touch("b", b"k", -2, 0))
        self.check(Touch("b", b"k", 2**53, 0), Touch("b", b"k", 2**53 + 1, 0))

    def test_stamps(self) -> None:
        """A stamp is below 2**63, so that a clock never runs out by hearsay."""
        self.check(Touch("b", b"k", 0, 2**63 - 1), Touch("b", b"k", 0, 2**63))
        self.check(Touch("b", b"k", 0, 0), Touch("b", b"k", 0, -1))

    def test_hops(self) -> None:
        """No message claims to have come a very long way."""
        self.check(Get("b", b"k", 8), Get("b", b"k", 9))

    def test_origins(self) -> None:
        """An origin has 16 bytes."""
        for wrong in (bytes(15), bytes(17)):
            self.check(
                Copy("b", b"k", b"", 1, bytes(16), -1),
                Copy("b", b"k", b"", 1, wrong, -1),
            )

    def test_replicas(self) -> None:
        """A bucket has 0 to 7 replicas."""
        for replicas in (8, -1):
            self.check(
                CreateBucket("b", -1, None, None, 7, 0),
                CreateBucket("b", -1, None, None, replicas, 0),
            )

    def test_entries_of_a_push(self) -> None:
        """A push has so many entries at most."""
        entry = Pushed(b"k", None, 1, ORIGIN, 1)
        self.check(
            Push("b", (entry,) * PUSHED_MAX), Push("b", (entry,) * (PUSHED_MAX + 1))
        )

    def test_buckets(self) -> None:
        """News are of so many buckets at most."""
        entry = BucketEntry("b", -1, None, None, 1, 1, ORIGIN)
        self.check(
            Buckets((entry,) * BUCKETS_MAX, 0), Buckets((entry,) * (BUCKETS_MAX + 1), 0)
        )

    def test_largest_can_be_sent(self) -> None:
        """Whatever is within the bounds is no longer than a message may be."""
        name = "n" * BUCKET_NAME_BYTES_MAX
        key, value = bytes(KEY_BYTES_MAX), bytes(VALUE_BYTES_MAX)
        stamp, ttl_ms = 2**63 - 1, 2**53
        bucket = BucketEntry(name, ttl_ms, 2**53, 2**53, 7, stamp, ORIGIN)
        for message in (
            Put(name, key, value, ttl_ms, stamp, 8),
            Copy(name, key, value, stamp, ORIGIN, ttl_ms),
            Push(name, (Pushed(key, value, stamp, ORIGIN, ttl_ms),)),
            Found(value, stamp, ORIGIN, ttl_ms),
            Buckets((bucket,) * BUCKETS_MAX, stamp),
        ):
            self.assertLess(len(encode(message)), MESSAGE_BYTES_MAX - 1024)


class TimeTests(SynchronousTestCase):
    """Times travel as what is left of them."""

    def test_remaining(self) -> None:
        """A value is never kept for longer than it has left, but for 1 ms."""
        self.assertEqual(remaining_ms(float("inf"), 5), NEVER)
        self.assertEqual(remaining_ms(6.5, 5), 1500)
        self.assertEqual(remaining_ms(5.0019, 5), 1)
        self.assertEqual(remaining_ms(5.0, 5), 1)
        self.assertEqual(deadline_of(NEVER, 5), float("inf"))
        self.assertEqual(deadline_of(1500, 5), 6.5)

    @given(st.floats(0, 1e9), st.floats(0.001, 1e9))
    def test_never_longer(self, now: float, left_s: float) -> None:
        """There and back, no time is gained."""
        deadline = now + left_s
        if deadline - now >= 0.001:
            there = deadline_of(remaining_ms(deadline, now), now)
            self.assertLessEqual(there, deadline + 1e-6)
