# -*- test-case-name: tests.nodosum.test_applications -*-
"""
Messages between the applications of nodes: the public API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from mycorrizal.errors import (
    ApplicationError,
    CallError,
    CallTimeout,
    DuplicateApplication,
    LinkLost,
    MessageTooLarge,
    MycorrizalError,
    NotRunning,
    PeerBusy,
    PeerUnreachable,
    RemoteFailure,
    UnknownApplication,
)
from mycorrizal.nodosum.calls import ANSWERED, LINK_LOST, TIMED_OUT
from mycorrizal.nodosum.channel import Channel
from mycorrizal.nodosum.inbox import Inbox
from mycorrizal.nodosum.link import Link, Route
from mycorrizal.nodosum.wire.limits import APPLICATION_ID_BYTES_MAX, ErrorCode
from mycorrizal.runtime import Runtime

#: Called with a message and the node id of its sender.
ReceiveFunc = Callable[[bytes, str], Any]
#: Called with a request and the node id of its sender; returns the answer.
RequestFunc = Callable[[bytes, str], Any]

#: Requests of one peer that an application works on at once; more are told
#: that it is busy.
SERVING_MAX = 1024
_ID_PATTERN = re.compile(rf"[A-Za-z0-9._-]{{1,{APPLICATION_ID_BYTES_MAX}}}")


class Application(Channel):
    """
    What an application registers: it sends to, and receives from, the
    applications of the same id on other nodes.

    Messages from one sender arrive in the order in which they were sent, at
    most once.
    """

    _log = Logger()

    def __init__(self, application_id: str, directory: Applications) -> None:
        super().__init__(application_id)
        self._directory = directory
        self._links = directory.links
        self._receive_func: ReceiveFunc | None = None
        self._request_func: RequestFunc | None = None
        self._inboxes: dict[Link, Inbox] = {}
        self._answers: dict[tuple[Link, int], Deferred[Any]] = {}
        #: Messages lost here: no receive function, or too many waiting.
        self.dropped = 0

    def set_receive_func(self, receive: ReceiveFunc) -> None:
        """
        Set what is called with each message.

        :param receive: Called with the payload and the sender's node id.  If
            it returns a Deferred, the next message of that sender waits for
            it, up to 1,024 messages or 8 MiB; more are dropped and counted.
            An error is logged and harms nothing else.
        """
        self._receive_func = receive

    def set_request_func(self, answer: RequestFunc) -> None:
        """
        Set what answers requests.

        :param answer: Called with the payload and the sender's node id;
            returns bytes or a Deferred of bytes (None stands for no bytes).
            An error fails the caller's Deferred with `RemoteFailure`.
        """
        self._request_func = answer

    # -- sending --------------------------------------------------------------

    def post(self, payload: bytes, node_ids: Sequence[str] = ()) -> None:
        """
        Send a message, without waiting; the quickest way.

        :param node_ids: To whom; empty: to all other members.
        :raises PeerUnreachable: Some of them are not linked.
        :raises PeerBusy: The queue to some of them is full.  The others got
            the message, here as above.
        :raises MessageTooLarge: No frame can hold it.
        """
        head = self.head(len(payload))
        links = self._links
        for node_id in node_ids or tuple(links):
            link = links.get(node_id)
            if link is None or not link.post(head, payload):
                self._post_rest(head, payload, node_ids or tuple(links), node_id)
                return

    def _post_rest(
        self, head: bytes, payload: bytes, node_ids: Sequence[str], first: str
    ) -> None:
        # One can't be reached: send to the others, then name all that can't.
        links = self._links
        unreachable: list[str] = []
        busy: list[str] = []
        for node_id in node_ids[node_ids.index(first) :]:
            link = links.get(node_id)
            if link is not None and link.post(head, payload):
                continue
            (busy if link is not None and link.up else unreachable).append(node_id)
        if unreachable:
            raise PeerUnreachable(unreachable)
        if busy:
            raise PeerBusy(busy)

    def send(self, payload: bytes, node_ids: Sequence[str] = ()) -> Deferred[None]:
        """
        Send a message.

        :param node_ids: To whom; empty: to all other members.
        :return: Fires with None when it was handed to the transports within
            their high-water mark, so that a sender who waits for it keeps the
            queues short.  Fails with `PeerUnreachable`, `PeerBusy`,
            `MessageTooLarge` or `NotRunning`.
        """
        if not self._directory.running:
            return fail(NotRunning())
        links = [self._links.get(name) for name in node_ids or tuple(self._links)]
        try:
            self.post(payload, node_ids)
        except MycorrizalError:
            return fail(Failure())
        waits: list[Deferred[None]] = []
        for link in links:
            if link is not None:
                written: Deferred[None] = Deferred()
                link.when_written(lambda d=written: d.called or d.callback(None))  # type: ignore[misc]
                if not written.called:
                    waits.append(written)
        if not waits:
            return succeed(None)
        return DeferredList(waits, consumeErrors=True).addCallback(lambda _: None)

    def request(
        self, payload: bytes, node_id: str, timeout_s: float = 5.0
    ) -> Deferred[bytes]:
        """
        Ask the application of the same id on another node.

        :return: Fires with the answer.  Fails with `PeerUnreachable`,
            `PeerBusy` or `MessageTooLarge` if it was not sent,
            `UnknownApplication` or `RemoteFailure` if the peer said so, and
            with `CallTimeout` or `LinkLost` if the peer may have acted on it.
            Cancelling tells the peer.
        """
        if not self._directory.running:
            return fail(NotRunning())
        link = self._links.get(node_id)
        if link is None:
            return fail(PeerUnreachable([node_id]))
        try:
            self.check_size(len(payload))
        except MessageTooLarge:
            return fail(Failure())
        result: Deferred[bytes] = Deferred(lambda _: link.cancel(call_id))

        def answered(how: int, answer: bytes) -> None:
            if how == ANSWERED:
                result.callback(answer)
            else:
                result.errback(self._error(how, answer, node_id, timeout_s))

        deadline = self._directory.runtime.now() + timeout_s
        call_id = self.call(link, payload, answered, deadline)
        return result if call_id else fail(PeerBusy([node_id]))

    def _error(
        self, how: int, text: bytes, node_id: str, timeout_s: float
    ) -> MycorrizalError:
        if how == TIMED_OUT:
            return CallTimeout(node_id, timeout_s)
        if how == LINK_LOST:
            return LinkLost(node_id)
        if how == ErrorCode.UNKNOWN_APPLICATION:
            return UnknownApplication(self.id, f"at {node_id}")
        if how == ErrorCode.BUSY:
            return PeerBusy([node_id])
        if how == ErrorCode.NO_FUNCTION:
            return CallError(f"application {self.id!r} at {node_id} takes no requests")
        return RemoteFailure(f"{node_id}: {text.decode(errors='backslashreplace')}")

    # -- receiving (called by the link) ---------------------------------------

    def received(self, payload: bytes, link: Link) -> None:
        """A message came."""
        receive = self._receive_func
        if receive is None:
            self.dropped += 1
            return
        if self._inboxes and link in self._inboxes:
            self.dropped += not self._inboxes[link].put(payload)
            return
        try:
            result = receive(payload, link.peer_id)
        except Exception:
            self._failed(Failure(), link)
            return
        if isinstance(result, Deferred) and not result.called:
            self._inboxes[link] = Inbox()
            result.addBoth(self._received_done, link)
        elif isinstance(result, Deferred):
            result.addErrback(self._failed, link)

    def _received_done(self, result: object, link: Link) -> None:
        if isinstance(result, Failure):
            self._failed(result, link)
        inbox = self._inboxes.pop(link)
        if link.closed:
            self.dropped += len(inbox)
            return
        # Each message may make the sender wait again.
        for payload in inbox.take():
            self.received(payload, link)

    def _failed(self, failure: Failure, link: Link) -> None:
        self._log.failure(
            "The receive function of {application} failed on a message from {sender}",
            failure=failure,
            application=self.id,
            sender=link.peer_id,
        )

    def serve(self, call_id: int, payload: bytes, link: Link) -> None:
        """A request came."""
        if self._request_func is None:
            link.error(call_id, ErrorCode.NO_FUNCTION, "")
            return
        if len(link.serving) >= SERVING_MAX:
            link.error(call_id, ErrorCode.BUSY, "")
            return
        try:
            result = self._request_func(payload, link.peer_id)
        except Exception:
            result = Failure()
        if not isinstance(result, Deferred):
            self._answer(result, link, call_id)
            return
        link.serving[call_id] = self
        self._answers[link, call_id] = result
        result.addBoth(self._served, link, call_id)

    def _served(self, result: object, link: Link, call_id: int) -> None:
        if self._answers.pop((link, call_id), None) is not None:
            link.serving.pop(call_id, None)
            self._answer(result, link, call_id)

    def _answer(self, result: object, link: Link, call_id: int) -> None:
        if isinstance(result, Failure):
            self._log.failure(
                "The request function of {application} failed for {sender}",
                failure=result,
                application=self.id,
                sender=link.peer_id,
            )
            link.error(call_id, ErrorCode.FAILED, result.getErrorMessage())
        elif result is None or isinstance(result, bytes):
            answer = result or b""
            if len(answer) > self.message_bytes_max:
                text = str(MessageTooLarge(len(answer), self.message_bytes_max))
                link.error(call_id, ErrorCode.FAILED, text)
            else:
                link.reply(call_id, answer)
        else:
            kind = type(result).__name__
            link.error(call_id, ErrorCode.FAILED, f"answered {kind}, not bytes")

    def cancelled(self, call_id: int, link: Link) -> None:
        """The caller waits no more."""
        answer = self._answers.pop((link, call_id), None)
        if answer is not None:
            answer.addErrback(lambda _: None)
            answer.cancel()


class Applications:
    """
    The applications of one node, and the links that they send over.

    :ivar routes: By application id as bytes; the links read it.
    :ivar client_routes: Those that Pulse may talk to.
    :ivar links: By node id; those that are up.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.running = False
        self.routes: dict[bytes, Route] = {}
        self.client_routes: dict[bytes, Route] = {}
        self.links: dict[str, Link] = {}

    def register(self, application_id: str) -> Application:
        """
        :raises DuplicateApplication: The id is taken.
        :raises ApplicationError: It is not 1 to 64 of ``A-Za-z0-9._-``.
        """
        application = Application(application_id, self)
        self.add_route(application_id, application)
        return application

    def add_route(self, application_id: str, route: Route) -> None:
        """Register something of our own under an application id."""
        if not _ID_PATTERN.fullmatch(application_id):
            raise ApplicationError(
                application_id,
                "needs an id of 1 to 64 letters, digits, dots, dashes or underscores",
            )
        if application_id.encode() in self.routes:
            raise DuplicateApplication(application_id)
        self.routes[application_id.encode()] = route

    def get(self, application_id: str) -> Application:
        """
        :raises UnknownApplication: It was not registered here.
        """
        route = self.routes.get(application_id.encode())
        if not isinstance(route, Application):
            raise UnknownApplication(application_id)
        return route

    def ids(self) -> tuple[str, ...]:
        """The registered ids, sorted."""
        return tuple(sorted(app_id.decode() for app_id in self.routes))
