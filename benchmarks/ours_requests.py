# -*- test-case-name: benchmarks.tests.test_requests -*-
"""
Requests of an application to the same application in another process.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred

from benchmarks import ours
from benchmarks.child import say
from benchmarks.processes import Crew
from benchmarks.rows import Peer, Sample
from benchmarks.workloads import asking as workload


def asking(load: workload.Load, tls: str = "off") -> Peer:
    """``Application.request``, answered by the function that the other one set."""

    def measure(crew: Crew) -> Sample:
        loaded = attrs.asdict(load)
        server = crew.start(
            ours.RECEIVER_ID, f"{__name__}:answer", load=loaded, tls=tls
        )
        address = crew.expect(server, "ready")
        client = crew.start(
            "client", f"{__name__}:ask", load=loaded, tls=tls, address=address
        )
        return workload.measure(crew, load, client)

    return Peer(
        name="request",
        measure=measure,
        needs=(ours.NEEDED,),
        settings=f"Application.request, tls={tls}; two nodes, the function answers"
        " with bytes",
    )


def answer(load: dict[str, Any], tls: str) -> None:
    async def run(reactor: Any) -> None:
        values = workload.Load(**load).table()
        node = ours.make_node(reactor, ours.RECEIVER_ID, tls, static=[])
        application = node.register_application(ours.APP_ID)
        application.set_request_func(lambda key, _: values[key])
        node.startService()
        await node.when_ready()
        say("ready", ours.own_address(node))
        await Deferred()

    workload.react_to(run)


def ask(load: dict[str, Any], tls: str, address: str) -> None:
    async def run(reactor: Any) -> None:
        loaded = workload.Load(**load)
        table = loaded.table()
        keys, values = [*table], [*table.values()]
        node = ours.make_node(reactor, ours.SENDER_ID, tls, static=[address])
        request = node.register_application(ours.APP_ID).request
        node.startService()
        await node.when_ready()
        say("ready")
        workload.Asking(
            loaded,
            lambda number: request(keys[number], ours.RECEIVER_ID),
            lambda number, value: value == values[number],
        ).start()
        await Deferred()

    workload.react_to(run)
