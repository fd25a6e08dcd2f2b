"""
What every reactor promises about TCP.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.error import (
    CannotListenError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    UserError,
)
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import ClientFactory, Factory
from zope.interface import implementer

from tests.contract.place import Echo, Place, Recorder, Scenario

MEGABYTE = 1 << 20


async def what_is_said_comes_back(place: Place) -> None:
    """Bytes arrive, and so do those that answer them."""
    server, client = await place.pair(Echo)
    client.transport.write(b"hello, ")
    client.transport.writeSequence([b"wor", b"", b"ld"])
    await place.wait_for(lambda: client.received == b"hello, world")
    assert server.received == b"hello, world"


async def addresses_are_those_of_the_other_end(place: Place) -> None:
    """Each end knows both addresses, and they agree."""
    server, client = await place.pair()
    assert client.transport.getPeer() == server.transport.getHost()
    assert client.transport.getHost() == server.transport.getPeer()
    assert client.transport.getPeer().host == place.address
    assert client.transport.getPeer().type == "TCP"


async def a_megabyte_arrives_in_order(place: Place) -> None:
    """However it is written, it is read as one stream."""
    server, client = await place.pair()
    random = Random(1)
    sent = bytearray()
    while len(sent) < MEGABYTE:
        for _ in range(random.randrange(1, 5)):
            part = random.randbytes(random.randrange(0, 40_000))
            sent += part
            client.transport.write(part)
        await place.pause(0)
    await place.wait_for(lambda: len(server.received) >= len(sent))
    assert server.received == sent


async def nobody_listens(place: Place) -> None:
    """A port without a listener refuses."""
    port = place.server.listenTCP(0, Factory(), interface=place.address)
    number = port.getHost().port
    await port.stopListening()
    try:
        await place.dial(number, Recorder)
    except ConnectionRefusedError:
        return
    raise AssertionError("it was not refused")


async def a_busy_port_is_refused(place: Place) -> None:
    """Two cannot listen on one port; when the first stops, another can."""
    port = place.server.listenTCP(0, Factory(), interface=place.address)
    number = port.getHost().port
    assert number > 0
    try:
        place.server.listenTCP(number, Factory(), interface=place.address)
        raise AssertionError("it was not refused")
    except CannotListenError as error:
        assert error.port == number
    await port.stopListening()
    again = place.server.listenTCP(number, Factory(), interface=place.address)
    await again.stopListening()


async def a_stopped_port_lets_its_connections_live(place: Place) -> None:
    """To stop listening ends no connection."""
    number, factory = place.listen(Echo)
    client = await place.dial(number, Recorder)
    await place.wait_for(lambda: factory.made)
    await place.clean_ports()
    client.transport.write(b"still there?")
    await place.wait_for(lambda: client.received == b"still there?")


async def to_lose_is_to_flush_and_to_part_in_order(place: Place) -> None:
    """`loseConnection` sends what was written; both ends are done cleanly."""
    server, client = await place.pair()
    client.transport.write(b"x" * 300_000)
    client.transport.loseConnection()
    await place.wait_for(lambda: server.reason and client.reason)
    assert len(server.received) == 300_000
    assert client.ended_by is ConnectionDone
    assert server.ended_by is ConnectionDone


async def to_abort_is_to_reset(place: Place) -> None:
    """`abortConnection` sends nothing, and the other end hears of a loss."""
    server, client = await place.pair()
    client.transport.write(b"never sent")
    client.transport.abortConnection()
    assert client.reason is None, "it is told in a later turn"
    await place.wait_for(lambda: server.reason and client.reason)
    assert server.received == b""
    assert client.ended_by is ConnectionAborted
    assert server.ended_by is ConnectionLost


async def what_is_written_to_the_lost_is_ignored(place: Place) -> None:
    """After the end, a transport can be written to, closed and aborted."""
    _, client = await place.pair()
    transport = client.transport
    transport.loseConnection()
    await place.wait_for(lambda: client.reason)
    transport.write(b"too late")
    transport.writeSequence([b"too late"])
    transport.loseConnection()
    transport.abortConnection()


async def only_bytes_are_written(place: Place) -> None:
    """Text is no data."""
    _, client = await place.pair()
    try:
        client.transport.write("text")
    except TypeError:
        return
    raise AssertionError("it was accepted")


async def a_failing_protocol_loses_its_connection(place: Place) -> None:
    """An exception in `dataReceived` is logged and ends the connection."""

    class Failing(Recorder):
        def dataReceived(self, data: bytes) -> None:
            raise ArithmeticError("on purpose")

    server, client = await place.pair(Failing)
    client.transport.write(b"!")
    await place.wait_for(lambda: server.reason and client.reason)
    assert server.ended_by is ArithmeticError
    assert client.ended_by is ConnectionDone


async def an_unwanted_connection_is_closed(place: Place) -> None:
    """A factory may answer None; the client is closed at once."""

    class Unwelcoming(Factory):
        def buildProtocol(self, addr: Any) -> None:
            return None

    port = place.server.listenTCP(0, Unwelcoming(), interface=place.address)
    client = await place.dial(place.keep(port).getHost().port, Recorder)
    await place.wait_for(lambda: client.reason)


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Recorder):
    """A recorder that can go on when one direction is closed."""

    read_lost = False
    write_lost = False

    def readConnectionLost(self) -> None:
        self.read_lost = True

    def writeConnectionLost(self) -> None:
        self.write_lost = True


async def half_a_connection_goes_on(place: Place) -> None:
    """One direction can be closed while the other is used."""
    server, client = await place.pair(HalfCloseable, HalfCloseable)
    client.transport.write(b"the question")
    client.transport.loseWriteConnection()
    await place.wait_for(lambda: server.read_lost and client.write_lost)
    assert server.received == b"the question"
    assert server.reason is None
    assert client.reason is None
    client.transport.write(b"ignored")
    server.transport.write(b"the answer")
    server.transport.loseConnection()
    await place.wait_for(lambda: client.read_lost)
    assert client.received == b"the answer"
    assert server.received == b"the question"
    client.transport.loseConnection()
    await place.wait_for(lambda: client.reason and server.reason)
    assert client.ended_by is ConnectionDone


async def who_cannot_half_close_is_closed(place: Place) -> None:
    """Half-closed by the other end, an ordinary protocol loses it all."""
    server, client = await place.pair()
    client.transport.loseWriteConnection()
    await place.wait_for(lambda: server.reason and client.reason)
    assert server.ended_by is ConnectionDone
    assert client.ended_by is ConnectionDone


async def a_paused_transport_reads_nothing(place: Place) -> None:
    """`pauseProducing` keeps data back, `resumeProducing` lets it come."""
    server, client = await place.pair()
    server.transport.pauseProducing()
    client.transport.write(b"patience")
    await place.pause(0.05)
    assert server.received == b""
    server.transport.resumeProducing()
    assert server.received == b"", "not before the next turn"
    await place.wait_for(lambda: server.received == b"patience")


class Calls(ClientFactory):
    """A client factory that remembers its notifications."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.reason: Any = None

    def startedConnecting(self, connector: Any) -> None:
        self.log.append("started")

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        self.log.append("failed")
        self.reason = reason

    def clientConnectionLost(self, connector: Any, reason: Any) -> None:
        self.log.append("lost")
        self.reason = reason

    def doStop(self) -> None:
        super().doStop()
        self.log.append("stopped")


