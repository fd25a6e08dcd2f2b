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
from mycorrizal.mycel.bucket_messages import (
    AlterBucket,
    BucketEntry,
    Buckets,
    ClearBucket,
    CreateBucket,
    DropBucket,
)
from mycorrizal.mycel.config import BUCKET_NAME_BYTES_MAX
from mycorrizal.mycel.messages import (
    NEVER,
    Answer,
    Copy,
    Done,
    Fetch,
    Found,
    Get,
    GetMany,
    Item,
    Many,
    Put,
    PutIf,
    PutMany,
    Refused,
    Request,
    Touch,
    deadline_of,
    decode_answer,
    decode_request,
    encode,
    remaining_ms,
)
from mycorrizal.mycel.scan_messages import Scan
from mycorrizal.mycel.slot_messages import (
    Claim,
    Claimed,
    Compare,
    Compared,
    Denied,
    Drained,
    Evict,
    Lacking,
    Leaving,
    Moved,
    Offer,
    Offered,
    Page,
    Paged,
    Push,
    Pushed,
)
from mycorrizal.mycel.slots.slotset import slotset, to_bytes
from mycorrizal.mycel.watch_messages import Watch

ORIGIN = bytes(range(16))
_ORIGIN = "c410000102030405060708090a0b0c0d0e0f"
#: Slots 0, 9 and 1023.
SLOTS_SEEN = to_bytes(slotset((0, 9, 1023)))
_SLOTS = "c4800102" + "00" * 125 + "80"

