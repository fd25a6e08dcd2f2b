# -*- test-case-name: tests.pulse.test_render -*-
"""
What Pulse shows: aligned tables, units, and words for people.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TextIO

import attrs
import click

from mycorrizal.pulse.links import broken
from mycorrizal.pulse.messages import BucketStatus, MemberStatus, Status

#: Broken links that are shown; a count tells of the rest.
BROKEN_LINKS_MAX = 20
#: Columns of a table where nobody says how wide the terminal is.
WIDTH = 80

_GAP = "  "
_COLOURS = {
    "alive": "green",
    "joining": "cyan",
    "drained": "blue",
    "suspect": "yellow",
    "left": "bright_black",
    "dead": "red",
}
_UNITS_S = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))


def terminal_width() -> int:
    """How wide a table may be."""
    if not sys.stdout.isatty():
        return WIDTH
    return shutil.get_terminal_size().columns


def folded(text: str, out: TextIO, indent: int = 0) -> str:
    """
    A sentence, in lines that break between words where `out` is a terminal; for
    programs it stays on one.

    :param indent: Of all lines but the first.
    """
    if not out.isatty():
        return text
    return textwrap.fill(
        text,
        max(2 * indent, shutil.get_terminal_size().columns - 1),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def printable(text: str) -> str:
    """A text of somebody else's, without what would steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def duration(seconds: float | None) -> str:
    """A time in its two largest units; None is for ever."""
    if seconds is None:
        return "never"
    if seconds < 10:
        return f"{seconds:.3g} s"
    rest = round(seconds)
    words: list[str] = []
    for unit, unit_s in _UNITS_S:
        count, rest = divmod(rest, int(unit_s))
        if count or words:
            words.append(f"{count} {unit}")
    return " ".join(word for word in words[:2] if not word.startswith("0 "))


def milliseconds(time_ms: float) -> str:
    """A short time, with three digits."""
    time, unit = (time_ms, "ms") if time_ms < 1000 else (time_ms / 1000, "s")
    digits = 2 if time < 10 else 1 if time < 100 else 0
    return f"{time:.{digits}f} {unit}"


def size(count: int) -> str:
    """A number of bytes, with three digits."""
    if count < 1024:
        return f"{count} B"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        if amount < 1000 or unit == "GiB":
            break
    return f"{amount:.3g} {unit}" if amount < 1000 else f"{amount:.0f} {unit}"


