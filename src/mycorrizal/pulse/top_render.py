# -*- test-case-name: tests.pulse.test_top_render -*-
"""
The page of ``pulse top``, for a screen of a given size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import click

from mycorrizal.pulse.latency import Latency
from mycorrizal.pulse.render import (
    Column,
    duration,
    milliseconds,
    printable,
    size,
    table,
)
from mycorrizal.pulse.top_figures import Load, MemberLine, Picture

MEMBERS: Final = "members"
LATENCIES: Final = "latencies"
BUCKETS: Final = "buckets"
#: Lines above the table.
_HEAD_LINES: Final = 4

#: A name, what it holds and does, and its p99.
_Row = tuple[str, Load | None, float]
#: How rows may be sorted; by name first, then the busiest first.
_SORTS: Final[dict[str, Callable[[Load, float], Any]]] = {
    "name": lambda load, slowest_ms: 0,
    "gets": lambda load, slowest_ms: -(load.gets_s or 0),
    "puts": lambda load, slowest_ms: -(load.puts_s or 0),
    "entries": lambda load, slowest_ms: -load.entries,
    "size": lambda load, slowest_ms: -load.size_bytes,
    "p99": lambda load, slowest_ms: -slowest_ms,
}
_KEYS: Final = "q quit  m members  l latencies  b buckets  s sort"


@attrs.frozen
class View:
    """
    What the user wants to see.

    :ivar shows: ``members``, ``latencies`` or ``buckets``.
    :ivar sort: Of `SORTS`.
    """

    shows: str = MEMBERS
    sort: str = "name"

    def after(self, key: str) -> View:
        """The view that a key leads to; unknown ones change nothing."""
        match key.lower():
            case "m":
                return attrs.evolve(self, shows=MEMBERS)
            case "l":
                return attrs.evolve(self, shows=LATENCIES)
            case "b":
                return attrs.evolve(self, shows=BUCKETS)
            case "s":
                following = SORTS.index(self.sort) + 1
                return attrs.evolve(self, sort=SORTS[following % len(SORTS)])
        return self


SORTS: Final = tuple(_SORTS)


def page(found: Picture, view: View, width: int, height: int) -> list[str]:
    """
    The lines of the page: `height` at most, and none longer than `width`.

    A colour takes no width.
    """
    first = f"pulse top: {found.cluster}, by way of {found.asked}"
    nodes = f"{found.alive} of {len(found.members)} alive"
    missing = f"{found.missing:,} copies missing"
    head = [
        click.style(_cut(printable(first), width), bold=True),
        f"{nodes}, {missing}; {_total(found.total)}",
        f"between nodes: {_latencies_of_all(found)}",
        "",
    ]
    rows = _TABLES[view.shows](found, view)
    title, *body = table(*rows, width).splitlines()
    if not rows[1]:
        body = ["no buckets; `pulse cache create NAME --ttl 15m` makes one"]
    room = max(0, height - len(head) - 2)
    keys = f"{_KEYS} (by {view.sort})"
    if len(body) > room:
        keys += f"  {len(body) - max(0, room - 1):,} more not shown"
        body = body[: max(0, room - 1)]
    lines = [*head, title, *body]
    lines += [""] * (height - 1 - len(lines))
    lines = [*lines[: max(0, height - 1)], click.style(_cut(keys, width), dim=True)]
    return [_cut(line, width) for line in lines][:height]


def text(found: Picture, width: int) -> str:
    """All tables, one below the other, for a terminal that scrolls."""
    parts = []
    for shows in _TABLES:
        rows = len(found.members) + len(found.buckets)
        lines = page(found, View(shows), width, rows + 10)[:-1]
        above = 0 if shows == MEMBERS else _HEAD_LINES
        parts.append("\n".join(lines[above:]).rstrip())
    return "\n\n".join(parts)


def _total(load: Load) -> str:
    return (
        f"{load.entries:,} entries, {size(load.size_bytes)}, "
        f"{_rate(load.gets_s)} gets/s, {_rate(load.puts_s)} puts/s"
    )


def _latencies_of_all(found: Picture) -> str:
    words = []
    for name, latency in (("gets", found.get_latency), ("puts", found.put_latency)):
        if latency is None:
            words.append(f"{name} -")
        else:
            p50, p99 = milliseconds(latency.p50_ms), milliseconds(latency.p99_ms)
            words.append(f"{name} p50 {p50}, p99 {p99}")
    return "; ".join(words)


def _members(found: Picture, view: View) -> tuple[list[Column], list[list[str]]]:
    columns = [
        Column("NODE"),
        Column("STATE"),
        Column("RTT", right=True),
        *_LOAD_COLUMNS,
        Column("MISSING", right=True, optional=True),
        Column("UP", right=True, optional=True),
    ]
    return columns, [_member(it, found.asked) for it in _in_order(found, view)]


def _in_order(found: Picture, view: View) -> list[MemberLine]:
    by_id = {member.node_id: member for member in found.members}
    rows = [(it.node_id, it.load, it.slowest_ms) for it in found.members]
    return [by_id[name] for name in _sorted(rows, view)]


def _who(member: MemberLine, asked: str) -> list[str]:
    """A node's name, state, and how far it is."""
    rtt = "-" if member.rtt_ms is None else f"{member.rtt_ms:.2f} ms"
    if member.link.startswith("via"):
        rtt = member.link
    state = member.state
    if member.load is None and state == "alive":
        state = "silent"
    return [member.node_id, state, "this" if member.node_id == asked else rtt]


