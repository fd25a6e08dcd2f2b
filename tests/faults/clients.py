"""
Clients that keep a cluster busy: connections of Pulse, which are no members.

Each goes to another node when its own doesn't answer.  Each key is written by
one client alone, one write at a time, and read by all.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import LoopingCall, deferLater

from mycorrizal.errors import LocalProtocolError, MycorrizalError, NotRunning, PeerBusy
from mycorrizal.nodosum import KeyRing, derive_key
from mycorrizal.pulse.client import PulseClient
from mycorrizal.pulse.messages import (
    AskDelete,
    AskGet,
    AskPut,
    AskStatus,
    Failed,
    Ok,
    Only,
    Status,
    Value,
)
from mycorrizal.runtime import Runtime
from mycorrizal.settings import parse_address
from mycorrizal.testing.history import FAIL, INFO, OK, PUTS
from tests.faults.journal import BUCKET, Journal

KEYS_PER_CLIENT = 40
#: Of a hundred operations 28 read, 65 put and 7 delete.
READ_SHARE = 0.28
#: Of what puts, these shares do so only if there is no value, or if there is one.
ADD_SHARE = 0.1
REPLACE_SHARE = 0.1
DELETE_ABOVE = 0.93
#: How long a client waits for an answer, longer than the node's own 5 s.
ASK_TIMEOUT_S = 6.0
#: Operations of one client that are under way; beyond it, none is begun.
UNDER_WAY_MAX = 60
#: Pause before the next node is tried.
RECONNECT_S = 0.1
#: A node that has not connected by then is left.
CONNECT_TIMEOUT_S = 1.0
#: What is put with a value, so that links have something to carry.
PADDING_BYTES_MAX = 2048
#: Times to live of the keys that have one.
TTLS_S = (1.0, 2.0, 4.0)
#: Questions of one connection that wait for their answers, where there are many.
ASKED_AT_ONCE = 200
#: How each kind of put is asked for.
_ONLY: dict[str, Only] = {"put": "", "add": "add", "replace": "replace"}
#: Errors of a node after which nothing was written.
_HARMLESS = {"UnknownBucket", "KeyTooLarge", "ValueTooLarge", "PeerBusy"}


Elsewhere = Callable[[PulseClient], Awaitable[PulseClient]]


class Access:
    """
    How nodes are asked: the reactor, and the secret that all share.
    """

    def __init__(self, reactor: Any, secret: str) -> None:
        self.reactor = reactor
        self._runtime = Runtime.of(reactor)
        self._keys = KeyRing([derive_key(secret, "mycorrizal")])

    def client(self, address: str) -> PulseClient:
        """A connection to a node, not yet connected."""
        return PulseClient(self._runtime, parse_address(address, "node"), self._keys)

    async def status(self, address: str, timeout_s: float = 3.0) -> Status | None:
        """How a node is; None if it doesn't say."""
        client = self.client(address)
        try:
            await client.connect(timeout_s)
            status = await client.ask(AskStatus(), timeout_s)
        except MycorrizalError:
            return None
        finally:
            client.abort()
        return status if isinstance(status, Status) else None

    async def fill(self, address: str, keys: Sequence[str]) -> None:
        """Put a value under each of many keys through one node."""
        await self._all(address, [AskPut(BUCKET, key, b"x" * 100, 0) for key in keys])

    async def count(self, address: str, keys: Sequence[str]) -> int:
        """How many of these keys have a value, asked through one node."""
        replies = await self._all(address, [AskGet(BUCKET, key) for key in keys])
        return sum(isinstance(it, Value) and it.value is not None for it in replies)

    async def _all(self, address: str, questions: Sequence[Any]) -> list[Any]:
        client, replies = self.client(address), list[Any]()
        try:
            await client.connect(5.0)
            for begin in range(0, len(questions), ASKED_AT_ONCE):
                asked = [
                    client.ask(question, ASK_TIMEOUT_S)
                    for question in questions[begin : begin + ASKED_AT_ONCE]
                ]
                replies += await gatherResults(asked, consumeErrors=True)
        finally:
            client.abort()
        return replies

    async def sweep(
        self, name: str, address: str, keys: Sequence[str], journal: Journal
    ) -> None:
        """Read all keys through one node."""
        client = self.client(address)
        try:
            await client.connect(5.0)
            reads = [
                Deferred.fromCoroutine(ask(client, journal, name, "get", key))
                for key in keys
            ]
            await DeferredList(reads)
        except MycorrizalError as error:
            journal.event(f"no sweep through {address}: {error}")
        finally:
            client.abort()


