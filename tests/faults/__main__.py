"""
Runs the nemeses: ``python -m tests.faults --seconds 60``.

Results go to a directory as the run goes on; the same seed again goes on where
the last run ended, unless ``--fresh``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from tests.faults.nemeses import NEMESES
from tests.faults.stage import Nemesis, Settings, run

#: Detections that are slower are reported, on a quiet machine as a problem.
BARS_S = {"crash": 1.0, "hang": 5.0, "black hole": 5.0}
DEFAULT_RESULTS = Path(".tox/faults/results")
#: What one nemesis may take besides its seconds; then it has failed.
GRACE_S = 240.0
#: Findings of one nemesis that are printed; the file has all.
SHOWN_MAX = 8


def options(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    names = [nemesis.name for nemesis in NEMESES]
    parser.add_argument("--seconds", type=float, default=60.0, help="per nemesis")
    parser.add_argument("--per-second", type=float, default=50.0, help="operations")
    parser.add_argument("--kills", type=int, default=0, help="kills of 'crash'")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--fresh", action="store_true", help="begin again")
    parser.add_argument("--results", type=Path, default=DEFAULT_RESULTS)
    return parser.parse_args(arguments)


class Results:
    """The file of results, of one seed."""

    def __init__(self, directory: Path, seed: int, *, fresh: bool) -> None:
        self.directory = directory.absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._path = self.directory / "results.json"
        self._text = self.directory / "results.txt"
        self.done: dict[str, dict[str, Any]] = {}
        if self._path.exists() and not fresh:
            kept = json.loads(self._path.read_text())
            if kept["seed"] == seed:
                self.done = kept["nemeses"]
        self._seed = seed
        if not self.done:
            self._text.unlink(missing_ok=True)

    def home(self, name: str) -> Path:
        """An empty directory for a nemesis."""
        home = self.directory / name
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        return home

    def add(self, name: str, result: dict[str, Any]) -> None:
        """Keep a result."""
        self.done[name] = result
        kept = {"seed": self._seed, "nemeses": self.done}
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(kept, indent=1))
        new.replace(self._path)
        text = describe(name, result)
        with self._text.open("a") as file:
            file.write(text + "\n")
        print(text, flush=True)


def describe(name: str, result: dict[str, Any]) -> str:
    """A result for people."""
    if "skipped" in result:
        return f"== {name}: SKIPPED, {result['skipped']}"
    if "failed" in result:
        return f"== {name}: FAILED, {result['failed']}"
    sound = not (result["findings"] or result["problems"])
    word = "ok" if sound else "FINDINGS"
    did = f"{result['faults']} faults, {result['operations']} operations"
    shares, longest_ms = result["latency_ms"], result["latency_max_ms"]
    lines = [
        f"== {name}: {word}; {did} in {result['elapsed_s']:g} s",
        "   " + ", ".join(f"{n} {kind}" for kind, n in result["counts"].items()),
        f"   latency ms {shares}, at most {longest_ms}",
        f"   settled after s {result['settled_s']}",
    ]
    for kind, times in result["detections_s"].items():
        bar = BARS_S[kind]
        late = sum(1 for seconds in times if seconds > bar)
        lines.append(
            f"   {kind} seen by all after {sorted(times)} s; "
            f"{late} of {len(times)} over {bar:g} s"
        )
    lines += [f"   problem: {problem}" for problem in result["problems"]]
    for kind in ("findings", "excused"):
        lines += [f"   {kind}: {text}" for text in result[kind][:SHOWN_MAX]]
        if len(result[kind]) > SHOWN_MAX:
            lines.append(f"   and {len(result[kind]) - SHOWN_MAX} {kind} more")
    return "\n".join(lines)


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
    """Run all that are chosen and not done; how many were not sound."""
    results = Results(chosen.results, chosen.seed, fresh=chosen.fresh)
    settings = Settings(chosen.seed, chosen.seconds, chosen.per_second, chosen.kills)
    began_at = time.monotonic()
    for nemesis in NEMESES:
        if nemesis.name not in chosen.only:
            continue
        done = results.done.get(nemesis.name)
        if done is not None and not {"skipped", "failed"} & done.keys():
            print(describe(nemesis.name, done) + "\n   (of an earlier run)")
            continue
        home = results.home(nemesis.name)
        results.add(nemesis.name, await one(reactor, nemesis, settings, home))
    found = [results.done[name] for name in chosen.only]
    skipped = [n for n in chosen.only if "skipped" in results.done[n]]
    bad = [n for n in chosen.only if not _sound(results.done[n])]
    total = sum(result.get("operations", 0) for result in found)
    print(
        f"{len(found)} nemeses, {total} operations in "
        f"{time.monotonic() - began_at:.0f} s; skipped {len(skipped)} "
        f"({', '.join(skipped)}); not sound {len(bad)} ({', '.join(bad)}); "
        f"in {results.directory}"
    )
    return len(bad)


def _sound(result: dict[str, Any]) -> bool:
    wrong = ("failed", "findings", "problems")
    return not any(result.get(name) for name in wrong)


def main() -> None:
    """Run it, and clean up whatever happens."""
    from twisted.internet import reactor

    chosen = options(sys.argv[1:])
    turning: Any = reactor
    code = [1]
    running: list[Deferred[int]] = []

    def ended(result: Any) -> None:
        if isinstance(result, Failure):
            result.printTraceback()
        else:
            code[0] = 1 if result else 0
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
