"""
The page of ``pulse top``, on screens of all sizes.
"""

from __future__ import annotations

import attrs
import click
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.latency import Latency
from mycorrizal.pulse.top_figures import Load, MemberLine, Picture
from mycorrizal.pulse.top_render import (
    BUCKETS,
    LATENCIES,
    MEMBERS,
    SORTS,
    View,
    page,
    text,
)


def line(number: int, gets_s: float | None = 0.0, state: str = "alive") -> MemberLine:
    """A node of the cluster."""
    load = None if gets_s is None else Load(number, 2048, gets_s, 1.25, gets_s, 0.0)
    return MemberLine(f"n{number}", state, 1.5, "up", load, 3700.4)


def cluster(*members: MemberLine, buckets: dict[str, Load] | None = None) -> Picture:
    """A cluster of these nodes."""
    total = Load(1234, 4096, 15.0, 2.5, 9.0, 0.0)
    return Picture("shop", "n0", len(members), 0, total, list(members), buckets or {})


class PageTests(SynchronousTestCase):
    """What is seen."""

    def shown(
        self,
        found: Picture,
        view: View | None = None,
        width: int = 80,
        height: int = 24,
    ) -> list[str]:
        """The lines, without colours."""
        lines = page(found, view or View(), width, height)
        return [click.unstyle(each) for each in lines]

    def test_members(self) -> None:
        """Members are a table under three lines of what is most wanted."""
        lines = self.shown(cluster(line(0), line(1, 40.0)))
        self.assertEqual(lines[0], "pulse top: shop, by way of n0")
        self.assertEqual(
            lines[1],
            "2 of 2 alive, 0 copies missing; 1,234 entries, 4 KiB, 15 gets/s, "
            "2.5 puts/s",
        )
        self.assertEqual(lines[2], "between nodes: gets -; puts -")
        titles = lines[4].split()
        self.assertEqual(
            titles[:6], ["NODE", "STATE", "RTT", "GETS/S", "HITS", "PUTS/S"]
        )
        self.assertEqual(lines[5].split()[:3], ["n0", "alive", "this"])
        self.assertEqual(
            lines[6].split()[:6], ["n1", "alive", "1.50", "ms", "40", "100%"]
        )

    def test_sizes(self) -> None:
        """The page fills the screen, and never more than that."""
        found = cluster(*(line(number) for number in range(100)))
        for shows in (MEMBERS, LATENCIES, BUCKETS):
            for width, height in ((80, 24), (200, 60), (20, 5), (1, 1), (80, 2)):
                lines = self.shown(found, View(shows), width, height)
                self.assertEqual(len(lines), height)
                self.assertLessEqual(max(map(len, lines)), width)

    def test_more(self) -> None:
        """Where not all fit, the last line says how many are left out."""
        found = cluster(*(line(number) for number in range(20)))
        self.assertIn("n18", "\n".join(self.shown(found, height=26)))
        self.assertNotIn("not shown", self.shown(found, height=26)[-1])
        lines = self.shown(found, height=25)
        self.assertTrue(lines[-1].endswith("2 more not shown"), lines[-1])
        self.assertEqual(sum(each.startswith("n") for each in lines), 18)

    def test_keys(self) -> None:
        """The keys lead from view to view; others to none."""
        view = View()
        self.assertEqual(view.after("b").shows, BUCKETS)
        self.assertEqual(view.after("l").shows, LATENCIES)
        self.assertEqual(view.after("B").after("m"), view)
        self.assertEqual(view.after("x"), view)
        seen = [view.sort]
        while (view := view.after("s")).sort != seen[0]:
            seen.append(view.sort)
        self.assertEqual(tuple(seen), SORTS)

    def test_sorted(self) -> None:
        """The busiest come first, those without figures last, equals by name."""
        found = cluster(line(0, 1.0), line(1, None), line(2, 9.0), line(3, 9.0))
        lines = self.shown(found, View(sort="gets"))
        names = [each.split()[0] for each in lines[5:9]]
        self.assertEqual(names, ["n2", "n3", "n0", "n1"])

    def test_latencies(self) -> None:
        """Each node's gets and puts have their own times, and the slowest can be
        first; of who has none it says so."""
        slow = attrs.evolve(line(1), get_latency=Latency(9, 1.25, 123.4))
        found = cluster(line(0), slow, line(2, None))
        lines = self.shown(found, View(LATENCIES, "p99"))
        self.assertIn("TIMED  GET P50  GET P99  TIMED", lines[4])
        self.assertEqual(
            lines[5].split()[4:], ["9", "1.25", "ms", "123", "ms", "-", "-", "-"]
        )
        self.assertEqual(lines[6].split()[3:], ["-"] * 6)
        self.assertEqual(lines[7].split()[1], "silent")

    def test_latencies_of_all(self) -> None:
        """The longest times that are told fit above the table."""
        slow = Latency(1, 99.96, 999.4)
        found = attrs.evolve(cluster(), get_latency=slow, put_latency=slow)
        self.assertEqual(
            self.shown(found)[2],
            "between nodes: gets p50 100.0 ms, p99 999 ms; "
            "puts p50 100.0 ms, p99 999 ms",
        )
        slowest = Latency(1, 5000.0, 10000.0)
        found = attrs.evolve(cluster(), get_latency=slowest)
        self.assertEqual(
            self.shown(found)[2], "between nodes: gets p50 5.00 s, p99 10.0 s; puts -"
        )

    def test_buckets(self) -> None:
        """Buckets are a table of their own; without any it says how to make one."""
        found = cluster(line(0), buckets={"b": Load(7, 70, 0.5, 0.0, 0.0, 3.0)})
        rows = [each.split() for each in self.shown(found, View(BUCKETS))[4:6]]
        self.assertEqual(rows[0][:2], ["BUCKET", "GETS/S"])
        self.assertEqual(rows[1], ["b", "0.5", "0%", "0", "7", "70", "B", "3.0"])
        lines = self.shown(cluster(line(0)), View(BUCKETS))
        self.assertIn("pulse cache create", lines[5])

    def test_silent(self) -> None:
        """A member that lives but does not answer is called silent."""
        lines = self.shown(cluster(line(0), line(1, None), line(2, None, "dead")))
        self.assertEqual(lines[6].split()[:2], ["n1", "silent"])
        self.assertEqual(lines[7].split()[:2], ["n2", "dead"])

    def test_hostile_names(self) -> None:
        """Nobody's name steers the terminal."""
        found = cluster(line(0), buckets={"\x1b[2J": Load()})
        self.assertNotIn("\x1b", "".join(self.shown(found, View(BUCKETS))))

    def test_text(self) -> None:
        """All tables in one text, nothing cut, and no keys."""
        found = cluster(*(line(number) for number in range(60)), buckets={"b": Load()})
        shown = click.unstyle(text(found, 80))
        self.assertIn("n59", shown)
        self.assertIn("BUCKET", shown)
        self.assertEqual(shown.count("P99"), 2)
        self.assertEqual(shown.count("between nodes"), 1)
        self.assertNotIn("quit", shown)
