# -*- test-case-name: tests.pulse.test_server -*-
"""
The node's side of Pulse: the application ``SYSTEM-PULSE``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from mycorrizal.errors import LocalProtocolError, MycorrizalError
from mycorrizal.mycel import BucketSettings, MycelService
from mycorrizal.mycel.operations.latencies import Latencies
from mycorrizal.nodosum import (
    Channel,
    ErrorCode,
    Link,
    NodosumService,
    Peer,
)
from mycorrizal.pulse.audit import Audit
from mycorrizal.pulse.bench_messages import AskBench
from mycorrizal.pulse.cache_answers import answer_about_cache
from mycorrizal.pulse.cluster_answers import (
    Gathering,
    KeyChanging,
    change_keys,
    events,
    explain,
    keys_in_force,
)
from mycorrizal.pulse.cluster_messages import (
    AskAll,
    AskChangeKeys,
    AskConfig,
    AskEvents,
    AskExplain,
    AskKeys,
    AskVitals,
    Probe,
    Vitals,
)
from mycorrizal.pulse.drain_messages import AskDrain
from mycorrizal.pulse.draining import Drains
from mycorrizal.pulse.latency import KINDS
from mycorrizal.pulse.links import LinkSurvey
from mycorrizal.pulse.live_settings import live_config
from mycorrizal.pulse.messages import (
    APPLICATION_ID,
    AskLeave,
    AskPing,
    AskSend,
    AskStatus,
    AskWatch,
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
    UnknownQuestion,
    decode_question,
    encode,
)
from mycorrizal.pulse.passing import pass_on
from mycorrizal.pulse.permission import Permission
from mycorrizal.pulse.probing import Probing
from mycorrizal.pulse.selftest import SelfTest
from mycorrizal.pulse.vitals import vitals
from mycorrizal.pulse.watches import PulseWatches
from mycorrizal.version import __version__

#: How long a node may take to answer a ping.
PING_TIMEOUT_S = 5.0
#: Between the answer to who asks a node to leave, and its leaving.
LEAVE_PAUSE_S = 0.1


class PulseServer:
    """
    Answers what Pulse, or another node on its behalf, asks this node.

    :param leave: Makes this node leave the cluster.
    :param key_store: Changes the node's secrets.
    """

    _log = Logger()

    def __init__(
        self,
        nodosum: NodosumService,
        mycel: MycelService,
        leave: Callable[[], object],
        key_store: KeyChanging,
    ) -> None:
        self._key_store = key_store
        self._nodosum = nodosum
        self._mycel = mycel
        self._leave = leave
        self._runtime = nodosum.runtime
        self._channel = Channel(APPLICATION_ID)
        self._links = LinkSurvey(nodosum, self._channel)
        self._probing = Probing(nodosum)
        self._began_at = self._runtime.now()
        self._gathering = Gathering(nodosum, self._channel, self.answer)
        self._selftest = SelfTest(nodosum, mycel.cache)
        self._audit = Audit(nodosum.recorder)
        keys = nodosum.config.keys
        self._permission = Permission(self._runtime, keys, self._audit)
        self._drains = Drains(nodosum, mycel, self._channel)
        self._watches = PulseWatches(self._runtime, mycel.cache, self)
        applications = nodosum.applications
        applications.add_route(APPLICATION_ID, self)
        applications.client_routes[APPLICATION_ID.encode()] = self

    # -- called by the link -------------------------------------------------------

    def serve(self, call_id: int, payload: bytes, link: Link) -> None:
        """A question came."""
        try:
            question = decode_question(payload)
        except UnknownQuestion as error:
            # Nodes are not all of one version while they are replaced: no reason
            # to hang up.
            self._reply(Failed(type(error).__name__, str(error)), call_id, link)
            return
        answered = maybeDeferred(self._permitted, question, call_id, link)
        answered.addErrback(self._failed)
        answered.addCallback(self._reply, call_id, link)

    def _permitted(self, question: Question, call_id: int, link: Link) -> Any:
        deed = self._permission.check(question, link)
        if isinstance(question, AskWatch):
            return self._watches.ask(question, call_id, link)
        if deed is None:
            return self.answer(question)
        return maybeDeferred(self.answer, question).addBoth(self._audit.ended, deed)

    def _reply(self, reply: Reply, call_id: int, link: Link) -> None:
        if link.closed:
            return
        payload, app_id = encode(reply), self._channel.app_id
        if len(payload) > self._channel.message_bytes_max:
            link.error(call_id, ErrorCode.FAILED, "the answer is too long", app_id)
        else:
            link.reply(call_id, payload, app_id)

    def _failed(self, failure: Failure) -> Failed:
        if failure.check(MycorrizalError) is None:
            self._log.failure("A question of Pulse failed", failure=failure)
        return Failed(type(failure.value).__name__, failure.getErrorMessage())

    def received(self, payloads: list[bytes], link: Link) -> None:
        """A message without an answer came; Pulse sends none."""

    def cancelled(self, call_id: int, link: Link) -> None:
        """Pulse waits no more: what it asked for is done all the same."""
        self._watches.cancelled(call_id, link)

    # -- answers ------------------------------------------------------------------

    def answer(self, question: Question) -> Deferred[Any] | Reply:
        """The answer to a question, or a Deferred of it."""
        match question:
            case AskStatus(links):
                status = self.status()
                return self._links.complete(status) if links else status
            case AskPing(node_id):
                return self._ping(node_id)
            case AskSend(application, data, node_ids):
                sender = self._nodosum.applications.get(application)
                return sender.send(data, node_ids).addCallback(lambda _: Ok())
            case AskLeave(node_id):
                return self._have_leave(node_id)
            case Echo():
                return Ok()
            case AskAll():
                return self._gathering.ask(question)
            case AskEvents():
                return events(self._nodosum.recorder, question)
            case AskVitals(probe):
                return self._vitals() if probe else vitals(self._nodosum, self._mycel)
            case AskBench():
                return self._selftest.answer(question)
            case AskDrain():
                return self._drains.answer(question)
            case AskConfig():
                return live_config(self._nodosum.config, self._mycel.host)
            case AskChangeKeys():
                change_keys(self._key_store, question)
                return keys_in_force(self._nodosum.config.keys)
            case AskKeys():
                return keys_in_force(self._nodosum.config.keys)
            case AskExplain():
                return explain(self._nodosum, self._mycel, question)
            case AskWatch():
                raise LocalProtocolError("a watch belongs to its link")
            case _:
                return answer_about_cache(self._mycel.cache, question)

    def _vitals(self) -> Deferred[Vitals]:
        # The clock is read at once: others are compared with it.
        found = vitals(self._nodosum, self._mycel)

        def probed(probes: list[Probe]) -> Vitals:
            found.probes = probes
            return found

        return self._probing.probe().addCallback(probed)

    def _ping(self, node_id: str) -> Deferred[RoundTrip]:
        if node_id == self._nodosum.me.node_id:
            return succeed(RoundTrip(node_id, 0.0))
        sent_at = self._runtime.now()

        def replied(_: object) -> RoundTrip:
            return RoundTrip(node_id, round((self._runtime.now() - sent_at) * 1000, 3))

        return self._pass_on(node_id, Echo()).addCallback(replied)

    def _pass_on(self, node_id: str, question: Question) -> Deferred[bytes]:
        return pass_on(self._nodosum, self._channel, node_id, question, PING_TIMEOUT_S)

    def _have_leave(self, node_id: str) -> Ok | Deferred[Ok]:
        if node_id != self._nodosum.me.node_id:
            passed = self._pass_on(node_id, AskLeave(node_id))
            return passed.addCallback(lambda _: Ok())
        self._log.info("Asked by pulse to leave the cluster")
        self._runtime.call_later(LEAVE_PAUSE_S, self._leave)
        return Ok()

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
            round(nodosum.witness.lag_s * 1000, 3),
        )
        host = self._mycel.host
        members = [
            MemberStatus(
                me.id,
                me.address,
                me.state,
                0.0,
                __version__,
                host,
                me.labels,
                drained=self._mycel.standing.drained,
            )
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
            self._latencies(),
        )

    def _latencies(self) -> dict[str, list[int]]:
        router = self._mycel.router
        if router.latencies is None:
            # Who is never looked at measures nothing.
            router.latencies = Latencies(self._runtime.now)
        by_kind = router.latencies.by_kind
        return {kind: list(by_kind[kind].counts) for kind in KINDS}

    def _member(self, peer: Peer) -> MemberStatus:
        node = self._nodosum.seen(peer)
        link = self._nodosum.link_to(peer.node_key)
        rtt_ms = None if peer.rtt_s is None or not peer.up else peer.rtt_s * 1000
        return MemberStatus(
            node.id,
            node.address,
            node.state,
            None if rtt_ms is None else round(rtt_ms, 3),
            peer.version,
            peer.host,
            node.labels,
            "up" if peer.linked else f"via {node.via}" if node.via else "down",
            secret="" if link is None else link.remote.key.fingerprint,
            drained=peer.node_key in self._mycel.view.drained,
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
            settings.write,
        )
