# -*- test-case-name: tests.nodosum.test_protocol -*-
"""
Twisted's protocols around the sans-IO wire code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

from twisted.internet.error import InvalidAddressError
from twisted.internet.interfaces import (
    IAddress,
    IPushProducer,
    ITransport,
)
from twisted.internet.protocol import (
    DatagramProtocol,
    Factory,
    Protocol,
    connectionDone,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.config import Address, canonical
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.outlet import outlet
from mycorrizal.nodosum.tls import CertificateRefused, Clear, Whom
from mycorrizal.nodosum.wire.events import (
    Authenticated,
    Event,
    Exporter,
    Refused,
    Send,
    StartTls,
)
from mycorrizal.nodosum.wire.handshake import Handshake
from mycorrizal.nodosum.wire.limits import (
    UNAUTHENTICATED_TLS_BYTES_MAX,
    RejectCode,
)
from mycorrizal.nodosum.wire.version import Role, VersionI
from mycorrizal.runtime import Runtime, Timer, limit_buffers

#: What the system holds of a link's bytes before it can send them: as much as
#: Twisted gives it at once.
UNSENT_BYTES_MAX = 128 * 1024
#: What it holds of them on the way and until we read them: enough for 1 GB/s
#: within a site.  Without a limit Linux lets them grow to many megabytes, and
#: pings wait behind them.
UNREAD_BYTES_MAX = 1024 * 1024
#: What is kept of a connection that a link is to move to, until that has left the
#: one before; beyond it nothing is read from there.
HELD_BYTES_MAX = 1024 * 1024
#: How long a connection may take to close in good order.
CLOSE_TIMEOUT_S = 5.0


class TlsStarter(Interface):
    """
    What can begin TLS on a connection; `AutoTls` is one.

    :ivar edition: Which of its certificates it shows; it changes with them.
    """

    edition: int

    def start(
        self, runtime: Runtime, transport: ITransport, *, is_client: bool, clear: Clear
    ) -> Protocol: ...


class LinkShell(Interface):
    """Who decides about connections: `Admission` is one."""

    runtime: Runtime
    tls: TlsStarter

    def begin_handshake(self, protocol: LinkProtocol) -> Handshake: ...
    def answered(self, protocol: LinkProtocol) -> None: ...
    def tls_started(self, protocol: LinkProtocol) -> None: ...
    def authenticated(
        self, protocol: LinkProtocol, event: Authenticated
    ) -> Link | None: ...
    def refused(self, protocol: LinkProtocol, event: Refused) -> None: ...
    def broken(self, protocol: LinkProtocol, error: RemoteProtocolError) -> None: ...
    def closed(self, protocol: LinkProtocol) -> None: ...


@implementer(IPushProducer)
class _LinkProducer:
    """What a transport pauses: passes it on to the link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def pauseProducing(self) -> None:
        self._link.pause()

    def resumeProducing(self) -> None:
        self._link.resume()

    def stopProducing(self) -> None:
        """The protocol is told why, by connectionLost."""


