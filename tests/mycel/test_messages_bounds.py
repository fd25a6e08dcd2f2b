"""
What caches exchange is bounded: each bound holds, and nothing past it gets in.
"""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.bucket_messages import (
    AlterBucket,
    BucketEntry,
    Buckets,
    CreateBucket,
)
from mycorrizal.mycel.config import (
    BATCH_KEYS_MAX,
    BUCKET_NAME_BYTES_MAX,
    BUCKETS_MAX,
    DROPPED_MAX,
    KEY_BYTES_MAX,
    LIMIT_MAX,
    VALUE_BYTES_MAX,
)
from mycorrizal.mycel.messages import (
    Copy,
    Found,
    Get,
    GetMany,
    Item,
    Many,
    Put,
    PutMany,
    Refused,
    Request,
    Touch,
    decode_answer,
    decode_request,
    encode,
)
from mycorrizal.mycel.slot_messages import (
    PUSHED_MAX,
    Claim,
    Claimed,
    Compare,
    Compared,
    Denied,
    Evict,
    Lacking,
    Moved,
    Offer,
    Offered,
    Page,
    Paged,
    Push,
    Pushed,
)
from mycorrizal.mycel.slots.known import NAMED_MAX
from mycorrizal.mycel.slots.leveling import PUSH_ENTRIES
from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.mycel.slots.slotset import ALL_SLOTS, slotset, to_bytes
from mycorrizal.nodosum.wire.limits import MESSAGE_BYTES_MAX

#: Buckets in one message: those there are, and those that were dropped.
BUCKETS_TOLD = BUCKETS_MAX + DROPPED_MAX
ORIGIN = bytes(range(16))
_PUT = Put("b", b"k", b"v", 0, 0)
_CLAIM, _PAGE = Claim(to_bytes(ALL_SLOTS), 0), Page("b", to_bytes(ALL_SLOTS))
_COMPARE, _OFFER = Compare("b", to_bytes(ALL_SLOTS)), Offer("b", ())


