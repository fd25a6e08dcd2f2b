# -*- test-case-name: tests.pulse.web.test_report -*-
"""
How one node is, in figures that it counted itself.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel import BucketSettings, MycelService
from mycorrizal.nodosum import Link, NodosumService, Peer, Traffic
from mycorrizal.version import __version__

#: Nodes and buckets that a report names; those beyond it are left out.
PEERS_MAX: Final = 256
BUCKETS_MAX: Final = 256
_TEXT_MAX: Final = 1024

Text = Annotated[str, Meta(max_length=_TEXT_MAX)]


class PeerReport(msgspec.Struct):
    """
    Another node, as the reporting one sees it.

    :ivar link: up, down, or ``via`` and the node that hears it in our place.
    """

    id: Text
    address: Text
    state: Text
    link: Text
    rtt_s: float | None
    queued_bytes: int
    version: Text
    host: Text


class BucketReport(msgspec.Struct):
    """A node's share of a bucket, and the bucket's settings."""

    name: Text
    entries: int
    size_bytes: int
    hits: int
    misses: int
    puts: int
    deletes: int
    evicted: int
    expired: int
    ttl_s: float | None
    max_entries: int | None
    max_bytes: int | None
    replicas: int


class Report(msgspec.Struct):
    """
    A node; all counts are since its start.

    :ivar slots: That it is primary of.
    :ivar calls: That it has made, those of its own links included.
    :ivar under_replicated: Copies that are missing, as far as it knows, and
        `moving`, of each of which it can't know.
    :ivar moving: Slots that are about to be its own, or not fetched yet.
    :ivar drained: Whether it is out of service.
    :ivar suspicion: How badly it was held up lately, 0 to 7.
    """

    id: Text
    version: Text
    address: Text
    host: Text
    ready: bool
    leaving: bool
    uptime_s: float
    slots: int
    under_replicated: int
    suspicion: int
    received_bytes: int
    received_frames: int
    sent_bytes: int
    sent_frames: int
    calls: int
    calls_pending: int
    calls_served_now: int
    queued_bytes: int
    unrouted: int
    operations: int
    loads: int
    peers: Annotated[list[PeerReport], Meta(max_length=PEERS_MAX)]
    buckets: Annotated[list[BucketReport], Meta(max_length=BUCKETS_MAX)]
    moving: int = 0
    drained: bool = False

    @property
    def missing(self) -> int:
        """Copies that owners of its slots are known to lack."""
        return max(0, self.under_replicated - self.moving)

    @property
    def gets(self) -> int:
        """Reads that it answered."""
        return sum(bucket.hits + bucket.misses for bucket in self.buckets)

    @property
    def puts(self) -> int:
        """Writes and deletes that it took."""
        return sum(bucket.puts + bucket.deletes for bucket in self.buckets)


encode = msgspec.msgpack.Encoder().encode
_decode: Any = msgspec.msgpack.Decoder(Report).decode


def decode(payload: bytes) -> Report:
    """
    :raises RemoteProtocolError: It is no report.
    """
    try:
        report: Report = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"malformed report: {error}") from None
    return report


class Reporter:
    """
    What makes reports of its node, from counts that are kept anyway.
    """

    def __init__(self, nodosum: NodosumService, mycel: MycelService) -> None:
        self.nodosum = nodosum
        self.mycel = mycel
        self._began_at = nodosum.runtime.now()
        #: Of links that are gone.
        self._past = Traffic()
        self._past_calls = 0
        self._past_unrouted = 0
        nodosum.listen_to_links(self)

    def link_up(self, peer: Peer, link: Link) -> None:
        """A link is new; it is found among its peer's."""

    def link_down(self, peer: Peer, link: Link) -> None:
        """A link is gone, and what it counted stays."""
        self._past.add(link.lanes.traffic)
        self._past_calls += link.calls.begun
        self._past_unrouted += link.unrouted

    def report(self) -> Report:
        """How this node is now."""
        nodosum, mycel = self.nodosum, self.mycel
        links = list(nodosum.applications.links.values())
        traffic = Traffic()
        for counted in (self._past, *(link.lanes.traffic for link in links)):
            traffic.add(counted)
        known = [peer for peer in nodosum.membership.peers.values() if peer.node_id]
        # Who is left out should be who is gone already.
        known.sort(key=lambda peer: (not peer.member, peer.node_id or ""))
        settings = sorted(mycel.cache.buckets().items())[:BUCKETS_MAX]
        return Report(
            id=nodosum.me.node_id,
            version=__version__,
            address=nodosum.node.address,
            host=mycel.host,
            ready=nodosum.readiness.ready,
            leaving=nodosum.mesh.control.leaving or mycel.draining,
            uptime_s=round(nodosum.runtime.now() - self._began_at, 3),
            slots=mycel.claims.serving.bit_count(),
            under_replicated=mycel.under_replicated(),
            suspicion=nodosum.membership.health.score,
            received_bytes=traffic.received_bytes,
            received_frames=traffic.received_frames,
            sent_bytes=traffic.sent_bytes,
            sent_frames=traffic.sent_frames,
            calls=self._past_calls + sum(link.calls.begun for link in links),
            calls_pending=sum(len(link.calls) for link in links),
            calls_served_now=sum(len(link.serving) for link in links),
            queued_bytes=sum(link.queued_bytes for link in links),
            unrouted=self._past_unrouted + sum(link.unrouted for link in links),
            operations=len(mycel.router.under_way),
            loads=mycel.cache.loads_under_way,
            peers=[self._peer(peer) for peer in known[:PEERS_MAX]],
            buckets=[self._bucket(each) for _, each in settings],
            moving=mycel.moves.repair.moving(),
            drained=mycel.standing.drained,
        )

    def _peer(self, peer: Peer) -> PeerReport:
        node = self.nodosum.seen(peer)
        link = peer.link if peer.linked else None
        return PeerReport(
            node.id,
            node.address,
            node.state,
            "up" if link is not None else f"via {node.via}" if node.via else "down",
            peer.rtt_s if link is not None else None,
            link.queued_bytes if isinstance(link, Link) else 0,
            peer.version,
            peer.host,
        )

    def _bucket(self, settings: BucketSettings) -> BucketReport:
        stats = self.mycel.cache.stats(settings.name)
        return BucketReport(
            settings.name,
            stats.entries,
            stats.size_bytes,
            stats.hits,
            stats.misses,
            stats.puts,
            stats.deletes,
            stats.evicted,
            stats.expired,
            settings.ttl_s,
            settings.max_entries,
            settings.max_bytes,
            settings.replicas,
        )
