"""
The page of ``pulse top``, on screens of all sizes.
"""

from __future__ import annotations

import click
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.top_figures import Load, MemberLine, Picture
from mycorrizal.pulse.top_render import BUCKETS, MEMBERS, SORTS, View, page, text


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
        """Members are a table under two lines of what is most wanted."""
        lines = self.shown(cluster(line(0), line(1, 40.0)))
        self.assertEqual(lines[0], "pulse top: shop, by way of n0")
        self.assertEqual(
            lines[1],
            "2 of 2 alive, 0 copies missing; 1,234 entries, 4 KiB, 15 gets/s, "
            "2.5 puts/s",
        )
        titles = lines[3].split()
        self.assertEqual(
            titles[:6], ["NODE", "STATE", "RTT", "GETS/S", "HITS", "PUTS/S"]
        )
        self.assertEqual(lines[4].split()[:3], ["n0", "alive", "this"])
        self.assertEqual(
            lines[5].split()[:6], ["n1", "alive", "1.50", "ms", "40", "100%"]
        )

    def test_sizes(self) -> None:
        """The page fills the screen, and never more than that."""
        found = cluster(*(line(number) for number in range(100)))
        for shows in (MEMBERS, BUCKETS):
            for width, height in ((80, 24), (200, 60), (20, 5), (1, 1), (80, 2)):
                lines = self.shown(found, View(shows), width, height)
                self.assertEqual(len(lines), height)
                self.assertLessEqual(max(map(len, lines)), width)

    def test_more(self) -> None:
        """Where not all fit, the last line says how many are left out."""
        found = cluster(*(line(number) for number in range(20)))
        self.assertIn("n18", "\n".join(self.shown(found, height=25)))
        self.assertNotIn("not shown", self.shown(found, height=25)[-1])
        lines = self.shown(found, height=24)
        self.assertTrue(lines[-1].endswith("2 more not shown"), lines[-1])
        self.assertEqual(sum(each.startswith("n") for each in lines), 18)

    def test_keys(self) -> None:
        """The keys lead from view to view; others to none."""
        view = View()
        self.assertEqual(view.after("b").shows, BUCKETS)
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
        names = [each.split()[0] for each in lines[4:8]]
        self.assertEqual(names, ["n2", "n3", "n0", "n1"])

    def test_buckets(self) -> None:
        """Buckets are a table of their own; without any it says how to make one."""
        found = cluster(line(0), buckets={"b": Load(7, 70, 0.5, 0.0, 0.0, 3.0)})
        rows = [each.split() for each in self.shown(found, View(BUCKETS))[3:5]]
        self.assertEqual(rows[0][:2], ["BUCKET", "GETS/S"])
        self.assertEqual(rows[1], ["b", "0.5", "0%", "0", "7", "70", "B", "3.0"])
        lines = self.shown(cluster(line(0)), View(BUCKETS))
        self.assertIn("pulse cache create", lines[4])

    def test_silent(self) -> None:
        """A member that lives but does not answer is called silent."""
        lines = self.shown(cluster(line(0), line(1, None), line(2, None, "dead")))
        self.assertEqual(lines[5].split()[:2], ["n1", "silent"])
        self.assertEqual(lines[6].split()[:2], ["n2", "dead"])

    def test_hostile_names(self) -> None:
        """Nobody's name steers the terminal."""
        found = cluster(line(0), buckets={"\x1b[2J": Load()})
        self.assertNotIn("\x1b", "".join(self.shown(found, View(BUCKETS))))

    def test_text(self) -> None:
        """Both tables in one text, nothing cut, and no keys."""
        found = cluster(*(line(number) for number in range(60)), buckets={"b": Load()})
        shown = click.unstyle(text(found, 80))
        self.assertIn("n59", shown)
        self.assertIn("BUCKET", shown)
        self.assertNotIn("quit", shown)
