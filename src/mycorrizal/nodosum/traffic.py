# -*- test-case-name: tests.nodosum.test_traffic -*-
"""
How much has gone over a link.
"""

from __future__ import annotations


class Traffic:
    """
    Counts of one link, or of several, which only grow.

    They are counted by reads and writes, not by frames, so that they cost the
    frames next to nothing.

    :ivar received_bytes: That came, TLS taken off.
    :ivar received_frames: That came whole.
    :ivar sent_bytes: That were handed to the transport, before TLS.
    :ivar sent_frames: In those bytes.
    """

    __slots__ = ("received_bytes", "received_frames", "sent_bytes", "sent_frames")

    def __init__(self) -> None:
        self.received_bytes = self.received_frames = 0
        self.sent_bytes = self.sent_frames = 0

    def add(self, other: Traffic) -> None:
        """Count what another one has counted."""
        self.received_bytes += other.received_bytes
        self.received_frames += other.received_frames
        self.sent_bytes += other.sent_bytes
        self.sent_frames += other.sent_frames
