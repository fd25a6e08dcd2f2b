# -*- test-case-name: benchmarks.tests.test_options -*-
"""
Tests of the command line.
"""

from __future__ import annotations

import argparse

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.__main__ import ROUNDS_MAX, chosen_rows, names, rounds_number
from benchmarks.machine import facts


class OptionTests(SynchronousTestCase):
    """What may be asked for."""

    def test_rows_and_peers(self) -> None:
        """Rows and peers are chosen by name, in small letters too."""
        (row,) = chosen_rows(["p1"], ["floor"], quick=True)
        self.assertEqual([peer.name for peer in row.peers], ["floor"])

    def test_family(self) -> None:
        """The first part of some ids means all those rows."""
        rows = chosen_rows(["p8", "P7"], ["ours"], quick=True)
        self.assertEqual(
            [row.id for row in rows], ["P8-P1", "P8-P2", "P8-P3", "P8-P7", "P7"]
        )

    def test_unknown(self) -> None:
        """A row or peer that does not exist is told, with those that do."""
        error = self.assertRaises(ValueError, chosen_rows, ["P99"], None, True)
        self.assertIn("no row P99; there are P1", str(error))
        error = self.assertRaises(ValueError, chosen_rows, None, ["kafka"], True)
        self.assertIn("no peer kafka; there are AMP, PB, cachebox", str(error))

    def test_names(self) -> None:
        """Names are separated by commas, with or without spaces."""
        self.assertEqual(names("P1, P2,"), ["P1", "P2"])

    def test_rounds(self) -> None:
        """Rounds go from one to the bound."""
        self.assertEqual(rounds_number(str(ROUNDS_MAX)), ROUNDS_MAX)
        for text in ("0", str(ROUNDS_MAX + 1), "-1", "many"):
            self.assertRaises(argparse.ArgumentTypeError, rounds_number, text)

    def test_machine_facts(self) -> None:
        """The facts of the machine name its CPU, cores and Python."""
        self.assertLessEqual({"cpu", "cores", "memory", "python"}, set(facts()))
