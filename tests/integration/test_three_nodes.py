"""
The story of three nodes: one dies, and nothing is lost.
"""

from __future__ import annotations

import json
import time

import pytest
import pytest_twisted

from mycorrizal.pulse.messages import AskGet, AskPut, Ok, Value
from tests.integration.asking import all_of, asked, embedded, status_of
from tests.integration.processes import Crew, Running, free_ports, until

KEYS = [f"key {number}" for number in range(500)]


def value(key: str) -> bytes:
    """What is put under a key."""
    return f"value of {key}".encode()


class Story:
    """Three nodes that are started as the README says, and may die."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
        self.nodes: dict[int, Running] = {}

    def start(self, number: int) -> None:
        """Start the node of that number: 1, 2 or 3."""
        self.nodes[number] = self.crew.twist(
            *("--listen", self.addresses[number - 1]),
            *("--static", ",".join(self.addresses)),
            *("--bucket", "sessions:ttl=15m,replicas=1"),
            name=f"node-{number}",
        )

    def kill(self, number: int) -> float:
        """
        Kill a node with -9.

        :return: After how many seconds all others had one member less.
        """
        others = {key: node for key, node in self.nodes.items() if key != number}
        died = f"{self.nodes[number].node_id} died"
        since = {key: len(node.log) for key, node in others.items()}
        began_at = time.monotonic()
        self.nodes.pop(number).kill()
        for key, node in others.items():
            node.wait_for(died, since[key])
            node.wait_for_members(len(others), since[key])
        return time.monotonic() - began_at

    def alive(self, number: int) -> list[str]:
        """The addresses of the live members, as that node tells ``pulse``."""
        node = self.addresses[number - 1]
        pulse = self.crew.run_pulse("--node", node, "status", "--json")
        assert pulse.code == 0, pulse
        members = json.loads(pulse.out)["members"]
        return sorted(m["address"] for m in members if m["state"] == "alive")

    async def read_all(self, number: int) -> None:
        """Read all keys through that node."""
        address, secret = self.addresses[number - 1], self.crew.secret
        found = await asked(address, secret, [AskGet("sessions", key) for key in KEYS])
        lost = [
            key
            for key, reply in zip(KEYS, found, strict=True)
            if not isinstance(reply, Value) or reply.value != value(key)
        ]
        assert not lost, f"{len(lost)} of {len(KEYS)} are not read through {address}"


@pytest_twisted.ensureDeferred
async def test_three_nodes(crew: Crew) -> None:
    """Each value outlives the death of any node, twice, and a restart."""
    story = Story(crew)
    began_at = time.monotonic()
    for number in (1, 2, 3):
        story.start(number)
    for node in story.nodes.values():
        node.wait_for("Ready")
    all_three = sorted(story.addresses)
    until(
        lambda: all(story.alive(number) == all_three for number in (1, 2, 3)),
        "all are alive, as each of them sees it",
    )
    print(f"\nall alive, says pulse, after {time.monotonic() - began_at:.2f} s")

    async with embedded(story.addresses[0], secret=crew.secret) as member:
        cache = member.cache()
        await all_of(cache.put("sessions", key, value(key)) for key in KEYS)
        await story.read_all(3)
    await story.read_all(3)

    print(f"death of node 2 seen after {story.kill(2):.3f} s")
    for number in (1, 3):
        assert len(story.alive(number)) == 2
        await story.read_all(number)

    story.start(2)
    story.nodes[2].wait_for("Ready")
    for number in (2, 1, 3):
        assert story.alive(number) == sorted(story.addresses)
        await story.read_all(number)
    await protected(story)

    print(f"death of node 1 seen after {story.kill(1):.3f} s")
    for number in (2, 3):
        assert len(story.alive(number)) == 2
        await story.read_all(number)


async def protected(story: Story) -> None:
    """Wait until each value has its copy again; only then may another die."""
    deadline = time.monotonic() + 20
    while True:
        left = 0
        for address in story.addresses:
            left += (await status_of(address, story.crew.secret)).under_replicated
        if not left:
            return
        assert time.monotonic() < deadline, f"{left} slots lack a copy"


@pytest_twisted.ensureDeferred
async def test_put_through_a_node_that_restarts(crew: Crew) -> None:
    """A node that comes back takes part again: it writes and reads for others."""
    story = Story(crew)
    for number in (1, 2, 3):
        story.start(number)
    story.nodes[2].wait_for_members(3)
    old_id = story.nodes[2].node_id
    story.kill(2)
    story.start(2)
    story.nodes[2].wait_for("Ready")
    assert story.nodes[2].node_id == old_id, "its id is kept in the state directory"
    puts = [AskPut("sessions", key, value(key)) for key in KEYS]
    for reply in await asked(story.addresses[1], crew.secret, puts):
        assert isinstance(reply, Ok) and reply.copies == 2, reply
    for number in (3, 1, 2):
        await story.read_all(number)


@pytest.mark.parametrize("first", ["udp", "tcp"])
@pytest_twisted.ensureDeferred
async def test_one_seed_is_enough(crew: Crew, first: str) -> None:
    """Nodes 2 and 3 know only node 1, and find each other."""
    options = ("--listen", "127.0.0.1:0", "--hello", first)
    seed = crew.twist(*options, name="seed")
    others = [
        crew.twist(*options, "--static", seed.address, name=f"node-{number}")
        for number in (2, 3)
    ]
    for node in (seed, *others):
        node.wait_for("Ready")
        node.wait_for_members(3)
    for node in (seed, *others):
        status = await status_of(node.address, crew.secret)
        assert [member.state for member in status.members] == ["alive"] * 3
