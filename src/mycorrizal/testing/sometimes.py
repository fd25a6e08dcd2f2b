# -*- test-case-name: tests.testing.test_sometimes -*-
"""
Whether the rare things happen at all: counted from outside of the nodes.

A storm that never meets what a rule is for proves nothing about the rule.
Methods of a node are wrapped, in the simulation only, so counting costs a real
node nothing; a test says so when a method is no longer there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from mycorrizal.mycel.slot_messages import Push
from mycorrizal.nodosum import MemberDied, MemberLeft
from mycorrizal.nodosum.liveness import OWN_STALL_S
from mycorrizal.service import Mycorrizal

ASKED_HOLDERS: Final = "a read or write asked other holders first"
OWNER_LOST: Final = "a write under way lost an owner"
COPY_AGAIN: Final = "a write was sent to an owner again"
SECOND_LINK: Final = "a second link was offered"
LINK_REPLACED: Final = "a second link replaced the first"
FETCHED: Final = "a new primary fetched what others hold"
DENIED: Final = "a claim was denied"
FENCED: Final = "a copy was refused, for its slot was promised to another"
LATE: Final = "a write had an owner that was late"
ENTRY_MOVED: Final = "an entry moved to a new owner"
TOMBSTONE_MOVED: Final = "a tombstone moved to a new owner"
OLDER_REFUSED: Final = "an older version was refused"
PASSED_ON: Final = "an operation was passed on"
TRIED_AGAIN: Final = "an operation was tried again"
INDETERMINATE: Final = "an operation was indeterminate"
DISPUTE: Final = "a bucket was in dispute"
FORGAVE: Final = "a process forgave others its own stall"
DEAD: Final = "a node was taken for dead"
DEAD_ALIVE: Final = "a node was taken for dead while it lived"
LEFT: Final = "a node left in good order"
RETURNED: Final = "a node returned with the same id"
REFUSED: Final = "a stranger was refused"
REWRITTEN: Final = "a greeting was changed on its way"
EXPIRED: Final = "an entry expired"
EVICTED: Final = "a primary let an entry go for want of room"
EVICTED_COPY: Final = "another owner let a copy go for want of room"

#: What should happen sometimes.
SOMETIMES: Final = (
    ASKED_HOLDERS, OWNER_LOST, COPY_AGAIN, SECOND_LINK, LINK_REPLACED, FETCHED,
    DENIED, FENCED, LATE, ENTRY_MOVED, TOMBSTONE_MOVED, OLDER_REFUSED, PASSED_ON,
    TRIED_AGAIN, INDETERMINATE, DISPUTE, FORGAVE, DEAD, DEAD_ALIVE, LEFT,
    RETURNED, REFUSED, REWRITTEN, EXPIRED, EVICTED,
    EVICTED_COPY,
)  # fmt: skip


class Sometimes:
    """
    The counts of one storm.

    :ivar counts: By what happened.
    :ivar missing: Methods that are no longer there to be wrapped.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.missing: set[str] = set()

    def saw(self, what: str, times: int = 1) -> None:
        """
        It happened.

        :raises ValueError: It is not in `SOMETIMES`.
        """
        if what not in SOMETIMES:
            raise ValueError(f"{what!r} is not in SOMETIMES")
        self.counts[what] += times

    def _before(self, of: Any, name: str, look: Callable[..., str | None]) -> None:
        """Call `look` with the arguments of each call of a method, before it."""
        method = getattr(of, name, None)
        if method is None:
            self.missing.add(f"{type(of).__name__}.{name}")
            return

        def looked_at(*args: Any, **kwargs: Any) -> Any:
            what = look(*args, **kwargs)
            if what is not None:
                self.saw(what)
            return method(*args, **kwargs)

        setattr(of, name, looked_at)

    def set_up(self, node: Mycorrizal, life: int = 1) -> None:
        """
        Count what a new process does.

        :param life: How many processes its node has had, with this one.
        """
        if life > 1:
            self.saw(RETURNED)
        self._members(node)
        self._operations(node)
        self._moves(node)

    def _members(self, node: Mycorrizal) -> None:
        membership = node.nodosum.membership

        def hear(event: object) -> None:
            if isinstance(event, MemberDied):
                self.saw(DEAD)
            elif isinstance(event, MemberLeft):
                self.saw(LEFT)

        def offered(link: Any, now: float) -> str | None:
            peer = membership.peers.get(link.node_key)
            return SECOND_LINK if peer is not None and peer.link is not None else None

        def wins(peer: Any, now: float) -> str | None:
            return LINK_REPLACED if peer.contest is not None else None

        def ticks(now: float) -> str | None:
            before = membership._ticked_at
            return (
                FORGAVE if before is not None and now - before > OWN_STALL_S else None
            )

        def refuses(_: Any, event: Any) -> str | None:
            return None if event.by_peer else REFUSED

        node.subscribe(hear)
        self._before(membership, "authenticated", offered)
        self._before(membership, "_newcomer_wins", wins)
        self._before(membership, "tick", ticks)
        self._before(node.nodosum.mesh.admission, "refused", refuses)

    def _operations(self, node: Mycorrizal) -> None:
        mycel = node.mycel
        view, writes, router = mycel.view, mycel._writes, mycel.router
        sent: set[tuple[int, bytes]] = set()
        called: set[Any] = set()

        def asks(*_: Any) -> str | None:
            return ASKED_HOLDERS

        def sends(write: Any, owner: bytes, _: Any) -> str | None:
            again = (write.stamp, owner) in sent
            sent.add((write.stamp, owner))
            return COPY_AGAIN if again else None

        def changes() -> str | None:
            stamps = {write.stamp for write in writes._under_way}
            gone = {stamp for stamp, owner in sent if owner not in view.members}
            return OWNER_LOST if stamps & gone else None

        def calls(link: Any, payload: bytes, on_reply: Any, deadline: float) -> Any:
            operation = getattr(on_reply, "__self__", None)
            if operation is None:
                return None  # It is no client's.
            called.intersection_update(router.under_way)
            again = operation in called
            called.add(operation)
            return TRIED_AGAIN if again else None

        self._before(mycel._primary, "_fetch", asks)
        self._before(writes, "_send", sends)
        self._before(writes, "go_on", changes)
        self._before(mycel.channel, "call", calls)
        self._before(router, "passed_on", lambda *_: PASSED_ON)

    def _moves(self, node: Mycorrizal) -> None:
        mycel, writes = node.mycel, node.mycel._writes

        def takes(bucket: Any, slot: int, copy: Any) -> str | None:
            held = bucket.store._tables[slot].get(copy.key)
            older = held is not None and held.stamp > copy.stamp
            return OLDER_REFUSED if older else None

        def answers(request: Any, life: Any) -> str | None:
            if isinstance(request, Push):
                for entry in request.entries:
                    self.saw(TOMBSTONE_MOVED if entry.value is None else ENTRY_MOVED)
            return None

        def fetches(bucket: Any, entry: Any) -> str:
            return TOMBSTONE_MOVED if entry.value is None else ENTRY_MOVED

        def hears(node_key: bytes, claim: Any, answer: Any, now: float) -> str | None:
            return DENIED if answer is not None and answer.denied else None

        self._before(mycel.moves.fetching, "begin", lambda _: FETCHED)
        self._before(mycel.moves.fetching, "_take", fetches)
        self._before(mycel.claims, "answered", hears)
        self._before(mycel.claims, "refused", lambda *_: FENCED)
        self._before(writes, "_substitute", lambda *_: LATE)
        self._before(mycel._replica, "_take", takes)
        self._before(mycel._replica, "answer", answers)

    def logged(self, text: str) -> None:
        """A node has logged something in that format."""
        if text.startswith("Bucket {bucket} was created twice"):
            self.saw(DISPUTE)

    def look_back(self, nodes: list[Mycorrizal]) -> None:
        """Count what nodes have counted themselves."""
        for node in nodes:
            for bucket in node.mycel.buckets.by_name.values():
                self.saw(EXPIRED, bucket.store.stats().expired)
