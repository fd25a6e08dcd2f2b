# -*- test-case-name: tests.nodosum.discovery.test_dns_client -*-
"""
Asking DNS servers: by UDP, and by TCP for what UDP cuts off.  (A shell.)

The protocols are those of `twisted.names`.  Each question has a port and an id
of its own that nobody can foresee, and is answered only from where it went to;
what comes is looked over before it is decoded, and nothing is open when it is
over.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.protocol import Factory
from twisted.names import dns
from twisted.python.failure import Failure

from mycorrizal.nodosum.config import Address, canonical, format_address
from mycorrizal.nodosum.discovery.dns_guard import Malformed, guarded
from mycorrizal.nodosum.discovery.dns_records import Question, Reply
from mycorrizal.runtime import Runtime, Timer

#: How long each server may take, in the first round of asking them all, in
#: the second and in the third.
TIMEOUTS_S = (1.0, 2.0, 4.0)
#: For a connection by TCP, and then for the answer on it.
TCP_TIMEOUT_S = 3.0
#: What we promise to take in a datagram, by EDNS (RFC 6891): what fits a packet on
#: any way in IPv6, so that nothing is cut into fragments, which are often lost.
EDNS_BYTES = 1232
#: What is longer than this is cut.
DATAGRAM_BYTES_MAX = 4096
#: How long a server that answered only without EDNS is asked without.
PLAIN_S = 600.0
#: What a server may say, by the names that everybody knows (RFC 1035, 4.1.1).
_CODES = {
    dns.EFORMAT: "FORMERR",
    dns.ESERVER: "SERVFAIL",
    dns.ENOTIMP: "NOTIMP",
    dns.EREFUSED: "REFUSED",
    dns.EBADVERSION: "BADVERS",
}
#: What servers say that don't know EDNS (RFC 6891, 6.1.3 and 7).
_NO_EDNS = (dns.EFORMAT, dns.ENOTIMP, dns.EBADVERSION)


class DnsFailure(Exception):
    """
    A question got no answer.

    :ivar silent: Nobody said anything, so that asking again may help.
    """

    def __init__(self, problem: str, *, silent: bool = False) -> None:
        super().__init__(problem)
        self.silent = silent


class _Exchange:
    """
    One question to one server: what `twisted.names` calls a controller.

    :param edns: Whether to say that we take more than 512 bytes by UDP.
    :ivar answer: Fires with the message, or fails with `DnsFailure`.
    :ivar timer: That of the protocol which asks.
    """

    def __init__(
        self,
        runtime: Runtime,
        server: Address,
        question: Question,
        *,
        edns: bool = False,
    ) -> None:
        self.runtime = runtime
        self.server = server
        self.edns = edns
        self.message_id = int.from_bytes(runtime.token_bytes(2), "big")
        self.answer: Deferred[dns.Message] = Deferred()
        self.timer: Timer | None = None
        self._question = question
        self._unreadable = ""

    def by_udp(self, protocol: _Datagrams, timeout_s: float) -> None:
        """Ask by UDP; from now on only that server is heard."""
        transport: Any = protocol.transport
        try:
            transport.connect(*self.server)
        except OSError as error:
            self._fail(f"can't be asked: {error.strerror or error}")
            return
        self._asked(protocol.query(self.server, [self._question.query()], timeout_s))

    def connectionMade(self, protocol: dns.DNSProtocol) -> None:
        """Ask by TCP."""
        self._asked(protocol.query([self._question.query()], TCP_TIMEOUT_S))

    def connectionLost(self, protocol: dns.DNSProtocol) -> None:
        """There is no more to come."""
        self._fail("closes the connection without an answer")

    def messageReceived(self, message: dns.Message, *source: object) -> None:
        """The same answer once more."""

    def readable(self, data: bytes) -> bytes | None:
        """What may be decoded; what is no reply to our question changes nothing."""
        try:
            return guarded(data, self.message_id, self._question.encoded())
        except Malformed as error:
            self._unreadable = str(error)
            return None

    def refused(self) -> None:
        """Nobody listens there."""
        self._fail("is not there: nobody listens on UDP")

    def give_up(self) -> None:
        """It has had its time, or has said its only word."""
        if self._unreadable:
            # Whoever sent that, the true answer may still come next time.
            problem = f"sends what is no answer ({self._unreadable})"
            self._fail(problem, silent=True)
        else:
            self._fail("does not answer", silent=True)

    def close(self) -> None:
        """It is over."""
        if self.timer is not None:
            self.timer.cancel()

    def _asked(self, waiting: Deferred[dns.Message]) -> None:
        waiting.addCallbacks(self._answered, self._unanswered)

    def _answered(self, message: dns.Message) -> None:
        if not self.answer.called:
            self.answer.callback(message)

    def _unanswered(self, failure: Failure) -> None:
        if failure.check(dns.DNSQueryTimeoutError):
            self.give_up()
        else:
            self._fail(f"can't be asked: {failure.getErrorMessage()}")

    def _fail(self, problem: str, *, silent: bool = False) -> None:
        if not self.answer.called:
            name = f"DNS server {format_address(self.server)}"
            self.answer.errback(DnsFailure(f"{name} {problem}", silent=silent))


class _Asking(dns.DNSMixin):
    """What is ours of both protocols: the id, and the clock."""

    def __init__(self, exchange: _Exchange) -> None:
        super().__init__(exchange, exchange.runtime.reactor)
        self._exchange = exchange

    def pickID(self) -> int:
        return self._exchange.message_id

    def callLater(self, period: float, func: Any, *args: Any) -> Timer:
        timer = self._exchange.runtime.call_later(period, func, *args)
        self._exchange.timer = timer
        return timer


class _Datagrams(_Asking, dns.DNSDatagramProtocol):
    """The socket of one question."""

    def writeMessage(self, message: dns.Message, address: Address) -> None:
        if self._exchange.edns:
            nothing = dns.UnknownRecord(b"", ttl=0)
            opt = dns.RRHeader(b"", dns.OPT, EDNS_BYTES, ttl=0, payload=nothing)
            message.additional = [opt]
        super().writeMessage(message, address)

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        server = self._exchange.server
        # The socket is connected; this is for what came just before that.  The
        # source of a datagram has no "%eth0".
        if canonical(addr) != canonical((server[0].partition("%")[0], server[1])):
            return
        message = self._exchange.readable(data)
        if message is not None:
            super().datagramReceived(message, server)

    def connectionRefused(self) -> None:
        self._exchange.refused()

    def stopProtocol(self) -> None:
        super().stopProtocol()
        # Before we have closed it: epoll tells of a refusal as of a lost
        # connection.
        self._exchange.refused()


class _Stream(_Asking, dns.DNSProtocol):
    """The connection of one question."""

    def stringReceived(self, data: bytes) -> None:
        message = self._exchange.readable(data)
        if message is None:
            self._exchange.give_up()
        else:
            super().stringReceived(message)


class DnsClient:
    """
    Asks servers in turn until one answers.

    :ivar servers: IP literals and ports, the one that answered last first.
    """

    def __init__(self, runtime: Runtime, servers: tuple[Address, ...] = ()) -> None:
        self.servers = servers
        self._runtime = runtime
        #: Until when who is asked without EDNS, monotonic.
        self._plain_until: dict[Address, float] = {}

    def use(self, servers: tuple[Address, ...]) -> None:
        """Ask these from now on; the order is kept if they are the same."""
        if sorted(servers) != sorted(self.servers):
            self.servers = servers
            self._plain_until.clear()

    async def ask(self, question: Question) -> Reply:
        """
        :return: What the first server answered that could: ``NOERROR`` or
            ``NXDOMAIN``.
        :raises DnsFailure: None could.
        """
        failure = DnsFailure("no DNS server is known")
        #: Something between us may let nothing through that has EDNS.
        silent = set[Address]()
        for timeout_s in TIMEOUTS_S:
            for server in self.servers:
                edns = server not in silent and self._may_use_edns(server)
                try:
                    reply = await self._ask(server, question, timeout_s, edns)
                except DnsFailure as error:
                    failure = error
                    if error.silent:
                        silent.add(server)
                    continue
                if server in silent:
                    self._needs_no_edns(server)
                others = [other for other in self.servers if other != server]
                self.servers = (server, *others)
                return reply
            if not failure.silent:
                break
        raise DnsFailure(f"{failure}, asked for {question}", silent=failure.silent)

    def _may_use_edns(self, server: Address) -> bool:
        return self._runtime.now() >= self._plain_until.get(server, 0.0)

    def _needs_no_edns(self, server: Address) -> None:
        """A server has answered what had no EDNS, and not what had."""
        self._plain_until[server] = self._runtime.now() + PLAIN_S

    async def _ask(
        self, server: Address, question: Question, timeout_s: float, edns: bool
    ) -> Reply:
        exchange = _Exchange(self._runtime, server, question, edns=edns)
        reply = await self._by_udp(exchange, timeout_s)
        if edns and reply.rcode in _NO_EDNS:
            plain = _Exchange(self._runtime, server, question)
            reply = await self._by_udp(plain, timeout_s)
            if reply.rcode not in _NO_EDNS:
                self._needs_no_edns(server)
        if reply.truncated:
            reply = await self._by_tcp(_Exchange(self._runtime, server, question))
        if reply.truncated:
            place = format_address(server)
            raise DnsFailure(f"DNS server {place} cuts its answer off by TCP too")
        if reply.rcode not in (dns.OK, dns.ENAME):
            code = reply.rcode
            said = _CODES.get(code, f"code {code}")
            raise DnsFailure(f"DNS server {format_address(server)} answers {said}")
        return reply

    async def _by_udp(self, exchange: _Exchange, timeout_s: float) -> Reply:
        datagrams = _Datagrams(exchange)
        interface = "::" if ":" in exchange.server[0] else ""
        try:
            # The system gives out ports that nobody can foresee.
            port = self._runtime.reactor.listenUDP(
                0, datagrams, interface=interface, maxPacketSize=DATAGRAM_BYTES_MAX
            )
        except CannotListenError as error:
            raise DnsFailure(f"no UDP port can be opened: {error}") from None
        try:
            exchange.by_udp(datagrams, timeout_s)
            return Reply.of(await exchange.answer)
        finally:
            exchange.close()
            port.stopListening()

    async def _by_tcp(self, exchange: _Exchange) -> Reply:
        host, port = exchange.server
        stream = _Stream(exchange)
        factory = Factory.forProtocol(lambda: stream)
        factory.noisy = False
        endpoint: Any = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        reactor = self._runtime.reactor
        try:
            await endpoint(reactor, host, port, timeout=TCP_TIMEOUT_S).connect(factory)
        except ConnectError:
            place = format_address(exchange.server)
            problem = f"DNS server {place} has more to say, but not by TCP"
            raise DnsFailure(problem) from None
        try:
            return Reply.of(await exchange.answer)
        finally:
            exchange.close()
            transport: Any = stream.transport
            transport.abortConnection()
