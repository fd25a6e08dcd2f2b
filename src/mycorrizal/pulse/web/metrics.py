# -*- test-case-name: tests.pulse.web.test_metrics -*-
"""
A node's counts as metrics of Prometheus, read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from mycorrizal.histogram import Histogram
from mycorrizal.pulse.web.pace import Pace
from mycorrizal.pulse.web.report import BucketReport, Report, Reporter

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
STATES: Final = ("joining", "alive", "suspect", "left", "dead")

#: Name, help, and the field of a `Report`.
_COUNTERS: Final = (
    ("received_bytes", "Bytes that came over links, TLS taken off.", "received_bytes"),
    ("sent_bytes", "Bytes that were sent over links, before TLS.", "sent_bytes"),
    ("received_frames", "Frames that came over links.", "received_frames"),
    ("sent_frames", "Frames that were sent over links.", "sent_frames"),
    ("requests", "Requests that were made of other nodes.", "calls"),
    ("unrouted_messages", "Messages for applications that are not here.", "unrouted"),
)
_GAUGES: Final = (
    ("uptime_seconds", "Time since the node was made.", "uptime_s"),
    ("ready", "Whether the node is ready.", "ready"),
    ("leaving", "Whether the node is about to leave.", "leaving"),
    ("drained", "Whether the node is out of service, and stays.", "drained"),
    ("local_health_score", "How badly the node was held up lately, 0-7.", "suspicion"),
    ("requests_pending", "Requests that wait for an answer.", "calls_pending"),
    ("requests_serving", "Requests being answered now.", "calls_served_now"),
    ("send_queue_bytes", "Bytes that wait to be sent to other nodes.", "queued_bytes"),
    ("slots_primary", "Slots the node is primary of, of 1024.", "slots"),
    (
        "under_replicated",
        "Copies that are missing, and slots that are moving: 0 when all is in place.",
        "under_replicated",
    ),
    ("slots_moving", "Slots to be the node's, or not fetched yet.", "moving"),
    ("cache_operations_pending", "Operations for other nodes.", "operations"),
    ("cache_loads_pending", "Loads that callers wait for.", "loads"),
)
_BUCKET_COUNTERS: Final = (
    ("hits", "Reads that found a value here.", "hits"),
    ("misses", "Reads that found no value here.", "misses"),
    ("puts", "Values taken, copies included.", "puts"),
    ("deletes", "Deletes taken, copies included.", "deletes"),
    ("evictions", "Values gone for want of room.", "evicted"),
    ("expirations", "Values gone as their time was over.", "expired"),
)
_BUCKET_GAUGES: Final = (
    ("entries", "Values held, copies included.", "entries"),
    ("size_bytes", "Memory taken, copies included.", "size_bytes"),
    ("max_entries", "Values that may be held.", "max_entries"),
    ("max_bytes", "Memory that may be taken.", "max_bytes"),
)


class NodeCollector:
    """
    What turns a node's counts into metrics, each time it is asked.

    Labels are the names of buckets, of which a cluster has a bounded number,
    and of present members, so that nothing grows with time.
    """

    def __init__(self, reporter: Reporter, pace: Pace, cluster: str) -> None:
        self._reporter = reporter
        self._pace = pace
        self._cluster = cluster

    def describe(self) -> list[Metric]:
        """Nothing in advance: what there is depends on the node."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        report = self._reporter.report()
        yield self._info(report)
        for name, text, field in _COUNTERS:
            yield CounterMetricFamily(_n(name), text, value=getattr(report, field))
        for name, text, field in _GAUGES:
            value = float(getattr(report, field))
            yield GaugeMetricFamily(_n(name), text, value=value)
        yield from self._members(report)
        yield from _buckets(report.buckets)
        yield from self._times()

    def _info(self, report: Report) -> Metric:
        names = ["version", "node", "cluster"]
        info = GaugeMetricFamily(_n("build_info"), "Which node it is.", labels=names)
        info.add_metric([report.version, report.id, self._cluster], 1)
        return info

    def _members(self, report: Report) -> Iterator[Metric]:
        members = GaugeMetricFamily(
            _n("members"), "Nodes by state, this one included.", labels=["state"]
        )
        states = [peer.state for peer in report.peers]
        states.append("alive" if report.ready else "joining")
        for state in STATES:
            members.add_metric([state], states.count(state))
        yield members
        up = sum(peer.link == "up" for peer in report.peers)
        yield GaugeMetricFamily(_n("links"), "Links that are up.", value=up)
        trip = GaugeMetricFamily(
            _n("peer_round_trip_seconds"), "Of the last ping.", labels=["peer"]
        )
        queued = GaugeMetricFamily(
            _n("peer_send_queue_bytes"), "Bytes that wait.", labels=["peer"]
        )
        for peer in report.peers:
            if peer.link == "up":
                queued.add_metric([peer.id], peer.queued_bytes)
                if peer.rtt_s is not None:
                    trip.add_metric([peer.id], peer.rtt_s)
        yield from (trip, queued)

    def _times(self) -> Iterator[Metric]:
        pace = self._pace
        operations = HistogramMetricFamily(
            _n("cache_operation_duration_seconds"),
            "Of a sample of the operations that went to another node.",
            labels=["kind"],
        )
        for kind, histogram in pace.latencies.by_kind.items():
            operations.add_metric([kind], _cumulated(histogram), histogram.total)
        yield operations
        lag = HistogramMetricFamily(
            _n("event_loop_lag_seconds"), "How late timers fire, looked at 5 times/s."
        )
        lag.add_metric([], _cumulated(pace.lags), pace.lags.total)
        yield lag
        yield CounterMetricFamily(
            _n("event_loop_stalls"), "Timers late by 0.1 s or more.", value=pace.stalls
        )


def _n(name: str) -> str:
    return f"mycorrizal_{name}"


def _buckets(buckets: list[BucketReport]) -> Iterator[Metric]:
    for kind, table in (
        (CounterMetricFamily, _BUCKET_COUNTERS),
        (GaugeMetricFamily, _BUCKET_GAUGES),
    ):
        for name, text, field in table:
            family = kind(_n(f"bucket_{name}"), text, labels=["bucket"])
            for bucket in buckets:
                value = getattr(bucket, field)
                if value is not None:
                    family.add_metric([bucket.name], value)
            yield family


def _cumulated(histogram: Histogram) -> list[Any]:
    """The counts up to each bound, as Prometheus has them."""
    found, below = [], 0
    names = [*map(str, histogram.bounds), "+Inf"]
    for name, count in zip(names, histogram.counts, strict=True):
        below += count
        found.append((name, below))
    return found


def registry_of(reporter: Reporter, pace: Pace, cluster: str) -> CollectorRegistry:
    """
    A node's own registry: several nodes may live in one process.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(reporter, pace, cluster))
    ProcessCollector(registry=registry)
    return registry


def rendered(registry: CollectorRegistry) -> bytes:
    """All metrics as text, of `CONTENT_TYPE`."""
    return generate_latest(registry)
