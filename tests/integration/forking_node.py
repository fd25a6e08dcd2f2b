"""
A program that embeds a node, and forks when it is linked to another one.

``forking_node.py SECRET_FILE LISTEN STATIC STATE_DIR``.  The fork tries all that it
can with the node that it has inherited, prints one line for each, and stays.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from mycorrizal import Config, Mycorrizal

#: It stays longer than the test takes, and not for ever.
STAY_S = 60


def say(line: str) -> None:
    """Print one line at once, in one piece."""
    os.write(1, f"{line}\n".encode())


def outcome(call: Callable[[], Any]) -> str:
    """What comes of a call: the name of what is raised, or fails at once."""
    found: list[str] = []
    try:
        result = call()
        if isinstance(result, Deferred):
            result.addCallbacks(
                lambda value: found.append(repr(value)),
                lambda failure: found.append(failure.type.__name__),
            )
            return found[0] if found else "nothing"
    except Exception as error:
        return type(error).__name__
    return repr(result)


def sockets() -> int:
    """How many sockets this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            pass  # It was that of the directory.
    return found


def in_fork(node: Mycorrizal, before: int) -> None:
    """Try everything, and stay."""
    application, cache = node.get_application("chat"), node.cache()
    calls = {
        "post": lambda: application.post(b"from the fork"),
        "send": lambda: application.send(b"from the fork"),
        "request": lambda: application.request(b"", "other"),
        "get": lambda: cache.get("b", "k"),
        "put": lambda: cache.put("b", "k", b"from the fork"),
        "stop": node.stopService,
    }
    for name, call in calls.items():
        say(f"fork {name} {outcome(call)}")
    say(f"fork sockets {sockets()} of {before}")
    say(f"fork pid {os.getpid()}")
    time.sleep(STAY_S)
    os._exit(0)


async def run(reactor: Any, secret_file: str, *rest: str) -> None:
    """Start the node, fork, and go on."""
    listen, static, state_dir = rest
    config = Config(
        listen=listen,
        static=[static],
        secret=Path(secret_file).read_text(),
        state_dir=state_dir,
        buckets=["b"],
        http="tcp:0",
    )
    node = Mycorrizal(reactor, config)
    application = node.register_application("chat")
    node.startService()
    await node.when_ready()
    await node.cache().put("b", "k", b"from the parent")
    application.post(b"before")
    before = sockets()
    if not os.fork():
        in_fork(node, before)
    for number in range(1_000_000):
        await node.cache().put("b", "k", b"%d" % number)
        if await node.cache().get("b", "k") != b"%d" % number:
            say("parent wrong")
        if number % 20 == 0:
            say(f"parent {number}")
        await deferLater(reactor, 0.01, lambda: None)


if __name__ == "__main__":
    react(lambda *given: Deferred.fromCoroutine(run(*given)), sys.argv[1:])
