# -*- test-case-name: tests.pulse.test_permission -*-
"""
Which grant each question of Pulse needs.
"""

from __future__ import annotations

from typing import Final

from mycorrizal.errors import NotGranted
from mycorrizal.nodosum import Grant, KeyRing, Link, Principal, format_address
from mycorrizal.nodosum.wire.version import Role
from mycorrizal.pulse.audit import Audit, Deed
from mycorrizal.pulse.bench_messages import AskBench
from mycorrizal.pulse.cluster_answers import asked_of_all
from mycorrizal.pulse.cluster_messages import (
    AskAll,
    AskChangeKeys,
    AskConfig,
    AskEvents,
    AskExplain,
    AskKeys,
    AskVitals,
)
from mycorrizal.pulse.drain_messages import AskDrain
from mycorrizal.pulse.messages import (
    AskAlter,
    AskClear,
    AskCreate,
    AskDelete,
    AskDrop,
    AskGet,
    AskLeave,
    AskPing,
    AskPut,
    AskScan,
    AskSend,
    AskStatus,
    AskTtl,
    AskWatch,
    Echo,
    Question,
)
from mycorrizal.pulse.selftest import BUCKET_PREFIX
from mycorrizal.runtime import Runtime

#: What is asked of a bucket, and the action that it is.
_OF_BUCKETS: Final[dict[type, str]] = {
    AskGet: "READ",
    AskScan: "READ",
    AskWatch: "READ",
    AskExplain: "READ",
    AskPut: "WRITE",
    AskDelete: "WRITE",
    AskTtl: "WRITE",
    AskCreate: "ADMIN",
    AskAlter: "ADMIN",
    AskClear: "ADMIN",
    AskDrop: "ADMIN",
}
_OF_STATUS: Final = (AskStatus, AskPing, AskVitals, AskDrain, Echo)
#: What changes more than a value; of a message nothing is left that one could look at
#: later.
_KEPT: Final = ("ADMIN", "LEAVE")
_LOGGED: Final = (*_KEPT, "SEND")


def needed(question: Question) -> Grant:
    """
    What one must be granted to ask that.

    :raises LocalProtocolError: Nobody may.
    """
    action = _OF_BUCKETS.get(type(question))
    if action is not None:
        return Grant("CACHE", question.bucket, action)  # type: ignore[union-attr]
    match question:
        case AskAll():
            return needed(asked_of_all(question))
        case AskLeave(node_id):
            return Grant("CLUSTER", node_id, "LEAVE")
        case AskDrain(node_id, action) if action != "look":
            return Grant("CLUSTER", node_id, "LEAVE")
        case AskSend(application):
            return Grant("MESSAGES", application, "SEND")
        case AskBench():
            return Grant("CACHE", BUCKET_PREFIX, "ADMIN")
        case AskConfig():
            return Grant("CLUSTER", "config", "READ")
        case AskChangeKeys():
            return Grant("CLUSTER", "keys", "ADMIN")
        case AskKeys():
            return Grant("CLUSTER", "keys", "READ")
        case AskEvents():
            return Grant("CLUSTER", "events", "READ")
        case _:
            assert isinstance(question, _OF_STATUS), "each question has its grant"
            return Grant("CLUSTER", "status", "READ")


class Permission:
    """
    Lets questions pass whose client has a grant for them.

    Who asks is told by the key that its connection has proved, never by what
    it says; and what it may do by the keys that are live now, so that a grant
    that is taken away is gone for connections that are there, too.

    :param audit: Is told of those who change something, or may not.
    """

    def __init__(self, runtime: Runtime, keys: KeyRing, audit: Audit) -> None:
        self._runtime = runtime
        self._keys = keys
        self._audit = audit

    def check(self, question: Question, link: Link) -> Deed | None:
        """
        Let a question pass, or not.

        :return: What it changes, if the audit wants to know how that ends.
        :raises NotGranted: Its client has no grant for it.
        :raises LocalProtocolError: Nobody may ask that.
        """
        wanted = needed(question)
        key, granted = link.remote.key, True
        if link.remote.role is Role.NODE:
            # A full member; what it passes on for a client it has checked.
            who = f"node {link.peer_id} (key {key.fingerprint})"
        else:
            principal = self._keys.principal(key.key_id)
            who = str(principal or Principal("", key.fingerprint, ()))
            granted = principal is not None and principal.may(wanted)
        # Who only looks how far a measurement is changes nothing more.
        looks = isinstance(question, AskBench) and question.look > 1
        if granted and (looks or wanted.action not in _LOGGED):
            return None
        place = format_address(link.address)
        deed = Deed(who, place, _deed(question), wanted.resource)
        if not granted:
            self._audit.denied(deed, str(wanted), self._runtime.now())
            raise NotGranted(who, str(wanted))
        self._audit.begun(deed)
        return deed if wanted.action in _KEPT else None


def _deed(question: Question) -> str:
    """A word for what is asked for, as its message is tagged."""
    if isinstance(question, AskAll):
        question = asked_of_all(question)
    if isinstance(question, AskChangeKeys):
        return question.action
    if isinstance(question, AskDrain):
        return "drain" if question.action == "begin" else "undoing the drain"
    return str(question.__struct_config__.tag)
