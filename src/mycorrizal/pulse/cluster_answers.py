# -*- test-case-name: tests.pulse.test_event_commands -*-
"""
What a node answers for itself, and for the whole cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from mycorrizal.errors import (
    LocalProtocolError,
    MycorrizalError,
    RemoteProtocolError,
)
from mycorrizal.mycel import MycelService
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.mycel.slots.routes import ELSEWHERE, SETTLED
from mycorrizal.mycel.store.lru import INF
from mycorrizal.nodosum import ANSWERED, Channel, KeyRing, NodosumService
from mycorrizal.nodosum.discovery.pacing import pause
from mycorrizal.pulse.cluster_messages import (
    AskAll,
    AskChangeKeys,
    AskConfig,
    AskEvents,
    AskExplain,
    AskKeys,
    AskVitals,
    EventEntry,
    Events,
    FromAll,
    FromOne,
    HeldVersion,
    KeysInForce,
    Known,
)
from mycorrizal.pulse.messages import (
    AskStatus,
    Failed,
    Question,
    UnknownQuestion,
    decode_question,
    encode,
)
from mycorrizal.recorder import Recorder

#: How long a node may take to answer another one for Pulse.
ANSWER_TIMEOUT_S: Final = 2.0
#: What may be asked of all: what changes nothing, and what nodes must agree on.
OF_ALL: Final = (
    AskStatus,
    AskEvents,
    AskExplain,
    AskVitals,
    AskConfig,
    AskKeys,
    AskChangeKeys,
)


class Gathering:
    """
    The questions that one node asks all others for Pulse.

    :param answer: What this node answers itself.
    """

    def __init__(
        self,
        nodosum: NodosumService,
        channel: Channel,
        answer: Callable[[Question], Any],
    ) -> None:
        self._nodosum = nodosum
        self._channel = channel
        self._answer = answer
        self._runtime = nodosum.runtime

    def ask(self, asked: AskAll) -> Deferred[FromAll]:
        """Ask every member, and this node."""
        question = asked_of_all(asked)
        if not asked.pause_s:
            return self._ask(question, asked.question)
        waited = pause(self._runtime, asked.pause_s)
        return waited.addCallback(lambda _: self._ask(question, asked.question))

    def _ask(self, question: Question, payload: bytes) -> Deferred[FromAll]:
        answers: list[FromOne] = []
        peers = self._nodosum.membership.members()
        node_ids = sorted(peer.node_id for peer in peers if peer.node_id)
        all_there: Deferred[FromAll] = Deferred()
        missing = len(node_ids) + 1

        def answered(answer: FromOne) -> None:
            nonlocal missing
            answers.append(answer)
            missing -= 1
            if not missing:
                answers.sort(key=lambda answer: answer.node_id)
                all_there.callback(FromAll(answers))

        self._ask_this(question, answered).addErrback(all_there.errback)
        for node_id in node_ids:
            self._ask_one(node_id, payload, answered)
        return all_there

    def _ask_this(
        self, question: Question, answered: Callable[[FromOne], None]
    ) -> Deferred[None]:
        def failed(failure: Failure) -> Failed:
            # The others are asked all the same.
            failure.trap(MycorrizalError)
            return Failed(type(failure.value).__name__, str(failure.value))

        answer = maybeDeferred(self._answer, question).addErrback(failed)
        me = self._nodosum.me.node_id
        return answer.addCallback(lambda reply: answered(FromOne(me, encode(reply))))

    def _ask_one(
        self, node_id: str, payload: bytes, answered: Callable[[FromOne], None]
    ) -> None:
        link = self._nodosum.applications.links.get(node_id)
        now = self._runtime.now
        sent_at = now()

        def replied(how: int, reply: bytes) -> None:
            took_ms = round((now() - sent_at) * 1000, 3)
            if how == ANSWERED:
                answered(FromOne(node_id, reply, "", took_ms))
            else:
                answered(FromOne(node_id, None, "does not answer", took_ms))

        ends_at = sent_at + ANSWER_TIMEOUT_S
        if link is None:
            answered(FromOne(node_id, None, "has no link to the node that was asked"))
        elif not self._channel.call(link, payload, replied, ends_at):
            answered(FromOne(node_id, None, "the link is busy"))


def asked_of_all(asked: AskAll) -> Question:
    """
    The question that all are to be asked.

    :raises LocalProtocolError: It is none, or not for all.
    """
    try:
        question = decode_question(asked.question)
    except UnknownQuestion:
        raise
    except RemoteProtocolError as error:
        raise LocalProtocolError(str(error)) from None
    if not isinstance(question, OF_ALL):
        raise LocalProtocolError("this can't be asked of all nodes at once")
    return question


def events(recorder: Recorder, asked: AskEvents) -> Events:
    """What has happened to this node."""
    after = asked.after.get(recorder.node, 0)
    return Events(
        [
            EventEntry(
                event.stamp,
                event.wall_s,
                event.node,
                event.kind.value,
                event.level,
                event.text,
                dict(event.fields),
            )
            for event in recorder.recent(asked.limit, after=after)
        ]
    )


def keys_in_force(keys: KeyRing) -> KeysInForce:
    """The keys that this node accepts."""
    clients = [client.principal for client in keys.clients.values()]
    return KeysInForce(
        [key.fingerprint for key in keys.keys],
        {client.name: client.fingerprint for client in clients},
    )


class KeyChanging(Protocol):
    """What changes a node's secrets; see `mycorrizal.secret_file.SecretFile`."""

    def add(self, secret: str) -> None: ...
    def use(self, fingerprint: str) -> None: ...
    def remove(self, fingerprint: str) -> None: ...


def change_keys(store: KeyChanging, asked: AskChangeKeys) -> None:
    """
    Do to a node's secrets what is asked.

    :raises ConfigError: It can't be done; all is as it was.
    """
    match asked.action:
        case "add":
            store.add(asked.key)
        case "use":
            store.use(asked.key)
        case "remove":
            store.remove(asked.key)


def explain(nodosum: NodosumService, mycel: MycelService, asked: AskExplain) -> Known:
    """What this node knows of a key."""
    bucket = mycel.buckets.by_name.get(asked.bucket)
    if bucket is None:
        return Known(-1)

    def name(node_key: bytes | None) -> str:
        if node_key == nodosum.me.node_key:
            return nodosum.me.node_id
        peer = nodosum.membership.peers.get(node_key or b"")
        return (peer and peer.node_id) or (node_key or b"").hex()

    key, now = asked.key.encode(), nodosum.runtime.now()
    slot = slot_of(bucket.seed, key)
    store, routes, settings = bucket.store, mycel.claims.routes, bucket.settings
    entry = store.peek(slot, key, now)
    version = None
    if entry is not None:
        version = HeldVersion(
            entry.stamp,
            name(entry.origin),
            None if entry.value is None else len(entry.value),
            None if entry.deadline == INF else round(entry.deadline - now, 3),
            entry.value is None and store.lapsed(key),
        )
    entries_max, bytes_max = settings.max_entries, settings.max_bytes
    return Known(
        slot,
        [name(owner) for owner in mycel.view.owners(slot, settings.replicas + 1)],
        name(routes.primaries[slot]),
        routes.status[slot] != ELSEWHERE,
        routes.status[slot] == SETTLED,
        version,
        store.cleared[slot],
        store.evicted,
        (entries_max is not None and store.entries >= entries_max)
        or (bytes_max is not None and store.size_bytes >= 0.9 * bytes_max),
    )
