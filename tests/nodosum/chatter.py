"""
Nodes that never stop talking, and notice what is lost, doubled or out of order.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from mycorrizal.nodosum import NodosumService
from mycorrizal.nodosum.link import Link
from mycorrizal.testing import World

#: How often each node posts to, and asks, each other.
PAUSE_S = 0.02
#: Each so many messages one is long, and travels in chunks.
LONG_EACH = 25
LONG_BYTES = 300_000


class Chatter:
    """
    An application of several nodes in which each talks to all others.

    :ivar answered: How many questions have been answered.
    :ivar failed: What became of the others.
    """

    def __init__(self, world: World, *nodes: NodosumService, long: bool = True) -> None:
        self.world = world
        self.nodes = {node.me.node_id: node for node in nodes}
        self.answered = 0
        self.asked = 0
        self.failed: list[str] = []
        self._long = long
        self._sent: dict[tuple[str, str], int] = defaultdict(int)
        self._got: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._downs: list[str] = []
        for node in nodes:
            application = node.applications.register("chat")
            application.set_receive_func(self._receive_func(node.me.node_id))
            application.set_request_func(lambda question, _: question[::-1])
            node.listen_to_links(self)

    def link_up(self, peer: Any, link: Any) -> None:
        """A link has come up, which is fine."""

    def link_down(self, peer: Any, link: Any) -> None:
        """A link has gone down."""
        self._downs.append(peer.node_id)

    def _receive_func(self, name: str) -> Any:
        def received(payload: bytes, sender: str) -> None:
            number, _, filling = payload.partition(b" ")
            assert not filling.strip(b"x"), "it has changed on the way"
            self._got[sender, name].append(int(number))

        return received

    def talk(self, seconds: float) -> None:
        """Let time pass, while everybody talks."""
        until_s = self.world.now_s + seconds
        while self.world.now_s < until_s:
            for name, node in self.nodes.items():
                for other in self.nodes:
                    if other != name and other in node.applications.links:
                        self._say(node, other)
            self.world.advance(PAUSE_S)

    def _say(self, node: NodosumService, other: str) -> None:
        application = node.applications.get("chat")
        pair = node.me.node_id, other
        number = self._sent[pair]
        self._sent[pair] += 1
        payload = b"%d " % number
        if self._long and number % LONG_EACH == 0:
            payload += b"x" * LONG_BYTES
        application.post(payload, [other])
        self.asked += 1
        question = b"question %d" % number
        asked = application.request(question, other)

        def answered(answer: bytes) -> None:
            assert answer == question[::-1]
            self.answered += 1

        asked.addCallbacks(answered, lambda why: self.failed.append(str(why.value)))

    def problems(self) -> list[str]:
        """What has gone wrong so far, once all that is on the way has arrived."""
        self.world.advance(5)
        found = [f"down: {name}" for name in self._downs] + self.failed
        found += self.world.errors()
        if self.answered + len(self.failed) != self.asked:
            found.append(f"{self.answered} answers to {self.asked} questions")
        for pair, count in self._sent.items():
            if self._got[pair] != list(range(count)):
                got = self._got[pair]
                found.append(f"{pair}: {len(got)} of {count}, or out of order")
        return found

    def in_order(self) -> bool:
        """Whether what came, came in order, and once."""
        return all(got == sorted(set(got)) for got in self._got.values())


def links(*nodes: NodosumService) -> list[Link]:
    """The links of nodes, those that they dialled and those that they accepted."""
    return [link for node in nodes for link in node.applications.links.values()]
