# -*- test-case-name: tests.pulse.test_top_figures -*-
"""
What ``pulse top`` shows: two looks at a cluster, and what went on between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from mycorrizal.pulse.everybody import Said
from mycorrizal.pulse.latency import Counts, Latency, between, latency, together
from mycorrizal.pulse.messages import BucketStatus, MemberStatus, Status

#: Two looks that are closer say nothing of a rate.
_APART_S_MIN: Final = 0.05


@attrs.frozen
class Load:
    """
    What a node, or a bucket, holds and does.

    :ivar gets_s: Reads per second; None: it isn't known yet.
    :ivar puts_s: Values taken per second, copies among them.
    :ivar hits_s: Of the reads, those that found a value.
    :ivar evicted_s: Values that went for want of room, per second.
    """

    entries: int = 0
    size_bytes: int = 0
    gets_s: float | None = None
    puts_s: float | None = None
    hits_s: float | None = None
    evicted_s: float | None = None

    @property
    def hit_ratio(self) -> float | None:
        """Of the reads between the looks, how many found a value, 0 to 1."""
        if not self.gets_s or self.hits_s is None:
            return None
        return self.hits_s / self.gets_s


@attrs.frozen
class MemberLine:
    """
    One node.

    :ivar load: None: it did not answer, and `problem` says why if it was asked.
    :ivar link: As `MemberStatus.link`.
    :ivar get_latency: Of gets that this node sent to another one since the last
        look; None: none was timed.
    """

    node_id: str
    state: str
    rtt_ms: float | None
    link: str
    load: Load | None
    uptime_s: float | None = None
    missing: int = 0
    problem: str = ""
    get_latency: Latency | None = None
    put_latency: Latency | None = None

    @property
    def slowest_ms(self) -> float:
        """The higher p99 of the two; 0 if neither is known."""
        found = (self.get_latency, self.put_latency)
        return max(each.p99_ms if each is not None else 0.0 for each in found)


@attrs.frozen
class Picture:
    """
    A cluster, as it is now.

    :ivar asked: The node that asked the others.
    :ivar total: Of all nodes.
    """

    cluster: str
    asked: str
    alive: int
    missing: int
    total: Load
    members: list[MemberLine]
    buckets: dict[str, Load]
    get_latency: Latency | None = None
    put_latency: Latency | None = None


def picture(before: Sequence[Said[Status]], now: Sequence[Said[Status]]) -> Picture:
    """
    Compare two looks at a cluster.

    :param before: Empty: this is the first look, and no rate is known.
    """
    earlier = {one.node_id: one.reply for one in before}
    said = {one.node_id: one for one in now}
    asked = next((one.reply for one in now if not one.took_ms and one.reply), None)
    if asked is None:
        asked = next(one.reply for one in now if one.reply is not None)
    shares: dict[str, list[Load]] = {}
    members: list[MemberLine] = []
    counted: list[Counts] = []
    for member in asked.members:
        one = said.get(member.id)
        if one is None or one.reply is None:
            members.append(_line(member, None, one.problem if one else ""))
            continue
        before_it = earlier.get(member.id)
        loads = _loads(before_it, one.reply)
        counts = between(before_it, one.reply)
        counted.append(counts)
        for name, load in loads.items():
            shares.setdefault(name, []).append(load)
        load = _sum(loads.values())
        if not loads and before_it is not None:
            load = Load(0, 0, 0.0, 0.0, 0.0, 0.0)
        members.append(
            attrs.evolve(
                _line(member, load),
                uptime_s=one.reply.node.uptime_s,
                missing=one.reply.under_replicated,
                get_latency=latency(counts, "get"),
                put_latency=latency(counts, "put"),
            )
        )
    counts = together(counted)
    return Picture(
        asked.node.cluster,
        asked.node.id,
        sum(line.state == "alive" for line in members),
        sum(line.missing for line in members),
        _sum(line.load for line in members if line.load is not None),
        members,
        {name: _sum(loads) for name, loads in sorted(shares.items())},
        latency(counts, "get"),
        latency(counts, "put"),
    )


def _line(member: MemberStatus, load: Load | None, problem: str = "") -> MemberLine:
    return MemberLine(
        member.id, member.state, member.rtt_ms, member.link, load, problem=problem
    )


def _loads(before: Status | None, now: Status) -> dict[str, Load]:
    """The load of each bucket's share."""
    # Each node's own clock tells how far its looks are apart: an answer that was
    # long under way makes no peak.
    apart_s = 0.0
    if before is not None and before.node.incarnation == now.node.incarnation:
        apart_s = now.node.uptime_s - before.node.uptime_s
    shares = {share.name: share for share in before.buckets} if before else {}
    loads: dict[str, Load] = {}
    for share in now.buckets:
        held = Load(share.entries, share.bytes)
        earlier = shares.get(share.name)
        if earlier is not None and apart_s >= _APART_S_MIN:
            held = _rates(held, earlier, share, apart_s)
        loads[share.name] = held
    return loads


def _rates(held: Load, before: BucketStatus, now: BucketStatus, apart_s: float) -> Load:
    # A bucket that was dropped and made again counts from 0: nothing, not minus.
    hits = max(0, now.hits - before.hits)
    misses = max(0, now.misses - before.misses)
    return attrs.evolve(
        held,
        gets_s=(hits + misses) / apart_s,
        puts_s=max(0, now.puts - before.puts) / apart_s,
        hits_s=hits / apart_s,
        evicted_s=max(0, now.evicted - before.evicted) / apart_s,
    )


def _sum(loads: Iterable[Load]) -> Load:
    """All together; a rate that nobody knows stays unknown."""
    found = list(loads)

    def rate(rates: list[float | None]) -> float | None:
        known = [each for each in rates if each is not None]
        return sum(known) if known else None

    return Load(
        sum(load.entries for load in found),
        sum(load.size_bytes for load in found),
        rate([load.gets_s for load in found]),
        rate([load.puts_s for load in found]),
        rate([load.hits_s for load in found]),
        rate([load.evicted_s for load in found]),
    )
