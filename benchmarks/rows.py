# -*- test-case-name: benchmarks.tests.test_rows -*-
"""
The words of the harness: a row compares peers, a peer is measured into a sample.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import attrs

from benchmarks.processes import Crew, Usage


class Better(Enum):
    """Which way a unit improves."""

    HIGHER = "higher"
    LOWER = "lower"

    def holds(self, value: float, bar: float) -> bool:
        """
        :return: whether the value is at the bar or on its better side.
        """
        return value >= bar if self is Better.HIGHER else value <= bar

    @property
    def sign(self) -> str:
        return "≥" if self is Better.HIGHER else "≤"


class MissingPackage(Exception):
    """A row was asked for whose peer is not installed."""

    def __init__(self, row_id: str, peer: str, needed: Needed) -> None:
        super().__init__(
            f"{row_id} measures {peer}, which needs the package {needed.package}:"
            f" {needed.install_command}"
        )
        self.package = needed.package


@attrs.frozen
class Needed:
    """A package that a peer needs, known by a module or a program that it brings."""

    package: str
    module: str | None = None
    program: str | None = None
    install_command: str = attrs.field()

    @install_command.default
    def _pip(self) -> str:
        return f"pip install {self.package}"

    def is_present(self) -> bool:
        if self.program is not None:
            return program_path(self.program) is not None
        spec = importlib.util.find_spec(self.module or self.package)
        # A folder without __init__.py is found too, as a namespace without origin.
        return spec is not None and spec.origin is not None

    def version(self) -> str:
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            path = program_path(self.program) if self.program else None
            return _told_version(path) if path else "source tree"


def _told_version(path: str) -> str:
    """
    :return: the first line that a program says of its own version.
    """
    told = subprocess.run(
        [path, "--version"], capture_output=True, text=True, timeout=10, check=False
    )
    return (told.stdout or told.stderr).strip().partition("\n")[0]


def program_path(program: str) -> str | None:
    """
    :return: where the program is: beside this Python first, then on the PATH.
    """
    beside = Path(sys.executable).parent / program
    return str(beside) if beside.exists() else shutil.which(program)


@attrs.frozen
class Sample:
    """What one peer gave in one round."""

    value: float
    #: What the CPU time was spent on, such as messages sent.
    operations: int
    usage: dict[str, Usage] = attrs.field(factory=dict)


@attrs.frozen
class Peer:
    """One product doing the work of a row, ours among them."""

    name: str
    measure: Callable[[Crew], Sample]
    needs: tuple[Needed, ...]
    #: How it was set up, in words, for whoever judges the fairness.
    settings: str

    def missing(self) -> Needed | None:
        return next((needed for needed in self.needs if not needed.is_present()), None)

    def versions(self) -> dict[str, str]:
        return {needed.package: needed.version() for needed in self.needs}


@attrs.frozen
class Bar:
    """What a ratio (or, in a row without peers, our own figure) has to reach."""

    must: float | None = None
    aim: float | None = None

    def verdict(self, value: float | None, better: Better) -> dict[str, Any]:
        """
        :return: the bar and whether it is met; None where nothing can be said.
        """

        def met(bar: float | None) -> bool | None:
            return None if value is None or bar is None else better.holds(value, bar)

        return {
            "bar": self.must,
            "met": met(self.must),
            "aim": self.aim,
            "aim_met": met(self.aim),
        }


@attrs.frozen
class Rival:
    """A peer that we are compared with, and the bar for that ratio."""

    peer: Peer
    bar: Bar


@attrs.frozen
class Row:
    """One workload, done by us in one or more ways and by its rivals."""

    id: str
    title: str
    unit: str
    better: Better
    ours: tuple[Peer, ...]
    rivals: tuple[Rival, ...] = ()
    #: For a row without rivals: what our own figure has to reach.
    bar: Bar = Bar()
    #: After so long one measurement of one peer is given up.
    timeout_s: float = 60.0
    #: A row that takes long and varies little is played so often at most.
    rounds_max: int | None = None

    def narrowed(self, names: frozenset[str] | None) -> Row:
        """
        :param names: peers to keep, where ``ours`` stands for all of our ways;
            None keeps all.
        """
        if names is None:
            return self
        return attrs.evolve(
            self,
            ours=self.ours if "ours" in names else (),
            rivals=tuple(rival for rival in self.rivals if rival.peer.name in names),
        )

    @property
    def peers(self) -> tuple[Peer, ...]:
        return (*self.ours, *(rival.peer for rival in self.rivals))

    def label(self, peer: Peer) -> str:
        return f"ours ({peer.name})" if peer in self.ours else peer.name

    def require(self) -> None:
        """
        :raises MissingPackage: naming the first package that is not installed.
        """
        for peer in self.peers:
            if (needed := peer.missing()) is not None:
                raise MissingPackage(self.id, self.label(peer), needed)
