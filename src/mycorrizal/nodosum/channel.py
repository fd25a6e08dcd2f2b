# -*- test-case-name: tests.nodosum.test_channel -*-
"""
The frames of one application id.
"""

from __future__ import annotations

import struct

from mycorrizal.errors import MessageTooLarge
from mycorrizal.nodosum.calls import OnReply
from mycorrizal.nodosum.link import CALL_ID_BYTES, Link
from mycorrizal.nodosum.wire.compression import COMPRESS_BYTES_MIN
from mycorrizal.nodosum.wire.frame import HEADER
from mycorrizal.nodosum.wire.limits import FRAME_VERSION, MESSAGE_BYTES_MAX, FrameType

#: Headers kept by message length, so that most need no packing.
_HEADS_MAX = 1024


class Channel:
    """
    The sending half of one application id.

    :ivar id: The application id.
    :ivar message_bytes_max: The longest message.
    """

    def __init__(self, application_id: str) -> None:
        self.id = application_id
        self.app_id = application_id.encode()
        self.message_bytes_max = MESSAGE_BYTES_MAX - CALL_ID_BYTES
        self._call_head = struct.Struct(f"<BBIH{len(self.app_id)}sQ").pack
        self._heads: dict[int, bytes] = {}

    def head(self, message_bytes: int) -> bytes:
        """
        The header and id of a message of that length, which is no long one.
        """
        head = self._heads.get(message_bytes)
        if head is None:
            assert message_bytes < COMPRESS_BYTES_MIN
            id_bytes = len(self.app_id)
            length = id_bytes + message_bytes
            head = HEADER.pack(FRAME_VERSION, FrameType.APP, length, id_bytes)
            head += self.app_id
            if len(self._heads) < _HEADS_MAX:
                self._heads[message_bytes] = head
        return head

    def check_size(self, message_bytes: int) -> None:
        """
        :raises MessageTooLarge: A message of that length can't be sent.
        """
        if message_bytes > self.message_bytes_max:
            raise MessageTooLarge(message_bytes, self.message_bytes_max)

    def call(
        self, link: Link, payload: bytes, on_reply: OnReply, deadline: float
    ) -> int:
        """
        Send a request whose answer is given to `on_reply`, without a
        Deferred.

        :param deadline: When it times out, monotonic.
        :return: The call's id; 0 if the queue is full.
        """
        return link.request(self._call_head, self.app_id, payload, on_reply, deadline)
