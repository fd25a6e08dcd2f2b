"""Tests that a bucket's bytes are what the process really takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from mycorrizal.mycel.store import sizing
from mycorrizal.mycel.store.sizing import entry_bytes

STATM = Path("/proc/self/statm")

#: Fills a bucket and prints what it says, and what the system says.
FILL = """
import resource, sys
from mycorrizal.mycel.store import Bucket

def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

entries, value_bytes = int(sys.argv[1]), int(sys.argv[2])
bucket = Bucket("b")
before = resident_bytes()
for number in range(entries):
    bucket.merge(
        number * 7919 % 1024, b"user:%d" % number, bytes(value_bytes - 1) + b"x",
        (1 << 57) + number, b"o" * 16, 900.0 + number / 9999, 1.0,
    )
print(bucket.size_bytes, resident_bytes() - before)
"""


#: Keeps a bucket full for a while, with values of any size between two.
TURN_OVER = """
import random, resource, sys
from mycorrizal.mycel.store import Bucket

def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

max_bytes, least, most = map(int, sys.argv[1:])
dice, bucket = random.Random(1), Bucket("b", max_bytes=max_bytes)
before, stamp, written = resident_bytes(), 1 << 57, 0
while written < 2 * max_bytes:
    number, size = dice.randrange(1 << 20), dice.randint(least, most)
    stamp += 1
    written += size
    bucket.merge(
        number % 1024, b"user:%d" % number, bytes(size - 1) + b"x", stamp, b"o" * 16,
        900.0 + stamp % 9999, 1.0,
    )
assert bucket.stats().evicted
print(max_bytes, resident_bytes() - before)
"""


class EntryBytesTests(SynchronousTestCase):
    """An entry is charged what the allocator gives it."""

    def test_steps_of_sixteen(self) -> None:
        """Memory comes in steps of 16 bytes, for keys and for values."""
        sizes = [entry_bytes(15, length) for length in range(1, 48)]
        self.assertEqual({size - sizes[0] for size in sizes}, {0, 16, 32})
        sizes = [entry_bytes(length, 15) for length in range(1, 48)]
        self.assertEqual({size - sizes[0] for size in sizes}, {0, 16, 32})

    def test_no_value(self) -> None:
        """A tombstone and an empty value are charged no value."""
        self.assertLess(entry_bytes(10, 0) + sys.getsizeof(b"x"), entry_bytes(10, 1))


class ResidentTests(SynchronousTestCase):
    """``max_bytes`` bounds the memory that the operating system sees."""

    def check(self, program: str, *numbers: int) -> None:
        """Use a bucket in a process of its own and compare."""
        if not STATM.exists():
            raise SkipTest("this system does not tell how much memory is resident")
        source = str(Path(sizing.__file__).parents[3])
        told = subprocess.run(
            [sys.executable, "-c", program, *map(str, numbers)],
            env={**os.environ, "PYTHONPATH": source, "MALLOC_ARENA_MAX": "1"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        charged, resident = map(int, told.split())
        self.assertLess(abs(charged - resident), 0.1 * resident, told)

    def test_small_values(self) -> None:
        """100,000 values of 20 bytes are charged within 10 % of the truth."""
        self.check(FILL, 100_000, 20)

    def test_middling_values(self) -> None:
        """100,000 values of 100 bytes are charged within 10 % of the truth."""
        self.check(FILL, 100_000, 100)

    def test_large_values(self) -> None:
        """5,000 values of 10,000 bytes are charged within 10 % of the truth."""
        self.check(FILL, 5_000, 10_000)

    def test_full_for_a_while(self) -> None:
        """A bucket that has turned over takes its `max_bytes`, within 10 %."""
        self.check(TURN_OVER, 20_000_000, 100, 100)
        self.check(TURN_OVER, 20_000_000, 50, 1500)
        self.check(TURN_OVER, 20_000_000, 1000, 20_000)
