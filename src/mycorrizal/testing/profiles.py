# -*- test-case-name: tests.testing.test_profiles -*-
"""
What a swarm asserts, and the named kinds of bad weather that it asserts it in.

`PROFILES` is the one table: which faults each profile draws from, and which
invariants it leaves out, with the reason.  Nothing is left out in silence: a
run counts the pairs that it did not assert and the operations it did not judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

#: What must hold, by name.
INVARIANTS: Final[dict[str, str]] = {
    "acknowledged": "A write that returned ok is there in the end, or a later one.",
    "deleted": "A deleted key does not come back.",
    "order": "Of two writes of a key, one after the other, the second is higher.",
    "phantom": "A read returns what was written under that key.",
    "expired": "A read returns nothing whose time to live is over.",
    "stale": "A read returns the last acknowledged value or a later one.",
    "returned": "When a value has expired, an older one does not come back.",
    "evicted": "When a value was evicted, neither it nor an older one comes back.",
    "late-fill": "What was loaded before a write or delete does not come back after.",
    "one-flight": "While nothing moves, a key is loaded once at a time.",
    "copies-at-ack": "As many nodes hold a write as its ok says.",
    "messages": "Messages of one sender arrive in order and at most once.",
    "delivery": "A message arrives, unless its link was lost.",
    "requests": "A request is answered at most once.",
    "time": "Each operation ends within its timeout.",
    "progress": "In calm weather each operation succeeds.",
    "bounds": "Queues and tables keep to their bounds.",
    "errors": "No node logs an error of its own.",
    "one-link": "Two nodes have one link, but for a second.",
    "versions": "The version of a key never goes back on a node.",
    "clock": "The clock of stamps never goes back in a process.",
    "life": "A node that lives, and is heard, is not taken for dead.",
    "death": "A node that died is taken for dead within 10 s.",
    "greetings": "No link comes up over a greeting that was changed on its way.",
    "strangers": "Who does not know the secret is never linked.",
    "views": "30 s after all is well, each node sees each, and no slot moves.",
    "copies": "Then each key is on its owners alone, in one version.",
    "shutdown": "Nodes that stopped leave no timer, port or connection.",
}

#: Kinds of fault, as `Fault.kind` names them.
CRASH: Final = "crash"
PAUSE: Final = "pause"
PARTITION: Final = "partition"
CUT: Final = "cut"
CLOCK: Final = "clock"
DRIFT: Final = "drift"
RESTART: Final = "restart"
LEAVE: Final = "leave"
JOIN: Final = "join"
SLOW: Final = "slow"
LOSSY: Final = "lossy"
NAMES: Final = "names"
RAISING: Final = "raising"
STRANGER: Final = "stranger"
MEDDLER: Final = "meddler"

#: Kinds that came later: a seed draws them after all others, so that it means
#: what it has always meant.
NEWER: Final = frozenset((MEDDLER,))

#: Harmless to what is promised, so part of most weathers.
_PESTS: Final = (NAMES, RAISING, STRANGER)

_NOT_CALM: Final = "operations may time out while the cluster finds its way"
_CUT_OFF: Final = "a node that is cut off or paused for long is taken for dead"
#: Without the older value, a side can't know for how long to remember.
_FORGOTTEN: Final = "what expired on a side that never had the older value is forgotten"

#: What can't be promised where another node becomes primary.
_MOVED: Final = {
    "evicted": "what was evicted leaves nothing that outbids older copies elsewhere",
}


@attrs.frozen
class Profile:
    """
    One kind of weather.

    :ivar faults: What a seed may draw.
    :ivar patient: Faults that change members wait until the cluster has
        converged from the one before, and at most `replicas` nodes are down.
    :ivar excluded: Invariants that are not asserted, and why.
    :ivar later: Of those, the ones that should hold, and will when what their
        reason says is mended.
    """

    name: str
    about: str
    faults: tuple[str, ...]
    patient: bool = True
    excluded: dict[str, str] = attrs.field(factory=dict)
    later: frozenset[str] = frozenset()

    @property
    def asserted(self) -> tuple[str, ...]:
        """The invariants that hold here."""
        return tuple(name for name in INVARIANTS if name not in self.excluded)


PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile("calm", "latency and loss of datagrams, and nothing else", ()),
        Profile(
            "crashes",
            "nodes die, at most R at once, with time to copy between",
            (CRASH, *_PESTS),
            excluded={"progress": _NOT_CALM, **_MOVED},
            later=frozenset(_MOVED),
        ),
        Profile(
            "restarts",
            "rolling restarts, nodes that join, nodes that leave",
            (RESTART, LEAVE, JOIN, *_PESTS),
            excluded={"progress": _NOT_CALM, **_MOVED},
            later=frozenset(_MOVED),
        ),
        Profile(
            "network",
            "slow and lossy links, cuts shorter than it takes to be missed",
            (CUT, SLOW, LOSSY, *_PESTS),
            excluded={"progress": _NOT_CALM},
        ),
        Profile(
            "partitions",
            "halves, one alone, ring, chain, one way; 2 to 40 s",
            (PARTITION, CUT, LOSSY, *_PESTS, MEDDLER),
            patient=False,
            excluded={
                "progress": _NOT_CALM,
                "life": _CUT_OFF,
                "returned": _FORGOTTEN,
                **_MOVED,
            },
        ),
        Profile(
            "clocks",
            "wall clocks jump by up to an hour and run up to 1 % wrong",
            (CLOCK, DRIFT, CRASH, RESTART),
            excluded={"progress": _NOT_CALM, **_MOVED},
            later=frozenset(_MOVED),
        ),
        Profile(
            "pauses",
            "processes stop for 0.1 to 60 s and go on",
            (PAUSE, *_PESTS),
            patient=False,
            excluded={
                "progress": _NOT_CALM,
                "life": _CUT_OFF,
                "returned": _FORGOTTEN,
                **_MOVED,
            },
        ),
        Profile(
            "all",
            "everything at once, and no patience",
            (
                CRASH, PAUSE, PARTITION, CUT, CLOCK, DRIFT, RESTART, LEAVE, JOIN,
                SLOW, LOSSY, *_PESTS, MEDDLER,
            ),
            patient=False,
            excluded={
                "progress": _NOT_CALM,
                "life": _CUT_OFF,
                "returned": _FORGOTTEN,
                **_MOVED,
            },
        ),
    )
}  # fmt: skip


def excluded_pairs(names: Iterable[str]) -> int:
    """How many pairs of profile and invariant are not asserted."""
    return sum(len(PROFILES[name].excluded) for name in names)


def later_pairs(names: Iterable[str]) -> int:
    """How many of those are to hold later."""
    return sum(len(PROFILES[name].later) for name in names)
