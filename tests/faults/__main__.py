"""
Runs the nemeses: ``python -m tests.faults --seconds 60``; or one cluster on bad
links, which nobody's death befalls: ``python -m tests.faults --mix network
--seconds 1200``.

Results go to a directory as the run goes on: `results.txt` for people,
`results.json` for programs.  The same command again goes on where the last run
ended, unless ``--fresh``; other options, or another version of the code, begin
again.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from mycorrizal.testing.telling import described
from tests.faults import mix
from tests.faults.nemeses import NEMESES
from tests.faults.results import Results, describe
from tests.faults.stage import Nemesis, Settings, run

#: Where results go; those of a mix into a directory of their own.
DEFAULT_RESULTS = Path(".tox/faults/results")
#: What one nemesis may take besides its seconds; then it has failed.
GRACE_S = 240.0
#: After this, no further nemesis begins; the same command goes on.
MINUTES = 60.0


def options(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    names = [nemesis.name for nemesis in NEMESES]
    parser.add_argument("--seconds", type=float, default=60.0, help="per nemesis")
    parser.add_argument("--per-second", type=float, default=50.0, help="operations")
    parser.add_argument("--kills", type=int, default=0, help="kills of 'crash'")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--mix", choices=["network"], help="instead of nemeses")
    parser.add_argument(
        "--part-seconds", type=float, default=0.0,
        help="cut the mix into parts of at most so long, each kept when it is done",
    )  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="begin again")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES,
        help="begin nothing more after so many; the same command goes on",
    )  # fmt: skip
    parser.add_argument("--results", type=Path, default=None)
    return parser.parse_args(arguments)


async def one(reactor: Any, nemesis: Nemesis, settings: Settings, home: Path) -> Any:
    """Run one nemesis, for so long and no longer."""
    reason = nemesis.why_not()
    if reason:
        return {"skipped": reason}
    # The crash nemesis, told how often to kill, takes as long as that takes.
    limit_s = 2 * settings.seconds + GRACE_S + 15 * settings.kills
    running = Deferred.fromCoroutine(run(reactor, nemesis, settings, home))
    running.addTimeout(limit_s, reactor)
    try:
        return await running
    except CancelledError:
        raise  # Somebody wants all of it to end.
    except Exception as error:
        return {"failed": f"{error!r}; logs in {home}"}


async def every(reactor: Any, chosen: argparse.Namespace) -> int:
    """Run all that are chosen and not done; the exit code."""
    run = {
        "seed": chosen.seed, "seconds": chosen.seconds, "kills": chosen.kills,
        "per_second": chosen.per_second, "version": described(),
        "part_s": chosen.part_seconds,
    }  # fmt: skip
    kept = chosen.results or DEFAULT_RESULTS.with_name(chosen.mix or "results")
    results = Results(kept, run, fresh=chosen.fresh)
    began_at = time.monotonic()
    wanted = [(it, chosen.seconds) for it in NEMESES if it.name in chosen.only]
    if chosen.mix:
        wanted = mix.parts(chosen.seconds, chosen.part_seconds)
    for nemesis, seconds in wanted:
        if not results.wanted(nemesis.name):
            done = results.done[nemesis.name]
            print(describe(nemesis.name, done) + "\n   (of an earlier run)")
            continue
        if time.monotonic() - began_at > chosen.minutes * 60:
            continue
        home = results.home(nemesis.name)
        settings = Settings(chosen.seed, seconds, chosen.per_second, chosen.kills)
        results.add(nemesis.name, await one(reactor, nemesis, settings, home))
    names = [nemesis.name for nemesis, _ in wanted]
    return results.sum_up(names, time.monotonic() - began_at)


def main() -> None:
    """Run it, and clean up whatever happens."""
    chosen = options(sys.argv[1:])
    if chosen.mix:
        mix.enter_own_network()
    from twisted.internet import reactor

    turning: Any = reactor
    code = [1]
    running: list[Deferred[int]] = []

    def ended(result: Any) -> None:
        if isinstance(result, Failure):
            result.printTraceback()
        else:
            code[0] = result
        turning.stop()

    def interrupted(*_: object) -> None:
        turning.callFromThread(running[0].cancel)

    def begin() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, interrupted)
        running.append(Deferred.fromCoroutine(every(turning, chosen)))
        running[0].addBoth(ended)

    turning.callWhenRunning(begin)
    turning.run()
    sys.exit(code[0])


if __name__ == "__main__":
    main()
