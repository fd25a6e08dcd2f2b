# -*- test-case-name: tests.pulse.test_top_render -*-
"""
The page of ``pulse top``, for a screen of a given size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import click

from mycorrizal.pulse.render import Column, duration, printable, size, table
from mycorrizal.pulse.top_figures import Load, MemberLine, Picture

MEMBERS: Final = "members"
BUCKETS: Final = "buckets"

_Row = tuple[str, Load | None]
#: How rows may be sorted; by name first, then the busiest first.
_SORTS: Final[dict[str, Callable[[Load], Any]]] = {
    "name": lambda load: 0,
    "gets": lambda load: -(load.gets_s or 0),
    "puts": lambda load: -(load.puts_s or 0),
    "entries": lambda load: -load.entries,
    "size": lambda load: -load.size_bytes,
}
_KEYS: Final = "q quit  m members  b buckets  s sort"


@attrs.frozen
class View:
    """
    What the user wants to see.

    :ivar shows: ``members`` or ``buckets``.
    :ivar sort: Of `SORTS`.
    """

    shows: str = MEMBERS
    sort: str = "name"

    def after(self, key: str) -> View:
        """The view that a key leads to; unknown ones change nothing."""
        match key.lower():
            case "m":
                return attrs.evolve(self, shows=MEMBERS)
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
        "",
    ]
    rows = _members(found, view) if view.shows == MEMBERS else _buckets(found, view)
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
    """Both tables, one below the other, for a terminal that scrolls."""
    parts = []
    for shows in (MEMBERS, BUCKETS):
        rows = len(found.members) + len(found.buckets)
        lines = page(found, View(shows), width, rows + 10)[:-1]
        parts.append("\n".join(lines if shows == MEMBERS else lines[3:]).rstrip())
    return "\n\n".join(parts)


def _total(load: Load) -> str:
    return (
        f"{load.entries:,} entries, {size(load.size_bytes)}, "
        f"{_rate(load.gets_s)} gets/s, {_rate(load.puts_s)} puts/s"
    )


def _members(found: Picture, view: View) -> tuple[list[Column], list[list[str]]]:
    columns = [
        Column("NODE"),
        Column("STATE"),
        Column("RTT", right=True),
        *_LOAD_COLUMNS,
        Column("MISSING", right=True, optional=True),
        Column("UP", right=True, optional=True),
    ]
    by_id = {member.node_id: member for member in found.members}
    names = _sorted([(it.node_id, it.load) for it in found.members], view)
    return columns, [_member(by_id[name], found.asked) for name in names]


def _member(member: MemberLine, asked: str) -> list[str]:
    rtt = "-" if member.rtt_ms is None else f"{member.rtt_ms:.2f} ms"
    if member.link.startswith("via"):
        rtt = member.link
    state = member.state
    if member.load is None and state == "alive":
        state = "silent"
    return [
        member.node_id,
        state,
        "this" if member.node_id == asked else rtt,
        *_load(member.load),
        f"{member.missing:,}" if member.load else "-",
        "-" if member.uptime_s is None else duration(round(member.uptime_s)),
    ]


def _buckets(found: Picture, view: View) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("BUCKET"), *_LOAD_COLUMNS]
    names = _sorted(list(found.buckets.items()), view)
    return columns, [[name, *_load(found.buckets[name])] for name in names]


def _sorted(rows: list[_Row], view: View) -> list[str]:
    key = _SORTS[view.sort]
    ordered = sorted(rows, key=lambda row: (key(row[1] or Load()), row[0]))
    return [name for name, _ in ordered]


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
