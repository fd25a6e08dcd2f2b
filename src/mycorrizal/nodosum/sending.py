# -*- test-case-name: tests.nodosum.test_applications -*-
"""
The sending half of an application.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.python.failure import Failure

from mycorrizal.errors import (
    MessageTooLarge,
    MycorrizalError,
    PeerBusy,
    PeerUnreachable,
)
from mycorrizal.nodosum.calls import ANSWERED
from mycorrizal.nodosum.channel import Channel
from mycorrizal.nodosum.flow import PATIENT_TIMES, Flow, Parcel
from mycorrizal.nodosum.lanes import TRANSPORT_BYTES_MAX
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.outcomes import call_error, undelivered, unfit
from mycorrizal.nodosum.wire.compression import COMPRESS_BYTES_MIN
from mycorrizal.nodosum.wire.limits import FrameType
from mycorrizal.runtime import Runtime


class Directory(Protocol):
    """What a sender needs of a node's applications."""

    runtime: Runtime
    running: bool
    links: dict[str, Link]


class Sender(Channel):
    """
    What sends an application's messages and requests to other nodes.
    """

    def __init__(self, application_id: str, directory: Directory) -> None:
        super().__init__(application_id)
        self._directory = directory
        self._links = directory.links
        #: By node id, as they were used; all of links that are up.
        self._flows: dict[str, Flow] = {}

    def post(self, payload: bytes, node_ids: Sequence[str] = ()) -> None:
        """
        Send a message, without waiting; the quickest way.

        :param node_ids: To whom; empty: to all other members.
        :raises PeerUnreachable: Some of them are not linked.
        :raises PeerBusy: The queue to some of them is full.  The others got
            the message, here as above.
        :raises MessageTooLarge: It has more than 64 MiB.
        :raises ApplicationError: It is not bytes, or the ids are one text.
        :raises NotRunning: The node was not started, or was stopped.
        """
        # What is no bytes fails only when it is written, and then jams the link.
        if node_ids.__class__ is str or not isinstance(payload, bytes):
            raise unfit(self.id, payload)
        head = self._heads.get(len(payload))
        if head is None:
            if len(payload) >= COMPRESS_BYTES_MIN:
                self._post_long(payload, node_ids)
                return
            head = self.head(len(payload))
        flows = self._flows
        targets = iter(node_ids or self._everybody())
        for node_id in targets:
            flow = flows.get(node_id)
            if flow is None or not flow.post(head, payload):
                rest = (node_id, *targets)
                failed = [one for one in rest if not self._posted(one, head, payload)]
                if failed:
                    raise self._undelivered(failed)
                return

    def _posted(self, node_id: str, head: bytes, payload: bytes) -> bool:
        flow = self._flow_to(node_id)
        return flow is not None and flow.post(head, payload)

    def _post_long(self, payload: bytes, node_ids: Sequence[str]) -> None:
        self.check_size(len(payload))
        parcel = Parcel(FrameType.APP, b"", payload)
        failed = []
        for node_id in node_ids or self._everybody():
            flow = self._flow_to(node_id)
            if flow is None or not flow.post_parcel(parcel):
                failed.append(node_id)
        if failed:
            raise self._undelivered(failed)

    def _flow_to(self, node_id: str) -> Flow | None:
        """What waits to go to a node; None if it is not linked."""
        link = self._links.get(node_id)
        if link is None:
            return None
        flow = self._flows[node_id] = link.lanes.flow(self.app_id)
        return flow

    def forget_link(self, link: Link) -> None:
        """A link is gone: nothing of ours waits to go over it."""
        flow = self._flows.get(link.peer_id)
        if flow is not None and flow is link.lanes.flows.get(self.app_id):
            del self._flows[link.peer_id]

    def forget_links(self) -> None:
        """All links are gone."""
        self._flows.clear()

    def _everybody(self) -> tuple[str, ...]:
        everybody = tuple(self._links)
        if not everybody and not self._directory.running:
            raise self._directory.runtime.not_running()
        return everybody

    def _undelivered(self, node_ids: list[str]) -> MycorrizalError:
        if not self._directory.running:
            return self._directory.runtime.not_running()
        return undelivered(self.id, node_ids, self._links)

    def send(self, payload: bytes, node_ids: Sequence[str] = ()) -> Deferred[None]:
        """
        Send a message.

        :param node_ids: To whom; empty: to all other members.
        :return: Fires with None when it was handed to the transports within
            their high-water mark, so that a sender who waits for it keeps the
            queues short.  Fails with `PeerUnreachable`, `PeerBusy` (too many
            wait already), `MessageTooLarge`, `ApplicationError` (it is not
            bytes, or the ids are one text) or `NotRunning`; the nodes that it
            does not name got the message.
        """
        if not self._directory.running:
            return fail(self._directory.runtime.not_running())
        if node_ids.__class__ is str or not isinstance(payload, bytes):
            return fail(unfit(self.id, payload))
        head = self._heads.get(len(payload))
        if head is None:
            if len(payload) >= COMPRESS_BYTES_MIN:
                return self._send_long(payload, node_ids)
            head = self.head(len(payload))
        flows = self._flows
        waits: list[Deferred[None]] = []
        failed: list[str] = []
        for node_id in node_ids or tuple(self._links):
            flow = flows.get(node_id)
            if flow is None or not flow.post(head, payload):
                flow = self._flow_to(node_id)
                if flow is None or not flow.post_patiently(head, payload):
                    failed.append(node_id)
                    continue
            if flow.queued_bytes > TRANSPORT_BYTES_MAX or flow.line.paused:
                # More waits than the transport takes in this turn.
                waits.append(flow.when_written())
        if not waits and not failed:
            return succeed(None)
        return self._sent(waits, failed)

    def _send_long(self, payload: bytes, node_ids: Sequence[str]) -> Deferred[None]:
        try:
            self.check_size(len(payload))
        except MessageTooLarge:
            return fail(Failure())
        parcel = Parcel(FrameType.APP, b"", payload)
        waits: list[Deferred[None]] = []
        failed: list[str] = []
        for node_id in node_ids or tuple(self._links):
            flow = self._flow_to(node_id)
            if flow is None or not flow.post_parcel(parcel, PATIENT_TIMES):
                failed.append(node_id)
            elif flow.queued_bytes > TRANSPORT_BYTES_MAX or flow.line.paused:
                waits.append(flow.when_written())
        return self._sent(waits, failed)

    def _sent(self, waits: list[Deferred[None]], failed: list[str]) -> Deferred[None]:
        if failed:
            return fail(self._undelivered(failed))
        if not waits:
            return succeed(None)
        if len(waits) == 1:
            return waits[0]
        return DeferredList(waits, consumeErrors=True).addCallback(self._written)

    @staticmethod
    def _written(results: list[tuple[bool, Any]]) -> None:
        failures = [failure for success, failure in results if not success]
        for failure in failures:
            # A cancelled one is said as such.
            failure.trap(PeerUnreachable)
        if failures:
            lost = [name for failure in failures for name in failure.value.node_ids]
            raise PeerUnreachable(lost)

    def request(
        self, payload: bytes, node_id: str, timeout_s: float = 5.0
    ) -> Deferred[bytes]:
        """
        Ask the application of the same id on another node.

        :return: Fires with the answer.  Fails with `PeerUnreachable`,
            `PeerBusy`, `MessageTooLarge` or `ApplicationError` (it is not
            bytes) if it was not sent,
            `UnknownApplication` or `RemoteFailure` if the peer said so, and
            with `CallTimeout` or `LinkLost` if the peer may have acted on it.
            Cancelling tells the peer.
        """
        if not self._directory.running:
            return fail(self._directory.runtime.not_running())
        if not isinstance(payload, bytes):
            return fail(unfit(self.id, payload))
        link = self._links.get(node_id)
        if link is None or not link.up:
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
                result.errback(call_error(self.id, how, answer, node_id, timeout_s))

        deadline = self._directory.runtime.now() + timeout_s
        call_id = self.call(link, payload, answered, deadline)
        return result if call_id else fail(PeerBusy([node_id]))
