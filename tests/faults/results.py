"""
What became of each nemesis: kept as it goes on, and told to people.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

#: Detections that are slower are reported, on a quiet machine as a problem.
BARS_S = {"crash": 1.0, "hang": 5.0, "black hole": 5.0, "copies back": 10.0}
#: Exit codes, besides 0: something was not sound; not all was run.
NOT_SOUND, NOT_ALL = 1, 3
#: Findings of one nemesis that are printed; the file has all.
SHOWN_MAX = 8


class Results:
    """
    The files of results.

    :param run: What must be the same for an earlier run to be gone on with.
    """

    def __init__(
        self, directory: Path, run: dict[str, Any], *, fresh: bool = False
    ) -> None:
        self.directory = directory.absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._path = self.directory / "results.json"
        self._text = self.directory / "results.txt"
        self.done: dict[str, dict[str, Any]] = {}
        if self._path.exists() and not fresh:
            kept = json.loads(self._path.read_text())
            if kept.get("run") == run:
                self.done = kept["nemeses"]
        self._run = run
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
        self._keep()
        self._say(describe(name, result))

    def wanted(self, name: str) -> bool:
        """Whether a nemesis was not run through yet."""
        done = self.done.get(name)
        return done is None or bool({"skipped", "failed"} & done.keys())

    def sum_up(self, names: list[str], took_s: float) -> int:
        """Keep and tell what became of it; the exit code."""
        done = {name: self.done[name] for name in names if name in self.done}
        skipped = [name for name, result in done.items() if "skipped" in result]
        bad = [name for name, result in done.items() if not _sound(result)]
        missing = [name for name in names if name not in done]
        summary = {
            "nemeses": len(done), "skipped": skipped, "not sound": bad,
            "not run": missing, "took_s": round(took_s),
        }  # fmt: skip
        for what in ("faults", "operations", "elapsed_s"):
            summary[what] = round(sum(it.get(what, 0) for it in done.values()))
        self._keep(summary)
        self._say(
            f"{summary['nemeses']} nemeses, {summary['faults']} faults,"
            f" {summary['operations']} operations in {summary['elapsed_s']} s;"
            f" skipped {_names(skipped)}; not sound {_names(bad)};"
            f" not run {_names(missing)}; version {self._run.get('version')};"
            f" in {self.directory}"
        )
        return NOT_SOUND if bad else NOT_ALL if missing else 0

    def _keep(self, summary: dict[str, Any] | None = None) -> None:
        kept = {"run": self._run, "nemeses": self.done, "summary": summary}
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(kept, indent=1))
        new.replace(self._path)

    def _say(self, text: str) -> None:
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
    if result.get("nemesis"):
        counted = [f"{name}: {count}" for name, count in result["nemesis"].items()]
        lines.append(f"   {', '.join(counted)}")
    for kind, times in result["detections_s"].items():
        bar = BARS_S[kind]
        late = sum(1 for seconds in times if seconds > bar)
        lines.append(
            f"   {kind} after {sorted(times)} s; {late} of {len(times)} over {bar:g} s"
        )
    lines += [f"   problem: {problem}" for problem in result["problems"]]
    for kind in ("findings", "excused"):
        lines += [f"   {kind}: {text}" for text in result[kind][:SHOWN_MAX]]
        if len(result[kind]) > SHOWN_MAX:
            lines.append(f"   and {len(result[kind]) - SHOWN_MAX} {kind} more")
    return "\n".join(lines)


def _names(names: list[str]) -> str:
    return f"{len(names)} ({', '.join(names)})" if names else "0"


def _sound(result: dict[str, Any]) -> bool:
    wrong = ("failed", "findings", "problems")
    return not any(result.get(name) for name in wrong)
