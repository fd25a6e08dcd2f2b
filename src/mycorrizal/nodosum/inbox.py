# -*- test-case-name: tests.nodosum.test_inbox -*-
"""
What one sender has sent to an application that takes its time.
"""

from __future__ import annotations

from typing import Any

#: Beyond either bound a message is dropped: one slow application must not
#: stop its link, heartbeats included.  (A message alone may be longer.)
INBOX_MESSAGES_MAX = 1024
INBOX_BYTES_MAX = 8 * 1024 * 1024
#: Requests of one peer that an application works on at once, and what they may
#: have in all; for more it is busy.  (A request alone may be longer.)
SERVING_MAX = 1024
SERVING_BYTES_MAX = 8 * 1024 * 1024


class Inbox:
    """
    A bounded queue of messages that wait for a slow receive function.
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
        if self._messages and (
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


class Serving:
    """
    The requests of one peer that an application works on.
    """

    __slots__ = ("_answers", "_bytes")

    def __init__(self) -> None:
        self._answers: dict[int, tuple[Any, int]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def full(self, request_bytes: int) -> bool:
        """Whether a request of that length is one too many."""
        return bool(self._answers) and (
            len(self._answers) >= SERVING_MAX
            or self._bytes + request_bytes > SERVING_BYTES_MAX
        )

    def add(self, call_id: int, answer: Any, request_bytes: int) -> None:
        """
        :param answer: The Deferred that the answer will come from.
        """
        self._answers[call_id] = (answer, request_bytes)
        self._bytes += request_bytes

    def pop(self, call_id: int) -> Any:
        """One is answered, or nobody waits for it; its Deferred, or None."""
        answer, request_bytes = self._answers.pop(call_id, (None, 0))
        self._bytes -= request_bytes
        return answer
