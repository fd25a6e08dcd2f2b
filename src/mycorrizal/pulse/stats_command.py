# -*- test-case-name: tests.pulse.test_stats_command -*-
"""
``pulse cache stats``: what all nodes hold of the buckets, and have counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec

from mycorrizal.pulse.everybody import Said, everybody, tell_silent
from mycorrizal.pulse.messages import AskStatus, BucketStatus, Status
from mycorrizal.pulse.options import Command
from mycorrizal.pulse.render import Column, size, table, terminal_width
from mycorrizal.pulse.session import Session, Trouble

#: What is summed up, as `mycorrizal.mycel.store.counts.BucketStats` defines it.
SUMMED: Final = (
    "entries", "bytes", "hits", "misses", "puts", "deletes", "expired", "evicted",
)  # fmt: skip


@click.command(cls=Command)
@click.argument("bucket", required=False)
@click.option("--per-node", is_flag=True, help="Show the share of each node, too.")
@click.pass_obj
def stats(session: Session, bucket: str | None, per_node: bool) -> None:
    """
    Sum up a bucket, or each, over all nodes.

    A value counts on each node that holds a copy of it, and a read where it was
    answered. A node counts from its start.
    """
    said = everybody(session, AskStatus(), Status)
    shares = _shares(said)
    if bucket is not None:
        if bucket not in shares:
            raise Trouble(
                f"no bucket {bucket!r}; `pulse cache create` makes one, `pulse cache "
                "buckets` lists what is there"
            )
        shares = {bucket: shares[bucket]}
    found = [Total(name, shares[name]) for name in sorted(shares)]
    if found:
        text = page(found, terminal_width(), per_node=per_node)
    else:
        text = "no buckets; `pulse cache create NAME --ttl 15m` makes one"
    session.say(text, [total.data() for total in found])
    tell_silent(said)


def _shares(said: Sequence[Said[Status]]) -> dict[str, dict[str, BucketStatus]]:
    """For each bucket, the share of each node that has answered."""
    shares: dict[str, dict[str, BucketStatus]] = {}
    for one in said:
        for share in one.reply.buckets if one.reply is not None else ():
            shares.setdefault(share.name, {})[one.node_id] = share
    return shares


class Total:
    """
    One bucket, summed up over nodes.

    :ivar shares: By node id.
    :ivar sums: By the names of `SUMMED`.
    """

    def __init__(self, name: str, shares: dict[str, BucketStatus]) -> None:
        self.name = name
        self.shares = shares
        self.sums = {
            field: sum(getattr(share, field) for share in shares.values())
            for field in SUMMED
        }

    def data(self) -> dict[str, Any]:
        """For programs: the sums, and each node's own figures."""
        return {
            "name": self.name,
            **self.sums,
            "hit_ratio": hit_ratio(self.sums["hits"], self.sums["misses"]),
            "nodes": {
                node_id: {field: getattr(share, field) for field in SUMMED}
                for node_id, share in sorted(self.shares.items())
            },
            **{
                field: getattr(next(iter(self.shares.values())), field)
                for field in BucketStatus.__struct_fields__
                if field not in (*SUMMED, "name")
            },
        }


def hit_ratio(hits: int, misses: int) -> float | None:
    """Which part of the reads found a value; None: there were none."""
    return round(hits / (hits + misses), 4) if hits + misses else None


def page(found: Sequence[Total], width: int, *, per_node: bool) -> str:
    """The table of the sums; above each, if that is wanted, what is summed up."""
    columns = [
        Column("BUCKET"),
        Column("NODE"),
        Column("ENTRIES", right=True),
        Column("SIZE", right=True),
        Column("HITS", right=True),
        Column("MISSES", right=True),
        Column("RATIO", right=True),
        Column("EVICTED", right=True, optional=True),
        Column("EXPIRED", right=True, optional=True),
        Column("PUTS", right=True, optional=True),
        Column("DELETES", right=True, optional=True),
    ]
    rows: list[list[str]] = []
    for total in found:
        for node_id, share in sorted(total.shares.items()) if per_node else ():
            counts = msgspec.structs.asdict(share)
            rows.append([total.name, node_id, *_cells(counts)])
        nodes = len(total.shares)
        of = "1 node" if nodes == 1 else f"all {nodes}"
        rows.append([total.name, of, *_cells(total.sums)])
    return table(columns, rows, width)


def _cells(counts: dict[str, Any]) -> list[str]:
    ratio = hit_ratio(counts["hits"], counts["misses"])
    return [
        f"{counts['entries']:,}",
        size(counts["bytes"]),
        f"{counts['hits']:,}",
        f"{counts['misses']:,}",
        "-" if ratio is None else f"{ratio:.1%}",
        *(f"{counts[it]:,}" for it in ("evicted", "expired", "puts", "deletes")),
    ]
