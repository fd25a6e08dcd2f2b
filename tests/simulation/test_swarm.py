"""
The swarm, as often as there is time for on each commit.

Each kind of weather has its seeds; those that have failed once are played
again for ever.  Storms run in processes of their own, through the command that
one would use by hand.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing.profiles import PROFILES
from mycorrizal.testing.seedfile import read_cases
from mycorrizal.testing.storm import run_seed
from tests.testing.quiet import Quiet

#: Seeds of each kind of weather: with eight of them, 160 storms.
SEEDS = 20
#: Seeds that have failed once, with their weather and what was wrong.
FAILED = Path(__file__).parents[1] / "seeds.txt"
TIMEOUT_S = 600


def swarm(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    """Run the swarm to its end."""
    return subprocess.run(
        [sys.executable, "-m", "mycorrizal.testing.swarm", *arguments],
        env={
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


class SwarmTests(Quiet, SynchronousTestCase):
    """Whatever the weather, what is promised holds."""

    def test_every_weather(self) -> None:
        """No promise is broken in any kind of weather."""
        self.assertGreaterEqual(SEEDS * len(PROFILES), 150)
        done = swarm("--seeds", str(SEEDS), "--profile", "every", "--jobs", "2")
        print("\n" + "\n".join(done.stdout.splitlines()[-2:]))
        self.assertEqual(done.returncode, 0, done.stdout[-20_000:] + done.stderr)
        # What never happens proves nothing.
        self.assertNotRegex(done.stdout, r"(?m)^ +0  \w")
        self.assertIn(" 0 losses, 0 findings", done.stdout)

    def test_failed_once(self) -> None:
        """What was wrong once does not come back."""
        for seed, profile in read_cases(FAILED):
            report = run_seed(seed, profile)
            self.assertEqual(report.findings, (), f"{profile} {seed}")

    def test_deterministic(self) -> None:
        """The same seeds are the same storms, in whatever process."""
        arguments = ("--seeds", "20", "--digests", "--jobs", "2")
        one, two = (
            swarm(*arguments, hash_seed=seed).stdout.splitlines() for seed in ("1", "2")
        )
        digests = [line for line in one if line.startswith("all ")]
        self.assertEqual(len(digests), 20, "\n".join(one))
        self.assertEqual(digests, [line for line in two if line.startswith("all ")])