class LinkProtocol(Protocol):
    """
    One TCP connection: first a handshake, then a link.

    :param dialled: The address that was dialled; None if it was accepted.
    :param node_key: Who should be there; None if that is not known.
    :param spare: Whether a link that is there is to move here.
    :ivar link: Whose frames come in here.
    :ivar spare: Whether there is no link that ends with this connection: one
        has not moved here yet, or has moved away.
    :ivar opening: The VERSION_I that began it, once both sides are proved.
    :ivar edition: Of our certificate.
    """

    _log = Logger()

    def __init__(
        self,
        shell: LinkShell,
        dialled: Address | None = None,
        node_key: bytes | None = None,
        *,
        spare: bool = False,
    ) -> None:
        self.dialled = dialled
        self.expected_key = node_key
        self.spare = spare
        self.opening: VersionI | None = None
        self.edition = 0
        #: What the other side, or we, had against the handshake.
        self.refusal: str | None = None
        self.link: Link | None = None
        self.address: Address = ("", 0)
        self.clear_transport: Any = None
        self._shell = shell
        self._runtime = shell.runtime
        self.handshake: Handshake | None = None
        self._tls: Protocol | None = None
        self._raw_bytes = 0
        self._held: list[bytes] | None = None
        self._held_bytes = 0
        self._deadline: Timer | None = None
        self._lost = False

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)
        peer = transport.getPeer()
        self.address = canonical((peer.host, peer.port))
        self.clear_transport = transport
        self.handshake = handshake = self._shell.begin_handshake(self)
        if handshake.initiator:
            self._perform(handshake.start())

    def set_deadline(self, delay_s: float, call: Any) -> None:
        """Call `call` unless the deadline is cleared or set anew before."""
        self.clear_deadline()
        self._deadline = self._runtime.call_later(delay_s, call)

    def clear_deadline(self) -> None:
        """Forget the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # -- bytes ----------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        if self._tls is None:
            self.clear_received(data)
            return
        if self.handshake is not None:
            self._raw_bytes += len(data)
            if self._raw_bytes > UNAUTHENTICATED_TLS_BYTES_MAX:
                self._broken(RemoteProtocolError("too many bytes within TLS"))
                return
        self._tls.dataReceived(data)

    def clear_received(self, data: bytes) -> None:
        """Take bytes that are in the clear, or out of TLS."""
        if self._lost:
            return
        runtime = self._runtime
        runtime.enter()
        try:
            if self.link is not None:
                if not self.link.closed:
                    self.link.receive_data(data)
            elif self.handshake is not None:
                self._perform(self.handshake.receive_data(data))
            elif self._held is not None:
                self._hold(data)
        except RemoteProtocolError as error:
            self._broken(error)
        finally:
            runtime.leave()

    def _perform(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Send(data):
                    self.clear_transport.write(data)
                    self._shell.answered(self)
                case StartTls():
                    self._start_tls()
                case Authenticated():
                    self._authenticated(event)
                case Refused():
                    self._shell.refused(self, event)
                    self.close()

    def _start_tls(self) -> None:
        assert self.handshake is not None and self.transport is not None
        clear = Clear(
            self._tls_established,
            self.clear_received,
            self._tls_lost,
            self._whom,
        )
        self._shell.tls_started(self)
        self.edition = self._shell.tls.edition
        self._tls = self._shell.tls.start(
            self._runtime,
            self.transport,
            is_client=self.handshake.initiator,
            clear=clear,
        )

    def _tls_established(self, transport: ITransport, exporter: Exporter) -> None:
        self.clear_transport = transport
        if self.handshake is not None:
            self._perform(self.handshake.tls_established(exporter))

    def _whom(self) -> Whom:
        """Who should be at the other end, from what was said in the clear."""
        assert self.handshake is not None
        remote = self.handshake.remote
        assert remote is not None
        host = "" if self.dialled is None else self.dialled[0]
        return Whom(host, remote.node_key, remote.role is Role.NODE)

    def _tls_lost(self, reason: Failure) -> None:
        error = reason.value
        if isinstance(error, CertificateRefused) and self.link is None:
            by_peer, why = error.by_peer, error.reason
            refused = Refused(RejectCode.TLS, by_peer, why, certificate=True)
            self._shell.refused(self, refused)
        self._connection_lost()

    def _authenticated(self, event: Authenticated) -> None:
        assert self.handshake is not None
        self.clear_deadline()
        self.opening, self.handshake = self.handshake.opening, None
        self.link = link = self._shell.authenticated(self, event)
        if link is None:
            self._held = []
            self._hold(event.trailing)
        elif not link.closed:
            self.carry(link)
            if event.trailing:
                link.receive_data(event.trailing)

    def outlet(self) -> Any:
        """What a link writes to, whose frames go out here."""
        return outlet(self.clear_transport, self.transport)

    # -- a link that moves ----------------------------------------------------

    def carry(self, link: Link) -> None:
        """Frames of a link are to go out here."""
        limit_buffers(self.transport, UNSENT_BYTES_MAX, UNREAD_BYTES_MAX)
        self.clear_transport.registerProducer(_LinkProducer(link), True)

    def _hold(self, data: bytes) -> None:
        assert self._held is not None
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > HELD_BYTES_MAX:
            self.clear_transport.pauseProducing()

    def adopt(self, link: Link) -> None:
        """Frames of a link come in here now, first those that were held back."""
        assert self._held is not None
        paused = self._held_bytes > HELD_BYTES_MAX
        held, self._held = b"".join(self._held), None
        self.link, self.spare = link, False
        if held:
            self.clear_received(held)
        if paused:
            self.clear_transport.resumeProducing()

    def release(self) -> None:
        """No more frames of its link come in here."""
        self.link, self.spare = None, True

    # -- the end --------------------------------------------------------------

    def close(self) -> None:
        """
        Close when what was written has gone out, at the latest in 5 s; a
        stranger's handshake gets no more time than it had.
        """
        if self._lost:
            return
        delay_s = CLOSE_TIMEOUT_S
        if self.link is None and self._deadline is not None:
            delay_s = self._deadline.due_s - self._runtime.now()
        self.set_deadline(delay_s, self.abort)
        self.clear_transport.loseConnection()

    def abort(self) -> None:
        """Close at once."""
        if not self._lost and self.transport is not None:
            transport: Any = self.transport
            transport.abortConnection()

    def _broken(self, error: RemoteProtocolError) -> None:
        self._shell.broken(self, error)
        if self.link is not None:
            self.link.lost()
        self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._tls is not None:
            self._tls.connectionLost(reason)
        self._connection_lost()

    def _connection_lost(self) -> None:
        if self._lost:
            return
        self._lost = True
        self.clear_deadline()
        try:
            if self.link is not None:
                self.link.lost()
        finally:
            # Whatever fails there: who waits for the end must hear of it.
            self._shell.closed(self)


class LinkFactory(Factory):
    """What makes the protocols of accepted connections."""

    noisy = False

    def __init__(self, shell: LinkShell) -> None:
        self._shell = shell

    def buildProtocol(self, addr: IAddress | None) -> LinkProtocol:
        return LinkProtocol(self._shell)


class HelloProtocol(DatagramProtocol):
    """
    The UDP port, where HELLOs come and go.

    :param received: Called with each datagram and where it came from.
    """

    noisy = False

    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self._received(datagram, canonical((addr[0], addr[1])))

    def send(self, data: bytes, address: Address) -> None:
        """Send a datagram; one that can't be sent is as good as lost."""
        transport: Any = self.transport
        if transport is None:
            return
        host, port = address
        if ":" in transport.getHost().host and ":" not in host:
            host = f"::ffff:{host}"
        try:
            transport.write(data, (host, port))
        except (OSError, InvalidAddressError):
            # No route, a full buffer, or an address of the other family.
            pass
