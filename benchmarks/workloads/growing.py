# -*- test-case-name: benchmarks.tests.test_curves -*-
"""
What grows: questions in flight, sizes of messages, entries and members.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from benchmarks import ours, ours_in_process, ours_members, ours_remote
from benchmarks.peers import floor, floor_asking, local_caches, remote_caches, zmq_pipe
from benchmarks.rows import Bar, Better, Peer, Rival, Row
from benchmarks.workloads import asking, in_process, one_way

IN_FLIGHT = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
PAYLOAD_BYTES = tuple(1 << power for power in range(4, 21, 2))
ENTRIES = (1_000, 10_000, 100_000, 1_000_000)
MEMBERS = (3, 10, 30, 100)

#: What the payloads of one measurement come to, and their number at most.
PAYLOAD_TOTAL_BYTES = 512 * 1024 * 1024
MESSAGES_MAX, MESSAGES_MIN = 500_000, 500
#: Of one measurement; forming a hundred simulated nodes takes a minute.
TIMEOUT_S = 600.0
#: Beyond so many members one round has to do.
MEMBERS_ROUNDS = 30


@attrs.frozen
class Curve:
    """One row, played again and again with more of something."""

    id: str
    title: str
    #: What there is more of.
    more: str
    #: The row at so many of it.
    row: Callable[[int], Row]
    amounts: tuple[int, ...]
    #: A quick run leaves some of them out.
    quick_amounts: tuple[int, ...]
    #: So long its rounds take at most on a machine that does nothing else, and so long
    #: those of a quick run.
    within_s: int
    quick_within_s: int

    def told(self, took_s: float, quick: bool) -> str:
        """
        :return: a sentence of how long it took, and should have.
        """
        within_s = self.quick_within_s if quick else self.within_s
        if took_s <= within_s:
            return f"{self.id} took {took_s:.0f} s; {within_s} s are allowed."
        return (
            f"{self.id} took {took_s:.0f} s, and should take {within_s} s at most:"
            " the machine has other work, or is slower than the one this was set on."
        )


def in_flight(amount: int) -> Row:
    load = asking.Load(amount, warmup=2_000, measured=5_000 + 1_000 * min(amount, 64))
    return _row(
        "gets/s",
        ours_remote.getting(load),
        floor_asking.asking(load),
        remote_caches.memcached(load),
        remote_caches.redis(load),
    )


def payload(amount: int) -> Row:
    messages = min(MESSAGES_MAX, max(MESSAGES_MIN, PAYLOAD_TOTAL_BYTES // amount))
    load = one_way.Load(amount, warmup=messages // 10, measured=messages)
    return _row(
        "msgs/s",
        ours.one_way(load, call="send"),
        floor.one_way(load),
        zmq_pipe.one_way(load),
    )


def entries(amount: int) -> Row:
    load = in_process.Load(entries=amount, operations=500_000)
    return _row(
        "gets per second of the processor",
        ours_in_process.store_rate(load),
        local_caches.rate("cachetools", load),
        local_caches.rate("cachebox", load),
    )


def members(amount: int) -> Row:
    return attrs.evolve(
        _row("µs"),
        better=Better.LOWER,
        ours=ours_members.taking(amount),
        rounds_max=1 if amount > MEMBERS_ROUNDS else None,
    )


def _row(unit: str, *peers: Peer) -> Row:
    """
    :param peers: ours, and then the others.
    """
    return Row(
        id="",
        title="",
        unit=unit,
        better=Better.HIGHER,
        ours=peers[:1],
        rivals=tuple(Rival(peer, Bar()) for peer in peers[1:]),
        timeout_s=TIMEOUT_S,
    )


CURVES = {
    curve.id: curve
    for curve in (
        Curve(
            "in-flight",
            "get of 100 B from another process, plain TCP",
            "questions in flight",
            in_flight,
            IN_FLIGHT,
            IN_FLIGHT[::3],
            within_s=300,
            quick_within_s=120,
        ),
        Curve(
            "payload",
            "messages one way to another process, plain TCP",
            "bytes of a message",
            payload,
            PAYLOAD_BYTES,
            PAYLOAD_BYTES[::2],
            within_s=300,
            quick_within_s=180,
        ),
        Curve(
            "entries",
            "get that hits in one node's store, of all keys",
            "entries",
            entries,
            ENTRIES,
            ENTRIES[:3],
            within_s=120,
            quick_within_s=60,
        ),
        Curve(
            "members",
            "an operation in a simulated cluster",
            "members",
            members,
            MEMBERS,
            MEMBERS[:3],
            within_s=180,
            quick_within_s=60,
        ),
    )
}
