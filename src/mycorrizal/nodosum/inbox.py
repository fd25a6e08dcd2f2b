# -*- test-case-name: tests.nodosum.test_inbox -*-
"""
Messages of one sender that wait for a slow receive function.
"""

from __future__ import annotations

#: Beyond either bound a message is dropped: one slow application must not
#: stop its link, heartbeats included.
INBOX_MESSAGES_MAX = 1024
INBOX_BYTES_MAX = 8 * 1024 * 1024


class Inbox:
    """
    A bounded queue of messages.
    """

    __slots__ = ("_messages", "_bytes")

    def __init__(self) -> None:
        self._messages: list[bytes] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, payload: bytes) -> bool:
        """
        Add a message.

        :return: False if it is full; the message was not added.
        """
        if (
            len(self._messages) >= INBOX_MESSAGES_MAX
            or self._bytes + len(payload) > INBOX_BYTES_MAX
        ):
            return False
        self._messages.append(payload)
        self._bytes += len(payload)
        return True

    def take(self) -> list[bytes]:
        """All messages, oldest first; the inbox is empty then."""
        messages, self._messages, self._bytes = self._messages, [], 0
        return messages
