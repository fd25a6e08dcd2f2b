# -*- test-case-name: benchmarks.tests.test_asking -*-
"""
Foolscap: calls of a remote object, always over TLS.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred

from benchmarks.child import say
from benchmarks.peers.servers import free_port
from benchmarks.processes import Crew
from benchmarks.rows import Needed, Peer, Sample
from benchmarks.workloads import asking as workload

NAME = "values"


def asking(load: workload.Load) -> Peer:
    def measure(crew: Crew) -> Sample:
        loaded = attrs.asdict(load)
        server = crew.start("server", f"{__name__}:answer", load=loaded)
        furl = crew.expect(server, "ready")
        client = crew.start("client", f"{__name__}:ask", load=loaded, furl=furl)
        return workload.measure(crew, load, client)

    return Peer(
        name="foolscap",
        measure=measure,
        needs=(Needed("foolscap"),),
        settings="callRemote of a Referenceable in another Tub, defaults",
    )


def answer(load: dict[str, Any]) -> None:
    async def run(reactor: Any) -> None:
        from foolscap.pb import Tub
        from foolscap.referenceable import Referenceable

        values = workload.Load(**load).table()

        class Values(Referenceable):
            """The object that has the values."""

            def remote_get(self, key: bytes) -> bytes:
                return values[key]

        tub, port = Tub(), free_port()
        tub.listenOn(f"tcp:{port}:interface=127.0.0.1")
        tub.setLocation(f"tcp:127.0.0.1:{port}")
        tub.startService()
        say("ready", tub.registerReference(Values(), NAME))
        await Deferred()

    workload.react_to(run)


def ask(load: dict[str, Any], furl: str) -> None:
    async def run(reactor: Any) -> None:
        from foolscap.pb import Tub

        tub = Tub()
        tub.startService()
        remote = await tub.getReference(furl)
        loaded = workload.Load(**load)
        values = loaded.values()
        keys = [loaded.key(number).encode() for number in range(loaded.keys)]
        call = remote.callRemote
        say("ready")
        workload.Asking(
            loaded,
            lambda number: call("get", keys[number]),
            lambda number, value: value == values[number],
        ).start()
        await Deferred()

    workload.react_to(run)
