"""
Two nodes that greet each other by UDP, in memory.
"""

from __future__ import annotations

import random

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.acl import new_secret
from mycorrizal.nodosum.greeting import (
    Address,
    Greeted,
    Greeting,
    Reply,
)
from mycorrizal.nodosum.wire.events import Local
from mycorrizal.nodosum.wire.hello import Hello
from mycorrizal.runtime import Entropy
from tests.nodosum.wire.pairs import side

A, B, C = ("10.0.0.1", 7001), ("10.0.0.2", 7002), ("10.0.0.3", 7003)
OTHER = new_secret(bytes([9]) * 32)


def greeting(local: Local, address: Address = A, seed: int = 1) -> Greeting:
    """A node that listens at an address."""
    entropy = Entropy(token_bytes=random.Random(seed).randbytes)
    return Greeting(local, address[1], entropy)


class Talk:
    """
    Node a asks node b, one datagram after the other.

    :ivar data: The four datagrams: HELLO, RETRY, HELLO with cookie, ACK.
    :ivar at_b: What b learns.
    :ivar at_a: What a learns.
    """

    def __init__(
        self, a: Greeting, b: Greeting, at: Address = A, to: Address = B, now: float = 0
    ) -> None:
        question = a.hello(to, sent_ms=1_700_000_000_000)
        self.data = [question]
        (retry,) = b.datagram_received(question, at, now)
        assert isinstance(retry, Reply)
        (again,) = a.datagram_received(retry.data, to, now)
        assert isinstance(again, Reply)
        ack, at_b = b.datagram_received(again.data, at, now)
        assert isinstance(ack, Reply) and isinstance(at_b, Greeted)
        (at_a,) = a.datagram_received(ack.data, to, now)
        assert isinstance(at_a, Greeted)
        self.data += [retry.data, again.data, ack.data]
        self.at_a, self.at_b = at_a, at_b


class GreetingTestCase(SynchronousTestCase):
    """Two nodes of one cluster, a and b."""

    def setUp(self) -> None:
        self.a = greeting(side("a"), A, seed=1)
        self.b = greeting(side("b"), B, seed=2)

    def retry(self, now: float = 0) -> bytes:
        """The RETRY that b gives to a's question."""
        return self.reply(self.b, self.a.hello(B, sent_ms=0), A, now)

    def reply(
        self, node: Greeting, data: bytes, source: Address, now: float = 0
    ) -> bytes:
        """The one datagram that a node answers with."""
        (answer,) = node.datagram_received(data, source, now)
        assert isinstance(answer, Reply)
        return answer.data

    def read(self, data: bytes) -> Hello:
        """The meaning of a datagram."""
        local = self.a.local
        return Hello.decode(data, local.keys, local.cluster_tag)

    def write(self, hello: Hello, **changes: object) -> bytes:
        """A datagram, with some fields changed by somebody with the secret."""
        changed = attrs.evolve(hello, **changes)  # type: ignore[arg-type]
        return changed.encode(self.a.local.keys)
