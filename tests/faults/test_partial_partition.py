"""
A partial partition of three processes: the first and the last can't reach each
other, and the one in the middle reaches both.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.faults.namespaces import Namespaces, why_not
from tests.integration.processes import Crew, Running, until

#: A link that is cut is given up after 3 s; then what is sent goes round.
GIVEN_UP_S = 10.0
#: A member that only others reach is dialled each 5 s, and a dial may take 2 s.
HEALED_S = 20.0
FORMED_S = 20.0
KEYS = 8


@attrs.define
class Three:
    """Three nodes, each in a namespace, and a user at any of them."""

    crew: Crew
    walls: Namespaces
    secret_file: str
    nodes: dict[int, Running] = attrs.field(factory=dict)

    def start(self) -> None:
        """Start the processes, and wait until they are one cluster."""
        program = str(Path(__file__).with_name("sending_node.py"))
        static = ",".join(map(self.walls.address, self.walls.numbers))
        for number in self.walls.numbers:
            command = [*self.walls.enter(number), sys.executable, program]
            command += [f"n{number}", self.secret_file]
            command += [self.walls.address(number), static]
            self.nodes[number] = self.crew.start(f"n{number}", command)
            self.nodes[number].wait_for("ready")

    def pulse(self, number: int, *arguments: str) -> Any:
        """What a node answers, as JSON; or the sentence that says why not."""
        options = ["--node", self.walls.address(number), "--json"]
        options += ["--secret-file", self.secret_file]
        ended = self.crew.run_pulse(*options, *arguments)
        return json.loads(ended.out) if ended.code == 0 else ended.err

    def links(self) -> list[dict[str, dict[str, str]]]:
        """The broken links of each node, as each node shows them."""
        seen = [self.pulse(number, "nodes") for number in self.walls.numbers]
        return [{m["id"]: m["unlinked"] for m in members} for members in seen]

    def states(self) -> set[str]:
        """The states of all, in all views."""
        seen = [self.pulse(number, "nodes") for number in self.walls.numbers]
        return {member["state"] for members in seen for member in members}


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Three]:
    """Three nodes, which end with the test, and so does their network."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    walls, crew = Namespaces(3), Crew(tmp_path)
    walls.open()
    try:
        secret = crew.secret_file("shared", "correct horse battery staple")
        found = Three(crew, walls, secret)
        found.start()
        yield found
    finally:
        crew.end()
        walls.close()


def test_partial_partition(three: Three) -> None:
    """
    All stay alive in every view, every node shows the broken link, the cache
    goes on, ``send`` fails and says so; and it heals (F4).
    """
    whole: dict[str, dict[str, str]] = {"n1": {}, "n2": {}, "n3": {}}
    cut = {"n1": {"n3": "n2"}, "n2": {}, "n3": {"n1": "n2"}}
    until(lambda: three.links() == [whole] * 3, "they form", FORMED_S)
    three.pulse(1, "cache", "create", "b", "--ttl", "15m")
    for number in range(KEYS):
        three.pulse(1, "cache", "put", "b", f"old-{number}", "v")
    three.walls.cut([(1, 3), (3, 1)])
    _, given_up_s = until(
        lambda: three.links() == [cut] * 3, "all show the link", GIVEN_UP_S
    )
    began_at = time.monotonic()
    for number in range(KEYS):
        # Whoever owns them: some are the other end's alone.
        here, there = (1, 3) if number % 2 else (3, 1)
        written = three.pulse(here, "cache", "put", "b", f"new-{number}", "w")
        assert written == {"copies": 2}, written
        for key, value in ((f"new-{number}", "w"), (f"old-{number}", "v")):
            found = three.pulse(there, "cache", "get", "b", key)
            assert found["value"] == value, (key, found)
    print(f"shown after {given_up_s:.1f} s; cache in {time.monotonic() - began_at:.1f}")
    sentence = three.pulse(1, "send", "talk", "hello", "--to", "n3")
    assert "no link to n3" in sentence, sentence
    assert three.pulse(1, "send", "talk", "hello", "--to", "n2")["sent"] == 5
    three.nodes[2].wait_for("n1 says hello")
    assert three.links() == [cut] * 3
    assert three.states() == {"alive"}
    three.walls.heal()
    _, healed_s = until(lambda: three.links() == [whole] * 3, "it heals", HEALED_S)
    print(f"healed after {healed_s:.1f} s")
    assert three.pulse(1, "send", "talk", "again", "--to", "n3")["sent"] == 5
    three.nodes[3].wait_for("n1 says again")
    for node in three.nodes.values():
        assert " died" not in node.log, node.log
        assert "Traceback" not in node.log, node.log
