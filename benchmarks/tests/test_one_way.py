# -*- test-case-name: benchmarks.tests.test_one_way -*-
"""
Tests of the one-way load and of the receiver that checks it.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.workloads.one_way import (
    DISTINCT_MAX,
    TURN_MESSAGES,
    Load,
    Take,
    arrivals,
)


class LoadTests(SynchronousTestCase):
    """The messages of a load."""

    def test_payloads(self) -> None:
        """Payloads have their size, all differ, and each process makes the same."""
        payloads = Load(100, 1, 1).payloads()
        self.assertEqual({len(payload) for payload in payloads}, {100})
        self.assertEqual(len(set(payloads)), DISTINCT_MAX)
        self.assertEqual(payloads, Load(100, 5, 5).payloads())

    def test_large_payloads(self) -> None:
        """Large payloads are few, and one larger than the cache is still one."""
        self.assertEqual(len(Load(65536, 1, 1).payloads()), 16)
        self.assertEqual(len(Load(2 * 1024 * 1024, 1, 1).payloads()), 1)

    def test_turns(self) -> None:
        """Turns hold all messages in order, and none is larger than the bound."""
        load = Load(16, 1, 2 * TURN_MESSAGES)
        turns = list(load.turns())
        self.assertEqual(
            [len(turn) for turn in turns], [TURN_MESSAGES, TURN_MESSAGES, 1]
        )
        self.assertEqual(
            [message for turn in turns for message in turn], list(load.messages())
        )

    def test_turns_of_large_messages(self) -> None:
        """A turn of large messages has few of them, and at least one."""
        sizes = {1: 500, 65_536: 4, 300_000: 1, 2 * 1024 * 1024: 1}
        for payload_bytes, expected in sizes.items():
            self.assertEqual(Load(payload_bytes, 1, 1).turn_messages, expected)


class ArrivalsTests(SynchronousTestCase):
    """The receiving application."""

    def setUp(self) -> None:
        self.load = Load(16, warmup=2, measured=3)
        self.told: list[tuple[str, Any]] = []
        self.refused: list[str] = []

    def take(self) -> Take:
        return arrivals(
            self.load,
            tell=lambda key, value: self.told.append((key, value)),
            refuse=self.refused.append,
        )

    def test_complete(self) -> None:
        """The end is told with the last message and not before."""
        take, messages = self.take(), list(self.load.messages())
        for message in messages[:-1]:
            take(message, "sender")
        self.assertEqual(self.told, [])
        take(messages[-1])
        self.assertEqual([key for key, _ in self.told], ["done"])
        self.assertEqual(self.refused, [])

    def test_wrong_messages(self) -> None:
        """A lost, doubled, swapped or damaged message is refused by its number."""
        first, second, third = list(self.load.messages())[:3]
        for arriving in ([first, third], [first, first], [first, second[:-1] + b"?"]):
            take = self.take()
            self.refused.clear()
            for message in arriving:
                take(message)
            self.assertEqual(
                self.refused, ["message 2 of 5 is not the one that was due"]
            )

    def test_one_too_many(self) -> None:
        """A message after the last one is refused."""
        take = self.take()
        for message in [*self.load.messages(), b"more"]:
            take(message)
        self.assertEqual(len(self.refused), 1)
