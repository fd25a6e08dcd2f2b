# -*- test-case-name: benchmarks.tests.test_asking -*-
"""
Redis by txredisapi, and memcached by Twisted's own client.

Both clients put many questions on one connection without waiting for the answers.
Redis has pipelines besides, which its documentation recommends: as many commands as
may be in flight leave in one write, and the next ones when all of them are answered.
"""

from __future__ import annotations

import sys
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults

from benchmarks.child import fail, say
from benchmarks.peers import servers
from benchmarks.processes import Crew
from benchmarks.rows import Needed, Peer, Sample
from benchmarks.workloads import asking as workload

TXREDISAPI = Needed("txredisapi")
HIREDIS = Needed("hiredis")
TWISTED = Needed("Twisted", module="twisted")
GET, SET = "get", "set"
PLAIN, OWN_PARSER, PIPELINE = "", "own parser", "pipeline"


def redis(load: workload.Load, command: str = GET, way: str = PLAIN) -> Peer:
    """
    :param command: ``get`` or ``set``.
    :param way: `PLAIN`, `OWN_PARSER` (without hiredis) or `PIPELINE`.
    """

    def measure(crew: Crew) -> Sample:
        port = servers.start_redis(crew)
        loaded = attrs.asdict(load)
        client = crew.start(
            "client",
            f"{__name__}:use_redis",
            load=loaded,
            port=port,
            command=command,
            way=way,
        )
        return workload.measure(crew, load, client)

    many = f"{load.in_flight} commands on their way" if load.in_flight > 1 else ""
    how = f"pipelines of {load.in_flight}" if way == PIPELINE else many
    parser = "its own parser" if way == OWN_PARSER else "hiredis"
    details = [command.upper(), how, "one connection", f"replies parsed by {parser}"]
    return Peer(
        name=" ".join(filter(None, ["txredisapi", way])),
        measure=measure,
        needs=(TXREDISAPI, HIREDIS, servers.REDIS),
        settings=", ".join(filter(None, details))
        + "; the server without persistence, otherwise defaults",
    )


def memcached(load: workload.Load) -> Peer:
    def measure(crew: Crew) -> Sample:
        port = servers.start_memcached(crew)
        loaded = attrs.asdict(load)
        client = crew.start(
            "client", f"{__name__}:use_memcached", load=loaded, port=port
        )
        return workload.measure(crew, load, client)

    return Peer(
        name="memcached",
        measure=measure,
        needs=(TWISTED, servers.MEMCACHED),
        settings="GET by twisted.protocols.memcache, one connection; server defaults",
    )


def use_redis(load: dict[str, Any], port: int, command: str, way: str) -> None:
    async def run(reactor: Any) -> None:
        loaded = workload.Load(**load)
        connection = await _redis_with(loaded, port, way)
        say("ready")
        if way == PIPELINE:
            await _pipelines(loaded, connection, command)
        else:
            _commands(loaded, connection, command)
        await Deferred()

    workload.react_to(run)


def _commands(load: workload.Load, connection: Any, command: str) -> None:
    values = load.values()
    keys = [load.key(number) for number in range(load.keys)]
    get, put = connection.get, connection.set
    if command == GET:
        workload.Asking(
            load,
            lambda number: get(keys[number]),
            lambda number, value: value == values[number],
        ).start()
    else:
        workload.Asking(
            load,
            lambda number: put(keys[number], values[number]),
            lambda _, reply: reply in (b"OK", "OK"),
        ).start()


async def _pipelines(load: workload.Load, connection: Any, command: str) -> None:
    values = load.values()
    keys = [load.key(number) for number in range(load.keys)]
    answers = workload.Answers(load)
    for batch in load.batches():
        pipeline = await connection.pipeline()
        if command == GET:
            for number in batch:
                pipeline.get(keys[number])
            right = [values[number] for number in batch]
        else:
            for number in batch:
                pipeline.set(keys[number], values[number])
            right = [b"OK"] * len(batch)
        if await pipeline.execute_pipeline() != right:
            fail("a pipeline was answered wrongly")
        for _ in batch:
            answers.answered()


async def _redis_with(load: workload.Load, port: int, way: str) -> Any:
    if way == OWN_PARSER:
        # What is None can't be imported, as where it is not installed.
        sys.modules["hiredis"] = None  # type: ignore[assignment]
    import txredisapi  # type: ignore[import-untyped]

    connection = await txredisapi.Connection(
        servers.LOOPBACK, port, reconnect=False, charset=None, convertNumbers=False
    )
    for number, value in enumerate(load.values()):
        await connection.set(load.key(number), value)
    return connection


def use_memcached(load: dict[str, Any], port: int) -> None:
    async def run(reactor: Any) -> None:
        from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
        from twisted.protocols.memcache import MemCacheProtocol

        endpoint = TCP4ClientEndpoint(reactor, servers.LOOPBACK, port)
        client = await connectProtocol(endpoint, MemCacheProtocol())
        client.transport.setTcpNoDelay(True)
        loaded = workload.Load(**load)
        values = loaded.values()
        keys = [loaded.key(number).encode() for number in range(loaded.keys)]
        await gatherResults([*map(client.set, keys, values)])
        get = client.get

        def ask(number: int) -> Deferred[Any]:
            asked: Deferred[Any] = get(keys[number])
            return asked

        say("ready")
        workload.Asking(loaded, ask, lambda n, it: it == (0, values[n])).start()
        await Deferred()

    workload.react_to(run)
