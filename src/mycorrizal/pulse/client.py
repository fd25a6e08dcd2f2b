# -*- test-case-name: tests.pulse.test_client -*-
"""
Pulse's connection to a node.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import (
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
    UnknownHostError,
)
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from mycorrizal.errors import (
    AuthenticationError,
    CallTimeout,
    LinkLost,
    MycorrizalError,
    NotRunning,
    PeerBusy,
    RemoteFailure,
    RemoteProtocolError,
)
from mycorrizal.mycel.config import OPERATION_TIMEOUT_S
from mycorrizal.nodosum import (
    ANSWERED,
    LINK_LOST,
    TIMED_OUT,
    Address,
    AutoTls,
    Channel,
    ErrorCode,
    KeyRing,
    Link,
    PkiSettings,
    PkiTls,
    format_address,
    printable,
)
from mycorrizal.nodosum.acl import cluster_tag
from mycorrizal.nodosum.endpoints import client_endpoint
from mycorrizal.nodosum.messages import ClientWelcome, decode
from mycorrizal.nodosum.protocol import LinkProtocol, TlsStarter
from mycorrizal.nodosum.wire.events import Authenticated, Local, Refused
from mycorrizal.nodosum.wire.handshake import NONCE_BYTES, Handshake
from mycorrizal.nodosum.wire.limits import (
    FrameType,
    Goodbye,
    RejectCode,
)
from mycorrizal.nodosum.wire.signals import decode_goodbye
from mycorrizal.nodosum.wire.version import Role
from mycorrizal.pulse.messages import (
    APPLICATION_ID,
    Question,
    Reply,
    decode_reply,
    encode_question,
)
from mycorrizal.runtime import Runtime

#: From the first packet to the node's WELCOME.
CONNECT_TIMEOUT_S = 2.0
#: How long a node may take to answer: a little longer than its cache may take.
ANSWER_TIMEOUT_S = OPERATION_TIMEOUT_S + 1.0
#: How long a connection may take to close in good order.
CLOSE_TIMEOUT_S = 0.5
#: Bytes of questions that wait for the transport.
QUEUE_BYTES_MAX = 8 * 1024 * 1024


class CannotConnect(MycorrizalError):
    """
    No node that could be asked is at an address.

    :ivar address: The address, as ``HOST:PORT``.
    :ivar problem: What is wrong, as the end of a sentence.
    """

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(f"cannot connect to {address}: {problem}")
        self.address = address
        self.problem = problem


class NodeBusy(CannotConnect):
    """A node takes no more connections just now."""


class NodeRefused(AuthenticationError):
    """
    The node refused us, or we it, before it could be asked anything.

    :ivar code: Why.
    :ivar certificate: Whether a certificate is why.
    """

    def __init__(self, address: str, refused: Refused) -> None:
        who = f"{address} refused us" if refused.by_peer else f"we refused {address}"
        super().__init__(f"{who}: {refused.reason}")
        self.code = refused.code
        self.certificate = refused.certificate


class _Connection:
    """
    What is said on the one connection besides questions and answers.

    :ivar welcomed: Fires when questions may be asked.
    """

    def __init__(
        self, runtime: Runtime, local: Local, place: str, pki: PkiSettings | None
    ) -> None:
        self.runtime = runtime
        # Pulse's own certificate need not bear the name of the nodes.
        tls = AutoTls() if pki is None else PkiTls(pki, is_node=False)
        self.tls: TlsStarter = runtime.tls or tls
        self.welcomed: Deferred[ClientWelcome] = Deferred()
        self.link: Link | None = None
        self._local = local
        self._place = place
        self._protocol: LinkProtocol | None = None
        self._closing: list[Deferred[None]] = []

    def close(self, timeout_s: float) -> Deferred[None]:
        """Close in good order; fires when that is done."""
        protocol, link = self._protocol, self.link
        if protocol is None:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._closing.append(closed)
        if link is None:
            protocol.abort()
        else:
            link.goodbye(Goodbye.LEAVING)
            protocol.set_deadline(timeout_s, protocol.abort)
        return closed

    def abort(self) -> None:
        """Close at once."""
        if self._protocol is not None:
            self._protocol.abort()

    def failed(self, problem: str) -> None:
        """We are not welcomed, and why."""
        self._refuse(CannotConnect(self._place, problem))

    def _refuse(self, error: MycorrizalError) -> None:
        if not self.welcomed.called:
            self.welcomed.errback(error)

    # -- asked and told by the protocol -------------------------------------------

    def begin_handshake(self, protocol: LinkProtocol) -> Handshake:
        """The connection is there."""
        self._protocol = protocol
        nonce = self.runtime.token_bytes(NONCE_BYTES)
        return Handshake(self._local, initiator=True, nonce=nonce)

    def answered(self, protocol: LinkProtocol) -> None:
        """We said something; the node has the next word."""

    def tls_started(self, protocol: LinkProtocol) -> None:
        """TLS begins."""

    def authenticated(self, protocol: LinkProtocol, event: Authenticated) -> Link:
        """Both sides know the secret; the node's WELCOME is still to come."""
        self.link = link = Link(
            self.runtime,
            protocol.clear_transport,
            event.remote,
            self,
            {},
            address=protocol.address,
            dialled=protocol.dialled,
            encrypted=self._local.tls,
            frame_bytes_max=self._local.frame_bytes_max,
            queue_bytes_max=QUEUE_BYTES_MAX,
        )
        return link

    def refused(self, protocol: LinkProtocol, event: Refused) -> None:
        """The handshake ended with a refusal, theirs or ours."""
        if event.code is RejectCode.BUSY:
            self._refuse(NodeBusy(self._place, event.reason))
        else:
            self._refuse(NodeRefused(self._place, event))

    def broken(self, protocol: LinkProtocol, error: RemoteProtocolError) -> None:
        """What came is not our protocol."""
        self.failed(f"what answers there is no node of ours ({error})")

    def closed(self, protocol: LinkProtocol) -> None:
        """The connection is gone."""
        self.failed("it closed the connection")
        self._protocol = None
        closing, self._closing = self._closing, []
        # Its timers were cancelled; nor is an alarm for them to be left.
        self.runtime.rearm()
        for waiter in closing:
            waiter.callback(None)

    # -- told by the link ---------------------------------------------------------

    def control_received(self, link: Link, kind: int, payload: bytes) -> None:
        """
        A frame of the link's own came.

        :raises RemoteProtocolError: It is none, or not for a client.
        """
        if kind == FrameType.WELCOME and not link.up:
            welcome = decode(ClientWelcome, payload)
            link.peer_id = welcome.node_id
            link.up = True
            if not self.welcomed.called:
                self.welcomed.callback(welcome)
        elif kind == FrameType.GOODBYE:
            reason, _, text = decode_goodbye(payload)
            if reason is Goodbye.BUSY:
                self._refuse(NodeBusy(self._place, text))
            link.lost()
            if self._protocol is not None:
                self._protocol.close()
        else:
            raise RemoteProtocolError(f"frame type {kind} is not for a client")