async def a_connector_can_be_stopped(place: Place) -> None:
    """Who stops dialling is told so, and nothing more happens."""
    number, _ = place.listen(Recorder)
    calls = Calls()
    connector = place.client.connectTCP(place.address, number, calls)
    assert connector.getDestination().port == number
    connector.stopConnecting()
    await place.pause(0.02)
    assert calls.log == ["started", "failed", "stopped"]
    assert calls.reason.type is UserError


async def a_connector_can_disconnect_and_dial_again(place: Place) -> None:
    """A connector serves for one connection after another."""
    number, factory = place.listen(Recorder)
    calls = Calls()
    calls.protocol = Recorder
    connector = place.client.connectTCP(place.address, number, calls)
    await place.wait_for(lambda: len(factory.made) == 1)
    connector.disconnect()
    await place.wait_for(lambda: calls.log == ["started", "lost", "stopped"])
    assert calls.reason.type is ConnectionDone
    connector.connect()
    await place.wait_for(lambda: len(factory.made) == 2)
    connector.disconnect()
    await place.wait_for(lambda: calls.log.count("lost") == 2)


async def options_are_remembered(place: Place) -> None:
    """Nagle and keep-alive can be set and asked."""
    _, client = await place.pair()
    for enabled in (True, False):
        client.transport.setTcpNoDelay(enabled)
        client.transport.setTcpKeepAlive(enabled)
        assert client.transport.getTcpNoDelay() is enabled
        assert client.transport.getTcpKeepAlive() is enabled


SCENARIOS: tuple[Scenario, ...] = (
    what_is_said_comes_back,
    addresses_are_those_of_the_other_end,
    a_megabyte_arrives_in_order,
    nobody_listens,
    a_busy_port_is_refused,
    a_stopped_port_lets_its_connections_live,
    to_lose_is_to_flush_and_to_part_in_order,
    to_abort_is_to_reset,
    what_is_written_to_the_lost_is_ignored,
    only_bytes_are_written,
    a_failing_protocol_loses_its_connection,
    an_unwanted_connection_is_closed,
    half_a_connection_goes_on,
    who_cannot_half_close_is_closed,
    a_paused_transport_reads_nothing,
    a_connector_can_be_stopped,
    a_connector_can_disconnect_and_dial_again,
    options_are_remembered,
)
