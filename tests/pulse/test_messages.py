"""
Questions and replies survive the wire; nothing else passes for one.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import LocalProtocolError, RemoteProtocolError
from mycorrizal.pulse.messages import (
    AskCreate,
    AskDelete,
    AskGet,
    AskPing,
    AskPut,
    AskSend,
    AskStatus,
    AskTtl,
    Echo,
    Failed,
    Ok,
    RoundTrip,
    Value,
    decode_question,
    decode_reply,
    encode,
    encode_question,
)

QUESTIONS = (
    AskStatus(),
    AskPing("n1"),
    AskSend("app", b"\0\xff", ("a", "b")),
    AskCreate("b", 900.0, 10, 20, 3),
    AskPut("b", "k", b"v", None),
    AskGet("b", "k"),
    AskDelete("b", "k"),
    AskTtl("b", "k", 1.5),
    Echo(),
)
REPLIES = (RoundTrip("n1", 0.5), Value(None), Value(b"v", 3.0), Ok(False, 2))


class MessagesTests(SynchronousTestCase):
    """What Pulse and a node tell each other."""

    def test_round_trip(self) -> None:
        """Each arrives as it was sent."""
        for question in QUESTIONS:
            self.assertEqual(decode_question(encode_question(question)), question)
        for reply in (*REPLIES, Failed("UnknownBucket", "no bucket")):
            self.assertEqual(decode_reply(encode(reply)), reply)

    def test_question_is_no_reply(self) -> None:
        """Neither side takes the other's words for its own."""
        with self.assertRaises(RemoteProtocolError):
            decode_reply(encode(AskStatus()))
        with self.assertRaises(RemoteProtocolError):
            decode_question(encode(Ok()))

    def test_truncated(self) -> None:
        """A part of a question is none."""
        whole = encode(AskPut("bucket", "key", b"value"))
        for length in range(len(whole)):
            with self.assertRaises(RemoteProtocolError):
                decode_question(whole[:length])

    def test_long_text(self) -> None:
        """A key may have 1024 characters and not one more, at either end."""
        at, over = AskGet("b", "k" * 1024), AskGet("b", "k" * 1025)
        self.assertEqual(decode_question(encode_question(at)), at)
        with self.assertRaises(LocalProtocolError):
            encode_question(over)
        with self.assertRaises(RemoteProtocolError):
            decode_question(encode(over))

    def test_many_nodes(self) -> None:
        """A message may go to 256 nodes by name and not one more."""
        at, over = ("n",) * 256, ("n",) * 257
        encode_question(AskSend("app", b"", at))
        with self.assertRaises(LocalProtocolError):
            encode_question(AskSend("app", b"", over))

    def test_what_cannot_be_said(self) -> None:
        """Names that are not Unicode and numbers without end are not sent."""
        with self.assertRaises(LocalProtocolError) as raised:
            encode_question(AskGet("b", "\udcff"))
        self.assertIn("UTF-8", str(raised.exception))
        with self.assertRaises(LocalProtocolError):
            encode_question(AskCreate("b", max_entries=2**64))

    @given(st.binary(max_size=64))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are a message or a broken protocol, and nothing else."""
        for decode in (decode_question, decode_reply):
            try:
                decode(data)
            except RemoteProtocolError:
                pass
