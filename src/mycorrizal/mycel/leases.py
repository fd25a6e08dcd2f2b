# -*- test-case-name: tests.mycel.test_leases -*-
"""
Who may load what is not in the cache: the table that each primary keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from mycorrizal.mycel.load_messages import Load
from mycorrizal.mycel.messages import Answer

#: Loads under way of the slots of one node; one more is refused.
LEASES_MAX = 10_000
#: Callers, on whichever nodes, that may wait for the loads of one node.
WAITERS_MAX = 65_536
#: Keys remembered as absent; beyond it the oldest is forgotten.
ABSENT_MAX = 100_000


class Verdict(Enum):
    """What becomes of a wish to load."""

    LEASED = "leased"  # load, you have the lease
    WAITS = "waits"  # somebody else does: you will be told
    FULL = "full"  # too many wait


class Wish:
    """
    One caller's wish to have a key, loaded if need be.

    :ivar until: When nobody waits for it any more, monotonic.
    :ivar done: Called with the answer.
    """

    __slots__ = ("done", "load", "slot", "until")

    def __init__(
        self, load: Load, slot: int, until: float, done: Callable[[Answer], None]
    ) -> None:
        self.load = load
        self.slot = slot
        self.until = until
        self.done = done


class Lease:
    """
    The right of one node to fill one key, and those who wait for that.

    :ivar token: What its holder shows with the value.
    :ivar until: When it is over, monotonic.
    :ivar current: Whether the value may be stored: nobody has written or
        deleted the key since the lease was granted.
    :ivar filling: Whether the value has come and is being stored.
    :ivar waiters: By token, in order of arrival.
    """

    __slots__ = (
        "current", "filling", "holder", "key", "slot", "token", "until", "waiters",
    )  # fmt: skip

    def __init__(self, wish: Wish) -> None:
        load = wish.load
        self.key = (load.bucket, load.key)
        self.slot = wish.slot
        self.token = load.token
        self.holder = load.asker
        self.until = wish.until
        self.current = True
        self.filling = False
        self.waiters: dict[int, Wish] = {}


class Leases:
    """
    The loads of the slots that one node is primary of: a core.

    At most one node loads a key at a time.  It holds a *lease*; whoever else
    wants the key waits here.  A write of the key makes the lease void: what is
    loaded then may be older than what was written, so it is given to those
    who waited and not stored; whoever comes later begins anew.  (The leases of
    Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1.)

    All times are monotonic seconds.  Each wish that is given back was taken
    out before, so its `done` may lead here again.

    :ivar current: The leases by bucket and key, but for those made void.
    :ivar absent: Keys that a loader found to be nowhere: until when that is
        remembered, and their slots.
    """

    __slots__ = ("_held", "_waiting", "absent", "current")

    def __init__(self) -> None:
        self.current: dict[tuple[str, bytes], Lease] = {}
        self.absent: dict[tuple[str, bytes], tuple[float, int]] = {}
        self._held: dict[int, Lease] = {}
        #: By token of a wish that waits, the lease that it waits for.
        self._waiting: dict[int, Lease] = {}

    def __len__(self) -> int:
        return len(self._held) + len(self.absent)

    # -- asking -----------------------------------------------------------------

    def ask(self, wish: Wish) -> Verdict:
        """Grant the lease, or let a wish wait for whoever has it."""
        token = wish.load.token
        if token in self._held:
            return Verdict.LEASED  # Asked again: the first answer was lost.
        key = (wish.load.bucket, wish.load.key)
        lease = self._waiting.get(token) or self.current.get(key)
        if lease is None:
            if len(self._held) >= LEASES_MAX:
                return Verdict.FULL
            self.current[key] = self._held[token] = Lease(wish)
            return Verdict.LEASED
        if token not in self._waiting and len(self._waiting) >= WAITERS_MAX:
            return Verdict.FULL
        lease.waiters[token] = wish
        self._waiting[token] = lease
        return Verdict.WAITS

    def holds(self, token: int) -> bool:
        """Whether a token stands for a lease."""
        return token in self._held

    def loaded_by_other(self, load: Load) -> bool:
        """Whether somebody else loads the key that is asked for."""
        lease = self.current.get((load.bucket, load.key))
        return lease is not None and lease.token != load.token

    def known_absent(self, name: str, key: bytes, now: float) -> bool:
        """Whether a loader found nothing, and that is still remembered."""
        known = self.absent.get((name, key))
        return known is not None and now < known[0]

    # -- what makes leases void ---------------------------------------------------

    def written(self, name: str, key: bytes) -> None:
        """
        A key is written or deleted: what is being loaded is out of date, and
        the key may be there.

        Callers spare themselves the call while `current` and `absent` are
        empty.
        """
        self.absent.pop((name, key), None)
        lease = self.current.pop((name, key), None)
        if lease is not None:
            lease.current = False

    def cleared(self, name: str) -> None:
        """As `written`, for all keys of a bucket."""
        for key in [*self.current, *self.absent]:
            if key[0] == name:
                self.written(*key)

    # -- ends ---------------------------------------------------------------------

    def fill(self, token: int) -> Lease | None:
        """
        A value was loaded.

        :return: The lease, to be ended when the value is stored, or at once if
            it is not `current`; None if it is over.
        """
        lease = self._held.get(token)
        if lease is None or lease.filling:
            return None
        lease.filling = True
        return lease

    def end(self, lease: Lease) -> list[Wish]:
        """
        A lease is over.

        :return: Those who waited for it.
        """
        if self._held.get(lease.token) is lease:
            del self._held[lease.token]
        if self.current.get(lease.key) is lease:
            del self.current[lease.key]
        lease.current = False
        for token in lease.waiters:
            del self._waiting[token]
        waiters, lease.waiters = list(lease.waiters.values()), {}
        return waiters

    def forgo(self, token: int) -> list[Wish]:
        """
        A node loads no more, or waits no more.

        :return: Those who waited for it to load.
        """
        lease = self._waiting.pop(token, None)
        if lease is not None:
            del lease.waiters[token]
            return []
        lease = self._held.get(token)
        return [] if lease is None or lease.filling else self.end(lease)

    def lost(self, node_key: bytes) -> list[Wish]:
        """
        A node can't be reached: it loads no more and waits no more.

        :return: Those who waited for it to load.
        """
        for token in [
            token
            for token, lease in self._waiting.items()
            if lease.waiters[token].load.asker == node_key
        ]:
            self.forgo(token)
        held = [lease for lease in self._held.values() if lease.holder == node_key]
        return [wish for lease in held for wish in self.forgo(lease.token)]

    def dropped(self, name: str) -> list[Wish]:
        """
        A bucket is no more.

        :return: Those who waited for one of its keys.
        """
        gone = [lease for lease in self._held.values() if lease.key[0] == name]
        return [wish for lease in gone for wish in self.end(lease)]

    def moved(self, mine: Callable[[int], bool]) -> list[Wish]:
        """
        Slots have changed hands: of a slot that is not this node's, or is to
        be settled first, others may have written any key.

        :param mine: Whether a slot is this node's, and settled.
        :return: Those who waited, to ask whoever is primary now.
        """
        self.absent = {
            key: known for key, known in self.absent.items() if mine(known[1])
        }
        away = [lease for lease in self._held.values() if not mine(lease.slot)]
        return [wish for lease in away for wish in self.end(lease)]

    def expire(self, now: float) -> tuple[list[Wish], list[Wish]]:
        """
        Take back the leases whose time is over, and forget who waits no more.

        :return: Those who waited for such a lease, and those whose own time is
            over.
        """
        absent = self.absent
        while absent and next(iter(absent.values()))[0] <= now:
            del absent[next(iter(absent))]
        over = [
            lease.waiters[token]
            for token, lease in self._waiting.items()
            if lease.waiters[token].until <= now
        ]
        for wish in over:
            self.forgo(wish.load.token)
        late = [lease for lease in self._held.values() if lease.until <= now]
        return [wish for lease in late for wish in self.forgo(lease.token)], over

    # -- what is nowhere ------------------------------------------------------------

    def remember_absent(self, name: str, key: bytes, slot: int, until: float) -> None:
        """A loader found nothing: don't ask again before `until`."""
        absent = self.absent
        absent.pop((name, key), None)
        if len(absent) >= ABSENT_MAX:
            del absent[next(iter(absent))]
        absent[name, key] = (until, slot)
