"""
The sending half of an application id: sizes and headers.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import MessageTooLarge
from mycorrizal.nodosum.channel import Channel
from mycorrizal.nodosum.link import CALL_ID
from mycorrizal.nodosum.wire.compression import COMPRESS_BYTES_MIN
from mycorrizal.nodosum.wire.frame import encode_frame
from mycorrizal.nodosum.wire.limits import MESSAGE_BYTES_MAX, FrameType
from tests.nodosum.ends import Side, runtime_of


class ChannelTests(SynchronousTestCase):
    """The channel of one application."""

    def setUp(self) -> None:
        self.channel = Channel("chat")

    def test_head(self) -> None:
        """A message's header is the frame's, for each length, first or again."""
        for length in (0, 1, 255, COMPRESS_BYTES_MIN - 1, *range(2000), 1, 1999):
            payload = bytes(length)
            frame = encode_frame(FrameType.APP, payload, b"chat")
            self.assertEqual(self.channel.head(length) + payload, frame)

    def test_longest_message(self) -> None:
        """A message, with a call's id, may have 64 MiB, and no byte more."""
        longest = self.channel.message_bytes_max
        self.assertEqual(longest, MESSAGE_BYTES_MAX - 8)
        self.channel.check_size(longest)
        with self.assertRaises(MessageTooLarge) as caught:
            self.channel.check_size(longest + 1)
        error = caught.exception
        self.assertEqual((error.size_bytes, error.limit_bytes), (longest + 1, longest))
        self.assertIn(str(longest), str(error))

    def test_call(self) -> None:
        """A request carries the application's id and the call's."""
        clock = Clock()
        side = Side("a", runtime_of(clock))
        link = side.link("b")
        call_id = self.channel.call(link, b"question", lambda how, answer: None, 5.0)
        clock.advance(0)
        payload = CALL_ID.pack(call_id) + b"question"
        frame = (FrameType.REQUEST, b"chat", payload)
        self.assertEqual(side.transports["b"].frames(), [frame])
