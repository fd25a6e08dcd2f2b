# -*- test-case-name: tests.pulse.test_server -*-
"""
The node's side of Pulse: the application ``SYSTEM-PULSE``.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from mycorrizal.errors import MycorrizalError, PeerUnreachable
from mycorrizal.mycel import BucketSettings, MycelService
from mycorrizal.nodosum import (
    ANSWERED,
    Channel,
    ErrorCode,
    Link,
    NodosumService,
    Peer,
)
from mycorrizal.pulse.messages import (
    APPLICATION_ID,
    AskCreate,
    AskDelete,
    AskGet,
    AskPing,
    AskPut,
    AskSend,
    AskStatus,
    AskTtl,
    BucketStatus,
    Echo,
    Failed,
    MemberStatus,
    NodeStatus,
    Ok,
    Question,
    Reply,
    RoundTrip,
    Status,
    Value,
    decode_question,
    encode,
)
from mycorrizal.version import __version__

#: How long a node may take to answer a ping.
PING_TIMEOUT_S = 5.0


class PulseServer:
    """
    Answers what Pulse, or another node on its behalf, asks this node.
    """

    _log = Logger()

    def __init__(self, nodosum: NodosumService, mycel: MycelService) -> None:
        self._nodosum = nodosum
        self._mycel = mycel
        self._runtime = nodosum.runtime
        self._channel = Channel(APPLICATION_ID)
        self._began_at = self._runtime.now()
        applications = nodosum.applications
        applications.add_route(APPLICATION_ID, self)
        applications.client_routes[APPLICATION_ID.encode()] = self

    # -- called by the link -------------------------------------------------------

    def serve(self, call_id: int, payload: bytes, link: Link) -> None:
        """A question came."""
        question = decode_question(payload)
        answered: Deferred[Any] = maybeDeferred(self.answer, question)
        answered.addErrback(self._failed)
        answered.addCallback(self._reply, call_id, link)

    def _reply(self, reply: Reply, call_id: int, link: Link) -> None:
        if link.closed:
            return
        payload = encode(reply)
        if len(payload) > self._channel.message_bytes_max:
            link.error(call_id, ErrorCode.FAILED, "the answer is too long")
        else:
            link.reply(call_id, payload, self._channel.app_id)

    def _failed(self, failure: Failure) -> Failed:
        if failure.check(MycorrizalError) is None:
            self._log.failure("A question of Pulse failed", failure=failure)
        return Failed(type(failure.value).__name__, failure.getErrorMessage())

    def received(self, payloads: list[bytes], link: Link) -> None:
        """A message without an answer came; Pulse sends none."""

    def cancelled(self, call_id: int, link: Link) -> None:
        """Pulse waits no more: what it asked for is done all the same."""

    # -- answers ------------------------------------------------------------------

    def answer(self, question: Question) -> Deferred[Any] | Reply:
        """The answer to a question, or a Deferred of it."""
        cache = self._mycel.cache
        match question:
            case AskStatus():
                return self.status()
            case AskPing(node_id):
                return self._ping(node_id)
            case AskSend(application, data, node_ids):
                sender = self._nodosum.applications.get(application)
                return sender.send(data, node_ids).addCallback(lambda _: Ok())
            case AskCreate(bucket, ttl_s, max_entries, max_bytes, replicas):
                created = cache.create_bucket(
                    bucket,
                    ttl_s=ttl_s,
                    max_entries=max_entries,
                    max_bytes=max_bytes,
                    replicas=replicas,
                )
                return created.addCallback(lambda _: Ok())
            case AskPut(bucket, key, value, ttl_s):
                put = cache.put(bucket, key, value, ttl_s)
                return put.addCallback(lambda copies: Ok(copies=copies))
            case AskGet(bucket, key):
                found = cache.entry(bucket, key)
                return found.addCallback(
                    lambda e: Value(e.value, e.remaining_s) if e else Value(None)
                )
            case AskDelete(bucket, key):
                return cache.delete(bucket, key).addCallback(Ok)
            case AskTtl(bucket, key, ttl_s):
                return cache.put_ttl(bucket, key, ttl_s).addCallback(Ok)
            case Echo():
                return Ok()

    def _ping(self, node_id: str) -> Deferred[RoundTrip]:
        if node_id == self._nodosum.me.node_id:
            return succeed(RoundTrip(node_id, 0.0))
        link = self._nodosum.applications.links.get(node_id)
        if link is None:
            return fail(PeerUnreachable([node_id]))
        result: Deferred[RoundTrip] = Deferred()
        sent_at = self._runtime.now()

        def replied(how: int, payload: bytes) -> None:
            if how == ANSWERED:
                rtt_ms = (self._runtime.now() - sent_at) * 1000
                result.callback(RoundTrip(node_id, rtt_ms))
            else:
                result.errback(PeerUnreachable([node_id]))

        deadline = sent_at + PING_TIMEOUT_S
        if not self._channel.call(link, encode(Echo()), replied, deadline):
            return fail(PeerUnreachable([node_id]))
        return result

    def status(self) -> Status:
        """How this node is."""
        nodosum, config = self._nodosum, self._nodosum.config
        me = nodosum.node
        node = NodeStatus(
            me.id,
            __version__,
            nodosum.me.incarnation,
            me.address,
            round(self._runtime.now() - self._began_at, 3),
            config.cluster_name,
            config.keys.first.fingerprint,
            config.tls,
            config.single,
        )
        host = self._mycel.host
        members = [
            MemberStatus(me.id, me.address, me.state, 0.0, __version__, host, me.labels)
        ]
        members += [
            self._member(peer)
            for peer in nodosum.membership.peers.values()
            if peer.node_id is not None
        ]
        buckets = self._mycel.cache.buckets()
        return Status(
            node,
            sorted(members, key=lambda member: member.id),
            [self._bucket(settings) for settings in buckets.values()],
            list(nodosum.applications.ids()),
            self._mycel.under_replicated(),
        )

    @staticmethod
    def _member(peer: Peer) -> MemberStatus:
        node = peer.node
        rtt_ms = None if peer.rtt_s is None or not peer.up else peer.rtt_s * 1000
        return MemberStatus(
            node.id,
            node.address,
            node.state,
            None if rtt_ms is None else round(rtt_ms, 3),
            peer.version,
            peer.host,
            node.labels,
        )

    def _bucket(self, settings: BucketSettings) -> BucketStatus:
        stats = self._mycel.cache.stats(settings.name)
        return BucketStatus(
            settings.name,
            stats.entries,
            stats.size_bytes,
            stats.hits,
            stats.misses,
            stats.puts,
            stats.deletes,
            stats.expired,
            stats.evicted,
            settings.ttl_s,
            settings.max_entries,
            settings.max_bytes,
            settings.replicas,
        )
