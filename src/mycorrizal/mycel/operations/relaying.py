# -*- test-case-name: tests.mycel.operations.test_relaying -*-
"""
How a member is asked that this node has no link to: by way of one that has.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.messages import Direct, Relay, Request, decode_request, encode
from mycorrizal.mycel.operations.routing import Sender
from mycorrizal.nodosum import ANSWERED, ErrorCode, Link

#: How often a request may be passed on before it reaches who is asked.
RELAY_HOPS_MAX = 4


class Relays:
    """
    One node's requests by way of others, and what it passes on for them.

    :param link_to: The link to a node, if it is up.
    :param way_to: The link to a member that hears a node that we don't.
    :param now: The monotonic clock.
    """

    def __init__(
        self,
        me: bytes,
        channel: Sender,
        link_to: Callable[[bytes], Link | None],
        way_to: Callable[[bytes], Link | None],
        now: Callable[[], float],
    ) -> None:
        self._me = me
        self._channel = channel
        self._link_to = link_to
        self._way_to = way_to
        self._now = now

    def toward(self, node_key: bytes) -> Link | None:
        """The link to a node, or to one that has a link to it."""
        return self._link_to(node_key) or self._way_to(node_key)

    def reached(self, node_key: bytes) -> bool:
        """Whether a node can be asked now."""
        return self.toward(node_key) is not None

    def call(
        self,
        node_key: bytes,
        payload: bytes,
        on_reply: Callable[[int, bytes], None],
        timeout_s: float,
    ) -> bool:
        """
        Ask a node, by way of another if need be.

        :param payload: The request, encoded.
        :return: Whether it was sent.
        """
        link = self._link_to(node_key)
        if link is None:
            link = self._way_to(node_key)
            timeout_ms = max(1, int(timeout_s * 1000))
            payload = encode(Relay(node_key, self._me, timeout_ms, payload))
        if link is None:
            return False
        deadline = self._now() + timeout_s
        return bool(self._channel.call(link, payload, on_reply, deadline))

    def opened(
        self, request: Request, call_id: int, link: Link
    ) -> tuple[Direct, bytes] | None:
        """
        A request that came, and the node key of who asks it; None: it is for
        another, and was passed on.

        :raises RemoteProtocolError: One relayed request is in another.
        """
        if not isinstance(request, Relay):
            return request, link.node_key
        if request.to != self._me:
            self._pass_on(request, call_id, link)
            return None
        inner = decode_request(request.request)
        if isinstance(inner, Relay):
            raise RemoteProtocolError("one relayed request in another")
        return inner, request.origin

    def _pass_on(self, relay: Relay, call_id: int, link: Link) -> None:

        def replied(how: int, payload: bytes) -> None:
            if link.closed:
                return
            if how == ANSWERED:
                link.reply(call_id, payload, self._channel.app_id)
            else:
                link.error(call_id, ErrorCode.BUSY, "", self._channel.app_id)

        following = self.toward(relay.to)
        deadline = self._now() + relay.timeout_ms / 1000
        passed = encode(replace(relay, hops=relay.hops + 1))
        if (
            following is None
            or following is link
            or relay.hops + 1 >= RELAY_HOPS_MAX
            or not self._channel.call(following, passed, replied, deadline)
        ):
            link.error(call_id, ErrorCode.BUSY, "", self._channel.app_id)
