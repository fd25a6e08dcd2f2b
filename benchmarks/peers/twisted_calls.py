# -*- test-case-name: benchmarks.tests.test_requests -*-
"""
Twisted's own two ways to ask another process: AMP and Perspective Broker (PB).

Each is used as its documentation shows: a command with its arguments and its response,
and a method of a root object. Neither switches Nagle's algorithm off by itself; here
both have it off, as all others that are measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import ServerFactory
from twisted.protocols import amp
from twisted.spread import pb

from benchmarks.child import say
from benchmarks.peers import wire
from benchmarks.processes import Crew
from benchmarks.rows import Needed, Peer, Sample
from benchmarks.workloads import asking as workload

Values = dict[bytes, bytes]
Ask = Callable[[bytes], Deferred[Any]]


class Get(amp.Command):
    """The command that asks for the value of a key."""

    arguments = [(b"key", amp.String())]
    response = [(b"value", amp.String())]


class AmpLink(amp.AMP):
    """One connection, which answers with the values it was given."""

    def __init__(self, values: Values) -> None:
        super().__init__()
        self._values = values

    def connectionMade(self) -> None:
        super().connectionMade()
        without_delay(self.transport)

    @Get.responder
    def get(self, key: bytes) -> dict[str, bytes]:
        return {"value": self._values[key]}


class AmpServer(ServerFactory):
    """The side that has the values."""

    noisy = False

    def __init__(self, values: Values) -> None:
        self._values = values

    def buildProtocol(self, addr: object) -> AmpLink:
        return AmpLink(self._values)


class PbLink(pb.Broker):
    """One connection of both sides."""

    def connectionMade(self) -> None:
        super().connectionMade()
        without_delay(self.transport)


class PbValues(pb.Root):
    """The root object: it has the values."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def remote_get(self, key: bytes) -> bytes:
        return self._values[key]


def pb_server(values: Values) -> pb.PBServerFactory:
    factory = pb.PBServerFactory(PbValues(values))
    factory.protocol = PbLink
    factory.noisy = False
    return factory


async def ask_amp(reactor: Any, port: int) -> Ask:
    link = await wire.connect(reactor, AmpLink({}), port, tls=False)

    def ask(key: bytes) -> Deferred[Any]:
        asked: Deferred[Any] = link.callRemote(Get, key=key)
        return asked.addCallback(_value)

    return ask


def _value(response: dict[str, bytes]) -> bytes:
    return response["value"]


async def ask_pb(reactor: Any, port: int) -> Ask:
    factory = pb.PBClientFactory()
    factory.protocol = PbLink
    factory.noisy = False
    reactor.connectTCP(wire.HOST, port, factory)
    call = (await factory.getRootObject()).callRemote

    def ask(key: bytes) -> Deferred[Any]:
        asked: Deferred[Any] = call("get", key)
        return asked

    return ask


def without_delay(transport: Any) -> None:
    if ITCPTransport.providedBy(transport):
        transport.setTcpNoDelay(True)


WAYS: dict[str, tuple[Callable[[Values], Any], Callable[..., Any], str]] = {
    "AMP": (AmpServer, ask_amp, "callRemote of a Command with one String argument"),
    "PB": (pb_server, ask_pb, "callRemote of a method of the root object"),
}


def asking(load: workload.Load, way: str) -> Peer:
    """
    :param way: ``AMP`` or ``PB``.
    """

    def measure(crew: Crew) -> Sample:
        loaded = attrs.asdict(load)
        server = crew.start("server", f"{__name__}:answer", load=loaded, way=way)
        port = crew.expect(server, "ready")
        client = crew.start(
            "client", f"{__name__}:ask", load=loaded, way=way, port=port
        )
        return workload.measure(crew, load, client)

    *_, how = WAYS[way]
    return Peer(
        name=way,
        measure=measure,
        needs=(Needed("Twisted", module="twisted"),),
        settings=f"{how}, one connection, TCP_NODELAY, otherwise defaults",
    )


def answer(load: dict[str, Any], way: str) -> None:
    from twisted.internet import reactor

    make_server, *_ = WAYS[way]
    server = make_server(workload.Load(**load).table())
    say("ready", wire.listen(reactor, server, tls=False))
    reactor.run()


def ask(load: dict[str, Any], way: str, port: int) -> None:
    async def run(reactor: Any) -> None:
        loaded = workload.Load(**load)
        _, connect, _ = WAYS[way]
        asked = await connect(reactor, port)
        table = loaded.table()
        keys, values = [*table], [*table.values()]
        say("ready")
        workload.Asking(
            loaded,
            lambda number: asked(keys[number]),
            lambda number, value: value == values[number],
        ).start()
        await Deferred()

    workload.react_to(run)
