# -*- test-case-name: benchmarks.tests.test_rows -*-
"""
pyzmq: PUSH to PULL over TCP, with blocking sockets and default high-water marks.

A blocking ``send`` waits while its queue is full, which is ZeroMQ's own
back-pressure.
"""

from __future__ import annotations

import signal

from benchmarks.child import say
from benchmarks.processes import Crew
from benchmarks.rows import Needed, Peer, Sample
from benchmarks.workloads import one_way as workload


def one_way(load: workload.Load) -> Peer:
    def measure(crew: Crew) -> Sample:
        return workload.measure(crew, load, __name__)

    return Peer(
        name="pyzmq",
        measure=measure,
        needs=(Needed("pyzmq", module="zmq"),),
        settings="PUSH/PULL over TCP, blocking sockets,"
        " default high-water marks (1,000)",
    )


def receive(load: dict[str, int]) -> None:
    import zmq

    take = workload.arrivals(workload.Load(**load))
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        say("ready", pull.bind_to_random_port("tcp://127.0.0.1"))
        while True:
            take(pull.recv())


def send(load: dict[str, int], address: int) -> None:
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.connect(f"tcp://127.0.0.1:{address}")
        say("ready")
        for payload in workload.Load(**load).messages():
            push.send(payload)
        # The last messages leave from ZeroMQ's own thread; the crew ends us.
        signal.pause()
