# -*- test-case-name: tests.testing.test_plans -*-
"""
What one seed of the swarm is to go through: drawn before anything happens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Final, TypeVar

import attrs

from mycorrizal.testing import profiles as kinds
from mycorrizal.testing.meddler import HOW
from mycorrizal.testing.network import Segmentation
from mycorrizal.testing.profiles import PROFILES, Profile

T = TypeVar("T")

#: Most nodes have three or five; the others find what is special there.
SIZES: Final = (1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7)
REPLICAS: Final = (0, 1, 1, 1, 2)
#: Faults of one storm, but for kinds that are drawn later.
FAULTS_MAX: Final = 24
#: A simulated window arrives in one piece: on a slower link a node would not be
#: heard for as long as that takes.
SLOW_BYTES_PER_S_MIN: Final = 40_000
#: Faults that change who is there.
_MEMBERS: Final = frozenset((kinds.CRASH, kinds.RESTART, kinds.LEAVE, kinds.JOIN))


class Dice:
    """
    Draws by `random` alone, so that a seed means the same in every Python.
    """

    def __init__(self, seed: str) -> None:
        self.random = Random(seed).random

    def chance(self, fraction: float) -> bool:
        """True in that fraction of cases."""
        return self.random() < fraction

    def between(self, least: float, most: float) -> float:
        """A number, each as likely as the next."""
        return least + self.random() * (most - least)

    def scale(self, least: float, most: float) -> float:
        """A number whose size is drawn: as many below 1 as from 1 to 10, ..."""
        return math.exp(self.between(math.log(least), math.log(most)))

    def one_of(self, choices: Sequence[T]) -> T:
        """One of some."""
        return choices[int(self.random() * len(choices))]

    def some(self, choices: Sequence[T]) -> list[T]:
        """Each with one half's chance."""
        return [choice for choice in choices if self.chance(0.5)]

    def shuffled(self, choices: Sequence[T]) -> list[T]:
        """All, in any order."""
        return [it for _, it in sorted((self.random(), it) for it in choices)]


@attrs.frozen
class Fault:
    """
    One thing that goes wrong.

    :ivar at_s: When, from the storm's beginning.
    :ivar for_s: How long it stays so.
    :ivar nodes: Whom it is about, by number; taken modulo the nodes there are.
    :ivar how: Of what sort it is.
    :ivar strength: How much.
    """

    at_s: float
    for_s: float
    kind: str
    nodes: tuple[int, ...] = ()
    how: str = ""
    strength: float = 0.0


@attrs.frozen
class Plan:
    """
    All that a seed has drawn.

    :ivar rate: Operations per second of each client.
    :ivar latency_ms: Least and mean.
    :ivar room: Entries and bytes that a node has room for in the small bucket.
    :ivar by_name: Nodes look for each other by name, not by address.
    """

    seed: int
    profile: str
    size: int
    replicas: int
    storm_s: float
    clients: int
    rate: float
    latency_ms: tuple[float, float]
    udp_loss: float
    udp_duplicate: float
    segmentation: Segmentation
    by_name: bool
    room: tuple[int | None, int | None]
    faults: tuple[Fault, ...]


def draw_plan(seed: int, name: str) -> Plan:
    """
    Draw what a seed goes through in that weather.

    :raises KeyError: There is no such profile.
    """
    profile, dice = PROFILES[name], Dice(f"{seed}/{name}/plan")
    replicas = dice.one_of(REPLICAS)
    size = dice.one_of(SIZES)
    if profile.patient and kinds.CRASH in profile.faults:
        replicas = max(1, replicas)
        size = max(2, size)
    storm_s = dice.between(20, 60) if name == "calm" else dice.between(40, 120)
    least_ms = dice.one_of((0.1, 0.1, dice.scale(0.1, 20)))
    mean_ms = least_ms + dice.one_of((0.2, dice.scale(0.2, 30)))
    newer = _draw_newer(seed, profile, size, storm_s)
    return Plan(
        seed=seed,
        profile=name,
        size=size,
        replicas=replicas,
        storm_s=storm_s,
        clients=dice.one_of((2, 3, 3, 4, 6)),
        rate=dice.scale(1, 8),
        latency_ms=(least_ms, mean_ms),
        udp_loss=dice.one_of((0.0, 0.0, dice.between(0, 0.3))),
        udp_duplicate=dice.one_of((0.0, 0.0, dice.between(0, 0.5))),
        segmentation=_segmentation(dice),
        by_name=dice.chance(0.3),
        room=_room(Dice(f"{seed}/{name}/room")),
        faults=tuple(
            sorted([*_draw_faults(dice, profile, size, storm_s), *newer], key=_at)
        ),
    )


