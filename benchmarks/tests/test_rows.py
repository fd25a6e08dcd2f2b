# -*- test-case-name: benchmarks.tests.test_rows -*-
"""
Tests of rows, peers and bars.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.catalog import ROWS
from benchmarks.processes import Crew
from benchmarks.rows import Bar, Better, MissingPackage, Needed, Peer, Row, Sample


def never(crew: Crew) -> Sample:
    raise AssertionError("not to be measured")


class BarTests(SynchronousTestCase):
    """What is said of a ratio."""

    def test_at_the_bar(self) -> None:
        """A ratio exactly at its bar is met, and one just below is not."""
        bar = Bar(must=1.0, aim=2.0)
        at, below = (bar.verdict(ratio, Better.HIGHER) for ratio in (1.0, 0.999))
        self.assertEqual(at, {"bar": 1.0, "met": True, "aim": 2.0, "aim_met": False})
        self.assertFalse(below["met"])

    def test_lower_is_better(self) -> None:
        """Where less is better, a ratio above its bar is not met."""
        bar = Bar(must=1.3)
        self.assertTrue(bar.verdict(1.3, Better.LOWER)["met"])
        self.assertFalse(bar.verdict(1.31, Better.LOWER)["met"])

    def test_nothing_to_say(self) -> None:
        """Without a figure, or without a bar, nothing is claimed."""
        self.assertIsNone(Bar(must=1.0).verdict(None, Better.HIGHER)["met"])
        self.assertIsNone(Bar(aim=1.0).verdict(5.0, Better.HIGHER)["met"])


class NeededTests(SynchronousTestCase):
    """What is said of a package that is not installed."""

    def row(self, needed: Needed) -> Row:
        peer = Peer("them", never, (needed,), "as it comes")
        return Row("P0", "nothing", "msgs/s", Better.HIGHER, ours=(peer,))

    def test_missing_module(self) -> None:
        """A missing package is an error that names it and says how to get it."""
        row = self.row(Needed("some-package", module="no_such_module"))
        error = self.assertRaises(MissingPackage, row.require)
        self.assertEqual(error.package, "some-package")
        self.assertIn("pip install some-package", str(error))
        self.assertIn("P0 measures ours (them)", str(error))

    def test_missing_program(self) -> None:
        """A missing program is an error that names the package that brings it."""
        row = self.row(Needed("some-package", program="no-such-program"))
        self.assertIn(
            "some-package", str(self.assertRaises(MissingPackage, row.require))
        )

    def test_present(self) -> None:
        """What is installed is no error, and its version is known."""
        needed = Needed("Twisted", module="twisted")
        self.row(needed).require()
        self.assertRegex(needed.version(), r"^\d+\.")

    def test_version_of_a_program(self) -> None:
        """A program of no Python package tells its version itself."""
        needed = Needed("some-package", program="python3")
        self.assertRegex(needed.version(), r"^Python 3\.")


class P1Tests(SynchronousTestCase):
    """The first row."""

    def test_bars(self) -> None:
        """P1 stands beside the floor, pyzmq and nats-py, each with its bar."""
        row = ROWS["P1"](True)
        bars = {
            rival.peer.name: (rival.bar.must, rival.bar.aim) for rival in row.rivals
        }
        self.assertEqual(
            bars, {"floor": (None, 0.7), "pyzmq": (1.0, None), "nats-py": (4.0, None)}
        )
        self.assertEqual([peer.name for peer in row.ours], ["post", "send"])

    def test_other_rows(self) -> None:
        """P7 stands beside the floor; a ping has a bar of its own."""
        row = ROWS["P7"](True)
        bars = {
            rival.peer.name: (rival.bar.must, rival.bar.aim) for rival in row.rivals
        }
        self.assertEqual(bars, {"floor": (0.7, 0.9)})
        row = ROWS["PING"](True)
        self.assertEqual((row.rivals, row.bar.must, row.unit), ((), 50.0, "ms"))
        self.assertIs(row.better, Better.LOWER)

    def test_encrypted_rows(self) -> None:
        """With TLS, the same rows stand beside the floor with TLS, and Foolscap."""
        bars = {
            row_id: [
                (rival.peer.name, rival.bar.must, rival.bar.aim)
                for rival in ROWS[f"P8-{row_id}"](True).rivals
            ]
            for row_id in ("P1", "P2", "P3", "P7")
        }
        rates, times = ("floor", 0.7, 0.9), ("floor", 1.43, 1.11)
        self.assertEqual(bars["P1"], [rates])
        self.assertEqual(bars["P2"], [rates, ("foolscap", 3.0, None)])
        self.assertEqual(bars["P3"], [times, ("foolscap", None, None)])
        self.assertEqual(bars["P7"], [rates])
        for row_id in bars:
            row = ROWS[f"P8-{row_id}"](True)
            self.assertIn("TLS 1.3", row.title)
            for peer in row.ours:
                self.assertIn("tls=auto", peer.settings)

    def test_narrowed(self) -> None:
        """Only the chosen peers play, and `ours` means all of our ways."""
        row = ROWS["P1"](True).narrowed(frozenset({"ours", "floor"}))
        self.assertEqual([peer.name for peer in row.peers], ["post", "send", "floor"])
