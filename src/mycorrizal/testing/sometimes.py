# -*- test-case-name: tests.testing.test_swarm -*-
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

from mycorrizal.mycel.messages import Push
from mycorrizal.service import Mycorrizal

#: What should happen sometimes.
SOMETIMES: Final = (
    "a read or write asked other holders first",
    "a write was completed after an owner died",
    "a write was sent to an owner again",
    "a second link was offered",
    "a second link replaced the first",
    "a handoff was begun",
    "a handoff was begun again before it was complete",
    "an entry moved to a new owner",
    "a tombstone moved to a new owner",
    "an older version was refused",
    "an operation was passed on",
    "an operation was tried again",
    "an operation was indeterminate",
    "a bucket was in dispute",
    "a process forgave others its own stall",
    "a node was taken for dead",
    "a node was taken for dead while it lived",
    "a node left in good order",
    "a node returned with the same id",
    "a stranger was refused",
    "an entry expired",
    "an entry was evicted",
)


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

    def set_up(self, node: Mycorrizal) -> None:
        """Count what a new process does."""
        mycel, membership = node.mycel, node.nodosum.membership
        view, handoff, writes = mycel.view, mycel._handoff, mycel._writes
        sent: set[tuple[int, bytes]] = set()

        def asks(*_: Any) -> str | None:
            return SOMETIMES[0] if view.waiting_for else None

        def sends(write: Any, owner: bytes) -> str | None:
            again = (write.stamp, owner) in sent
            sent.add((write.stamp, owner))
            return SOMETIMES[2] if again else None

        def offered(link: Any, now: float) -> str | None:
            peer = membership.peers.get(link.node_key)
            return SOMETIMES[3] if peer is not None and peer.link is not None else None

        def wins(peer: Any, now: float) -> str | None:
            return SOMETIMES[4] if peer.contest is not None else None

        def begins(**_: Any) -> str:
            return SOMETIMES[6 if handoff.epoch is None and handoff._round else 5]

        def moves(request: Any) -> str | None:
            if isinstance(request, Push):
                for entry in request.entries:
                    self.saw(SOMETIMES[8 if entry.value is None else 7])
            return None

        self._before(mycel._primary, "_fetch", asks)
        self._before(writes, "_send", sends)
        self._before(membership, "authenticated", offered)
        self._before(membership, "_newcomer_wins", wins)
        self._before(handoff, "begin", begins)
        self._before(mycel._replica, "answer", moves)
        self._before(mycel.router, "passed_on", lambda *_: SOMETIMES[10])
        self._before(membership, "_forgive", lambda *_: SOMETIMES[14])

