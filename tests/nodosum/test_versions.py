"""
Nodes of different versions of the protocol in one cluster (F50).
"""

from __future__ import annotations

import struct
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum import NodosumService
from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.wire.compression import Zstd, offered
from mycorrizal.nodosum.wire.limits import COMPRESSED_BIT, Feature
from tests.nodosum.nodes import PORT, Nodes, address_of, states
from tests.nodosum.version_two import (
    APP,
    DEMAND,
    NEWS,
    PING,
    WELCOME,
    VersionTwo,
    dialled,
    listening,
)

CHUNK = 16
#: A name of a higher node key than a's, so that a says which link it keeps.
TWO = next(f"two{n}" for n in range(99) if node_key_of(f"two{n}") > node_key_of("a"))


class VersionTwoTestCase(SynchronousTestCase):
    """Node a of version 1, and one of version 2, in both directions."""

    def setUp(self) -> None:
        self.nodes = Nodes()
        self.world = self.nodes.world
        self.host = self.world.host("two")
        self.got: list[bytes] = []

    def a(self, *static: tuple[str, int], **settings: Any) -> NodosumService:
        """Node a, with an application."""
        node = self.nodes.start("a", *static, tls="off", hello="tcp", **settings)
        application = node.applications.register("chat")
        application.set_receive_func(lambda payload, _: self.got.append(payload))
        return node

    def linked(self, *, dials: bool, **settings: str) -> VersionTwo:
        """Both are linked, whoever dialled."""
        if dials:
            self.node = self.a(**settings)
            place = address_of(self.world.hosts["a"])
            two = dialled(self.world, self.host, place, TWO)
        else:
            made = listening(self.host, PORT, TWO)
            self.node = self.a((self.host.address, PORT), **settings)
            self.world.until(lambda: made, 5)
            two = made[0]
        self.world.until(lambda: states(self.node).get(TWO) == "alive", 5)
        return two


class VersionTests(VersionTwoTestCase):
    """Both go by version 1."""

    def test_joins(self) -> None:
        """Whoever dials, a node of version 2 becomes a member, and stays one."""
        for dials in (True, False):
            self.setUp()
            two = self.linked(dials=dials)
            self.assertEqual(two.theirs["version"], 1)
            self.assertEqual(two.theirs["version_max"], 1)
            self.world.advance(20)
            self.assertEqual(states(self.node)[TWO], "alive")
            self.assertEqual(two.frames[0][0], WELCOME)
            self.assertGreater(two.kinds().count(PING), 15)
            self.assertFalse(two.closed)

    def test_features(self) -> None:
        """In force is what both know; bits that only version 2 knows are not (F50)."""
        for mode in ("auto", "zlib", "off"):
            self.setUp()
            two = self.linked(dials=True, compression=mode)
            (link,) = self.node.applications.links.values()
            known = offered(mode) | Feature.RENEWAL
            self.assertEqual(link.remote.features, known)
            two.say(APP, b"hello", b"chat")
            self.world.advance(0.1)
            self.assertEqual(self.got, [b"hello"])

    def test_node_that_knows_no_features(self) -> None:
        """Nothing is compressed for a node that did not offer it."""
        two = self.linked(dials=True, compression="off")
        text = bytes(200_000)
        self.node.applications.get("chat").post(text)
        self.world.advance(1)
        chunks = [payload for kind, _, payload in two.frames if kind == CHUNK]
        self.assertEqual(b"".join(chunk[12:] for chunk in chunks), text)

    def test_long_messages(self) -> None:
        """What the page of the protocol says of chunks is enough to speak with us."""
        for compression in ("auto", "off"):
            self.setUp()
            two = self.linked(dials=False, compression=compression)
            message = b"0123456789" * 20_000
            kind, data = APP, message
            if compression == "auto":
                self.assertEqual(offered("auto"), Feature.ZSTD)
                kind, data = APP | COMPRESSED_BIT, Zstd().compress(message)
            for start in range(0, len(data), 60_000):
                part = data[start : start + 60_000]
                first = not start
                last = start + len(part) == len(data)
                head = struct.pack("<IBBHI", 9, first + 2 * last, kind, 0, len(data))
                two.say(CHUNK, head + part, b"chat")
            self.world.advance(1)
            self.assertEqual(self.got, [message])


class UnknownTypeTests(VersionTwoTestCase):
    """Bit 7 says what may be ignored."""

    def test_may_be_ignored(self) -> None:
        """What is unknown and has bit 7 is ignored, whatever is in it (F50)."""
        two = self.linked(dials=True)
        for payload in (b"", b"news", bytes(64 * 1024)):
            two.say(NEWS, payload)
            two.say(NEWS | COMPRESSED_BIT, payload)
        two.say(NEWS, b"news", b"chat")
        head = struct.pack("<IBBHI", 1, 3, NEWS, 0, 4)
        two.say(CHUNK, head + b"news", b"chat")
        two.say(APP, b"hello", b"chat")
        self.world.advance(10)
        self.assertEqual(self.got, [b"hello"])
        self.assertEqual(states(self.node)[TWO], "alive")
        self.assertFalse(two.closed)

    def check_closed(self, two: VersionTwo) -> None:
        """Node a ends the link."""
        self.world.until(lambda: two.closed, 1)
        self.assertEqual(self.got, [])

    def test_may_not_be_ignored(self) -> None:
        """What is unknown and has not bit 7 ends the link (F50)."""
        two = self.linked(dials=True)
        two.say(DEMAND, b"!")
        self.check_closed(two)

    def test_may_not_be_ignored_in_a_chunk(self) -> None:
        """So does a message of such a type, when it is complete."""
        two = self.linked(dials=True)
        two.say(CHUNK, struct.pack("<IBBHI", 1, 3, DEMAND, 0, 1) + b"!")
        self.check_closed(two)

    def test_before_welcome(self) -> None:
        """What may be ignored may come before WELCOME, too."""
        self.node = self.a()
        place = address_of(self.world.hosts["a"])
        two = dialled(self.world, self.host, place, TWO)
        original = two.welcome

        def welcome() -> None:
            two.say(NEWS, b"news")
            original()

        two.welcome = welcome  # type: ignore[method-assign]
        self.world.until(lambda: states(self.node).get(TWO) == "alive", 5)
