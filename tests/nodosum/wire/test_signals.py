"""
PING, PONG and GOODBYE, byte by byte.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.wire.limits import REASON_BYTES_MAX, Goodbye
from mycorrizal.nodosum.wire.signals import (
    decode_goodbye,
    decode_ping,
    encode_goodbye,
    encode_ping,
    printable,
)


class SignalTests(SynchronousTestCase):
    """The layouts, and what is not one of them."""

    def test_ping(self) -> None:
        """A PING is a token and a clock, 16 bytes."""
        data = encode_ping(1, 2**64 - 1)
        self.assertEqual(data.hex(), "0100000000000000ffffffffffffffff")
        self.assertEqual(decode_ping(data), (1, 2**64 - 1))
        for bad in (b"", data[:-1], data + b"\0"):
            with self.assertRaises(RemoteProtocolError):
                decode_ping(bad)

    def test_goodbye(self) -> None:
        """A GOODBYE is a reason and a number, 9 bytes, and words."""
        data = encode_goodbye(Goodbye.STALE_INCARNATION, 258, "é")
        self.assertEqual(data.hex(), "04" + "0201000000000000" + "c3a9")
        self.assertEqual(decode_goodbye(data), (Goodbye.STALE_INCARNATION, 258, "é"))
        for reason in Goodbye:
            self.assertEqual(decode_goodbye(encode_goodbye(reason)), (reason, 0, ""))
        for bad in (b"", data[:8]):
            with self.assertRaises(RemoteProtocolError):
                decode_goodbye(bad)

    def test_unknown_reason(self) -> None:
        """A reason that is newer than we are is none, but no error."""
        for reason in (0, 99, 255):
            data = bytes([reason]) + bytes(8)
            self.assertEqual(decode_goodbye(data), (None, 0, ""))

    def test_words_at_the_bound(self) -> None:
        """1,024 bytes of words are read, one more is an error; we cut ours."""
        long = encode_goodbye(Goodbye.SELF, 0, "x" * (REASON_BYTES_MAX + 1))
        self.assertEqual(len(decode_goodbye(long)[2]), REASON_BYTES_MAX)
        with self.assertRaises(RemoteProtocolError):
            decode_goodbye(long + b"x")

    def test_words_are_harmless(self) -> None:
        """Words can't forge a line of a log, nor move a cursor."""
        data = encode_goodbye(Goodbye.DUPLICATE_ID, 0, "a\nb\r\x1b[2J\0\u202e")
        text = decode_goodbye(data)[2]
        self.assertEqual(text, r"a\nb\r\x1b[2J\x00\u202e")
        self.assertEqual(printable(b"\xff\xfe ok"), r"\xff\xfe ok")
        self.assertEqual(printable("Zürich – 日本".encode()), "Zürich – 日本")
