"""
The bytes that nodes exchange about near copies, and that nothing else gets in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.config import BUCKETS_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX
from mycorrizal.mycel.near.messages import (
    Changed,
    Check,
    Read,
    State,
    Vouched,
    decode_changed,
    decode_request,
    decode_state,
    decode_vouched,
    encode,
)
from mycorrizal.nodosum.wire.limits import MESSAGE_BYTES_MAX

Decode = Callable[[bytes], Any]
#: Each message, what reads it, and its bytes.
MESSAGES: list[tuple[Any, Decode, str]] = [
    (Check(("b", "s")), decode_request, "920192a162a173"),
    (Read("b", b"k"), decode_request, "9302a162c4016b"),
    (Changed("b", 7, 1, b"k"), decode_changed, "9503a1620701c4016b"),
    (Changed("b", 8, 0, b""), decode_changed, "9503a1620800c400"),
    (State(((7, 256), (0, 0))), decode_state, "9210929207cd0100920000"),
    (Vouched(0), decode_vouched, "96110000c000ff"),
    (Vouched(7, 3, b"v", 9, 1500), decode_vouched, "96110703c4017609cd05dc"),
]


class MessageTests(SynchronousTestCase):
    """Nodes of this version understand each other's bytes."""

    def test_bytes(self) -> None:
        """Each message has exactly these bytes, and they mean that message."""
        for message, decode, data in MESSAGES:
            self.assertEqual(encode(message).hex(), data)
            self.assertEqual(decode(bytes.fromhex(data)), message)

    def test_truncated_and_trailing(self) -> None:
        """A byte less or more is no message."""
        for _, decode, data in MESSAGES:
            whole = bytes.fromhex(data)
            for wrong in (*(whole[:end] for end in range(len(whole))), whole + b"\0"):
                self.assertRaises(RemoteProtocolError, decode, wrong)

    def test_mistaken_for_each_other(self) -> None:
        """No message is taken for another one."""
        for _, right, data in MESSAGES:
            for _, decode, _ in MESSAGES:
                if decode is not right:
                    raw = bytes.fromhex(data)
                    self.assertRaises(RemoteProtocolError, decode, raw)

    @given(st.binary(max_size=100), st.sampled_from(MESSAGES), st.data())
    def test_any_bytes(
        self, data: bytes, case: tuple[Any, Decode, str], draw: st.DataObject
    ) -> None:
        """Any bytes, and a message with one changed, are one or a protocol error."""
        changed = bytearray.fromhex(case[2])
        place = draw.draw(st.integers(0, len(changed) - 1))
        changed[place] = draw.draw(st.integers(0, 255))
        for raw in (data, bytes(changed)):
            try:
                case[1](raw)
            except RemoteProtocolError:
                pass

    def test_bounds(self) -> None:
        """Each bound holds, at the bound and one past it."""
        key, value = bytes(KEY_BYTES_MAX), bytes(VALUE_BYTES_MAX)
        for good, bad, decode in (
            (Read("b", key), Read("b", key + b"x"), decode_request),
            (Changed("b", 1, 1, key), Changed("b", 1, 1, key + b"x"), decode_changed),
            (Changed("b", 2**63 - 1, 2**63 - 1, b""), Changed("b", 1, 2**63, b""),
             decode_changed),
            (Check(("b",) * BUCKETS_MAX), Check(("b",) * (BUCKETS_MAX + 1)),
             decode_request),
            (State(((1, 1),) * BUCKETS_MAX), State(((1, 1),) * (BUCKETS_MAX + 1)),
             decode_state),
            (Vouched(1, 0, value), Vouched(1, 0, value + b"x"), decode_vouched),
        ):  # fmt: skip
            self.assertEqual(decode(encode(good)), good)
            self.assertRaises(RemoteProtocolError, decode, encode(bad))
            self.assertLess(len(encode(good)), MESSAGE_BYTES_MAX - 1024)