#: Each message and its bytes.
REQUESTS: list[tuple[Request, str]] = [
    (Get("b", b"k"), "9401a162c4016b00"),
    (Get("b", b"k", 2), "9401a162c4016b02"),
    (
        Put("b", b"k", b"v", NEVER, 256),
        "9802a162c4016bc40176ffcd010000c0",
    ),
    (
        Put("b", b"k", None, 0, 2**63 - 1, 1, ORIGIN),
        f"9802a162c4016bc000cf7fffffffffffffff01{_ORIGIN}",
    ),
    (Touch("b", b"k", 60000, 0), "9703a162c4016bcdea600000c0"),
    (
        CreateBucket("s", NEVER, 100000, None, 1, 5),
        "9904a173ffce000186a0c0010500a3616c6c",
    ),
    (
        PutIf("b", b"k", b"v", 0, True, 7),
        "9928a162c4016bc4017600c30700c0",
    ),
    (AlterBucket("s", 1000, 0, None, 2, "one", 5), "9929a173cd03e800c002a36f6e650500"),
    (ClearBucket("s", 5, 1), "942aa1730501"),
    (DropBucket("s", 5), "942ba1730500"),
    (GetMany("b", (b"k", b"l"), 1500), "942ca16292c4016bc4016ccd05dc"),
    (
        PutMany("b", (Item(b"k", b"v", 0), Item(b"l", None, NEVER)), 7, 1500),
        "952da1629293c4016bc401760093c4016cc0ff07cd05dc",
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
    (Drained(1, drained=True), "931501c3"),
    (Drained(2**63 - 1, drained=False), "9315cf7fffffffffffffffc2"),
    (Claim(SLOTS_SEEN, 256), f"930b{_SLOTS}cd0100"),
    (Moved(SLOTS_SEEN), f"9312{_SLOTS}c0"),
    (Moved(SLOTS_SEEN, (ORIGIN, 3)), f"9312{_SLOTS}92{_ORIGIN}03"),
    (Page("b", SLOTS_SEEN), f"950ea162{_SLOTS}00c400"),
    (Page("b", SLOTS_SEEN, 9, b"k"), f"950ea162{_SLOTS}09c4016b"),
    (Compare("b", SLOTS_SEEN), f"940fa162{_SLOTS}c2"),
    (Compare("b", SLOTS_SEEN, everything=True), f"940fa162{_SLOTS}c3"),
    (Offer("b", (Offered(b"k", 7, ORIGIN),)), f"9310a1629193c4016b07{_ORIGIN}"),
    (Evict("b", (Offered(b"k", 7, ORIGIN),)), f"9311a1629193c4016b07{_ORIGIN}"),
    (
        Buckets((BucketEntry("s", 1000, None, 4096, 7, 1, ORIGIN),), 3),
        f"930c919ba173cd03e8c0cd10000701{_ORIGIN}a3616c6c0000c203",
    ),
    (
        Scan("b", b"p", 3, b"pk", bytes(127) + b"\x80", 100),
        "972ea162c40170" + f"03c402706bc480{'00' * 127}80" + "64",
    ),
    (Watch("b", b"p", 7, 5000), "952fa162c4017007cd1388"),
]
_GET, _PUT = REQUESTS[0][0], REQUESTS[2][0]
_CLAIM, _PAGE = Claim(SLOTS_SEEN, 256), Page("b", SLOTS_SEEN)
_COMPARE, _OFFER = Compare("b", SLOTS_SEEN), Offer("b", ())
_GET_MANY = GetMany("b", (b"k", b"l"), 1500)
_SCAN, _WATCH = REQUESTS[-2][0], REQUESTS[-1][0]
_PUT_MANY = PutMany("b", (Item(b"k", b"v", 0),), 7, 1500)
#: Answers, with a request that they answer.
ANSWERS: list[tuple[Answer, Request, str]] = [
    (Found(None), _GET, "9520c000c400ff"),
    (Found(b"v", 7, ORIGIN, 1500), _GET, f"9520c4017607{_ORIGIN}cd05dc"),
    (Done(), _PUT, "9521c30000c400"),
    (Done(False, 2, 7, ORIGIN), _PUT, f"9521c20207{_ORIGIN}"),
    (Refused("not_owner"), _GET, "9422a96e6f745f6f776e6572a0c0"),
    (Refused("conflict", "x"), _PUT, "9422a8636f6e666c696374a178c0"),
    (
        Many((Found(None), Refused("busy"))),
        _GET_MANY,
        "9238929520c000c400ff9422a462757379a0c0",
    ),
    (Many((Done(),)), _PUT_MANY, "9238919521c30000c400"),
    (
        Refused("promised", promised=(ORIGIN, 3)),
        _PUT,
        f"9422a870726f6d69736564a092{_ORIGIN}03",
    ),
    (
        Claimed((Denied(ORIGIN, 3, SLOTS_SEEN),), SLOTS_SEEN, ((ORIGIN, 4),), 256),
        _CLAIM,
        f"95239193{_ORIGIN}03{_SLOTS}{_SLOTS}9192{_ORIGIN}04cd0100",
    ),
    (
        Paged((Pushed(b"k", b"v", 7, ORIGIN, NEVER),), True, 9, b"k"),
        _PAGE,
        f"95249195c4016bc4017607{_ORIGIN}ffc309c4016b",
    ),
    (Paged((), more=False), _PAGE, "952490c200c400"),
    (
        Compared((0, 2**64 - 1), SLOTS_SEEN, 2**64 - 1),
        _COMPARE,
        f"94259200cfffffffffffffffff{_SLOTS}cfffffffffffffffff",
    ),
    (Lacking((0, 4095), (1,)), _OFFER, "93269200cd0fff9101"),
]
#: What answers a request, if not `Done`.
_ANSWERED_BY: dict[type, type] = {
    type(request): type(answer)
    for answer, request, _ in ANSWERS
    if not isinstance(answer, Refused)
} | {Fetch: Found}
_ONE_OF_EACH = {type(answer): answer for answer, *_ in ANSWERS}.values()
ALL = [data for _, data in REQUESTS] + [data for *_, data in ANSWERS]


class BytesTests(SynchronousTestCase):
    """Nodes of this version understand each other's bytes."""

    def test_texts_of_others(self) -> None:
        """What another node says can't forge a line of a log (F58)."""
        refused = decode_answer(encode([34, "conflict", "a\n\x1b[2J"]), _PUT)
        assert isinstance(refused, Refused)
        self.assertEqual(refused.text, "a\\n\\x1b[2J")

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
        for request, _ in REQUESTS:
            for answer in _ONE_OF_EACH:
                if isinstance(answer, (_ANSWERED_BY.get(type(request), Done), Refused)):
                    continue
                with self.assertRaises(RemoteProtocolError):
                    decode_answer(encode(answer), request)

    def test_answers_to_many(self) -> None:
        """Several answers are as many as were asked for, and of their kind."""
        for answers, request in (
            ((Found(None),) * 3, _GET_MANY),
            ((Done(),), _GET_MANY),
            ((Found(None), Done()), _GET_MANY),
            ((Found(None),), _PUT_MANY),
            ((Done(), Done()), _PUT_MANY),
            ((Done(),), _PUT),
            ((Found(None),), _GET),
        ):
            with self.assertRaises(RemoteProtocolError):
                decode_answer(encode(Many(answers)), request)
        self.check(Many((Found(None),)), _GET_MANY)
        self.check(Many((Refused("busy"),)), _PUT_MANY)
        self.check(Refused("busy"), _GET_MANY)

    def check(self, answer: Answer, request: Request) -> None:
        """It can be the answer to that."""
        self.assertEqual(decode_answer(encode(answer), request), answer)

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
        for request in (_GET, _PUT, _GET_MANY, _PUT_MANY, _CLAIM, _PAGE, _OFFER):
            try:
                decode_answer(data, request)
            except RemoteProtocolError:
                pass


class BucketNameTests(SynchronousTestCase):
    """A bucket is named by what can be printed, whoever creates it."""

    def created(self, name: str) -> list[bytes]:
        """Both messages by which a bucket of that name comes to be here."""
        created = [4, name, NEVER, None, None, 1, 0, 0]
        told = [name, NEVER, None, None, 1, 1, ORIGIN]
        return [msgspec.msgpack.encode(it) for it in (created, [12, [told], 0])]

    def test_good(self) -> None:
        """Letters of any script, and blanks within."""
        for name in ("s", "käse 日本", "n" * BUCKET_NAME_BYTES_MAX):
            for data in self.created(name):
                decode_request(data)

    def test_bad(self) -> None:
        """What steers a terminal, or is a byte too long, is refused on arrival."""
        for name in (
            "\x1b[2J", "a\nb", "\x85", "\u202eabc", "\u200b", "",
            "n" * (BUCKET_NAME_BYTES_MAX + 1), "ä" * BUCKET_NAME_BYTES_MAX,
        ):  # fmt: skip
            for data in self.created(name):
                self.assertRaises(RemoteProtocolError, decode_request, data)


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
