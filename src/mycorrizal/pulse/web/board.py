# -*- test-case-name: tests.pulse.web.test_board -*-
"""
What the status page shows, put together from reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mycorrizal.pulse.web.concerns import Concern, concerns
from mycorrizal.pulse.web.happenings import Happening
from mycorrizal.pulse.web.pace import Sample, rate_per_s
from mycorrizal.pulse.web.report import Report
from mycorrizal.pulse.web.survey import Heard
from mycorrizal.pulse.web.total import Total, total_of

#: Nodes that the page draws; the table has no more either.
NODES_MAX = 256


class NodeRow(msgspec.Struct):
    """
    One node.

    :ivar age_s: How old its figures are; None: it has given none.
    """

    id: str
    address: str
    state: str
    link: str
    host: str
    version: str
    rtt_ms: float | None = None
    age_s: float | None = None
    uptime_s: float | None = None
    slots: int | None = None
    entries: int | None = None
    size_bytes: int | None = None
    gets_per_s: float | None = None
    puts_per_s: float | None = None
    bytes_per_s: float | None = None
    queued_bytes: int | None = None
    ready: bool | None = None


class LinkRow(msgspec.Struct):
    """A link between two nodes: up, via or down."""

    a: str
    b: str
    state: str
    rtt_ms: float | None


class BucketRow(msgspec.Struct):
    """
    A bucket, all shares that are known added up.

    :ivar hit_ratio: None: nobody has read.
    :ivar full: How full its fullest share is, 0 to 1; None: without limits.
    """

    name: str
    entries: int = 0
    size_bytes: int = 0
    hits: int = 0
    misses: int = 0
    puts: int = 0
    evicted: int = 0
    expired: int = 0
    replicas: int = 0
    ttl_s: float | None = None
    hit_ratio: float | None = None
    full: float | None = None


class Board(msgspec.Struct):
    """Everything that the page shows at one moment."""

    at: float
    me: str
    cluster: str
    version: str
    ready: bool
    known: int
    concerns: list[Concern]
    nodes: list[NodeRow]
    links: list[LinkRow]
    buckets: list[BucketRow]
    happenings: list[Happening]
    sample: Sample | None
    total: Total | None
    under_replicated: int


def board(
    own: Heard,
    heard: Mapping[str, Heard],
    now: float,
    *,
    at: float,
    cluster: str,
    sample: Sample | None,
    happenings: Sequence[Happening],
) -> Board:
    """
    :param own: This node's own report, and the one before.
    :param heard: What others have said of themselves.
    :param now: Monotonic, as of the reports.
    :param at: Unix seconds.
    """
    me = own.report
    others = {name: each.report for name, each in heard.items()}
    reports = [me, *others.values()]
    return Board(
        at=round(at, 3),
        me=me.id,
        cluster=cluster,
        version=me.version,
        ready=me.ready,
        known=len(reports),
        concerns=concerns(me, others, sample.lag_ms if sample else 0.0),
        nodes=_nodes(own, heard, now),
        links=_links(me, others),
        buckets=_buckets(reports),
        happenings=list(happenings),
        sample=sample,
        total=total_of([own, *heard.values()], now),
        under_replicated=sum(report.under_replicated for report in reports),
    )


def _nodes(own: Heard, heard: Mapping[str, Heard], now: float) -> list[NodeRow]:
    me = own.report
    state = "leaving" if me.leaving else "alive" if me.ready else "joining"
    first = NodeRow(me.id, me.address, state, "", me.host, me.version)
    rows = [_measured(first, own, now)]
    for peer in me.peers[: NODES_MAX - 1]:
        row = NodeRow(
            peer.id, peer.address, peer.state, peer.link, peer.host, peer.version
        )
        row.rtt_ms = None if peer.rtt_s is None else round(peer.rtt_s * 1000, 3)
        known = heard.get(peer.id)
        rows.append(row if known is None else _measured(row, known, now))
    rows.sort(key=lambda row: row.id)
    return rows


def _measured(row: NodeRow, heard: Heard, now: float) -> NodeRow:
    report = heard.report
    row.age_s = round(max(0.0, now - heard.at), 2)
    row.uptime_s = report.uptime_s
    row.slots = report.slots
    row.entries = sum(bucket.entries for bucket in report.buckets)
    row.size_bytes = sum(bucket.size_bytes for bucket in report.buckets)
    row.queued_bytes = report.queued_bytes
    row.ready = report.ready
    if heard.before is not None:
        was, at = heard.before
        elapsed_s = heard.at - at
        row.gets_per_s = rate_per_s(was, report, elapsed_s, "gets")
        row.puts_per_s = rate_per_s(was, report, elapsed_s, "puts")
        row.bytes_per_s = sum(
            rate_per_s(was, report, elapsed_s, name)
            for name in ("received_bytes", "sent_bytes")
        )
    return row


def _links(me: Report, others: Mapping[str, Report]) -> list[LinkRow]:
    """Each pair of members once: our own word goes first, then the worse one."""
    rows: dict[tuple[str, str], LinkRow] = {}
    present = {peer.id for peer in me.peers if peer.state in ("alive", "suspect")}
    for report in (me, *(others[name] for name in sorted(others))):
        for peer in report.peers[: NODES_MAX - 1]:
            if peer.id not in present and peer.id != me.id:
                continue
            pair = min(report.id, peer.id), max(report.id, peer.id)
            state = peer.link.partition(" ")[0]
            known = rows.get(pair)
            if known is None:
                rtt_ms = None if peer.rtt_s is None else round(peer.rtt_s * 1000, 3)
                rows[pair] = LinkRow(*pair, state, rtt_ms)
            elif known.state == "up" and me.id not in pair:
                known.state = state
    return [rows[pair] for pair in sorted(rows)]


def _buckets(reports: list[Report]) -> list[BucketRow]:
    rows: dict[str, BucketRow] = {}
    for report in reports:
        for share in report.buckets:
            row = rows.setdefault(share.name, BucketRow(share.name))
            for name in ("entries", "size_bytes", "hits", "misses", "puts"):
                setattr(row, name, getattr(row, name) + getattr(share, name))
            row.evicted += share.evicted
            row.expired += share.expired
            row.replicas, row.ttl_s = share.replicas, share.ttl_s
            for held, most in (
                (share.entries, share.max_entries),
                (share.size_bytes, share.max_bytes),
            ):
                if most:
                    row.full = max(row.full or 0.0, round(held / most, 4))
    for row in rows.values():
        reads = row.hits + row.misses
        row.hit_ratio = round(row.hits / reads, 4) if reads else None
    return [rows[name] for name in sorted(rows)]
