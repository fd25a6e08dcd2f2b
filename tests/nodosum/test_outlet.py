"""
What a link writes leaves at once, in order, and nothing of it is lost.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.outlet import DIRECT_BYTES_MAX, PlainOutlet, outlet


@attrs.define
class Socket:
    """
    A TCP transport of Twisted's, as far as its writing goes.

    :ivar room_bytes: How much the system takes now.
    :ivar sent: What it has taken.
    """

    room_bytes: int = 1_000_000
    sent: bytes = b""
    connected: bool = True
    disconnecting: bool = False
    broken: bool = False
    dataBuffer: bytes = b""
    ended: list[str] = attrs.field(factory=list)

    def writeSomeData(self, data: bytes) -> int | Exception:
        if self.broken:
            return OSError("the connection is broken")
        taken = data[: self.room_bytes]
        self.room_bytes -= len(taken)
        self.sent += taken
        return len(taken)

    def write(self, data: bytes) -> None:
        self.dataBuffer += data

    def doWrite(self) -> Exception | None:
        sent = self.writeSomeData(self.dataBuffer)
        if isinstance(sent, Exception):
            return sent
        self.dataBuffer = self.dataBuffer[sent:]
        return None

    def unregisterProducer(self) -> None:
        self.ended.append("unregister")

    def loseConnection(self) -> None:
        self.ended.append("lose")

    def abortConnection(self) -> None:
        self.ended.append("abort")


@attrs.define
class Session(Socket):
    """A TLS session upon a connection: what is written to it comes out there."""

    raw: Socket = attrs.field(factory=Socket)

    def write(self, data: bytes) -> None:
        self.raw.write(b"<" + data + b">")


class Nothing:
    """A transport that is no socket."""


class OutletTests(SynchronousTestCase):
    """A plain connection."""

    def setUp(self) -> None:
        self.socket = Socket()
        self.outlet = outlet(self.socket, self.socket)

    def test_at_once(self) -> None:
        """What is written leaves before the reactor's next turn."""
        self.outlet.write(b"one")
        self.outlet.push()
        self.assertEqual(self.socket.sent, b"one")
        self.outlet.write(b"two")
        self.assertEqual(self.socket.sent, b"onetwo")

    def test_behind_the_handshake(self) -> None:
        """What the transport held already goes before."""
        self.socket.write(b"WELCOME ")
        self.outlet.write(b"frame")
        self.assertEqual(self.socket.sent, b"")
        self.outlet.push()
        self.assertEqual(self.socket.sent, b"WELCOME frame")

    def test_full_socket(self) -> None:
        """What the socket doesn't take waits, and all that follows waits behind it."""
        self.outlet.push()
        self.socket.room_bytes = 4
        self.outlet.write(b"123456")
        self.outlet.write(b"78")
        self.outlet.push()
        self.assertEqual(self.socket.sent, b"1234")
        self.socket.room_bytes = 3
        self.outlet.push()
        self.outlet.write(b"9")
        self.assertEqual(self.socket.sent, b"1234567")
        self.socket.room_bytes = 100
        self.socket.doWrite()
        self.outlet.push()
        self.outlet.write(b"!")
        self.assertEqual(self.socket.sent, b"123456789!")

    def test_at_the_bound(self) -> None:
        """The longest that is sent at once is; a byte more goes by the transport."""
        self.outlet.push()
        self.outlet.write(b"x" * DIRECT_BYTES_MAX)
        self.assertEqual(len(self.socket.sent), DIRECT_BYTES_MAX)
        self.outlet.write(b"x" * (DIRECT_BYTES_MAX + 1))
        self.assertEqual(len(self.socket.sent), DIRECT_BYTES_MAX)
        self.assertEqual(len(self.socket.dataBuffer), DIRECT_BYTES_MAX + 1)

    def test_broken(self) -> None:
        """A broken connection is left to the reactor, which finds out by itself."""
        self.outlet.push()
        self.socket.broken = True
        self.outlet.write(b"lost")
        self.assertEqual(self.socket.dataBuffer, b"lost")
        self.outlet.push()
        self.outlet.write(b", too")
        self.assertEqual(self.socket.dataBuffer, b"lost, too")

    def test_closing(self) -> None:
        """A connection that is closing is the reactor's, which has to see its end."""
        for name, value in (("disconnecting", True), ("connected", False)):
            socket = Socket()
            socket.write(b"the last")
            setattr(socket, name, value)
            PlainOutlet(socket).push()
            self.assertEqual(socket.sent, b"")

    def test_gone(self) -> None:
        """Nothing is sent to a connection that is gone."""
        self.outlet.push()
        self.socket.connected = False
        self.outlet.write(b"late")
        self.assertEqual(self.socket.sent, b"")

    def test_the_end(self) -> None:
        """It ends as its transport does."""
        self.outlet.unregisterProducer()
        self.outlet.loseConnection()
        self.outlet.abortConnection()
        self.assertEqual(self.socket.ended, ["unregister", "lose", "abort"])


class TlsTests(SynchronousTestCase):
    """A connection with TLS."""

    def test_at_once(self) -> None:
        """What is written leaves encrypted, before the reactor's next turn."""
        session = Session()
        one = outlet(session, session.raw)
        one.write(b"one")
        one.push()
        self.assertEqual(session.raw.sent, b"<one>")

    def test_the_end(self) -> None:
        """Its session ends."""
        session = Session()
        outlet(session, session.raw).loseConnection()
        self.assertEqual((session.ended, session.raw.ended), (["lose"], []))


class OtherTests(SynchronousTestCase):
    """A connection that can't be told to send."""

    def test_as_it_is(self) -> None:
        """It is written to as it is."""
        transport = Nothing()
        self.assertIs(outlet(transport, transport), transport)
