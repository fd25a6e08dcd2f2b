"""
What every reactor promises about UDP.
"""

from __future__ import annotations

from twisted.internet.error import (
    CannotListenError,
    InvalidAddressError,
    MessageLengthError,
)
from twisted.internet.protocol import DatagramProtocol

from tests.contract.place import Place, Recorder, Scenario


async def a_datagram_and_its_answer(place: Place) -> None:
    """A datagram arrives with the address to which an answer finds its way."""
    there, inbox = place.mailbox(place.server, place.address)
    here, answers = place.mailbox(place.client, place.client_address)
    to = (place.address, there.getHost().port)
    here.write(b"anybody?", to)
    await place.wait_for(lambda: inbox.received)
    ((question, sender),) = inbox.received
    assert question == b"anybody?"
    assert sender == (place.client_address, here.getHost().port)
    there.writeSequence([b"I ", b"am"], sender)
    await place.wait_for(lambda: answers.received)
    assert answers.received == [(b"I am", to)]


async def an_empty_datagram_is_one(place: Place) -> None:
    """Nothing can be sent, too."""
    there, inbox = place.mailbox(place.server, place.address)
    here, _ = place.mailbox(place.client, place.client_address)
    here.write(b"", (place.address, there.getHost().port))
    await place.wait_for(lambda: inbox.received)
    assert inbox.received[0][0] == b""


async def what_does_not_fit_is_cut_off(place: Place) -> None:
    """A datagram longer than `maxPacketSize` is cut, without a word."""
    there, inbox = place.mailbox(place.server, place.address, maxPacketSize=100)
    here, _ = place.mailbox(place.client, place.client_address)
    to = (place.address, there.getHost().port)
    here.write(b"x" * 100, to)
    here.write(b"y" * 101, to)
    await place.wait_for(lambda: len(inbox.received) == 2)
    assert sorted(data for data, _ in inbox.received) == [b"x" * 100, b"y" * 100]


async def the_largest_datagram(place: Place) -> None:
    """65,507 bytes fit, one more does not."""
    there, inbox = place.mailbox(place.server, place.address, maxPacketSize=70_000)
    here, _ = place.mailbox(place.client, place.client_address)
    to = (place.address, there.getHost().port)
    try:
        here.write(b"x" * 65_508, to)
        raise AssertionError("it was sent")
    except MessageLengthError:
        pass
    here.write(b"x" * 65_507, to)
    await place.wait_for(lambda: inbox.received)
    assert len(inbox.received[0][0]) == 65_507


async def names_are_no_addresses(place: Place) -> None:
    """Datagrams are sent to addresses of the port's own family only."""
    here, _ = place.mailbox(place.client, place.client_address)
    for wrong in ("localhost", "::1"):
        try:
            here.write(b"x", (wrong, 9))
            raise AssertionError("it was sent")
        except InvalidAddressError:
            pass


async def a_connected_port_talks_to_one(place: Place) -> None:
    """A connected port needs no address, and hears nobody else."""
    there, inbox = place.mailbox(place.server, place.address)
    here, answers = place.mailbox(place.client, place.client_address)
    other, _ = place.mailbox(place.server, place.address)
    here.connect(place.address, there.getHost().port)
    here.write(b"you")
    await place.wait_for(lambda: inbox.received)
    other.write(b"psst", inbox.received[0][1])
    there.write(b"me", inbox.received[0][1])
    await place.wait_for(lambda: answers.received)
    await place.pause(0.02)
    assert [data for data, _ in answers.received] == [b"me"]
    try:
        here.connect(place.address, 9)
        raise AssertionError("it connected again")
    except RuntimeError:
        pass


async def nobody_is_at_home(place: Place) -> None:
    """A connected port is told when nobody listens at the other end."""
    gone, _ = place.mailbox(place.server, place.address)
    number = gone.getHost().port
    await gone.stopListening()
    here, answers = place.mailbox(place.client, place.client_address)
    here.connect(place.address, number)
    for _ in range(3):
        here.write(b"hello?")
    await place.wait_for(lambda: answers.refused)


async def a_busy_udp_port_is_refused(place: Place) -> None:
    """UDP ports are unique, and are not TCP ports."""
    port, _ = place.mailbox(place.server, place.address)
    number = port.getHost().port
    assert number > 0
    assert port.getHost().type == "UDP"
    try:
        place.server.listenUDP(number, DatagramProtocol(), interface=place.address)
        raise AssertionError("it was not refused")
    except CannotListenError as error:
        assert error.port == number
    place.keep(place.server.listenTCP(number, place.remembering(Recorder)))
    await port.stopListening()
    again = place.server.listenUDP(number, DatagramProtocol())
    await again.stopListening()


async def a_failing_datagram_protocol_goes_on(place: Place) -> None:
    """An exception in `datagramReceived` is logged, and the next one comes."""

    class Failing(DatagramProtocol):
        calls = 0

        def datagramReceived(self, datagram: bytes, addr: object) -> None:
            self.calls += 1
            raise ArithmeticError("on purpose")

    failing = Failing()
    port = place.server.listenUDP(0, failing, interface=place.address)
    to = (place.address, place.keep(port).getHost().port)
    here, _ = place.mailbox(place.client, place.client_address)
    here.write(b"1", to)
    here.write(b"2", to)
    await place.wait_for(lambda: failing.calls == 2)


async def to_shout_needs_a_permission(place: Place) -> None:
    """Broadcasts are refused unless they were allowed."""
    here, _ = place.mailbox(place.client, place.client_address)
    assert not here.getBroadcastAllowed()
    try:
        here.write(b"x", ("<broadcast>", 9))
        raise AssertionError("it was sent")
    except PermissionError:
        pass
    here.setBroadcastAllowed(True)
    assert here.getBroadcastAllowed()


SCENARIOS: tuple[Scenario, ...] = (
    a_datagram_and_its_answer,
    an_empty_datagram_is_one,
    what_does_not_fit_is_cut_off,
    the_largest_datagram,
    names_are_no_addresses,
    a_connected_port_talks_to_one,
    nobody_is_at_home,
    a_busy_udp_port_is_refused,
    a_failing_datagram_protocol_goes_on,
    to_shout_needs_a_permission,
)
