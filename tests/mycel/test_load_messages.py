"""
The bytes that caches exchange about loads, and their bounds.
"""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.config import (
    BUCKET_NAME_BYTES_MAX,
    KEY_BYTES_MAX,
    LOAD_MS_MAX,
    VALUE_BYTES_MAX,
)
from mycorrizal.mycel.load_messages import (
    PROBLEM_CHARACTERS_MAX,
    Fill,
    Forgo,
    Leased,
    Load,
)
from mycorrizal.mycel.messages import (
    Answer,
    Done,
    Fetch,
    Found,
    Get,
    Put,
    Refused,
    Request,
    decode_answer,
    decode_request,
    encode,
)
from mycorrizal.nodosum.wire.limits import MESSAGE_BYTES_MAX

ORIGIN = bytes(range(16))
_ORIGIN = "c410000102030405060708090a0b0c0d0e0f"
_LOAD = Load("b", b"k", ORIGIN, 7, 1)
_FILL, _FORGO = Fill("b", b"k", 7, None, 500, 9), Forgo("b", b"k", 7)
REQUESTS: list[tuple[Request, str]] = [
    (
        Load("b", b"k", ORIGIN, 7, 30000, 0, True),
        f"9940a162c4016b{_ORIGIN}07cd753000c300",
    ),
    (_FILL, "9841a162c4016b07c0cd01f40900"),
    (_FORGO, "9642a162c4016b07c000"),
    (Forgo("b", b"k", 7, "x", 1), "9642a162c4016b07a17801"),
]
#: Answers, with a request that they answer.
ANSWERS: list[tuple[Answer, Request, str]] = [
    (Found(None), _LOAD, "9520c000c400ff"),
    (Leased(), _LOAD, "9343c000"),
    (Leased(b"v", 7), _LOAD, "9343c4017607"),
    (Done(False), _FILL, "9521c20000c400"),
    (Done(), _FORGO, "9521c30000c400"),
    (
        Refused("load_failed", "x"),
        _LOAD,
        "9422ab6c6f61645f6661696c6564a178c0",
    ),
]


class BytesTests(SynchronousTestCase):
    """Each message, and what does not fit."""

    def test_requests(self) -> None:
        """Each request has exactly these bytes."""
        for request, data in REQUESTS:
            self.assertEqual(encode(request).hex(), data)
            self.assertEqual(decode_request(bytes.fromhex(data)), request)

    def test_answers(self) -> None:
        """Each answer has exactly these bytes."""
        for answer, request, data in ANSWERS:
            self.assertEqual(encode(answer).hex(), data)
            self.assertEqual(decode_answer(bytes.fromhex(data), request), answer)

    def test_answers_to_something_else(self) -> None:
        """A lease is for who asks for a load, and is all that it may get besides."""
        others: tuple[Request, ...] = (
            Get("b", b"k"),
            Put("b", b"k", b"", 0, 0),
            _FILL,
            _FORGO,
        )
        for request in others:
            with self.assertRaises(RemoteProtocolError):
                decode_answer(encode(Leased()), request)
        wrong: tuple[tuple[Answer, Request], ...] = (
            (Done(), _LOAD),
            (Found(None), _FILL),
            (Found(None), _FORGO),
            (Leased(), Fetch("b", b"k")),
        )
        for answer, asked in wrong:
            with self.assertRaises(RemoteProtocolError):
                decode_answer(encode(answer), asked)

    def test_damaged(self) -> None:
        """What is cut off, or goes on, is no message."""
        for data in [data for _, data in REQUESTS] + [data for *_, data in ANSWERS]:
            whole = bytes.fromhex(data)
            for wrong in (whole[:-1], whole + b"\x00"):
                with self.assertRaises(RemoteProtocolError):
                    decode_request(wrong)
                with self.assertRaises(RemoteProtocolError):
                    decode_answer(wrong, _LOAD)


class BoundTests(SynchronousTestCase):
    """Each bound holds, at the bound and one past it."""

    def check(self, good: msgspec.Struct, bad: msgspec.Struct) -> None:
        """The first can be read, and the second not."""
        self.assertEqual(decode_request(encode(good)), good)
        self.assertRaises(RemoteProtocolError, decode_request, encode(bad))

    def test_times(self) -> None:
        """A load takes a millisecond to an hour."""
        good, bad = (
            Load("b", b"k", ORIGIN, 2**63 - 1, wait_ms)
            for wait_ms in (LOAD_MS_MAX, LOAD_MS_MAX + 1)
        )
        self.check(good, bad)
        self.check(Load("b", b"k", ORIGIN, 0, 1), Load("b", b"k", ORIGIN, 0, 0))
        self.check(
            Load("b", b"k", ORIGIN, 0, 1, 2**53),
            Load("b", b"k", ORIGIN, 0, 1, 2**53 + 1),
        )

    def test_tokens(self) -> None:
        """A token is below 2**63."""
        self.check(Forgo("b", b"k", 2**63 - 1), Forgo("b", b"k", 2**63))

    def test_problems(self) -> None:
        """What a loader failed with has some 256 characters."""
        self.check(
            Forgo("b", b"k", 0, "x" * PROBLEM_CHARACTERS_MAX),
            Forgo("b", b"k", 0, "x" * (PROBLEM_CHARACTERS_MAX + 1)),
        )

    def test_largest_fit_a_message(self) -> None:
        """The largest value that was loaded can be sent."""
        name, key = "n" * BUCKET_NAME_BYTES_MAX, bytes(KEY_BYTES_MAX)
        stamp, value = 2**63 - 1, bytes(VALUE_BYTES_MAX)
        for message in (
            Fill(name, key, stamp, value, 2**53, stamp, 8),
            Leased(value, stamp),
        ):
            self.assertLess(len(encode(message)), MESSAGE_BYTES_MAX - 1024)
