"""
What every reactor promises about producers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

from tests.contract.place import Place, Scenario


@implementer(IPushProducer)
class Tap:
    """A streaming producer that counts how it is treated."""

    def __init__(self, reactor: Any, consumer: Any, limit: int) -> None:
        self.reactor = reactor
        self.consumer = consumer
        self.limit = limit
        self.produced = self.pauses = self.resumes = 0
        self.flowing = True
        self.stopped = False
        consumer.registerProducer(self, True)
        self.produce()

    def produce(self) -> None:
        """Write a bit, and come back."""
        if self.flowing and not self.stopped:
            if self.produced >= self.limit:
                self.consumer.unregisterProducer()
                return
            self.produced += 30_000
            self.consumer.write(b"p" * 30_000)
            self.reactor.callLater(0, self.produce)

    def pauseProducing(self) -> None:
        self.pauses += 1
        self.flowing = False

    def resumeProducing(self) -> None:
        self.resumes += 1
        self.flowing = True
        self.produce()

    def stopProducing(self) -> None:
        self.stopped = True


async def a_fast_producer_is_paused_and_resumed(place: Place) -> None:
    """When nobody reads, the producer is paused; when somebody does, resumed."""
    server, client = await place.pair()
    server.transport.pauseProducing()
    tap = Tap(place.client, client.transport, 30_000_000)
    await place.wait_for(lambda: tap.pauses and not tap.flowing)
    before = tap.produced
    await place.pause(0.02)
    server.transport.resumeProducing()
    await place.wait_for(lambda: tap.resumes and tap.produced > before)
    tap.limit = tap.produced
    await place.wait_for(lambda: len(server.received) == tap.produced)


async def a_lost_connection_stops_its_producer(place: Place) -> None:
    """A producer hears of the end, also one that comes after it."""
    server, client = await place.pair()
    server.transport.pauseProducing()
    transport = client.transport
    tap = Tap(place.client, transport, 30_000_000)
    transport.abortConnection()
    await place.wait_for(lambda: client.reason)
    assert tap.stopped
    assert Tap(place.client, transport, 0).stopped


@implementer(IPullProducer)
class Drawer:
    """A pull producer of ten portions."""

    def __init__(self, consumer: Any) -> None:
        self.consumer = consumer
        self.left = 10
        consumer.registerProducer(self, False)

    def resumeProducing(self) -> None:
        self.left -= 1
        self.consumer.write(b"%d" % self.left)
        if not self.left:
            self.consumer.unregisterProducer()

    def stopProducing(self) -> None:
        self.left = -1


async def a_pull_producer_is_asked_for_more(place: Place) -> None:
    """Each time all is written, it is asked once; then the end is flushed."""
    server, client = await place.pair()
    drawer = Drawer(client.transport)
    client.transport.loseConnection()
    await place.wait_for(lambda: server.reason)
    assert server.received == b"9876543210"
    assert drawer.left == 0


@implementer(IPullProducer)
class Hesitant:
    """A pull producer that has nothing to give yet."""

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


async def a_producer_delays_the_end(place: Place) -> None:
    """`loseConnection` waits until the producer has unregistered."""
    server, client = await place.pair()
    transport = client.transport
    transport.registerProducer(Hesitant(), False)
    transport.loseConnection()
    await place.pause(0.02)
    assert client.reason is None
    transport.write(b"last words")
    transport.unregisterProducer()
    await place.wait_for(lambda: server.reason and client.reason)
    assert server.received == b"last words"


async def a_producer_that_was_not_paused_delays_nothing(place: Place) -> None:
    """The end comes when all is written, though a stream is registered."""
    server, client = await place.pair()
    transport = client.transport
    tap = Tap(place.client, transport, 60_000)
    transport.loseConnection()
    await place.wait_for(lambda: server.reason and client.reason)
    assert tap.stopped
    assert len(server.received) == tap.produced


async def one_producer_at_a_time(place: Place) -> None:
    """A second producer is refused."""
    _, client = await place.pair()
    client.transport.registerProducer(object(), True)
    try:
        client.transport.registerProducer(object(), True)
    except RuntimeError:
        client.transport.unregisterProducer()
        return
    raise AssertionError("it was accepted")


SCENARIOS: tuple[Scenario, ...] = (
    a_fast_producer_is_paused_and_resumed,
    a_lost_connection_stops_its_producer,
    a_pull_producer_is_asked_for_more,
    a_producer_delays_the_end,
    a_producer_that_was_not_paused_delays_nothing,
    one_producer_at_a_time,
)
