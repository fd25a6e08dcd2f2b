# -*- test-case-name: tests.nodosum.test_strangers -*-
"""
Connections that have not proved anything yet, and what is said of them.

The limits protect our memory and never punish an address: strangers, peers
and Pulse may share one (loopback, NAT, pods).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from mycorrizal.nodosum.wire.limits import (
    STRANGER_TABLE_MAX,
    UNAUTHENTICATED_SOCKETS_MAX,
    UNAUTHENTICATED_SOCKETS_PER_ADDRESS_MAX,
)

#: At most one line about each address in this time.
LOG_EVERY_S = 60.0

_Socket = TypeVar("_Socket")


class Strangers(Generic[_Socket]):
    """
    The table of unauthenticated sockets, oldest first.
    """

    def __init__(self) -> None:
        self._sockets: OrderedDict[_Socket, str] = OrderedDict()
        self._trusted: set[_Socket] = set()
        self._spoken: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sockets)

    def sockets(self) -> list[_Socket]:
        """All of them, oldest first."""
        return list(self._sockets)

    def arrived(self, socket: _Socket, host: str) -> _Socket | None:
        """
        A socket was accepted.

        :return: The socket to close instead, if there are too many: the
            address's oldest that has no ticket, or else the oldest of all
            that have none, or else the newcomer.  It is none of ours any
            more, however long its closing takes.
        """
        victim = self._arrived(socket, host)
        if victim is not None:
            self.departed(victim)
        return victim

    def _arrived(self, socket: _Socket, host: str) -> _Socket | None:
        self._sockets[socket] = host
        same_host = [
            other
            for other, other_host in self._sockets.items()
            if other_host == host and other not in self._trusted
        ]
        if len(same_host) > UNAUTHENTICATED_SOCKETS_PER_ADDRESS_MAX:
            return same_host[0]
        if len(self._sockets) <= UNAUTHENTICATED_SOCKETS_MAX:
            return None
        for other in self._sockets:
            if other not in self._trusted:
                return other
        return socket

    def showed_ticket(self, socket: _Socket) -> None:
        """A socket has a ticket that we gave: the address's limit is not its."""
        if socket in self._sockets:
            self._trusted.add(socket)

    def trusts(self, socket: _Socket) -> bool:
        """Whether a socket has shown a ticket."""
        return socket in self._trusted

    def departed(self, socket: _Socket) -> None:
        """A socket was closed, or is no stranger's any more."""
        self._sockets.pop(socket, None)
        self._trusted.discard(socket)

    def may_log(self, host: str, now: float) -> int | None:
        """
        Whether a line about an address may be logged.

        :return: None if not; else how many were left out since the last one.
        """
        last, left_out = self._spoken.get(host, (float("-inf"), 0))
        if now - last < LOG_EVERY_S:
            self._spoken[host] = (last, left_out + 1)
            return None
        self._spoken[host] = (now, 0)
        self._spoken.move_to_end(host)
        if len(self._spoken) > STRANGER_TABLE_MAX:
            self._spoken.popitem(last=False)
        return left_out