class PulseClient:
    """
    A connection of Pulse to one node: `connect` once, `ask` at will, `close`.

    :param address: Where the node listens.
    :param keys: The cluster's secret.
    :param tls: Whether to encrypt; the node must be of the same mind.
    :param pki: Our certificate, and whose we trust; None: that is not asked.
    :raises ConfigError: A certificate can't be read, or will not do.
    """

    def __init__(
        self,
        runtime: Runtime,
        address: Address,
        keys: KeyRing,
        *,
        cluster_name: str = "mycorrizal",
        tls: bool = True,
        pki: PkiSettings | None = None,
    ) -> None:
        self.address = address
        self._runtime = runtime
        self._channel = Channel(APPLICATION_ID)
        # Nobody dials a client, so its key need not be known to anybody.
        local = Local(
            node_key=runtime.token_bytes(16),
            incarnation=0,
            cluster_tag=cluster_tag(cluster_name),
            keys=keys,
            tls=tls,
            role=Role.CLIENT,
        )
        self._connection = _Connection(runtime, local, format_address(address), pki)

    # -- life ---------------------------------------------------------------------

    def connect(self, timeout_s: float = CONNECT_TIMEOUT_S) -> Deferred[ClientWelcome]:
        """
        Dial the node and prove that we know the secret.

        :param timeout_s: For all of it, in seconds.
        :return: Fires with what the node says of itself.  Fails with
            `CannotConnect`, `NodeBusy`, or `NodeRefused` when secret, cluster
            name, TLS or protocol version don't fit.
        """
        connection, runtime = self._connection, self._runtime
        endpoint = client_endpoint(runtime.reactor, self.address, timeout_s)
        factory = Factory.forProtocol(lambda: LinkProtocol(connection, self.address))
        factory.noisy = False
        dial = endpoint.connect(factory)
        dial.addErrback(lambda failure: connection.failed(_problem(failure)))
        late = f"no answer within {timeout_s:g} s"
        timer = runtime.call_later(timeout_s, connection.failed, late)

        def done(result: Any) -> Any:
            timer.cancel()
            if isinstance(result, Failure):
                dial.cancel()
                connection.abort()
            runtime.rearm()
            return result

        return connection.welcomed.addBoth(done)

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> Deferred[None]:
        """
        Close the connection.

        :return: Fires when it is closed, after `timeout_s` by force.
        """
        return self._connection.close(timeout_s)

    def abort(self) -> None:
        """Close the connection at once."""
        self._connection.abort()

    # -- questions ----------------------------------------------------------------

    def ask(
        self, question: Question, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> Deferred[Reply]:
        """
        Ask the node.

        :return: Fires with the reply, which may be `Failed`.  Fails with
            `NotRunning` (not connected), `LocalProtocolError` or
            `MessageTooLarge` (nothing was sent), `PeerBusy`, `RemoteFailure`;
            with `CallTimeout` or `LinkLost` the node may have acted.
        """
        link = self._connection.link
        if link is None or not link.up:
            return fail(NotRunning("the connection"))
        try:
            payload = encode_question(question)
            self._channel.check_size(len(payload))
        except MycorrizalError as error:
            return fail(error)
        call_id = 0
        answer: Deferred[Reply] = Deferred(lambda _: link.cancel(call_id))

        def replied(how: int, reply: bytes) -> None:
            if how == ANSWERED:
                try:
                    answer.callback(decode_reply(reply))
                except RemoteProtocolError as error:
                    answer.errback(error)
            else:
                answer.errback(_failure(how, reply, link.peer_id, timeout_s))

        ends_at = self._runtime.now() + timeout_s
        call_id = self._channel.call(link, payload, replied, ends_at)
        return answer if call_id else fail(PeerBusy([link.peer_id]))


def _problem(failure: Failure) -> str:
    if failure.check(ConnectionRefusedError):
        return "nothing listens there"
    if failure.check(DNSLookupError, UnknownHostError):
        return "nobody has that name"
    if failure.check(TimeoutError):
        return "no answer"
    return failure.getErrorMessage()


def _failure(how: int, text: bytes, node_id: str, timeout_s: float) -> MycorrizalError:
    if how == TIMED_OUT:
        return CallTimeout(node_id, timeout_s)
    if how == LINK_LOST:
        return LinkLost(node_id)
    if how == ErrorCode.UNKNOWN_APPLICATION:
        return RemoteFailure(f"{node_id} does not answer to Pulse")
    if how == ErrorCode.BUSY:
        return PeerBusy([node_id])
    return RemoteFailure(printable(text))
