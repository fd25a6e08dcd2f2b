"""
A chat across processes: each line from stdin goes to all others.

Make a secret, and start one of these in each of three terminals::

    (umask 077; pulse secret new > chat.secret)
    export MYCORRIZAL_SECRET_FILE=chat.secret

    python examples/chat.py ada   127.0.0.1:7101
    python examples/chat.py grace 127.0.0.1:7102 127.0.0.1:7101
    python examples/chat.py edith 127.0.0.1:7103 127.0.0.1:7101

The first argument is a name, the second where to listen, the rest where to
look for others: one that runs is enough, and they share what they know.
End of input, or Ctrl-C, leaves the chat.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from mycorrizal import Config, MemberEvent, MemberJoined, Mycorrizal, MycorrizalError


class Keyboard(LineReceiver):
    """
    The lines of stdin.

    :ivar ended: Fires at the end of input.
    """

    delimiter = b"\n"

    def __init__(self, said: Callable[[bytes], None]) -> None:
        self.ended: Deferred[None] = Deferred()
        self._said = said

    def lineReceived(self, line: bytes) -> None:
        self._said(line)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(None)


def show(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


async def chat(reactor: Any, name: str, listen: str, *others: str) -> None:
    """Take part in the chat until the input ends."""
    config = Config.from_sources(
        environment=os.environ,
        options={"node_id": name, "listen": listen, "static": others},
    )
    node = Mycorrizal(reactor, config)
    room = node.register_application("chat")

    def heard(line: bytes, sender: str) -> None:
        show(f"{sender}: {line.decode(errors='replace')}")

    def said(line: bytes) -> None:
        try:
            room.post(line)
        except MycorrizalError as error:
            show(f"* not everybody got that: {error}")

    def came_or_went(event: MemberEvent) -> None:
        verb = "came" if isinstance(event, MemberJoined) else "went"
        show(f"* {event.node.id} {verb}")

    room.set_receive_func(heard)
    node.subscribe(came_or_went)
    # Ctrl-C: say goodbye before the reactor stops.
    reactor.addSystemEventTrigger("before", "shutdown", node.stopService)
    node.startService()
    await node.when_ready()
    show(f"* {len(node.nodes()) - 1} others are here")
    keyboard = Keyboard(said)
    StandardIO(keyboard, reactor=reactor)
    await keyboard.ended
    await node.stopService()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: chat.py NAME HOST:PORT [HOST:PORT ...]")
    react(chat, sys.argv[1:])
