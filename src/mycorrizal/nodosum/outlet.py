# -*- test-case-name: tests.nodosum.test_outlet -*-
"""
The writing end of a connection, which does not wait for the reactor's next turn.
"""

from __future__ import annotations

from typing import Any, Final

#: What is tried to be sent before it is handed to the transport; longer data
#: fills the socket in any case.
DIRECT_BYTES_MAX: Final = 64 * 1024


def outlet(clear: Any, raw: Any) -> Any:
    """
    What a link writes to.

    :param clear: The transport of clear bytes.
    :param raw: The transport of the connection: the same, or what TLS is upon.
    :return: A `PlainOutlet` or an `Outlet`, or `clear` itself if its connection is
        no socket that can be told to send now.
    """
    if not hasattr(raw, "doWrite") or not hasattr(raw, "writeSomeData"):
        return clear
    return PlainOutlet(raw) if clear is raw else Outlet(clear, raw)


class Outlet:
    """
    The writing end of a TLS session upon a TCP connection.

    Twisted's transports send in the reactor's next turn: after two changes of
    what is polled for and a poll, which take longer than to send a short frame.

    :param clear: The session.
    :param raw: The connection.
    """

    __slots__ = ("_clear", "_raw")

    def __init__(self, clear: Any, raw: Any) -> None:
        self._clear = clear
        self._raw = raw

    def write(self, data: bytes) -> None:
        """Write; what is short is sent by `push`."""
        self._clear.write(data)

    def push(self) -> None:
        """
        Send now what the transport holds, as far as the socket takes it; what
        goes wrong is left to the reactor, which tries again.
        """
        raw = self._raw
        # One that is closing is the reactor's, which has to see the end.
        if raw.connected and not raw.disconnecting:
            raw.doWrite()

    def unregisterProducer(self) -> None:
        """As of the transport."""
        self._clear.unregisterProducer()

    def loseConnection(self) -> None:
        """As of the transport."""
        self._clear.loseConnection()

    def abortConnection(self) -> None:
        """As of the transport."""
        self._clear.abortConnection()


class PlainOutlet(Outlet):
    """
    The writing end of a plain TCP connection.

    Nobody else may write to it.
    """

    __slots__ = ("_empty",)

    def __init__(self, raw: Any) -> None:
        super().__init__(raw, raw)
        #: Whether the transport is known to hold nothing.
        self._empty = False

    def write(self, data: bytes) -> None:
        """Send what is short, as far as the socket takes it; the rest waits."""
        raw = self._raw
        if self._empty and len(data) <= DIRECT_BYTES_MAX:
            sent = raw.writeSomeData(data) if raw.connected else 0
            if sent == len(data):
                return
            if isinstance(sent, int):
                data = data[sent:]
        self._empty = False
        raw.write(data)

    def push(self) -> None:
        """As of `Outlet`."""
        raw = self._raw
        if not self._empty and raw.connected and not raw.disconnecting:
            failed = raw.doWrite()
            self._empty = failed is None and not raw.dataBuffer
