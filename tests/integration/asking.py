"""
Asking nodes of other processes: as Pulse does, or by a node in this process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

from twisted.internet.defer import Deferred, gatherResults

from mycorrizal import Config, Mycorrizal
from mycorrizal.nodosum import KeyRing, derive_key
from mycorrizal.pulse.client import PulseClient
from mycorrizal.pulse.messages import AskStatus, Question, Reply, Status
from mycorrizal.runtime import Runtime
from mycorrizal.settings import parse_address

T = TypeVar("T")


async def all_of(waited_for: Iterable[Deferred[T]]) -> list[T]:
    """What all of them fire with; the first failure fails this."""
    found: list[T] = await gatherResults(list(waited_for), consumeErrors=True)
    return found


async def asked(
    address: str, secret: str, questions: Iterable[Question]
) -> list[Reply]:
    """What one node answers, over one connection, all asked at once."""
    from twisted.internet import reactor

    client = PulseClient(
        Runtime.of(reactor),
        parse_address(address, "node"),
        KeyRing([derive_key(secret, "mycorrizal")]),
    )
    await client.connect(10.0)
    try:
        return await all_of(client.ask(question, 20.0) for question in questions)
    finally:
        await client.close()


async def status_of(address: str, secret: str) -> Status:
    """How a node says it is."""
    (status,) = await asked(address, secret, [AskStatus()])
    assert isinstance(status, Status)
    return status


@asynccontextmanager
async def embedded(*static: str, secret: str) -> AsyncIterator[Mycorrizal]:
    """A node in this process, ready, which leaves in good order."""
    from twisted.internet import reactor

    node = Mycorrizal(
        reactor, Config(listen="127.0.0.1:0", static=static, secret=secret)
    )
    node.startService()
    try:
        await node.when_ready()
        yield node
    finally:
        await node.stopService()