async def ask(
    client: PulseClient,
    journal: Journal,
    name: str,
    op: str,
    key: str,
    value: str | None = None,
    ttl_s: float | None = None,
    elsewhere: Elsewhere | None = None,
) -> bool:
    """
    Ask one thing, and record it.

    :param elsewhere: Another connection, for a read that a node refuses because
        it is being stopped.
    :return: Whether the connection is still good.
    """
    question: AskGet | AskPut | AskDelete = AskGet(BUCKET, key)
    if op in PUTS:
        data = f"{value}|".encode() + bytes(len(journal.records) % PADDING_BYTES_MAX)
        question = AskPut(BUCKET, key, data, ttl_s or 0, _ONLY[op])
    elif op == "delete":
        question = AskDelete(BUCKET, key)
    number = journal.begin(name, op, key, value, ttl_s=ttl_s, timeout_s=ASK_TIMEOUT_S)
    try:
        if op == "get" and elsewhere is not None:
            reply = await _read(client, question, elsewhere)
        else:
            reply = await client.ask(question, ASK_TIMEOUT_S)
    except MycorrizalError as error:
        # With some errors nothing was sent; a read never has an effect.
        sent = not isinstance(error, (NotRunning, LocalProtocolError, PeerBusy))
        outcome = INFO if sent and op != "get" else FAIL
        journal.end(number, outcome, error=type(error).__name__)
        return False
    if isinstance(reply, Failed):
        harmless = op == "get" or reply.error in _HARMLESS
        journal.end(number, FAIL if harmless else INFO, error=reply.error)
    elif isinstance(reply, Value):
        held = reply.value
        found = None if held is None else held.partition(b"|")[0].decode()
        journal.end(number, OK, value=found)
    elif isinstance(reply, Ok):
        journal.end(number, OK, copies=reply.copies, existed=reply.existed)
    else:
        journal.end(number, INFO, error=f"answered {reply}")
    return True


async def _read(client: PulseClient, question: Any, elsewhere: Elsewhere) -> Any:
    """Read at a node that is not being stopped."""
    while True:
        try:
            reply = await client.ask(question, ASK_TIMEOUT_S)
        except NotRunning:
            reply = Failed(NotRunning.__name__, "")
        if not isinstance(reply, Failed) or reply.error != NotRunning.__name__:
            return reply
        client = await elsewhere(client)