class BoundTests(SynchronousTestCase):
    """Each bound holds, at the bound and one past it."""

    def check(self, good: msgspec.Struct, bad: msgspec.Struct) -> None:
        """The first can be read, and the second not."""
        self.assertEqual(decode_request(encode(good)), good)
        self.assertRaises(RemoteProtocolError, decode_request, encode(bad))

    def check_answer(
        self, request: Request, good: msgspec.Struct, bad: msgspec.Struct
    ) -> None:
        """The first can answer a request, and the second not."""
        self.assertEqual(decode_answer(encode(good), request), good)
        with self.assertRaises(RemoteProtocolError):
            decode_answer(encode(bad), request)

    def test_limit(self) -> None:
        """What a busy node says of its limit is a number, or it is ignored."""
        texts = ("512", "", "many", "-1", "9" * 20, "9" * 1000, "\u0663")
        found = [Refused("busy", text).limit for text in texts]
        self.assertEqual(found, [512, 0, 0, 0, 0, 0, 0])

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

    def test_slots(self) -> None:
        """A set of slots has a bit for each, and no byte more or less."""
        whole = to_bytes(ALL_SLOTS)
        for wrong in (whole[1:], whole + b"\0"):
            self.check(Claim(whole, 0), Claim(wrong, 0))
            self.check(Moved(whole), Moved(wrong))
            self.check(Page("b", whole), Page("b", wrong))
            self.check(Compare("b", whole), Compare("b", wrong))
            denied, life = (Denied(ORIGIN, 1, wrong),), ((ORIGIN, 1),)
            good = Claimed((), whole, (), 0)
            self.check_answer(_CLAIM, good, Claimed((), wrong, (), 0))
            self.check_answer(_CLAIM, good, Claimed(denied, whole, life, 0))
            self.check_answer(_COMPARE, Compared((), whole, 0), Compared((), wrong, 0))

    def test_pages(self) -> None:
        """A page begins in one of the slots, behind a key or before all."""
        first = slotset([0])
        data, key = to_bytes(first), bytes(KEY_BYTES_MAX)
        for bad in (-1, SLOTS):
            self.check(Page("b", data, SLOTS - 1), Page("b", data, bad))
            self.check_answer(_PAGE, Paged((), True, SLOTS - 1), Paged((), True, bad))
        self.check(Page("b", data, 0, key), Page("b", data, 0, key + b"k"))
        self.check_answer(
            _PAGE, Paged((), True, 0, key), Paged((), True, 0, key + b"k")
        )

    def test_entries_of_a_page(self) -> None:
        """A page has so many entries at most."""
        entry = Pushed(b"k", None, 1, ORIGIN, 1)
        self.check_answer(
            _PAGE,
            Paged((entry,) * PUSHED_MAX, False),
            Paged((entry,) * (PUSHED_MAX + 1), False),
        )

    def test_versions(self) -> None:
        """So many versions are offered, or evicted, at once, at most."""
        entries = (Offered(b"k", 1, ORIGIN),) * PUSHED_MAX
        self.check(Offer("b", entries), Offer("b", entries + entries[:1]))
        self.check(Evict("b", entries), Evict("b", entries + entries[:1]))
        for wrong in (Offered(b"", 1, ORIGIN), Offered(b"k", 1, ORIGIN[1:])):
            self.check(Offer("b", entries), Offer("b", (wrong,)))

    def test_lacking(self) -> None:
        """What is lacking is named by places among those offered."""
        places = tuple(range(PUSHED_MAX))
        for bad in ((*places, 0), (PUSHED_MAX,), (-1,)):
            self.check_answer(_OFFER, Lacking(places), Lacking(bad))

    def test_claimed(self) -> None:
        """No more are denied than there are slots, and so many nodes are named."""
        slots, life = to_bytes(ALL_SLOTS), (ORIGIN, 2**63 - 1)
        denied = Denied(*life, slots)
        good = Claimed((denied,) * SLOTS, slots, (life,) * SLOTS, 0)
        self.assertEqual(NAMED_MAX, SLOTS)
        for bad in (
            Claimed((denied,) * (SLOTS + 1), slots, (), 0),
            Claimed((), slots, (life,) * (SLOTS + 1), 0),
            Claimed((), slots, ((ORIGIN, 2**63),), 0),
            Claimed((), slots, ((ORIGIN, -1),), 0),
            Claimed((), slots, ((ORIGIN[1:], 1),), 0),
            Claimed((Denied(ORIGIN, 2**63, slots),), slots, (), 0),
            Claimed((), slots, (), 2**63),
        ):
            self.check_answer(_CLAIM, good, bad)

    def test_promised(self) -> None:
        """To whom slots were promised is a node in one of its lives."""
        slots, good = to_bytes(ALL_SLOTS), (ORIGIN, 2**63 - 1)
        for bad in ((ORIGIN, 2**63), (ORIGIN, -1), (ORIGIN[1:], 1)):
            self.check(Moved(slots, good), Moved(slots, bad))
            self.check_answer(
                _PUT,
                Refused("promised", promised=good),
                Refused("promised", promised=bad),
            )

    def test_compared(self) -> None:
        """There is a digest for each slot at most."""
        slots = to_bytes(ALL_SLOTS)
        good = Compared((2**64 - 1,) * SLOTS, slots, 2**64 - 1)
        for bad in (
            Compared((0,) * (SLOTS + 1), slots, 0),
            Compared((-1,), slots, 0),
            Compared((), slots, -1),
        ):
            self.check_answer(_COMPARE, good, bad)

    def test_buckets(self) -> None:
        """News are of so many buckets at most."""
        entry = BucketEntry("b", -1, None, None, 1, 1, ORIGIN)
        self.check(
            Buckets((entry,) * BUCKETS_TOLD, 0),
            Buckets((entry,) * (BUCKETS_TOLD + 1), 0),
        )

    def test_limits(self) -> None:
        """A limit is 1 or more, or 0 where it is taken away; and not endless."""
        for bad in (0, LIMIT_MAX + 1):
            self.check(
                CreateBucket("b", -1, LIMIT_MAX, None, 1, 0),
                CreateBucket("b", -1, bad, None, 1, 0),
            )
        for bad in (-1, LIMIT_MAX + 1):
            self.check(
                AlterBucket("b", None, 0, None, None, None, 0),
                AlterBucket("b", None, bad, None, None, None, 0),
            )

    def test_write_modes(self) -> None:
        """A write waits for all, for one or for nobody."""
        self.check(
            CreateBucket("b", -1, 1, None, 1, 0, write="async"),
            CreateBucket("b", -1, 1, None, 1, 0, write="none"),  # type: ignore[arg-type]
        )

    def test_keys_of_a_batch(self) -> None:
        """One message has so many keys at most, and at least one."""
        item = Item(b"k", None, 0)
        for bad in (0, BATCH_KEYS_MAX + 1):
            self.check(
                GetMany("b", (b"k",) * BATCH_KEYS_MAX, 1),
                GetMany("b", (b"k",) * bad, 1),
            )
            self.check(
                PutMany("b", (item,) * BATCH_KEYS_MAX, 0, 1),
                PutMany("b", (item,) * bad, 0, 1),
            )

    def test_largest_can_be_sent(self) -> None:
        """Whatever is within the bounds is no longer than a message may be."""
        name = "n" * BUCKET_NAME_BYTES_MAX
        key, value = bytes(KEY_BYTES_MAX), bytes(VALUE_BYTES_MAX)
        stamp, ttl_ms = 2**63 - 1, 2**53
        slots, life = to_bytes(ALL_SLOTS), (ORIGIN, 2**63 - 1)
        bucket = BucketEntry(
            name, ttl_ms, 2**53, 2**53, 7, stamp, ORIGIN, "async", stamp, stamp, True
        )
        for message in (
            Put(name, key, value, ttl_ms, stamp, 8),
            Copy(name, key, value, stamp, ORIGIN, ttl_ms),
            Push(name, (Pushed(key, value, stamp, ORIGIN, ttl_ms),)),
            Found(value, stamp, ORIGIN, ttl_ms),
            Buckets((bucket,) * BUCKETS_TOLD, stamp),
            PutMany(name, (Item(key, value, ttl_ms),), stamp, ttl_ms),
            Many((Found(value, stamp, ORIGIN, ttl_ms),)),
            Paged((Pushed(key, value, stamp, ORIGIN, ttl_ms),), True, 1023, key),
            Offer(name, (Offered(key, stamp, ORIGIN),) * PUSH_ENTRIES),
            Evict(name, (Offered(key, stamp, ORIGIN),) * PUSH_ENTRIES),
            Claimed((Denied(*life, slots),) * SLOTS, slots, (life,) * SLOTS, stamp),
            Compared((2**64 - 1,) * SLOTS, slots, 2**64 - 1),
            Page(name, slots, SLOTS - 1, key),
            Moved(slots, life),
        ):
            self.assertLess(len(encode(message)), MESSAGE_BYTES_MAX - 1024)
