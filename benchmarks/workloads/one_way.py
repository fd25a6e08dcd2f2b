# -*- test-case-name: benchmarks.tests.test_one_way -*-
"""
One-way messages between two processes, counted and checked where they arrive.

The receiver says ``ready`` with where it is reached, the sender says ``ready``
when it is connected and then sends at once; the receiver says ``done``. The
clock runs in the receiver only, from the last message of the warm-up to the
last one of all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from hashlib import shake_128
from itertools import chain, cycle, islice, repeat
from typing import Any, Protocol

import attrs

from benchmarks.child import fail, say
from benchmarks.processes import Crew
from benchmarks.rows import Sample

#: So many different payloads take turns. It is prime, so that no batch or
#: window of a power of two or ten that got lost or swapped looks right.
DISTINCT_MAX = 4093
#: The turns of large payloads are fewer, so that they fit in a cache.
DISTINCT_BYTES_MAX = 1024 * 1024

#: Messages that a sender hands over in one reactor turn, 58 kB of 100-byte
#: messages: about what a transport takes before it asks for a pause (64 KiB).
TURN_MESSAGES = 500
#: Large messages are fewer: what keeps a transport busy until the next turn.
TURN_BYTES = 256 * 1024


@attrs.frozen
class Load:
    """How many messages of what size are sent."""

    payload_bytes: int
    warmup: int
    measured: int

    @property
    def total(self) -> int:
        return self.warmup + self.measured

    @property
    def turn_messages(self) -> int:
        """How many messages a sender hands over in one reactor turn."""
        return max(1, min(TURN_MESSAGES, TURN_BYTES // self.payload_bytes))

    def payloads(self) -> list[bytes]:
        """
        :return: the payloads that take turns: incompressible, all different,
            the same in each process.
        """
        count = max(1, min(DISTINCT_MAX, DISTINCT_BYTES_MAX // self.payload_bytes))
        return [
            shake_128(index.to_bytes(8, "big")).digest(self.payload_bytes)
            for index in range(count)
        ]

    def messages(self) -> Iterator[bytes]:
        """
        :return: each message of the load, in order.
        """
        return islice(cycle(self.payloads()), self.total)

    def turns(self) -> Iterator[list[bytes]]:
        """
        :return: the same messages, as many at a time as fit in a reactor turn.
        """
        messages = self.messages()
        return iter(lambda: list(islice(messages, self.turn_messages)), [])


class Take(Protocol):
    """The receiving application; who sent is told by some peers and not used."""

    def __call__(self, payload: bytes, sender: str = "") -> None: ...


def arrivals(
    load: Load,
    tell: Callable[[str, Any], None] = say,
    refuse: Callable[[str], None] = fail,
) -> Take:
    """
    The receiving application, the same for every peer.

    :return: to be called with each message that arrives. It compares each with
        the one that is due, which finds what is lost, doubled, swapped or
        damaged, and tells the end with the seconds that it took.
    """
    due = chain(islice(cycle(load.payloads()), load.total), repeat(None)).__next__
    warmup, total = load.warmup, load.total
    count = 0
    started_s = 0.0

    def take(payload: bytes, sender: str = "") -> None:
        nonlocal count, started_s
        count += 1
        if payload != due():
            refuse(f"message {count} of {total} is not the one that was due")
        elif count == warmup:
            started_s = time.perf_counter()
        elif count == total:
            tell("done", {"elapsed_s": time.perf_counter() - started_s})

    return take


def measure(
    crew: Crew,
    load: Load,
    module: str,
    **arguments: Any,
) -> Sample:
    """
    Start the ``receive`` and ``send`` of a module as two processes.

    :param module: its ``receive(load, ...)`` and ``send(load, address, ...)``
        get the further arguments.
    :return: messages per second.
    """
    counts = attrs.asdict(load)
    receiver = crew.start("receiver", f"{module}:receive", load=counts, **arguments)
    address = crew.expect(receiver, "ready")
    sender = crew.start(
        "sender", f"{module}:send", load=counts, address=address, **arguments
    )
    crew.expect(sender, "ready")
    crew.start_usage()
    done = crew.expect(receiver, "done")
    return Sample(
        value=load.measured / done["elapsed_s"],
        operations=load.total,
        usage=crew.usage(),
    )
