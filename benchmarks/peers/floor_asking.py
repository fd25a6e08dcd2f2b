# -*- test-case-name: benchmarks.tests.test_asking -*-
"""
The floor of questions: bare Twisted, our frame header, a number for each question.

Answers to all that arrived at once leave in one write, and so do the questions that
follow them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import count
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory

from benchmarks.child import say
from benchmarks.peers import wire
from benchmarks.peers.floor import APP_ID, FramedLink, Receive
from benchmarks.processes import Crew
from benchmarks.rows import Needed, Peer, Sample
from benchmarks.workloads import asking as workload

NUMBER = struct.Struct("<Q")


def asking(load: workload.Load, tls: bool = False) -> Peer:
    def measure(crew: Crew) -> Sample:
        loaded = attrs.asdict(load)
        server = crew.start("server", f"{__name__}:answer", load=loaded, tls=tls)
        port = crew.expect(server, "ready")
        client = crew.start(
            "client", f"{__name__}:ask", load=loaded, port=port, tls=tls
        )
        return workload.measure(crew, load, client)

    return Peer(
        name="floor",
        measure=measure,
        needs=(Needed("Twisted", module="twisted"),),
        settings=f"bare Twisted{', TLS 1.3' if tls else ''}, our frame header, one"
        " write per reactor turn",
    )


class TurningLink(FramedLink):
    """A framed link that writes what it answers in the turn in which it was asked."""

    def dataReceived(self, data: bytes) -> None:
        # With something corked already, nothing more is scheduled.
        self._corked.append(b"")
        super().dataReceived(data)
        self._uncork()


class Questions:
    """The asking side of a link."""

    def __init__(self, make_link: Callable[[dict[bytes, Receive]], FramedLink]) -> None:
        self.link = make_link({APP_ID: self._answered})
        self._numbers = count()
        self._asked: dict[bytes, Deferred[bytes]] = {}

    def ask(self, key: bytes) -> Deferred[bytes]:
        """
        :return: fires with the value.
        """
        number = NUMBER.pack(next(self._numbers))
        answer = self._asked[number] = Deferred()
        self.link.send_message(APP_ID, number + key)
        return answer

    def _answered(self, message: bytes) -> None:
        self._asked.pop(message[:8]).callback(message[8:])


class Answering(ServerFactory):
    """The side that has the values."""

    noisy = False

    def __init__(self, reactor: Any, values: dict[bytes, bytes]) -> None:
        self._reactor = reactor
        self._values = values

    def buildProtocol(self, addr: IAddress | None) -> FramedLink:
        values = self._values
        receivers: dict[bytes, Receive] = {}
        link = TurningLink(self._reactor, receivers)
        send_message = link.send_message

        def asked(message: bytes) -> None:
            send_message(APP_ID, message[:8] + values[message[8:]])

        receivers[APP_ID] = asked
        return link


def answer(load: dict[str, Any], tls: bool) -> None:
    from twisted.internet import reactor

    values = workload.Load(**load).table()
    say("ready", wire.listen(reactor, Answering(reactor, values), tls))
    reactor.run()


def ask(load: dict[str, Any], port: int, tls: bool) -> None:
    async def run(reactor: Any) -> None:
        questions = Questions(lambda receivers: TurningLink(reactor, receivers))
        await wire.connect(reactor, questions.link, port, tls)
        loaded = workload.Load(**load)
        values = loaded.values()
        keys = [loaded.key(number).encode() for number in range(loaded.keys)]
        say("ready")
        workload.Asking(
            loaded,
            lambda number: questions.ask(keys[number]),
            lambda number, value: value == values[number],
        ).start()
        await Deferred()

    workload.react_to(run)
