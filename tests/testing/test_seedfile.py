"""Tests for `mycorrizal.testing.seedfile`."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.testing import seedfile
from mycorrizal.testing.seedfile import add_case, read_cases
from tests.testing.test_swarm import a_report


class SeedFileTests(SynchronousTestCase):
    """Seeds that have failed once are kept in a file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_read(self) -> None:
        """Each line is a storm; notes and empty lines are none."""
        self.path.write_text("# why\n\ncalm 3  # stale\nall 12\ncalm 3\n")
        self.assertEqual(read_cases(self.path), [(3, "calm"), (12, "all")])

    def test_wrong_line(self) -> None:
        """A line that is none is named."""
        for line in ("calm", "calm 3 4", "hail 3", "calm -3", "calm three"):
            self.path.write_text(f"calm 1\n{line}\n")
            error = self.assertRaises(ConfigError, read_cases, self.path)
            self.assertIn(f"{self.path}, line 2: {line!r}", str(error))
            self.assertIn("partitions", str(error))

    def test_no_file(self) -> None:
        """A file that is not there is an error in words."""
        error = self.assertRaises(ConfigError, read_cases, self.path)
        self.assertIn("can't be read", str(error))
        self.path.mkdir()
        error = self.assertRaises(ConfigError, read_cases, self.path)
        self.assertIn("can't be read", str(error))

    def test_bound(self) -> None:
        """A file has so many lines, and no more."""
        self.patch(seedfile, "LINES_MAX", 2)
        self.path.write_text("calm 1\ncalm 2\n")
        self.assertEqual(len(read_cases(self.path)), 2)
        self.path.write_text("calm 1\ncalm 2\n\n")
        self.assertRaises(ConfigError, read_cases, self.path)

    def test_add(self) -> None:
        """A seed that failed is added once, with what was wrong first."""
        report = a_report(4, "k1 is old\nvery", "k2 too")
        self.assertTrue(add_case(self.path, report))
        self.assertFalse(add_case(self.path, report))
        self.assertEqual(self.path.read_text(), "calm 4  # stale: k1 is old very\n")
        self.assertTrue(add_case(self.path, a_report(5, "x")))
        self.assertEqual(read_cases(self.path), [(4, "calm"), (5, "calm")])

    def test_no_place(self) -> None:
        """Where nothing can be written, that is said."""
        path = self.path / "seeds.txt"
        error = self.assertRaises(ConfigError, add_case, path, a_report(4, "x"))
        self.assertIn("can't be kept", str(error))