class Client:
    """
    One client at one node, the next if that one fails.

    :param addresses: Of the nodes; it begins at that of its own number.
    """

    def __init__(
        self,
        access: Access,
        addresses: Sequence[str],
        number: int,
        keys: Sequence[str],
        journal: Journal,
        random: Random,
    ) -> None:
        own = slice(number * KEYS_PER_CLIENT, (number + 1) * KEYS_PER_CLIENT)
        self.name = f"client-{number}"
        self.latencies_s: list[float] = []
        self.connects = 0
        self._access = access
        self._addresses = itertools.cycle(
            addresses[(number + turn) % len(addresses)]
            for turn in range(len(addresses))
        )
        self._own, self._all = keys[own], keys
        self._journal = journal
        self._random = random
        self._sequence = itertools.count(1)
        self._writing: set[str] = set()
        self._under_way: set[Deferred[None]] = set()
        self._client: PulseClient | None = None
        self._connecting = False

    def tick(self) -> None:
        """Begin one operation, if it is connected."""
        client = self._client
        if client is None:
            if not self._connecting:
                self._connecting = True
                Deferred.fromCoroutine(self._connect())
            return
        if len(self._under_way) >= UNDER_WAY_MAX:
            return
        draw = self._random.random()
        key = self._random.choice(self._own)
        if draw < READ_SHARE or key in self._writing:
            operation = self._get(client)
        else:
            operation = self._write(client, key, self._kind(draw))
        done = Deferred.fromCoroutine(operation)
        self._under_way.add(done)
        done.addBoth(lambda _: self._under_way.discard(done))

    def _kind(self, draw: float) -> str:
        if draw > DELETE_ABOVE:
            return "delete"
        draw = (draw - READ_SHARE) / (DELETE_ABOVE - READ_SHARE)
        if draw < ADD_SHARE:
            return "add"
        return "replace" if draw < ADD_SHARE + REPLACE_SHARE else "put"

    async def _connect(self) -> None:
        client = self._access.client(next(self._addresses))
        try:
            await client.connect(CONNECT_TIMEOUT_S)
        except MycorrizalError:
            await deferLater(self._access.reactor, RECONNECT_S)
        else:
            self.connects += 1
            self._client = client
        self._connecting = False

    def _lost(self, client: PulseClient) -> None:
        if self._client is client:
            self._client = None
            client.abort()

    async def _elsewhere(self, client: PulseClient) -> PulseClient:
        """
        Go to the next node; this one is being stopped.

        :raises MycorrizalError: No other takes us.
        """
        self._lost(client)
        until = time.monotonic() + ASK_TIMEOUT_S
        while self._client is None:
            if time.monotonic() > until:
                raise MycorrizalError("no node takes us")
            await deferLater(self._access.reactor, RECONNECT_S)
        return self._client

    async def _get(self, client: PulseClient) -> None:
        key = self._random.choice(self._all)
        await self._perform(client, "get", key, None, None)

    async def _write(self, client: PulseClient, key: str, op: str) -> None:
        ttl_s = None
        value = f"{self.name}:{next(self._sequence)}" if op in PUTS else None
        if op in PUTS and key.endswith("-ttl"):
            ttl_s = self._random.choice(TTLS_S)
        self._writing.add(key)
        try:
            await self._perform(client, op, key, value, ttl_s)
        finally:
            self._writing.discard(key)

    async def _perform(
        self,
        client: PulseClient,
        op: str,
        key: str,
        value: str | None,
        ttl_s: float | None,
    ) -> None:
        began_at = time.monotonic()
        good = await ask(
            client, self._journal, self.name, op, key, value, ttl_s, self._elsewhere
        )
        if not good:
            self._lost(client)
        self.latencies_s.append(time.monotonic() - began_at)

    async def stop(self) -> None:
        """Wait for what is under way, and close the connection."""
        if self._under_way:
            await DeferredList(list(self._under_way))
        if self._client is not None:
            self._client.abort()


class Load:
    """
    Some clients that together do so many operations a second.
    """

    def __init__(
        self,
        access: Access,
        addresses: Sequence[str],
        journal: Journal,
        seed: str,
        *,
        clients: int,
        per_s: float,
    ) -> None:
        count = clients * KEYS_PER_CLIENT
        self.keys = [f"key-{n}" + "-ttl" * (n % 8 == 0) for n in range(count)]
        self.clients = [
            Client(access, addresses, n, self.keys, journal, Random(f"{seed}:{n}"))
            for n in range(clients)
        ]
        self._interval_s = clients / per_s
        self._loops = [LoopingCall(client.tick) for client in self.clients]
        for loop in self._loops:
            loop.clock = access.reactor

    def start(self) -> None:
        """Begin."""
        for loop in self._loops:
            loop.start(self._interval_s, now=False)

    async def stop(self) -> None:
        """No new operation; wait for the end of all."""
        for loop in self._loops:
            if loop.running:
                loop.stop()
        for client in self.clients:
            await client.stop()
