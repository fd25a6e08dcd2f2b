# -*- test-case-name: benchmarks.tests.test_in_process -*-
"""
Tests of the rows within one process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import ours_in_process
from benchmarks.catalog import ROWS
from benchmarks.peers import local_caches
from benchmarks.rows import Better
from benchmarks.workloads import in_process
from benchmarks.workloads.in_process import PUT_EVERY, Load, play


class LoadTests(SynchronousTestCase):
    """What is asked of each cache."""

    def test_same_for_all(self) -> None:
        """Keys, values and their order are the same each time, objects of their own."""
        load = Load(entries=50, operations=200, mixed=True)
        keys = load.all_keys()
        self.assertEqual(load.order(keys), load.order(load.all_keys()))
        self.assertEqual(len(set(keys)), 50)
        self.assertEqual({len(load.value(number)) for number in (0, 49)}, {100})
        self.assertIsNot(load.value(1), load.value(1))

    def test_hot(self) -> None:
        """Of many keys only some may be asked for, from all over."""
        load = Load(entries=1000, operations=500, hot=10)
        asked = set(load.order(load.all_keys()))
        self.assertEqual(asked, {b"user:%d" % number for number in range(0, 1000, 100)})

    def test_mixed(self) -> None:
        """One operation in ten is a put where they are mixed, else none."""
        load = Load(entries=5, operations=100, mixed=True)
        puts = [value for value in load.values() if value is not None]
        self.assertEqual(len(puts), 100 // PUT_EVERY)
        gets = attrs.evolve(load, mixed=False).values()
        self.assertEqual(set(gets), {None})


class PlayTests(SynchronousTestCase):
    """What a child says in the end."""

    def setUp(self) -> None:
        self.said: list[tuple[str, Any]] = []
        for module in (in_process, ours_in_process):
            self.patch(module, "say", lambda key, value: self.said.append((key, value)))
            self.patch(module, "fail", self.fail)

    def test_play(self) -> None:
        """Each operation is done, and the time is told."""
        held: dict[bytes, bytes] = {}
        asked: list[bytes] = []

        def get(key: bytes) -> bytes | None:
            asked.append(key)
            return held.get(key)

        play(Load(entries=10, operations=100, mixed=True), get, held.__setitem__)
        ((key, value),) = self.said
        self.assertEqual((key, list(value)), ("done", ["took_s"]))
        # Ten are looked at before.
        self.assertEqual(len(asked), 10 + 90)

    def test_lost_values(self) -> None:
        """A cache that does not hold what was put does not win."""
        load = Load(entries=10, operations=10)
        with self.assertRaises(self.failureException):
            play(load, lambda key: None, lambda key, value: None)

    def test_store(self) -> None:
        """Our store plays both kinds of load, and holds what it was given."""
        load = Load(entries=100, operations=300)
        for mixed in (False, True):
            ours_in_process.play_store(attrs.evolve(load, mixed=mixed))
        ours_in_process.hold_store(load)
        kinds = [list(value) for _, value in self.said]
        self.assertEqual(kinds, [["took_s"], ["took_s"], ["held_bytes"]])

    def test_hold(self) -> None:
        """What is held is what the process has grown by, a fresh one to be sure."""
        told = subprocess.run(
            [sys.executable, "-c", _HOLD],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        held_bytes = int(told.stdout)
        self.assertGreater(held_bytes, 14_000_000)
        self.assertLess(held_bytes, 20_000_000)


#: Holds 15 MB, and prints by how much the process has grown.
_HOLD = """
from benchmarks.workloads import in_process
in_process.say = lambda what, value: print(value["held_bytes"])
held = {}
load = in_process.Load(entries=3, operations=1, value_bytes=5_000_000)
in_process.hold(load, held.__setitem__)
"""


class BarTests(SynchronousTestCase):
    """What is compared with what."""

    def bars(self, row_id: str) -> dict[str, tuple[float | None, float | None]]:
        """The bars of a row."""
        rivals = ROWS[row_id](True).rivals
        return {it.peer.name: (it.bar.must, it.bar.aim) for it in rivals}

    def test_bars(self) -> None:
        """Each row has the bars that were set for it before it was written."""
        self.assertEqual(self.bars("P4")["cachetools"], (1.2, 1.6))
        for row_id in ("P5", "P5M", "P5L"):
            self.assertEqual(self.bars(row_id)["cachetools"], (4.0, None))
            self.assertEqual(self.bars(row_id)["cachebox"], (None, 0.5))
        self.assertEqual(self.bars("P10")["cachetools"], (1.5, 1.0))
        self.assertEqual(ROWS["P12"](True).bar.must, 1.3)

    def test_less_is_better(self) -> None:
        """Of memory, and of growth, less is better; of speed, more."""
        lower = [row_id for row_id in ROWS if ROWS[row_id](True).better is Better.LOWER]
        self.assertLessEqual({"P10", "P12"}, set(lower))
        self.assertNotIn("P5", lower)

    def test_peers(self) -> None:
        """The peers are the four that one would install instead."""
        self.assertEqual(
            list(local_caches.PRODUCTS),
            ["cachetools", "cachebox", "theine", "lru-dict"],
        )
        self.assertEqual(list(self.bars("P10")), list(local_caches.PRODUCTS))
