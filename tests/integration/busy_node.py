"""
A program that embeds a node which never rests.

``busy_node.py SETTINGS``, as JSON: it puts and gets values all the time, and sends
numbered messages to all others. A line on stdin is answered by one on stdout, in
JSON: what it has done so far, and what of it failed. ``reload`` first reads the
files of secrets and certificates again, as SIGHUP does under ``twist``.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater, react
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from mycorrizal import Config, Mycorrizal

BUCKET = "b"
KEYS = 200
#: Loops of puts and gets that go on at once, and what each waits in between.
WORKERS = 4
PAUSE_S = 0.002
#: Each so many values one is long enough to travel in chunks.
LONG_EACH = 50
LONG_BYTES = 200_000


class Busy(LineReceiver):
    """
    A node's work, and what became of it.
    """

    delimiter = b"\n"

    def __init__(self, reactor: Any, node: Mycorrizal) -> None:
        self._reactor = reactor
        self._node = node
        self._done = 0
        self._problems: list[str] = []
        self._next = 0
        self._arrived: dict[str, int] = {}
        self._sent: dict[str, int] = defaultdict(int)
        self._chat = node.register_application("chat")
        self._chat.set_receive_func(self._received)
        node.subscribe(lambda event: self._changed(event))
        self.ended: Deferred[None] = Deferred()

    def _changed(self, event: Any) -> None:
        name = type(event).__name__
        if name != "MemberJoined":
            self._problems.append(f"{name} {event.node.id}")

    def _received(self, payload: bytes, sender: str) -> None:
        number = int(payload)
        expected = self._arrived.get(sender, number - 1) + 1
        if number != expected:
            self._problems.append(f"{number} from {sender}, not {expected}")
        self._arrived[sender] = number

    async def work(self, worker: int) -> None:
        """Put and get, until the process ends."""
        cache, name = self._node.cache(), self._node.node_id
        while True:
            self._next += 1
            key = f"{name}:{worker}:{self._next % KEYS}"
            value = b"%d" % self._next
            if self._next % LONG_EACH == 0:
                value *= LONG_BYTES // len(value)
            try:
                await cache.put(BUCKET, key, value)
                found = await cache.get(BUCKET, key)
                if found != value:
                    self._problems.append(f"{key} is another")
            except Exception as error:
                self._problems.append(repr(error))
            self._done += 1
            await deferLater(self._reactor, PAUSE_S)

    async def talk(self) -> None:
        """Send messages, until the process ends."""
        own = self._node.node_id
        while True:
            for other in self._node.nodes():
                if other.id != own and other.state == "alive":
                    payload = b"%d" % self._sent[other.id]
                    self._sent[other.id] += 1
                    try:
                        self._chat.post(payload, [other.id])
                    except Exception as error:
                        self._problems.append(repr(error))
            await deferLater(self._reactor, PAUSE_S)

    def lineReceived(self, line: bytes) -> None:
        if line == b"reload":
            print("Read again:", self._node.reload(), file=sys.stderr)
        said = {"done": self._done, "problems": self._problems[:9]}
        said["arrived"] = sum(self._arrived.values())
        sys.stdout.write(f"report {json.dumps(said)}\n")
        sys.stdout.flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(None)


async def run(reactor: Any, settings: str) -> None:
    config = json.loads(settings)
    expected = len(config["static"])
    node = Mycorrizal(reactor, Config(**config))
    busy = Busy(reactor, node)
    node.startService()
    await node.when_ready()
    await node.cache().create_bucket(BUCKET, replicas=1)
    while len(node.nodes()) < expected:
        await deferLater(reactor, 0.05)
    sys.stdout.write(f"listens {node.address}\n")
    sys.stdout.flush()
    for worker in range(WORKERS):
        Deferred.fromCoroutine(busy.work(worker))
    Deferred.fromCoroutine(busy.talk())
    StandardIO(busy, reactor=reactor)
    await busy.ended
    await node.stopService()


if __name__ == "__main__":
    globalLogBeginner.beginLoggingTo(
        [textFileLogObserver(sys.stderr)], redirectStandardIO=False
    )
    react(run, sys.argv[1:])
