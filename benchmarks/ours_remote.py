# -*- test-case-name: benchmarks.tests.test_asking -*-
"""
Mycorrizal's cache from a process that holds nothing of what it asks for.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred, gatherResults

from benchmarks import ours
from benchmarks.child import say
from benchmarks.processes import Child, Crew
from benchmarks.rows import Peer, Sample
from benchmarks.workloads import asking as workload

if TYPE_CHECKING:
    from mycorrizal import Mycorrizal

BUCKET = "bench"
CLIENT_ID = "client"


def getting(load: workload.Load, tls: str = "off") -> Peer:
    """``Cache.get`` of one node, where another one has the values."""

    def measure(crew: Crew) -> Sample:
        _, client = _start(crew, load, "get", tls, servers=1)
        return workload.measure(crew, load, client)

    return Peer(
        name="cache.get",
        measure=measure,
        needs=(ours.NEEDED,),
        settings=f"Cache.get, tls={tls}; two nodes, keys that the other one owns",
    )


def putting(load: workload.Load, tls: str = "off") -> Peer:
    """``Cache.put`` of one node; two others own the keys, and both hold the value."""

    def measure(crew: Crew) -> Sample:
        _, client = _start(crew, load, "put", tls, servers=2)
        return workload.measure(crew, load, client)

    return Peer(
        name="cache.put",
        measure=measure,
        needs=(ours.NEEDED,),
        settings=f"Cache.put, tls={tls}; three nodes, replicas=1, write=all; keys that"
        " the other two own",
    )


def _start(
    crew: Crew, load: workload.Load, call: str, tls: str, servers: int
) -> tuple[list[Child], Child]:
    children: list[Child] = []
    addresses: list[str] = []
    for number in range(servers):
        node_id = f"server-{number + 1}"
        child = crew.start(
            node_id, f"{__name__}:serve", node_id=node_id, tls=tls, static=addresses
        )
        addresses = [*addresses, crew.expect(child, "ready")]
        children.append(child)
    client = crew.start(
        CLIENT_ID,
        f"{__name__}:ask",
        load=attrs.asdict(load),
        call=call,
        tls=tls,
        static=addresses,
    )
    return children, client


def serve(node_id: str, tls: str, static: list[str]) -> None:
    async def run(reactor: Any) -> None:
        node = ours.make_node(reactor, node_id, tls, static=static)
        node.startService()
        await node.when_ready()
        say("ready", ours.own_address(node, node_id))
        await Deferred()

    workload.react_to(run)


def ask(load: dict[str, Any], call: str, tls: str, static: list[str]) -> None:
    async def run(reactor: Any) -> None:
        loaded, owners = workload.Load(**load), len(static)
        node = ours.make_node(reactor, CLIENT_ID, tls, static=static)
        node.startService()
        await node.when_ready()
        cache = node.cache()
        await cache.create_bucket(BUCKET, replicas=owners - 1)
        keys, values = foreign_keys(node, loaded, owners), loaded.values()
        await gatherResults(
            [
                cache.put(BUCKET, key, value)
                for key, value in zip(keys, values, strict=True)
            ],
            consumeErrors=True,
        )
        get, put = cache.get, cache.put
        say("ready")
        if call == "get":
            workload.Asking(
                loaded,
                lambda number: get(BUCKET, keys[number]),
                lambda number, value: value == values[number],
            ).start()
        else:
            workload.Asking(
                loaded,
                lambda number: put(BUCKET, keys[number], values[number]),
                lambda _, copies: copies == owners,
            ).start()
        await Deferred()

    workload.react_to(run)


def foreign_keys(node: Mycorrizal, load: workload.Load, owners: int) -> list[str]:
    """
    :return: as many keys as the load has, none of which this node owns.
    """
    from mycorrizal.mycel.slots.placement import bucket_seed, slot_of

    seed, view = bucket_seed(BUCKET), node.mycel.view
    keys: list[str] = []
    for number in count():
        key = load.key(number)
        if view.me not in view.owners(slot_of(seed, key.encode()), owners):
            keys.append(key)
            if len(keys) == load.keys:
                break
    return keys
