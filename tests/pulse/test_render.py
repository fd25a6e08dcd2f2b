"""
Tables, times and sizes, as people read them.
"""

from __future__ import annotations

import io

import click
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.messages import BucketStatus, MemberStatus, NodeStatus, Status
from mycorrizal.pulse.render import (
    Column,
    buckets,
    duration,
    folded,
    members,
    printable,
    size,
    status,
    table,
)


def member(node_id: str = "a", state: str = "alive", **labels: str) -> MemberStatus:
    """A node."""
    return MemberStatus(node_id, "10.0.0.1:6969", state, 0.456, "0.1.0", "host", labels)


def status_of(*found: MemberStatus, single: bool = False) -> Status:
    """What node a says of these."""
    node = NodeStatus(
        "a", "0.1.0", 1, "10.0.0.1:6969", 61.4, "blue", "1a2b3c4d", "auto", single
    )
    return Status(node, list(found), [], ["SYSTEM-PULSE"], 0)


def bucket(**changes: object) -> BucketStatus:
    """A bucket."""
    numbers = dict.fromkeys(
        ("entries", "bytes", "hits", "misses", "puts", "deletes", "expired", "evicted"),
        0,
    )
    settings = {
        "name": "b",
        "ttl_s": None,
        "max_entries": None,
        "max_bytes": None,
        "replicas": 1,
    }
    return BucketStatus(**{**numbers, **settings, **changes})  # type: ignore[arg-type]


class UnitTests(SynchronousTestCase):
    """Numbers with their units."""

    def test_durations(self) -> None:
        """A time is told in its two largest units."""
        for seconds, words in (
            (None, "never"),
            (0.0, "0 s"),
            (0.25, "0.25 s"),
            (9.994, "9.99 s"),
            (59.6, "1 min"),
            (61, "1 min 1 s"),
            (900, "15 min"),
            (3605, "1 h"),
            (5400, "1 h 30 min"),
            (90_061, "1 d 1 h"),
        ):
            self.assertEqual(duration(seconds), words)

    def test_sizes(self) -> None:
        """A size has three digits at least, and the unit that fits."""
        for count, words in (
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (1020 * 1024, "0.996 MiB"),
            (5 * 1024**3, "5 GiB"),
            (5000 * 1024**3, "5000 GiB"),
        ):
            self.assertEqual(size(count), words)

    def test_folded(self) -> None:
        """A sentence breaks between words on a terminal, and for nobody else."""
        sentence = "   Fix: " + "word " * 20 + "--a-long-option"

        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        self.assertEqual(folded(sentence, io.StringIO()), sentence)
        lines = folded(sentence, Terminal(), 3).splitlines()
        self.assertEqual(len(lines), 2)
        self.assertLess(max(map(len, lines)), 80)
        self.assertTrue(all(line.startswith("   ") for line in lines))
        self.assertTrue(lines[-1].endswith(" --a-long-option"))

    def test_printable(self) -> None:
        """Control characters are replaced, letters of any script are not."""
        self.assertEqual(printable("Zoë\x1b[31m\n"), "Zoë\ufffd[31m\ufffd")


class TableTests(SynchronousTestCase):
    """Rows under titles."""

    columns = (Column("NAME"), Column("N", right=True), Column("MORE", optional=True))
    rows = (["a", "1", "x"], ["long", "100", ""])

    def test_alignment(self) -> None:
        """Columns are aligned, and no line ends in blanks."""
        lines = click.unstyle(table(self.columns, self.rows)).splitlines()
        self.assertEqual(lines, ["NAME    N  MORE", "a       1  x", "long  100"])

    def test_narrow(self) -> None:
        """Where there is no room, the optional columns go; others never."""
        wide, narrow = (table(self.columns, self.rows, width) for width in (15, 14))
        self.assertIn("MORE", wide)
        self.assertNotIn("MORE", narrow)
        self.assertIn("long  100", table(self.columns, self.rows, 1))

    def test_empty(self) -> None:
        """Without rows there are the titles."""
        shown = click.unstyle(table(self.columns, []))
        self.assertEqual(shown, "NAME  N  MORE")

    def test_states(self) -> None:
        """Live nodes are green, dead ones red."""
        shown = members(status_of(member(), member("b", "dead")))
        self.assertIn(click.style("alive", fg="green"), shown)
        self.assertIn(click.style("dead ", fg="red"), shown)


class PageTests(SynchronousTestCase):
    """What is shown of a cluster."""

    def test_members(self) -> None:
        """Labels are shown where there are any."""
        plain = members(status_of(member(), member("b")))
        self.assertNotIn("LABELS", plain)
        self.assertIn("0.46 ms", plain)
        labelled = members(status_of(member(zone="x", rack="7")))
        self.assertIn("zone=x,rack=7", labelled)

    def test_broken_links(self) -> None:
        """Where a member has no link, a column tells who hears it (F4)."""
        here, near, far, gone = (member(name) for name in "abcd")
        near.link, far.link = "up", "via b"
        gone.link, gone.state = "down", "dead"
        whole = members(status_of(here, near, gone))
        self.assertNotIn("LINK", whole)
        lines = click.unstyle(members(status_of(here, near, far))).splitlines()
        self.assertEqual(
            lines[0].split()[:5], ["NODE", "ADDRESS", "STATE", "RTT", "LINK"]
        )
        self.assertIn("via b", lines[3])
        self.assertIn("up", lines[2])

    def test_long_ids(self) -> None:
        """Random ids fit 80 columns, with the states in view."""
        found = status_of(*(member(letter * 36) for letter in "abc"))
        lines = click.unstyle(members(found)).splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertIn("alive", lines[1])

    def test_buckets(self) -> None:
        """A bucket shows its limits, each with its unit."""
        shown = buckets([bucket(max_entries=100_000, max_bytes=1 << 20)], width=120)
        self.assertIn("100,000, 1 MiB", shown)
        self.assertIn("never", shown)

    def test_no_buckets(self) -> None:
        """Without buckets it says how to make one."""
        self.assertIn("pulse cache create", buckets([]))

    def test_status(self) -> None:
        """The page sums up what is alive and what is missing."""
        found = status_of(member(), member("b", "dead"))
        found.under_replicated = 1234
        page = status(found)
        self.assertIn("up 1 min 1 s, secret 1a2b3c4d, TLS auto", page)
        self.assertIn("1 of 2 nodes alive; 1,234 copies missing", page)
        self.assertNotIn("alone", page)

    def test_single(self) -> None:
        """A node that is alone on purpose says so."""
        page = status(status_of(member(), single=True))
        self.assertIn("it runs alone", page)
        self.assertIn("no copies missing", page)

    def test_escape_codes(self) -> None:
        """A name from the network can't steer the terminal (F58)."""
        page = status(status_of(member("\x1b[2J")))
        self.assertNotIn("\x1b[2J", page)
