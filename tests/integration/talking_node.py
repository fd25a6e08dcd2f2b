"""
A program that embeds a node and talks to another one.

``talking_node.py SECRET_FILE answer``: answers, and counts the messages that
come in order; ``talking_node.py SECRET_FILE ask ADDRESS``: asks the node there
all the time, and says after each line on stdin how long the answers took;
``talking_node.py SECRET_FILE post ADDRESS COUNT``: sends so many messages.
Each line that it prints begins with a word and goes on with JSON.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater, react
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from mycorrizal import Application, Config, Mycorrizal, PeerBusy

APPLICATION_ID = "talk"
MESSAGE_BYTES = 100
NUMBER = struct.Struct("<Q")
#: Between an answer and the next question.
ASK_PAUSE_S = 0.004
#: Messages in one turn of the reactor.
TURN_MESSAGES = 500


def say(word: str, what: Any) -> None:
    """Print one line."""
    sys.stdout.write(f"{word} {json.dumps(what)}\n")
    sys.stdout.flush()


def message(number: int) -> bytes:
    """The message of that number."""
    return NUMBER.pack(number) * (MESSAGE_BYTES // NUMBER.size) + bytes(
        MESSAGE_BYTES % NUMBER.size
    )


class Arrivals:
    """What has come: how many, and the first that was not what it should be."""

    def __init__(self) -> None:
        self.count = 0
        self.wrong: int | None = None

    def __call__(self, payload: bytes, sender: str) -> None:
        if payload != message(self.count) and self.wrong is None:
            self.wrong = self.count
        self.count += 1

    def answer(self, payload: bytes, sender: str) -> bytes:
        """Answer: with what came since the beginning, or the same bytes again."""
        if payload == b"begin":
            self.count, self.wrong = 0, None
        if payload == b"arrived?":
            return json.dumps([self.count, self.wrong]).encode()
        return payload


class Asking(LineReceiver):
    """Asks one node again and again; each line on stdin is asked for a report."""

    delimiter = b"\n"

    def __init__(self, application: Application, node_id: str, reactor: Any) -> None:
        self._application = application
        self._node_id = node_id
        self._reactor = reactor
        self._times_ms: list[float] = []
        self._failures: list[str] = []
        self.ended: Deferred[None] = Deferred()

    async def ask(self) -> None:
        """Ask until the process ends."""
        while True:
            sent_at = time.perf_counter()
            try:
                await self._application.request(b"ping", self._node_id)
            except Exception as error:
                self._failures.append(repr(error))
            self._times_ms.append((time.perf_counter() - sent_at) * 1000)
            await deferLater(self._reactor, ASK_PAUSE_S)

    def lineReceived(self, line: bytes) -> None:
        times_ms, self._times_ms = sorted(self._times_ms), []
        failures, self._failures = self._failures, []
        report = {
            "count": len(times_ms),
            "p50_ms": times_ms[len(times_ms) // 2] if times_ms else 0.0,
            "p99_ms": times_ms[len(times_ms) * 99 // 100] if times_ms else 0.0,
            "max_ms": times_ms[-1] if times_ms else 0.0,
            "failures": failures,
        }
        say(line.decode(), report)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(None)


async def send_all(
    reactor: Any, application: Application, node_id: str, count: int
) -> None:
    """Send the messages, as fast as they are taken."""
    number = 0
    while number < count:
        try:
            for _ in range(min(TURN_MESSAGES, count - number) - 1):
                application.post(message(number), [node_id])
                number += 1
            await application.send(message(number), [node_id])
            number += 1
        except PeerBusy:
            await deferLater(reactor, 0.001)


async def run(reactor: Any, secret: str, role: str, *rest: str) -> None:
    node = Mycorrizal(
        reactor,
        Config(listen="127.0.0.1:0", node_id=role, secret=secret, static=rest[:1]),
    )
    application = node.register_application(APPLICATION_ID)
    arrivals = Arrivals()
    application.set_receive_func(arrivals)
    application.set_request_func(arrivals.answer)
    node.subscribe(lambda event: say(type(event).__name__, event.node.id))
    node.startService()
    await node.when_ready()
    say("listens", node.address)
    if role == "ask":
        asking = Asking(application, "answer", reactor)
        Deferred.fromCoroutine(asking.ask())
        StandardIO(asking, reactor=reactor)
        await asking.ended
    elif role == "post":
        await application.request(b"begin", "answer")
        began_at = time.perf_counter()
        await send_all(reactor, application, "answer", int(rest[1]))
        answer = b""
        while not answer.startswith(f"[{rest[1]},".encode()):
            answer = await application.request(b"arrived?", "answer")
        elapsed_s = time.perf_counter() - began_at
        say("arrived", [*json.loads(answer), elapsed_s])
    else:
        await Deferred()
    await node.stopService()


if __name__ == "__main__":
    globalLogBeginner.beginLoggingTo(
        [textFileLogObserver(sys.stderr)], redirectStandardIO=False
    )
    react(run, [Path(sys.argv[1]).read_text().strip(), *sys.argv[2:]])
