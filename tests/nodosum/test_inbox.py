"""
Messages that wait for a slow receive function.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.inbox import INBOX_BYTES_MAX, INBOX_MESSAGES_MAX, Inbox


class InboxTests(SynchronousTestCase):
    """One sender's messages."""

    def test_order(self) -> None:
        """Messages come out in the order in which they came in."""
        inbox = Inbox()
        for at in range(3):
            self.assertTrue(inbox.put(bytes([at])))
        self.assertEqual(len(inbox), 3)
        self.assertEqual(inbox.take(), [b"\0", b"\1", b"\2"])
        self.assertEqual((inbox.take(), len(inbox)), ([], 0))

    def test_messages_at_the_bound(self) -> None:
        """1,024 messages fit, one more does not, not even an empty one."""
        inbox = Inbox()
        for _ in range(INBOX_MESSAGES_MAX):
            self.assertTrue(inbox.put(b""))
        self.assertFalse(inbox.put(b""))
        self.assertEqual(len(inbox), INBOX_MESSAGES_MAX)

    def test_bytes_at_the_bound(self) -> None:
        """8 MiB fit, one byte more does not; smaller messages still do."""
        inbox, half = Inbox(), bytes(INBOX_BYTES_MAX // 2)
        self.assertTrue(inbox.put(half))
        self.assertFalse(inbox.put(half + b"x"))
        self.assertTrue(inbox.put(half))
        self.assertFalse(inbox.put(b"x"))
        self.assertTrue(inbox.put(b""))

    def test_room_again(self) -> None:
        """What was taken out makes room."""
        inbox, whole = Inbox(), bytes(INBOX_BYTES_MAX)
        for _ in range(2):
            self.assertTrue(inbox.put(whole))
            self.assertFalse(inbox.put(b"x"))
            inbox.take()