@attrs.frozen
class Column:
    """
    One column of a table.

    :ivar optional: Whether it gives way where there is no room for it.
    """

    title: str
    right: bool = False
    optional: bool = False


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int = WIDTH
) -> str:
    """
    Rows under titles, aligned; states of members are coloured.

    :param width: Beyond it, optional columns are left out, the last first.
    """
    lines = [[column.title for column in columns]]
    lines += [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    shown = list(range(len(columns)))
    for index in reversed(range(len(columns))):
        total = sum(widths[i] for i in shown) + len(_GAP) * (len(shown) - 1)
        if total > width and columns[index].optional:
            shown.remove(index)

    def line(number: int, cells: Sequence[str]) -> str:
        text: list[str] = []
        for index in shown:
            right, last = columns[index].right, index == shown[-1]
            cell, room = cells[index], widths[index]
            padded = cell.rjust(room) if right else cell if last else cell.ljust(room)
            text.append(_coloured(padded, number, cell))
        return _GAP.join(text).rstrip()

    return "\n".join(line(number, cells) for number, cells in enumerate(lines))


def _coloured(padded: str, number: int, cell: str) -> str:
    if not number:
        return click.style(padded, bold=True)
    colour = _COLOURS.get(cell)
    return click.style(padded, fg=colour) if colour else padded


def member_columns() -> list[Column]:
    """Those of what `member_cells` gives."""
    return [
        Column("NODE"),
        Column("ADDRESS"),
        Column("STATE"),
        Column("RTT", right=True),
        Column("LINK"),
        Column("VERSION", optional=True),
        Column("HOST", optional=True),
        Column("LABELS", optional=True),
    ]


def members(status: Status, width: int = WIDTH) -> str:
    """The table of the nodes that a node knows."""
    columns = member_columns()
    # A column that says nothing takes no room.
    labelled = any(member.labels for member in status.members)
    unlinked = any(
        member.link not in ("up", "") and member.state in ("alive", "suspect")
        for member in status.members
    )
    silent = {"LABELS": not labelled, "LINK": not unlinked}
    shown = [
        index
        for index, column in enumerate(columns)
        if not silent.get(column.title, False)
    ]
    rows = [member_cells(member, status.node.id) for member in status.members]
    return table(
        [columns[index] for index in shown],
        [[row[index] for index in shown] for row in rows],
        width,
    )


def nodes(status: Status, width: int = WIDTH) -> str:
    """The table of the nodes, and the links between them that are broken."""
    return "\n".join([members(status, width), *broken_links(status)])


def broken_links(status: Status) -> list[str]:
    """A line for each pair of nodes without a link."""
    found, lines = broken(status), list[str]()
    for one, other, via in found[:BROKEN_LINKS_MAX]:
        reached = f"{via} reaches both" if via else "nobody is known to reach both"
        lines.append(printable(f"No link between {one} and {other}; {reached}"))
    if len(found) > BROKEN_LINKS_MAX:
        lines.append(f"No link between {len(found) - BROKEN_LINKS_MAX} more pairs")
    return lines


def member_cells(member: MemberStatus, this: str) -> list[str]:
    """
    What there is to say of a node, in the order of the columns.

    :param this: The id of the node that says so.
    """
    rtt = "-" if member.rtt_ms is None else f"{member.rtt_ms:.2f} ms"
    labels = ",".join(f"{name}={text}" for name, text in member.labels.items())
    drained = member.drained and member.state == "alive"
    return [
        member.id,
        member.address,
        "drained" if drained else member.state,
        "this" if member.id == this else rtt,
        member.link or "-",
        member.version,
        member.host,
        labels,
    ]


def buckets(found: Sequence[BucketStatus], width: int = WIDTH) -> str:
    """The table of the cluster's buckets, with one node's share of each."""
    if not found:
        return "no buckets; `pulse cache create NAME --ttl 15m` makes one"
    columns = [
        Column("BUCKET"),
        Column("ENTRIES", right=True),
        Column("SIZE", right=True),
        Column("HITS", right=True),
        Column("MISSES", right=True),
        Column("TTL", right=True),
        Column("REPLICAS", right=True),
        Column("EVICTED", right=True, optional=True),
        Column("LIMIT", right=True, optional=True),
    ]
    return table(columns, [_bucket(bucket) for bucket in found], width)


def _bucket(bucket: BucketStatus) -> list[str]:
    limits = [] if bucket.max_entries is None else [f"{bucket.max_entries:,}"]
    if bucket.max_bytes is not None:
        limits.append(size(bucket.max_bytes))
    return [
        bucket.name,
        f"{bucket.entries:,}",
        size(bucket.bytes),
        f"{bucket.hits:,}",
        f"{bucket.misses:,}",
        duration(bucket.ttl_s),
        str(bucket.replicas),
        f"{bucket.evicted:,}",
        ", ".join(limits),
    ]


def status(found: Status, width: int = WIDTH) -> str:
    """All of a node's status, as a page."""
    node = found.node
    mode = "; it runs alone" if node.single else ""
    uptime = duration(node.uptime_s)
    alive = sum(member.state == "alive" for member in found.members)
    missing = f"{found.under_replicated:,}" if found.under_replicated else "no"
    lines = [
        printable(f"Node {node.id} of cluster {node.cluster}{mode}"),
        f"Version {node.version}, up {uptime}, secret {node.secret}, TLS {node.tls}",
        "",
        nodes(found, width),
        "",
        buckets(found.buckets, width),
        "",
        f"{alive} of {len(found.members)} nodes alive; {missing} copies missing",
        printable(f"Applications: {', '.join(found.applications) or 'none'}"),
    ]
    return "\n".join(lines)
