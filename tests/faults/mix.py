"""
The network mix: a cluster that nobody's death befalls, on links that do all
that bad links do short of it.

Delay, jitter, small pieces, slow links, resets, one-way cuts that are shorter
than the time after which a silent node is suspect, and lost packets.  Some of
these at once, on some of the ways, changing every few seconds.  Any death that
a node sees is false.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections import Counter
from itertools import permutations

import attrs

from tests.faults.namespaces import COMMAND_TIMEOUT_S
from tests.faults.relay import Way
from tests.faults.stage import Nemesis, Stage

#: How long one spell of troubles lasts, and how many follow each other before
#: the cluster may come to rest.
SPELL_S = (3.0, 8.0)
SPELLS = 4
#: The longest one-way cut; with no byte for 3 s a node is suspect.
CUT_S_MAX = 2.0
DELAY_S = (0.005, 0.1)
#: Bytes a second; below it 50 operations a second don't go through.
SLOW_BYTES_PER_S = (64_000, 128_000, 256_000)
SLICE_BYTES = (1, 7, 64, 512)
RESETS_MAX = 2
#: In a thousand, on each of the two hops between nodes: 5 % in all at most.
LOSS_PER_HOP_MAX = 25
#: Where the relay stands for the nodes.
PUBLIC = "127.77.0.0/24"
#: Says that this process has a network of its own.
INSIDE = "MYCORRIZAL_TEST_OWN_NETWORK"


def enter_own_network() -> None:
    """
    Go on in a network namespace, so that packets of the loopback can be lost;
    where that can't be had, datagrams are lost by the relay, and nothing else.
    """
    if INSIDE in os.environ or os.geteuid() != 0:
        return
    if not all(map(shutil.which, ("unshare", "ip", "nft"))):
        return
    try:
        subprocess.run(["unshare", "--net", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return
    inside = 'ip link set lo up && exec "$@"'
    again = [sys.executable, "-m", "tests.faults", *sys.argv[1:]]
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", "sh", "-c", inside, "sh", *again])


def _nft(text: str) -> None:
    subprocess.run(
        ["nft", "-f", "-"], input=text + "\n", text=True, check=True,
        timeout=COMMAND_TIMEOUT_S,
    )  # fmt: skip


def lose_packets(per_thousand: int) -> None:
    """Lose so many of the packets to and from the relay's public addresses."""
    rules = ["add table inet mix", "delete table inet mix"]
    if per_thousand:
        rules += [
            "add table inet mix",
            "add chain inet mix in { type filter hook input priority 0; }",
        ]
        some = f"numgen random mod 1000 < {per_thousand} drop"
        rules += [
            f"add rule inet mix in ip {end} {PUBLIC} {some}"
            for end in ("saddr", "daddr")
        ]
    _nft("\n".join(rules))


@attrs.define
class Troubles:
    """
    What is done to the links of one cluster, and how often it was.

    :ivar counts: Spells by kind of trouble.
    """

    stage: Stage
    counts: Counter[str] = attrs.field(factory=Counter)

    @property
    def packets(self) -> bool:
        """Whether TCP's packets can be lost, too."""
        return INSIDE in os.environ

    async def spell(self) -> str:
        """Some troubles for a few seconds; what they were."""
        stage, random = self.stage, self.stage.random
        relay = stage.relayed.relay
        kinds = ["delay", "slices", "slow", "loss", "reset", "cut"]
        chosen = sorted(random.sample(kinds, random.randint(2, 4)))
        self.counts.update(chosen)
        names = [f"n{number}" for number in stage.cluster.numbers]
        every = list(permutations(names, 2))
        for one, other in random.sample(every, random.randint(1, len(every))):
            self._ill_treat(relay.way(one, other), chosen)
        if "loss" in chosen and self.packets:
            lose_packets(random.randint(1, LOSS_PER_HOP_MAX))
        left_s = random.uniform(*SPELL_S)
        if "reset" in chosen:
            for _ in range(random.randint(1, RESETS_MAX)):
                relay.reset(*random.sample(names, 2))
                left_s -= await self._pause(0.3, 1.0)
        if "cut" in chosen:
            way = relay.way(*random.choice(every))
            way.cut = True
            left_s -= await self._pause(0.2, CUT_S_MAX)
            way.cut = False
            for pair in list(relay.pairs):
                pair.go_on()
        await stage.pause(max(0.0, left_s))
        self.heal()
        return "+".join(chosen)

    def _ill_treat(self, way: Way, chosen: list[str]) -> None:
        random = self.stage.random
        if "delay" in chosen:
            way.delay_s = random.uniform(*DELAY_S)
            way.jitter_s = way.delay_s * random.random()
        if "slices" in chosen:
            way.slice_bytes = random.choice(SLICE_BYTES)
        if "slow" in chosen:
            way.bytes_per_s = random.choice(SLOW_BYTES_PER_S)
        if "loss" in chosen:
            way.loss = random.uniform(0.01, 0.05)

    async def _pause(self, least_s: float, most_s: float) -> float:
        pause_s = self.stage.random.uniform(least_s, most_s)
        await self.stage.pause(pause_s)
        return pause_s

    def heal(self) -> None:
        """All links are good."""
        self.stage.relayed.relay.heal()
        if self.packets:
            lose_packets(0)


async def network(stage: Stage) -> None:
    """Spells of troubles, one after the other; nobody dies of them."""
    troubles = Troubles(stage)
    # From here on all are members: whoever is said to have died did not.
    since = stage.cluster.log_sizes(stage.cluster.numbers)
    try:
        while stage.goes_on():
            async with stage.fault("spells", partition=False):
                for _ in range(SPELLS):
                    stage.journal.event(await troubles.spell())
    finally:
        troubles.heal()
    for number, position in since.items():
        deaths = stage.cluster.nodes[number].log[position:].count(" died")
        stage.counts[f"false deaths seen by n{number}"] = deaths
        if deaths:
            stage.problems.append(f"n{number} saw {deaths} deaths, and nobody died")
    stage.counts.update(troubles.counts)
    stage.counts["packets of TCP lost, too"] = int(troubles.packets)


def parts(seconds: float, part_s: float) -> list[tuple[Nemesis, float]]:
    """
    The mix, in parts that are each a cluster of its own, and for how long each.

    :param part_s: The longest part; 0: all of it in one.
    """
    count = max(1, math.ceil(seconds / part_s)) if part_s else 1
    return [
        (Nemesis(f"network-{number}-of-{count}", network, "relay"), seconds / count)
        for number in range(1, count + 1)
    ]
