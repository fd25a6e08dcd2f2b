# -*- test-case-name: tests.mycel.operations.test_following -*-
"""
One watch: every member is asked again and again what has happened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from mycorrizal.mycel.messages import (
    UNKNOWN_BUCKET,
    Answer,
    Event,
    Events,
    Refused,
    Watch,
)
from mycorrizal.mycel.operations.asking import Waiter
from mycorrizal.mycel.operations.routing import Call, Router
from mycorrizal.mycel.operations.watching import Outboxes, Poll
from mycorrizal.mycel.watch_messages import EventKind
from mycorrizal.runtime import Timer

#: Changes that wait for the application; of more it is told that some were lost.
QUEUE_MAX: Final = 4096
#: With so many waiting nobody is asked for more: owners keep what comes then.
QUEUE_ENOUGH: Final = QUEUE_MAX // 2
#: How long a member waits for something to tell.
PATIENCE_S: Final = 10.0
#: How much longer an answer may take.
ANSWER_S: Final = 5.0
#: Pause before a member that gave none is asked again.
PAUSE_S: Final = 0.25
#: Stands for changes that are not told.
LOST: Final = Event(EventKind.LOST, b"")


class _Here(Waiter):
    """This node, which watches itself."""

    __slots__ = ("_told",)

    def __init__(self, told: Callable[[Answer], None]) -> None:
        super().__init__()
        self._told = told

    def __call__(self, answer: Answer) -> None:
        if self.wanted:
            self._told(answer)


class _Member:
    """
    What one member tells.

    :ivar asking: Whether it is being asked.
    :ivar asked: What can be cancelled then.
    :ivar known: Whether it keeps what happens for us.
    :ivar timer: Of when it is asked next.
    """

    __slots__ = ("asked", "asking", "known", "timer", "waiter")

    def __init__(self) -> None:
        self.asking = False
        self.asked: Call | Poll | None = None
        self.waiter: Waiter | None = None
        self.known = False
        self.timer: Timer | None = None


class Following:
    """
    One watch of this node.

    Each member keeps the changes of the slots that it is primary of, from the
    first time it was asked.  One that comes to know us later, or anew, may have
    seen changes before that: then `EventKind.LOST` stands among the events.

    :param number: This node's number for it.
    :param begun: Called once, when every member keeps what happens.
    :param told: Called when there is something to take.
    """

    def __init__(
        self,
        router: Router,
        outboxes: Outboxes,
        bucket: str,
        prefix: bytes,
        number: int,
        begun: Callable[[], None],
        told: Callable[[], None],
    ) -> None:
        self._router = router
        self._outboxes = outboxes
        self._request = Watch(bucket, prefix, number, int(PATIENCE_S * 1000))
        self._begun: Callable[[], None] | None = begun
        self._told = told
        self._events: deque[Event] = deque()
        self._members: dict[bytes, _Member] = {}
        self._closed = False

    def begin(self) -> None:
        """Ask all members."""
        self.members_changed()

    def members_changed(self) -> None:
        """Ask those who are new, and no more those who are gone."""
        if self._closed:
            return
        view = self._router.claims.view
        for node_key in [it for it in self._members if it not in view.members]:
            member = self._members.pop(node_key)
            self._end(member)
            if member.known:
                # What it had done and not told is lost with it.
                self._lose()
        new = [it for it in view.members if it not in self._members]
        self._members |= {node_key: _Member() for node_key in new}
        self._ask_all()
        self._check_begun()

    def take(self) -> Event | None:
        """The next event, if there is one."""
        if not self._events:
            return None
        event = self._events.popleft()
        if len(self._events) == QUEUE_ENOUGH - 1:
            self._ask_all()
        return event

    def close(self) -> None:
        """Watch no more."""
        self._closed = True
        members, self._members = self._members, {}
        for member in members.values():
            self._end(member)
        self._outboxes.remove((None, self._request.watch))
        self._events.clear()

    # -- asking -----------------------------------------------------------------

    def _end(self, member: _Member) -> None:
        if member.timer is not None:
            member.timer.cancel()
        if member.waiter is not None:
            member.waiter.wanted = False
        if member.asked is not None:
            member.asked.cancel()

    def _ask_all(self) -> None:
        for node_key, member in list(self._members.items()):
            waits = member.timer is not None and member.timer.active()
            if not member.asking and not waits:
                self._ask(node_key, member)

    def _ask(self, node_key: bytes, member: _Member) -> None:
        if self._closed or len(self._events) >= QUEUE_ENOUGH:
            return
        router = self._router
        member.asking = True
        if node_key == router.claims.me:
            waiter = _Here(lambda answer: self._answered(node_key, member, answer))
            member.waiter = waiter
            member.asked = self._outboxes.ask(None, self._request, waiter)
            return
        deadline = router.runtime.now() + PATIENCE_S + ANSWER_S
        member.asked = router.ask(
            node_key,
            self._request,
            deadline,
            lambda how, answer: self._answered(node_key, member, answer),
        )
        if member.asked is None:
            self._answered(node_key, member, None)

    def _ask_later(self, node_key: bytes, member: _Member, pause_s: float) -> None:
        member.timer = self._router.runtime.call_later(
            pause_s, self._ask, node_key, member
        )

    def _answered(
        self, node_key: bytes, member: _Member, answer: Answer | None
    ) -> None:
        if self._members.get(node_key) is not member:
            return
        member.asking = False
        if isinstance(answer, Events):
            if answer.fresh and (member.known or self._begun is None):
                self._lose()
            member.known = True
            for event in answer.events:
                self._take(event)
            if answer.lost:
                self._lose()
            # In a turn of its own: an answer of this node's own comes at once.
            self._ask_later(node_key, member, 0)
            self._check_begun()
        else:
            # Without the bucket nothing happens to its keys.
            gone = isinstance(answer, Refused) and answer.reason == UNKNOWN_BUCKET
            if member.known and not gone:
                self._lose()
            member.known = False
            self._ask_later(node_key, member, PAUSE_S)

    def _check_begun(self) -> None:
        begun = self._begun
        if begun is not None and all(it.known for it in self._members.values()):
            self._begun = None
            begun()

    # -- what there is to take ------------------------------------------------------

    def _take(self, event: Event) -> None:
        if self._closed:
            return
        if len(self._events) >= QUEUE_MAX:
            self._lose()
            return
        self._events.append(event)
        self._told()

    def _lose(self) -> None:
        """Some changes are not told."""
        if self._closed or self._begun is not None:
            return
        if not self._events or self._events[-1] is not LOST:
            self._events.append(LOST)
            self._told()
