# -*- test-case-name: tests.nodosum.discovery.test_consul_http -*-
"""
HTTP to one Consul agent: connections, TLS, time-outs, bounds.
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    fail,
    gatherResults,
    succeed,
)
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectingCancelledError, ConnectionAborted
from twisted.internet.interfaces import (
    IConsumer,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from mycorrizal.errors import ConfigError, DiscoveryError
from mycorrizal.nodosum.discovery import consul_sentences as sentences
from mycorrizal.nodosum.discovery.consul_settings import ConsulSettings
from mycorrizal.nodosum.discovery.consul_tls import connection_creator
from mycorrizal.nodosum.discovery.consul_token import read_token
from mycorrizal.nodosum.discovery.pacing import pause, within
from mycorrizal.runtime import Runtime

#: An entry takes 1 to 2 KB, and 256 addresses are looked at.
ANSWER_BYTES_MAX = 4 * 1024 * 1024
CONNECT_TIMEOUT_S = 5.0
#: One request waits while another renews the check.
IDLE_CONNECTIONS_MAX = 2


@attrs.frozen
class Answer:
    """
    What an agent answered, whatever it thinks of the request.

    :ivar index: To wait for changes with; None: the answer has none.
    :ivar filtered: Whether the token may see a part of it only.
    :ivar html: Whether it says that it is a page for people.
    :ivar with_token: Whether a token was sent.
    """

    status: int
    body: bytes
    index: int | None
    filtered: bool
    html: bool
    with_token: bool

    def expect_done(self, what: str, rule: str) -> None:
        """
        :param what: What was asked for, as in ``list the service``.
        :param rule: The ACL rule that it takes.
        :raises DiscoveryError: It was not done.
        """
        if self.status != 200:
            sentence = sentences.of_status(
                self.status,
                self.body,
                what=what,
                rule=rule,
                with_token=self.with_token,
            )
            raise DiscoveryError(sentence)


@implementer(IBodyProducer)
class _Body:
    """Bytes to send, at once; Twisted's own would use the global reactor."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """See `IBodyProducer`."""
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing is left to hold back."""

    def resumeProducing(self) -> None:
        """Nothing is left to send."""

    def stopProducing(self) -> None:
        """Nothing is left to stop."""


class _Collector(Protocol):
    """Takes in the body of an answer, up to a bound."""

    def __init__(self) -> None:
        self.body: Deferred[bytes] = Deferred(lambda _: self._hang_up())
        self._parts: list[bytes] = []
        self._bytes = 0

    def _hang_up(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes <= ANSWER_BYTES_MAX:
            self._parts.append(data)
        elif not self.body.called:
            self._hang_up()
            self.body.errback(
                DiscoveryError(f"Consul's answer is over {ANSWER_BYTES_MAX} bytes")
            )

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.body.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.body.callback(b"".join(self._parts))
        else:
            self.body.errback(reason)


@implementer(IStreamClientEndpoint)
class _Endpoint:
    """
    The agent's one address.  Remembers its connections, so that all can be
    closed, and the address that they have at this end.
    """

    def __init__(self, runtime: Runtime, settings: ConsulSettings) -> None:
        self._reactor = runtime.reactor
        self._settings = settings
        self._connections: list[Any] = []
        self._closed = False
        self.local_host: str | None = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """See `IStreamClientEndpoint`."""
        if self._closed:
            return fail(ConnectionAborted())
        # Twisted would log each connection.
        quiet: Any = protocolFactory
        quiet.noisy = False
        parts = urlsplit(self._settings.url)
        secure = parts.scheme == "https"
        inner: Any
        if parts.scheme == "unix":
            inner = UNIXClientEndpoint(self._reactor, parts.path, CONNECT_TIMEOUT_S)
        else:
            host, port = parts.hostname or "", parts.port or (443 if secure else 80)
            inner = HostnameEndpoint(self._reactor, host, port, CONNECT_TIMEOUT_S)
        if secure:
            # Read anew each time, and given our clock: Twisted's own wrapper
            # would take the global reactor's.
            quiet = TLSMemoryBIOFactory(
                connection_creator(self._settings, host),
                True,
                protocolFactory,
                clock=self._reactor,
            )
            quiet.noisy = False
        connected: Deferred[Any] = inner.connect(quiet)
        return connected.addCallback(self._connected)

    def _connected(self, outermost: Any) -> Any:
        connection = getattr(outermost, "wrappedProtocol", outermost)
        self._connections = [one for one in self._connections if _is_open(one)]
        self._connections.append(connection)
        self.local_host = getattr(connection.transport.getHost(), "host", None)
        return connection

    def close(self) -> Deferred[None]:
        """
        :return: Fires when no connection is open any more.
        """
        self._closed = True
        closed = []
        for connection in self._connections:
            if _is_open(connection):
                closed.append(connection.abort())
                connection.transport.abortConnection()
        self._connections = []
        return gatherResults(closed).addCallback(lambda _: None)


def _is_open(connection: Any) -> bool:
    return bool(connection.state != "CONNECTION_LOST")


@implementer(IAgentEndpointFactory)
class _OneEndpoint:
    """Sends each request to the agent, whatever its URI."""

    def __init__(self, endpoint: _Endpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> _Endpoint:
        """See `IAgentEndpointFactory`."""
        return self._endpoint


class ConsulHttp:
    """
    The requests to one agent.

    The token is read for each request and is sent to nobody else: redirects
    are not followed.

    :raises ConfigError: The token or the certificates can't be used.
    """

    def __init__(self, runtime: Runtime, settings: ConsulSettings) -> None:
        self._runtime = runtime
        self._settings = settings
        parts = urlsplit(settings.url)
        read_token(settings)
        if parts.scheme == "https":
            connection_creator(settings, parts.hostname or "")
        self.url = settings.url.rstrip("/")
        # A Unix socket has no host; Consul, as any server, wants some.
        self._base = "http://consul" if parts.scheme == "unix" else self.url
        where = (("ns", settings.namespace), ("partition", settings.partition))
        self._where = [(name, value) for name, value in where if value is not None]
        self._authorization = None
        if settings.auth is not None:
            # A user without a password is one with an empty one.
            user, _, password = settings.auth.partition(":")
            basic = base64.b64encode(f"{user}:{password}".encode())
            self._authorization = b"Basic " + basic
        self._endpoint = _Endpoint(runtime, settings)
        self._pool = HTTPConnectionPool(runtime.reactor, persistent=True)
        self._pool.maxPersistentPerHost = IDLE_CONNECTIONS_MAX
        # Or a query would wait with its old index for a new agent's changes.
        self._pool.retryAutomatically = False
        agent: Any = Agent.usingEndpointFactory(
            runtime.reactor, _OneEndpoint(self._endpoint), self._pool
        )
        self._client = HTTPClient(agent)

    @property
    def local_host(self) -> str | None:
        """The IP literal of our end of the last connection, if it had one."""
        return self._endpoint.local_host

    def ask(
        self,
        method: str,
        *path: str,
        query: list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        timeout_s: float,
    ) -> Deferred[Answer]:
        """
        Send a request.

        :param path: Its parts, below ``/v1``.
        :param query: Names and values; an empty value is a flag.
        :param body: JSON.
        :param timeout_s: For all of it.
        :return: Fires with the `Answer`; fails with `DiscoveryError` when there
            was none.  Can be cancelled.
        """
        asked = Deferred.fromCoroutine(self._ask(method, path, query, body))
        late = (
            f"no Consul agent can be used at {self.url}: no answer in {timeout_s:.3g} s"
        )
        return within(self._runtime, timeout_s, asked, late)

    async def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        query: list[tuple[str, str]] | None,
        body: bytes | None,
    ) -> Answer:
        url = "/".join([self._base, "v1", *(quote(part, "") for part in path)])
        query = [*(query or ()), *self._where]
        if query:
            flags = [quote(name) for name, value in query if not value]
            values = urlencode([(name, value) for name, value in query if value])
            url += "?" + "&".join([*flags, *filter(None, [values])])
        try:
            token = read_token(self._settings)
            headers = Headers({"User-Agent": ["mycorrizal"]})
            headers.addRawHeader("Accept", "application/json")
            if body is not None:
                headers.addRawHeader("Content-Type", "application/json")
            if self._authorization is not None:
                headers.addRawHeader("Authorization", self._authorization)
            if token is not None:
                headers.addRawHeader("X-Consul-Token", token)
            data: Any = None if body is None else _Body(body)
            response = await self._client.request(
                method,
                url,
                headers=headers,
                data=data,
                allow_redirects=False,
                unbuffered=True,
                reactor=self._runtime.reactor,
            )
            collector = _Collector()
            response.deliverBody(collector)
            received = await collector.body
        except (CancelledError, DiscoveryError):
            raise
        except ConfigError as error:
            raise DiscoveryError(str(error)) from None
        except Exception:
            failure = Failure()
            for reason in sentences.reasons_of(failure):
                if isinstance(reason, (CancelledError, ConnectingCancelledError)):
                    raise CancelledError() from None
            sentence = sentences.of_failure(failure, self.url)
            raise DiscoveryError(sentence) from None
        return Answer(
            response.code,
            received,
            _number(response.headers.getRawHeaders("X-Consul-Index")),
            _first(response, "X-Consul-Results-Filtered-By-ACLs") == "true",
            _first(response, "Content-Type").startswith("text/html"),
            token is not None,
        )

    def close(self) -> Deferred[None]:
        """
        :return: Fires when no connection is open any more.
        """
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        # In a turn of its own: a connection that is being lost tells us so while
        # it believes that it is open, and would never say that it is closed.
        await pause(self._runtime, 0)
        await self._pool.closeCachedConnections()
        await self._endpoint.close()


def _first(response: Any, name: str) -> str:
    return str((response.headers.getRawHeaders(name) or [""])[0])


def _number(values: list[str] | None) -> int | None:
    text = values[0] if values else ""
    # An index is an unsigned number of 64 bits.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None