def _room(dice: Dice) -> tuple[int | None, int | None]:
    # Never so few bytes that deletes must be forgotten.
    entries, size_bytes = int(dice.between(2, 14)), int(dice.scale(35_000, 250_000))
    return dice.one_of(((entries, None), (None, size_bytes), (entries, size_bytes)))


def _segmentation(dice: Dice) -> Segmentation:
    choices: tuple[Segmentation, ...] = ("whole", "random", "random")
    return "one-byte" if dice.chance(0.03) else dice.one_of(choices)


def _draw_newer(seed: int, profile: Profile, size: int, storm_s: float) -> list[Fault]:
    """Kinds of fault that came later: each is drawn apart from all else."""
    faults: list[Fault] = []
    for kind in profile.faults:
        dice = Dice(f"{seed}/{profile.name}/{kind}")
        if kind in kinds.NEWER and dice.chance(0.5):
            for _ in range(1 + int(dice.random() * _often(kind, storm_s))):
                at_s = dice.between(0, storm_s * 0.9)
                faults.append(_draw(dice, kind, at_s, size))
    return faults


def _draw_faults(
    dice: Dice, profile: Profile, size: int, storm_s: float
) -> list[Fault]:
    # Which kinds exist at all differs from seed to seed: what is never seen
    # together would otherwise always be.
    choices = [kind for kind in profile.faults if kind not in kinds.NEWER]
    drawn = dice.some(choices)
    if choices and not set(drawn) - {
        kinds.NAMES,
        kinds.RAISING,
        kinds.STRANGER,
    }:
        drawn.append(dice.one_of(choices))
    faults: list[Fault] = []
    for kind in drawn:
        for _ in range(1 + int(dice.random() * _often(kind, storm_s))):
            at_s = dice.between(0, storm_s * 0.9)
            faults.append(_draw(dice, kind, at_s, size))
    if kinds.RESTART in drawn and dice.chance(0.4):
        # One node after the other.
        at_s, pause_s = dice.between(0, storm_s / 3), dice.scale(0.5, 10)
        for number in range(size):
            down_s = dice.scale(0.01, 3)
            faults.append(Fault(at_s, down_s, kinds.RESTART, (number,)))
            at_s += down_s + pause_s
    return sorted(faults, key=_at)[:FAULTS_MAX]


def _at(fault: Fault) -> float:
    return fault.at_s


def _often(kind: str, storm_s: float) -> float:
    if kind in (kinds.NAMES, kinds.RAISING, kinds.STRANGER, kinds.JOIN, kinds.LEAVE):
        return 2
    return storm_s / 12


def _draw(dice: Dice, kind: str, at_s: float, size: int) -> Fault:
    node = int(dice.random() * size)
    pair = (node, node + 1 + int(dice.random() * max(1, size - 1)))
    if kind == kinds.CRASH:
        how = dice.one_of(("reset", "reset", "close", "silence"))
        return Fault(at_s, dice.scale(0.05, 20), kind, (node,), how)
    if kind == kinds.PAUSE:
        return Fault(at_s, dice.scale(0.1, 60), kind, (node,))
    if kind == kinds.PARTITION:
        how = dice.one_of(("halves", "halves", "isolate", "ring", "chain", "one-way"))
        some = tuple(dice.shuffled(range(size)))
        return Fault(at_s, dice.scale(2, 40), kind, some, how)
    if kind == kinds.CUT:
        how = dice.one_of(("both", "one-way"))
        return Fault(at_s, dice.scale(0.1, 2.0), kind, pair, how)
    if kind == kinds.CLOCK:
        sign = dice.one_of((-1, 1))
        return Fault(at_s, 0, kind, (node,), "", sign * dice.scale(0.1, 3600))
    if kind == kinds.DRIFT:
        return Fault(at_s, 0, kind, (node,), "", int(dice.between(-10_000, 10_000)))
    if kind == kinds.SLOW:
        bytes_per_s = dice.scale(SLOW_BYTES_PER_S_MIN, 1_000_000)
        return Fault(at_s, dice.scale(1, 30), kind, pair, "", bytes_per_s)
    if kind == kinds.LOSSY:
        return Fault(at_s, dice.scale(1, 30), kind, pair, "", dice.between(0.1, 1))
    if kind == kinds.MEDDLER:
        how = dice.one_of(HOW)
        return Fault(at_s, dice.scale(1, 10), kind, pair, how)
    if kind == kinds.RESTART:
        return Fault(at_s, dice.scale(0.01, 5), kind, (node,))
    if kind in (kinds.LEAVE, kinds.JOIN):
        return Fault(at_s, 0, kind, (node,))
    return Fault(at_s, dice.scale(0.5, 10), kind, (node,))


def changes_members(fault: Fault) -> bool:
    """Whether it changes who is there, and so lets slots move."""
    return fault.kind in _MEMBERS
