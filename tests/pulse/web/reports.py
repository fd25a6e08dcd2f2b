"""
Reports as tests want them.
"""

from __future__ import annotations

from typing import Any

from mycorrizal.pulse.web.report import BucketReport, PeerReport, Report


def peer(name: str, state: str = "alive", link: str = "up", **more: Any) -> PeerReport:
    """Another node as one sees it."""
    queued_bytes = more.pop("queued_bytes", 0)
    return PeerReport(name, f"{name}:1", state, link, 0.001, queued_bytes, "1", name)


def bucket(name: str = "b", **counts: Any) -> BucketReport:
    """A share of a bucket, all zero but what is said."""
    zero = dict.fromkeys(
        "entries size_bytes hits misses puts deletes evicted expired replicas".split(),
        0,
    )
    limits = {"ttl_s": None, "max_entries": None, "max_bytes": None}
    return BucketReport(name, **{**zero, **limits, **counts})


def report(name: str = "a", *peers: PeerReport, **fields: Any) -> Report:
    """A node's report, all zero but what is said."""
    zero = {field: 0 for field in Report.__struct_fields__ if field not in fields}
    texts = {"id": name, "version": "1", "address": f"{name}:1", "host": name}
    others = {
        "ready": True, "leaving": False, "drained": False, "peers": list(peers),
        "buckets": [],
    }  # fmt: skip
    return Report(**{**zero, **texts, **others, **fields})
