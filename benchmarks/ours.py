# -*- test-case-name: benchmarks.tests.test_rows -*-
"""
Mycorrizal doing the work of the rows between processes.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater, react

from benchmarks.child import say
from benchmarks.processes import Crew
from benchmarks.rows import Needed, Peer, Sample
from benchmarks.workloads import one_way as workload

if TYPE_CHECKING:
    from mycorrizal import Mycorrizal

APP_ID = "bench"
#: Our own pings are known by their tokens.
FIRST_TOKEN = 2**63
PONG = 14
#: How long the last pings may take to be answered.
ANSWERS_S = 1.0
RECEIVER_ID = "receiver"
SENDER_ID = "sender"
#: Known to everybody, as it guards nothing but a benchmark on loopback.
SECRET = "myk1:" + base64.b64encode(bytes(range(32))).decode("ascii")

NEEDED = Needed("mycorrizal", install_command="pip install -e .")


def one_way(load: workload.Load, call: str, tls: str = "off") -> Peer:
    """
    :param call: ``post`` or ``send``.
    """

    def measure(crew: Crew) -> Sample:
        return workload.measure(crew, load, __name__, call=call, tls=tls)

    return Peer(
        name=call,
        measure=measure,
        needs=(NEEDED,),
        settings=f"Application.{call}, tls={tls}, {load.turn_messages} messages per"
        " reactor turn, waits when the peer is busy",
    )


def receive(load: dict[str, int], call: str, tls: str) -> None:
    take = workload.arrivals(workload.Load(**load))

    async def run(reactor: Any) -> None:
        node = make_node(reactor, RECEIVER_ID, tls, static=[])
        application = node.register_application(APP_ID)
        application.set_receive_func(take)
        node.startService()
        await node.when_ready()
        say("ready", own_address(node))
        await Deferred()

    react_to(run)


def send(load: dict[str, int], address: str, call: str, tls: str) -> None:
    async def run(reactor: Any) -> None:
        node = make_node(reactor, SENDER_ID, tls, static=[address])
        application = node.register_application(APP_ID)
        node.startService()
        await node.when_ready()
        say("ready")
        ways = {"post": _post_all, "send": _send_all}
        await ways[call](reactor, application, workload.Load(**load))
        await Deferred()

    react_to(run)


def send_and_ping(
    load: dict[str, int], address: str, tls: str, interval_s: float
) -> None:
    """
    As `send`, with a ping each `interval_s`; says what 99 % of them took at most.
    """

    async def run(reactor: Any) -> None:
        node = make_node(reactor, SENDER_ID, tls, static=[address])
        application = node.register_application(APP_ID)
        node.startService()
        await node.when_ready()
        pings = Pings(node)
        say("ready")
        pinging = LoopingCall(pings.ping)
        pinging.clock = reactor
        pinging.start(interval_s)
        await _send_all(reactor, application, workload.Load(**load))
        pinging.stop()
        await deferLater(reactor, ANSWERS_S)
        say("done", pings.p99_ms())
        await Deferred()

    react_to(run)


class Pings:
    """Pings on one link, beside those that the node sends itself."""

    def __init__(self, node: Mycorrizal) -> None:
        (self._link,) = node.nodosum.applications.links.values()
        self._owner, self._link._owner = self._link._owner, self
        self._sent_s: list[float] = []
        self._took_s: dict[int, float] = {}

    def ping(self) -> None:
        self._link.ping(FIRST_TOKEN + len(self._sent_s), 0)
        self._sent_s.append(time.perf_counter())

    def control_received(self, link: Any, kind: int, payload: bytes) -> None:
        number = int.from_bytes(payload[:8], "little") - FIRST_TOKEN
        if kind == PONG and 0 <= number < len(self._sent_s):
            self._took_s[number] = time.perf_counter() - self._sent_s[number]
        else:
            self._owner.control_received(link, kind, payload)

    def p99_ms(self) -> float:
        # What was not answered took until now, at least.
        now_s = time.perf_counter()
        took_s = sorted(
            self._took_s.get(number, now_s - sent_s)
            for number, sent_s in enumerate(self._sent_s)
        )
        return took_s[int(len(took_s) * 0.99)] * 1000


async def _post_all(reactor: Any, application: Any, load: workload.Load) -> None:
    from mycorrizal import PeerBusy

    post, to = application.post, [RECEIVER_ID]
    for turn in load.turns():
        for payload in turn:
            try:
                post(payload, to)
            except PeerBusy:
                # `send` waits for what `post` refuses to: room in the transport.
                await application.send(payload, to)
        await deferLater(reactor, 0)


async def _send_all(reactor: Any, application: Any, load: workload.Load) -> None:
    send, to = application.send, [RECEIVER_ID]
    for turn in load.turns():
        for payload in turn:
            handed_over = send(payload, to)
            if not handed_over.called:
                await handed_over
        await deferLater(reactor, 0)


def make_node(reactor: Any, node_id: str, tls: str, static: list[str]) -> Mycorrizal:
    from mycorrizal import Config, Mycorrizal

    config = Config(
        listen="127.0.0.1:0",
        node_id=node_id,
        secret=SECRET,
        tls=tls,
        static=static,
    )
    return Mycorrizal(reactor, config)


def own_address(node: Mycorrizal, node_id: str = RECEIVER_ID) -> str:
    """
    :return: where a node that listens on port 0 is reached, ``HOST:PORT``.
    """
    return next(str(each.address) for each in node.nodes() if each.id == node_id)


def react_to(run: Any) -> None:
    def main(reactor: Any) -> Deferred[None]:
        running: Coroutine[Deferred[Any], Any, None] = run(reactor)
        return Deferred.fromCoroutine(running)

    react(main, [])
