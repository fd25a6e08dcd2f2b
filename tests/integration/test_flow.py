"""
Long messages over real connections.
"""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from mycorrizal import Application, Config, Mycorrizal
from mycorrizal.nodosum.protocol import UNREAD_BYTES_MAX, UNSENT_BYTES_MAX
from mycorrizal.nodosum.wire.limits import MESSAGE_BYTES_MAX

SECRET = "correct horse battery staple"
MIB = 1024 * 1024
#: Far above what a quiet machine shows, as this one may have other work.
ARRIVAL_S_MAX = 60.0


class Receiver:
    """A receive function that keeps what it gets, and tells when it was enough."""

    def __init__(self, count: int) -> None:
        self.got: list[bytes] = []
        self.all: Deferred[None] = Deferred()
        self._count = count

    def __call__(self, payload: bytes, sender: str) -> None:
        self.got.append(payload)
        if len(self.got) == self._count:
            self.all.callback(None)


@asynccontextmanager
async def two_nodes(
    **settings: Any,
) -> AsyncIterator[tuple[Mycorrizal, Mycorrizal, Application, Application]]:
    """Nodes a and b, which are linked, and their applications."""
    from twisted.internet import reactor

    nodes: list[Mycorrizal] = []
    applications: list[Application] = []
    static: list[str] = []
    try:
        for name in "ab":
            config = Config(
                listen="127.0.0.1:0",
                node_id=name,
                secret=SECRET,
                static=static,
                **settings,
            )
            node = Mycorrizal(reactor, config)
            applications.append(node.register_application("chat"))
            nodes.append(node)
            node.startService()
            await node.when_ready()
            static = [one.address for one in node.nodes() if one.id == name]
        yield nodes[0], nodes[1], applications[0], applications[1]
    finally:
        for node in reversed(nodes):
            await node.stopService()


@pytest.mark.parametrize("tls", ["off", "auto"])
@pytest_twisted.ensureDeferred
async def test_long_messages(tls: str) -> None:
    """Messages up to the longest arrive, in order, whatever they are made of."""
    from twisted.internet import reactor

    noise = random.Random(1).randbytes(8 * MIB)
    sent = [
        b"first", noise, b"x" * 3 * MIB, noise[:65_537], b"y" * 51_200,
        bytes(MESSAGE_BYTES_MAX - 8), noise[:MIB] * 60, b"last",
    ]  # fmt: skip
    async with two_nodes(tls=tls) as (_, _, a, b):
        receiver = Receiver(len(sent))
        b.set_receive_func(receiver)
        b.set_request_func(lambda payload, _: payload[::-1])
        for payload in sent:
            await a.send(payload, ["b"])
        await receiver.all.addTimeout(ARRIVAL_S_MAX, reactor)
        assert receiver.got == sent
        answer = await a.request(noise, "b", timeout_s=ARRIVAL_S_MAX)
        assert answer == noise[::-1]


@pytest_twisted.ensureDeferred
async def test_what_the_system_holds() -> None:
    """The system is told to hold little of a link's bytes (F32)."""
    async with two_nodes() as (first, second, *_):
        for node in (first, second):
            (protocol,) = node.nodosum.mesh.admission.connections
            transport: Any = protocol.transport
            handle = transport.getHandle()
            unsent = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
            clamp = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP)
            assert unsent == UNSENT_BYTES_MAX
            assert clamp <= UNREAD_BYTES_MAX


@pytest_twisted.ensureDeferred
async def test_requests_during_a_transfer() -> None:
    """Another application's requests are answered while 60 MiB are on the way."""
    from twisted.internet import reactor

    noise = random.Random(1).randbytes(MIB) * 60
    async with two_nodes(tls="off") as (first, second, a, b):
        receiver = Receiver(1)
        b.set_receive_func(receiver)
        quick = first.register_application("quick")
        second.register_application("quick").set_request_func(
            lambda payload, _: payload
        )
        a.post(noise, ["b"])
        answered = 0
        while not receiver.all.called:
            payload = b"%d" % answered
            assert await quick.request(payload, "b", timeout_s=20) == payload
            answered += 1
        await receiver.all.addTimeout(ARRIVAL_S_MAX, reactor)
        print(f"\n{answered} requests were answered during the transfer")
        assert answered > 20
        assert receiver.got == [noise]
