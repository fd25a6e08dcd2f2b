# -*- test-case-name: tests.nodosum.test_applications -*-
"""
Messages between the applications of nodes: the public API.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mycorrizal.errors import (
    ApplicationError,
    DuplicateApplication,
    MessageTooLarge,
    UnknownApplication,
)
from mycorrizal.nodosum.inbox import Inbox, Serving
from mycorrizal.nodosum.link import Link, Route
from mycorrizal.nodosum.sending import Sender
from mycorrizal.nodosum.wire.limits import APPLICATION_ID_BYTES_MAX, ErrorCode
from mycorrizal.runtime import Runtime

#: Called with a message and the node id of its sender.
ReceiveFunc = Callable[[bytes, str], Any]
#: Called with a request and the node id of its sender; returns the answer.
RequestFunc = Callable[[bytes, str], Any]

_ID_PATTERN = re.compile(rf"[A-Za-z0-9._-]{{1,{APPLICATION_ID_BYTES_MAX}}}")


def _awaited(result: Any) -> Any:
    """What a user's function returned; a coroutine as a Deferred."""
    return Deferred.fromCoroutine(result) if inspect.iscoroutine(result) else result


class Application(Sender):
    """
    What an application registers: it sends to, and receives from, the
    applications of the same id on other nodes.

    Messages from one sender arrive in the order in which they were sent, at
    most once.
    """

    _log = Logger()

    def __init__(self, application_id: str, directory: Applications) -> None:
        super().__init__(application_id, directory)
        self._receive_func: ReceiveFunc | None = None
        self._request_func: RequestFunc | None = None
        self._inboxes: dict[Link, Inbox] = {}
        self._serving: dict[Link, Serving] = {}
        #: Messages lost here: no receive function, or too many waiting.
        self.dropped = 0

    def set_receive_func(self, receive: ReceiveFunc) -> None:
        """
        Set what is called with each message.

        :param receive: Called with the payload and the sender's node id.  If
            it returns a Deferred, the next message of that sender waits for
            it, up to 1,024 messages or 8 MiB; more are dropped and counted.
            It may be an ``async def`` function.
            An error is logged and harms nothing else.
        """
        self._receive_func = receive

    def set_request_func(self, answer: RequestFunc) -> None:
        """
        Set what answers requests.

        :param answer: Called with the payload and the sender's node id;
            returns bytes or a Deferred of bytes (None stands for no bytes), or
            is an ``async def`` function that does.
            An error fails the caller's Deferred with `RemoteFailure`.
        """
        self._request_func = answer

    # -- receiving (called by the link) ---------------------------------------

    def received(self, payloads: list[bytes], link: Link) -> None:
        """Messages came."""
        receive, sender = self._receive_func, link.peer_id
        if receive is None:
            self.dropped += len(payloads)
            return
        inbox = self._inboxes.get(link) if self._inboxes else None
        for payload in payloads:
            if inbox is not None:
                self.dropped += not inbox.put(payload)
                continue
            try:
                result = receive(payload, sender)
            except Exception:
                self._failed(Failure(), link)
                continue
            if result is not None:
                result = _awaited(result)
                if isinstance(result, Deferred):
                    inbox = self._wait(result, link)

    def _wait(self, result: Deferred[Any], link: Link) -> Inbox | None:
        """Let the next messages of the sender wait, unless `result` is there."""
        if result.called and not result.paused:
            result.addErrback(self._failed, link)
            return None
        inbox = Inbox()
        if not link.closed:
            self._inboxes[link] = inbox
        result.addBoth(self._received_done, link)
        return inbox

    def link_lost(self, link: Link) -> None:
        """A link is gone, and what waited for it to be received is dropped."""
        self.forget_link(link)
        inbox = self._inboxes.pop(link, None)
        if inbox is not None:
            self.dropped += len(inbox)

    def _received_done(self, result: object, link: Link) -> None:
        if isinstance(result, Failure):
            self._failed(result, link)
        inbox = self._inboxes.pop(link, None)
        if inbox is not None and link.closed:
            self.dropped += len(inbox)
        elif inbox is not None:
            # Any of them may make the rest wait again, or close the link.
            before, link.arrived = link.arrived, inbox.take()
            self.received(link.arrived, link)
            link.arrived = [] if link.closed else before
            if link.closed:
                before.clear()

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
            link.error(call_id, ErrorCode.NO_FUNCTION, "", self.app_id)
            return
        serving = self._serving.get(link)
        if serving is not None and serving.full(len(payload)):
            link.error(call_id, ErrorCode.BUSY, "", self.app_id)
            return
        try:
            result = _awaited(self._request_func(payload, link.peer_id))
        except Exception:
            result = Failure()
        if not isinstance(result, Deferred):
            self._answer(result, link, call_id)
            return
        if serving is None:
            serving = self._serving.setdefault(link, Serving())
        serving.add(call_id, result, len(payload))
        link.serving[call_id] = self
        result.addBoth(self._served, link, call_id)

    def _served(self, result: object, link: Link, call_id: int) -> None:
        if self._serving_ended(call_id, link) is not None:
            link.serving.pop(call_id, None)
            self._answer(result, link, call_id)

    def _serving_ended(self, call_id: int, link: Link) -> Deferred[Any] | None:
        serving = self._serving.get(link)
        if serving is None:
            return None
        answer: Deferred[Any] | None = serving.pop(call_id)
        if not serving:
            del self._serving[link]
        return answer

    def _answer(self, result: object, link: Link, call_id: int) -> None:
        if isinstance(result, Failure):
            self._log.failure(
                "The request function of {application} failed for {sender}",
                failure=result,
                application=self.id,
                sender=link.peer_id,
            )
            text = result.getErrorMessage()
            link.error(call_id, ErrorCode.FAILED, text, self.app_id)
        elif result is None or isinstance(result, bytes):
            answer = result or b""
            if len(answer) > self.message_bytes_max:
                text = str(MessageTooLarge(len(answer), self.message_bytes_max))
                link.error(call_id, ErrorCode.FAILED, text, self.app_id)
            else:
                link.reply(call_id, answer, self.app_id)
        else:
            kind = type(result).__name__
            text = f"answered {kind}, not bytes"
            link.error(call_id, ErrorCode.FAILED, text, self.app_id)

    def cancelled(self, call_id: int, link: Link) -> None:
        """The caller waits no more."""
        answer = self._serving_ended(call_id, link)
        if answer is not None:
            answer.addErrback(lambda _: None)
            try:
                answer.cancel()
            except Exception:
                # The link is about to end, maybe: it has more to tell than this.
                self._log.failure(
                    "The request function of {application} could not be cancelled",
                    application=self.id,
                )


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

    def disown(self) -> None:
        """All links are another process's."""
        self.running = False
        self.links.clear()
        for route in self.routes.values():
            if isinstance(route, Application):
                route.forget_links()

    def link_lost(self, link: Link) -> None:
        """A link is gone: no application waits for its messages any more."""
        for route in self.routes.values():
            if isinstance(route, Application):
                route.link_lost(link)

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
