"""
Stopping leaves nothing behind: no timer, port, connection or unfired Deferred.
"""

from __future__ import annotations

import gc
import os
import socket
import time
from collections import Counter
from contextlib import closing
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mycorrizal import CannotListen, Config, Mycorrizal, MycorrizalError, NotRunning
from tests.integration.asking import all_of, embedded
from tests.integration.processes import Crew

UNFIRED = "unfired Deferred"
SECRET = "correct horse battery staple"


def left_over() -> Counter[str]:
    """What the reactor, the system and the memory of this process hold."""
    from twisted.internet import reactor

    gc.collect()
    found: Counter[str] = Counter()
    world: Any = reactor
    # The text of a call names the time that is left, so it is never the same.
    found.update(
        f"delayed call {call.func} {id(call):x}" for call in world.getDelayedCalls()
    )
    found.update(f"reader {reader}" for reader in world.getReaders())
    found.update(f"writer {writer}" for writer in world.getWriters())
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found[f"open {os.readlink(f'/proc/self/fd/{descriptor}')}"] += 1
        except FileNotFoundError:
            pass  # That of the listing itself.
    for thing in gc.get_objects():
        if isinstance(thing, Deferred) and not thing.called:
            found[UNFIRED] += 1
    return found


class Before:
    """What was there before, to compare with."""

    def __init__(self) -> None:
        self._found = left_over()

    async def compare(self, lookups_s: float = 0.0) -> None:
        """
        Nothing has come to it since.

        :param lookups_s: How long a thread that looks a name up, and can't be
            interrupted, may still be at it.
        """
        from twisted.internet import reactor

        ends_at = time.monotonic() + lookups_s
        while True:
            # What was fired in this turn of the reactor is forgotten in the next.
            await deferLater(reactor, 0)
            new = left_over() - self._found
            if set(new) != {UNFIRED} or time.monotonic() > ends_at:
                break
        assert not new, "\n".join(f"{count} x {what}" for what, count in new.items())


def make(*static: str, **settings: Any) -> Mycorrizal:
    """A node in this process that was not started."""
    from twisted.internet import reactor

    config = Config(listen="127.0.0.1:0", static=static, secret=SECRET, **settings)
    return Mycorrizal(reactor, config)


async def failure_of(waited_for: Deferred[Any]) -> BaseException:
    """The error that it fails with."""
    try:
        await waited_for
    except MycorrizalError as error:
        return error
    raise AssertionError("it did not fail")


@pytest_twisted.ensureDeferred
async def test_stop_leaves_nothing() -> None:
    """After two nodes that worked have stopped, all is as before (F57)."""
    async with embedded(secret=SECRET) as first:
        await all_of([first.when_ready()])
    before = Before()
    async with embedded(secret=SECRET) as first:
        async with embedded(first.address, secret=SECRET) as second:
            await second.cache().create_bucket("s")
            await all_of(second.cache().put("s", f"{n}", b"v") for n in range(100))
            echo = first.register_application("echo")
            echo.set_request_func(lambda payload, sender: payload)
            asking = second.register_application("echo")
            assert await asking.request(b"a", first.node_id) == b"a"
        assert await first.cache().get("s", "1") == b"v"
    await before.compare()


@pytest_twisted.ensureDeferred
async def test_stop_fails_all_that_waits() -> None:
    """Whoever waits for something when the node stops is told so."""
    before = Before()
    async with embedded(secret=SECRET) as first:
        never: Deferred[bytes] = Deferred()
        answering = first.register_application("slow")
        waiting = [never]
        answering.set_request_func(lambda payload, sender: waiting[0])
        second = make(first.address)
        second.startService()
        await second.when_ready()
        request = second.register_application("slow").request(b"", first.node_id)
        subscribed = second.subscribe(lambda event: None)
        ready = second.when_ready()
        await ready
        await all_of([second.stopService(), second.stopService()])
        assert isinstance(await failure_of(request), MycorrizalError)
        assert isinstance(await failure_of(second.when_ready()), NotRunning)
        assert isinstance(await failure_of(second.cache().get("s", "k")), NotRunning)
        subscribed()
        never.addErrback(lambda _: None)
        never.cancel()
    del never, waiting[:], request, ready, answering, second, first
    await before.compare()


@pytest_twisted.ensureDeferred
async def test_stop_before_it_is_ready() -> None:
    """A node that still looks for others stops at once."""
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent_address = f"127.0.0.1:{silent.getsockname()[1]}"
        before = Before()
        for hello in ("udp", "tcp"):
            node = make(silent_address, "localhost:1", hello=hello)
            node.startService()
            ready = node.when_ready()
            await node.stopService()
            assert isinstance(await failure_of(ready), NotRunning)
        del node, ready
        await before.compare(lookups_s=5.0)


@pytest_twisted.ensureDeferred
async def test_stop_while_strangers_are_connected() -> None:
    """Connections that say nothing, and peers in a handshake, are closed too."""
    before = Before()
    async with embedded(secret=SECRET) as node:
        host, _, port = node.address.rpartition(":")
        strangers = [socket.create_connection((host, int(port))) for _ in range(5)]
        # So that they are accepted, and not only by the system.
        await all_of([node.when_ready()])
    for stranger in strangers:
        stranger.settimeout(5)
        with pytest.raises(ConnectionError):
            if not stranger.recv(1):
                raise ConnectionError
        stranger.close()
    del strangers, node
    await before.compare()


@pytest_twisted.ensureDeferred
async def test_stop_of_a_node_that_could_not_listen() -> None:
    """A busy port is an error at once, and leaves nothing either."""
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        before = Before()
        from twisted.internet import reactor

        address = f"127.0.0.1:{other.getsockname()[1]}"
        node = Mycorrizal(reactor, Config(listen=address, secret=SECRET))
        with pytest.raises(CannotListen):
            node.startService()
        assert isinstance(await failure_of(node.when_ready()), CannotListen)
        del node
        await before.compare()


@pytest_twisted.ensureDeferred
async def test_state_directory_is_free_again(crew: Crew) -> None:
    """A node that stopped has let go of its place; the next one has its id."""
    from twisted.internet import reactor

    settings: dict[str, Any] = {"secret": SECRET, "state_dir": str(crew.state_dir)}
    first = Mycorrizal(reactor, Config(listen="127.0.0.1:7001", **settings))
    await first.stopService()
    second = Mycorrizal(reactor, Config(listen="127.0.0.1:7001", **settings))
    assert second.node_id == first.node_id
    await second.stopService()
