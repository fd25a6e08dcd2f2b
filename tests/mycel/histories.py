"""
What applications see of the cache while nodes come and go, written down and
checked.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mycorrizal import CacheError, Mycorrizal, NotRunning
from mycorrizal.testing import SimCluster

BUCKET = "history"


@attrs.define
class KeyHistory:
    """
    The writes of one key, whose values are 1, 2, 3 and so on.

    There is one write at a time, and after one of unknown outcome there is no
    other; so a read must find a value between the last that was acknowledged
    when it began and the last that was begun when it ended.
    """

    begun: int = 0
    acknowledged: int = 0
    writing: bool = False


class Load:
    """
    Applications on all nodes that put, touch and read without a pause.

    :param rate: Operations a second.
    :ivar wrong: Reads that found what they must not, in words.
    :ivar counts: How many operations ended how.
    """

    def __init__(
        self, cluster: SimCluster, seed: int, *, keys: int = 60, rate: float = 400
    ) -> None:
        self.wrong: list[str] = []
        self.counts: dict[str, int] = {}
        self.waiting = 0
        self._cluster = cluster
        self._random = random.Random(seed)
        self._keys = {f"k{number}": KeyHistory() for number in range(keys)}
        self._rate = rate

    def _node(self) -> Mycorrizal:
        ready = [node for node in self._cluster.running if node.ready]
        return self._random.choice(ready)

    def run(self, seconds: float) -> None:
        """Let time pass under load."""
        world, chance = self._cluster.world, self._random
        until = world.now_s + seconds
        while world.now_s < until:
            key = chance.choice(list(self._keys))
            what = chance.random()
            if what < 0.3:
                self._put(key)
            elif what < 0.4:
                touched = self._node().cache().put_ttl(BUCKET, key, None)
                self._count("touch", touched, lambda _: None)
            else:
                self._read(key)
            self._cluster.advance(chance.expovariate(self._rate))

    def run_until(self, predicate: Callable[[], bool], limit_s: float = 30) -> None:
        """Let time pass under load until something is so."""
        until = self._cluster.world.now_s + limit_s
        while not predicate():
            if self._cluster.world.now_s > until:
                raise AssertionError(f"not so within {limit_s} s")
            self.run(0.1)

    def read_all(self) -> None:
        """Read every key once, through any node."""
        for key in self._keys:
            self._read(key)

    def _put(self, key: str) -> None:
        history = self._keys[key]
        if history.writing:
            return
        history.writing = True
        history.begun += 1
        number = history.begun
        put = self._node().cache().put(BUCKET, key, b"%d" % number)

        def stands(copies: int) -> None:
            history.acknowledged = number
            history.writing = False

        self._count("put", put, stands)

    def _read(self, key: str) -> None:
        node, history = self._node(), self._keys[key]
        at_least = history.acknowledged

        def found(value: bytes | None) -> None:
            number = 0 if value is None else int(value)
            if not at_least <= number <= history.begun:
                self.wrong.append(
                    f"{key} through {node.node_id} at {self._cluster.world.now_s:.3f}: "
                    f"{number}, not {at_least} to {history.begun}"
                )

        self._count("get", node.cache().get(BUCKET, key), found)

    def _count(
        self, what: str, call: Deferred[Any], done: Callable[[Any], None]
    ) -> None:
        self.waiting += 1

        def ended(result: object) -> None:
            self.waiting -= 1
            if isinstance(result, Failure):
                outcome = result.check(CacheError, NotRunning)
                name = f"{what} {outcome.__name__ if outcome else result}"
            else:
                name = what
                done(result)
            self.counts[name] = self.counts.get(name, 0) + 1

        call.addBoth(ended)