def _member(member: MemberLine, asked: str) -> list[str]:
    return [
        *_who(member, asked),
        *_load(member.load),
        f"{member.missing:,}" if member.load else "-",
        "-" if member.uptime_s is None else duration(round(member.uptime_s)),
    ]


def _latencies(found: Picture, view: View) -> tuple[list[Column], list[list[str]]]:
    rtt = Column("RTT", right=True, optional=True)
    columns = [Column("NODE"), Column("STATE"), rtt]
    # Of what a node sends; its rates are those of what it answers.
    for kind in ("GET", "PUT"):
        columns += [
            Column("TIMED", right=True, optional=True),
            Column(f"{kind} P50", right=True),
            Column(f"{kind} P99", right=True),
        ]
    return columns, [
        [
            *_who(member, found.asked),
            *_times(member.get_latency),
            *_times(member.put_latency),
        ]
        for member in _in_order(found, view)
    ]


def _times(found: Latency | None) -> list[str]:
    if found is None:
        return ["-", "-", "-"]
    return [f"{found.timed:,}", milliseconds(found.p50_ms), milliseconds(found.p99_ms)]


def _buckets(found: Picture, view: View) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("BUCKET"), *_LOAD_COLUMNS]
    names = _sorted([(name, it, 0.0) for name, it in found.buckets.items()], view)
    return columns, [[name, *_load(found.buckets[name])] for name in names]


def _sorted(rows: list[_Row], view: View) -> list[str]:
    key = _SORTS[view.sort]
    ordered = sorted(rows, key=lambda row: (key(row[1] or Load(), row[2]), row[0]))
    return [name for name, _, _ in ordered]


#: What can be seen, in order.
_TABLES: Final = {MEMBERS: _members, LATENCIES: _latencies, BUCKETS: _buckets}


_LOAD_COLUMNS: Final = [
    Column("GETS/S", right=True),
    Column("HITS", right=True, optional=True),
    Column("PUTS/S", right=True),
    Column("ENTRIES", right=True),
    Column("SIZE", right=True),
    Column("EVICT/S", right=True, optional=True),
]


def _load(load: Load | None) -> list[str]:
    if load is None:
        return ["-"] * len(_LOAD_COLUMNS)
    ratio = load.hit_ratio
    return [
        _rate(load.gets_s),
        "-" if ratio is None else f"{ratio:.0%}",
        _rate(load.puts_s),
        f"{load.entries:,}",
        size(load.size_bytes),
        _rate(load.evicted_s),
    ]


def _rate(rate: float | None) -> str:
    if rate is None:
        return "-"
    return f"{rate:,.0f}" if rate >= 10 or not rate else f"{rate:.1f}"


def _cut(line: str, width: int) -> str:
    """The line, if need be cut to the width, and then without its colours."""
    plain = click.unstyle(line)
    return line if len(plain) <= width else plain[:width]
