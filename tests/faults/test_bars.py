"""
What five processes in a network of their own must notice, how soon, and what they
must not take for a death.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.faults.namespaces import Namespaces, why_not
from tests.integration.processes import Crew, Running, until

COUNT = 5
#: Within how much time all others know of a black hole, or that a process hangs.
SILENT_S = 5.0
#: What a busy machine may add: a process that was not run for a while grants the
#: others as much again.
BUSY_S = 2.0
LOSS_PERCENT = 5
LOSSY_S = 30.0


@attrs.define
class Five:
    """Five nodes, each in a namespace."""

    walls: Namespaces
    nodes: dict[int, Running]

    def sizes(self) -> dict[int, int]:
        """How much each has said."""
        return {number: len(node.log) for number, node in self.nodes.items()}

    def deaths(self, since: dict[int, int]) -> dict[int, list[str]]:
        """Who has died for whom."""
        return {
            number: re.findall(r"(n\d) died", node.log[since[number] :])
            for number, node in self.nodes.items()
        }

    def dead_for_all(self, gone: int, since: dict[int, int]) -> float:
        """Wait until all others take a node for dead; seconds."""
        others = [number for number in self.nodes if number != gone]

        def known() -> bool:
            deaths = self.deaths(since)
            return all(f"n{gone}" in deaths[number] for number in others)

        return until(known, f"all know that n{gone} is dead")[1]


@pytest.fixture
def five(tmp_path: Path) -> Iterator[Five]:
    """Five nodes that know each other, and end with the test."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    walls, crew = Namespaces(COUNT), Crew(tmp_path)
    walls.open()
    try:
        static = ",".join(map(walls.address, walls.numbers))
        found = Five(walls, {})
        for number in walls.numbers:
            command = [*walls.enter(number), sys.executable, "-m", "twisted"]
            command += ["mycorrizal", "--node-id", f"n{number}", "--static", static]
            command += ["--listen", walls.address(number)]
            found.nodes[number] = crew.start(f"n{number}", command)
            # The first makes the secret.
            found.nodes[number].wait_for("listens on")
        for node in found.nodes.values():
            node.wait_for_members(COUNT)
        yield found
    finally:
        crew.end()
        walls.close()


def test_loss_and_black_hole(five: Five) -> None:
    """
    5 % of packets lost kill nobody (F7); a node that no packet reaches or leaves is
    dead for all within 5 s, and nobody else is (F1, F2); it comes back.
    """
    since = five.sizes()
    five.walls.lose(LOSS_PERCENT)
    time.sleep(LOSSY_S)
    five.walls.heal()
    assert not any(five.deaths(since).values()), five.deaths(since)
    others = [number for number in five.nodes if number != 3]
    ways = [way for other in others for way in ((3, other), (other, 3))]
    since = five.sizes()
    five.walls.cut(ways)
    hole_s = five.dead_for_all(3, since)
    print(f"\nno death in {LOSSY_S:g} s; black hole known after {hole_s:.2f} s")
    assert hole_s < SILENT_S + BUSY_S
    deaths = five.deaths(since)
    assert all(set(deaths[number]) == {"n3"} for number in others), deaths
    since = five.sizes()
    five.walls.heal()
    for number, node in five.nodes.items():
        node.wait_for_members(COUNT, since[number])
