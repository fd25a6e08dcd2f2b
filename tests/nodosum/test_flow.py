"""
Links in a simulated network: slow ones, full ones, and ones that break rules.
"""

from __future__ import annotations

import random
from typing import Any

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import PeerBusy
from mycorrizal.nodosum import NodosumService
from mycorrizal.nodosum.lanes import TRANSPORT_BYTES_MAX
from mycorrizal.nodosum.wire.chunks import Chunk
from mycorrizal.nodosum.wire.compression import Zstd
from mycorrizal.nodosum.wire.frame import encode_frame
from mycorrizal.nodosum.wire.limits import (
    COMPRESSED_BIT,
    MESSAGE_BYTES_MAX,
    OPEN_MESSAGES_MAX,
    FrameType,
)
from mycorrizal.testing.sockets import WINDOW_BYTES
from tests.nodosum.doors import lines
from tests.nodosum.nodes import Nodes, states

MIB = 1024 * 1024
NOISE = random.Random(1).randbytes(MIB)


class FlowTestCase(SynchronousTestCase):
    """Nodes a, b and c."""

    def setUp(self) -> None:
        self.nodes = Nodes()
        self.world = self.nodes.world
        self.a, self.b, self.c = self.nodes.three(tls="off")
        self.got: list[tuple[str, int]] = []

    def application(self, name: str) -> Any:
        """An application on a and b; what b gets is remembered."""
        self.b.applications.register(name).set_receive_func(
            lambda payload, _: self.got.append((name, len(payload)))
        )
        return self.a.applications.register(name)

    def link(self, node: NodosumService, other: NodosumService) -> Any:
        """A node's end of the link to another."""
        return node.applications.links[other.me.node_id]

    def rtt_s(self) -> float:
        """How long the last ping from a to b took."""
        rtt_s = self.a.membership.peers[self.b.me.node_key].rtt_s
        assert rtt_s is not None
        return rtt_s

    def slow(self, bytes_per_s: int) -> None:
        """Let the link between a and b be a slow one."""
        self.world.slow("a", "b", bytes_per_s)


class SlowLinkTests(FlowTestCase):
    """A transfer that takes minutes (F31, F32)."""

    def test_pings_go_through(self) -> None:
        """
        A ping waits for what is in the transport and in the network, never for
        the 32 MiB that are queued; nobody is taken for dead.
        """
        self.slow(4 * MIB)
        bulk = self.application("bulk")
        self.world.advance(2)
        sent = bulk.send(NOISE * 32, ["b"])
        longest_s = 0.0
        for _ in range(120):
            self.world.advance(0.1)
            longest_s = max(longest_s, self.rtt_s())
        in_the_way_bytes = TRANSPORT_BYTES_MAX + WINDOW_BYTES
        self.assertLess(longest_s, in_the_way_bytes / (4 * MIB) + 0.1)
        self.assertGreater(longest_s, 0.01)
        self.successResultOf(sent)
        self.assertEqual(self.got, [("bulk", 32 * MIB)])
        self.assertEqual(states(self.a), dict.fromkeys("abc", "alive"))
        self.assertEqual(sorted(self.nodes.told["b"]), ["Joined a", "Joined c"])

    def test_other_applications_go_through(self) -> None:
        """A request is answered while another application sends 16 MiB."""
        self.slow(4 * MIB)
        bulk, quick = self.application("bulk"), self.application("quick")
        self.b.applications.get("quick").set_request_func(lambda payload, _: payload)
        bulk.post(NOISE * 16, ["b"])
        self.world.advance(1)
        began_s = self.world.now_s
        asked = quick.request(b"?", "b", timeout_s=5)
        self.world.result_of(asked)
        self.assertLess(self.world.now_s - began_s, 0.5)
        self.assertEqual(self.got, [])

    def test_producer_is_paused_and_resumed(self) -> None:
        """Who waits for `send` fills no queue, however slow the link."""
        self.slow(4 * MIB)
        bulk = self.application("bulk")
        most_bytes, count = 0, 0
        while count < 100:
            handed_over = bulk.send(NOISE[:100_000], ["b"])
            link = self.link(self.a, self.b)
            most_bytes = max(most_bytes, link.queued_bytes)
            self.world.result_of(handed_over, 5)
            count += 1
        self.assertLess(most_bytes, 2 * TRANSPORT_BYTES_MAX)
        self.world.advance(10)
        self.assertEqual(len(self.got), 100)

    def test_peer_that_reads_nothing(self) -> None:
        """
        Of a node that stands still the queue is full at 8 MiB; others are
        served as before, and what was for it is given up with it.
        """
        bulk = self.application("bulk")
        self.c.applications.register("bulk").set_receive_func(
            lambda payload, _: self.got.append(("c", len(payload)))
        )
        self.world.hosts["b"].pause()
        with self.assertRaises(PeerBusy) as caught:
            for _ in range(1000):
                bulk.post(NOISE[:40_000])
                self.world.advance(0.001)
        self.assertEqual(caught.exception.node_ids, ("b",))
        self.assertLessEqual(self.link(self.a, self.b).queued_bytes, 8 * MIB)
        self.world.advance(0.5)
        self.assertGreater(self.got.count(("c", 40_000)), 200)
        self.world.advance(8)
        self.assertEqual(states(self.a)["b"], "dead")
        self.assertNotIn("b", self.a.applications.links)

    def test_twenty_long_messages(self) -> None:
        """Twenty applications send a long message each; all arrive."""
        self.slow(8 * MIB)
        names = [f"app{number:02}" for number in range(20)]
        for name in names:
            self.application(name).post(NOISE[:300_000], ["b"])
        most = 0
        for _ in range(300):
            self.world.advance(0.01)
            most = max(most, len(self.link(self.b, self.a)._assembly))
        self.assertEqual(most, OPEN_MESSAGES_MAX)
        self.assertEqual(sorted(name for name, _ in self.got), names)


class BrokenRuleTests(FlowTestCase):
    """A stream of chunks that breaks a rule closes its link, with a reason."""

    def check(self, reason: str, *chunks: Chunk) -> None:
        """Node a sends these; b drops it and logs why, and the link is made anew."""
        link = self.link(self.a, self.b)
        with capturedLogs() as logs:
            for chunk in chunks:
                frame = encode_frame(FrameType.CHUNK, chunk.encode(), b"chat")
                link._transport.write(frame)
            self.world.until(lambda: link.closed, 1)
        said = [line for line in lines(logs) if line.startswith("Dropped a at")]
        self.assertEqual(len(said), 1)
        self.assertIn(reason, said[0])
        self.world.until(lambda: "b" in self.a.applications.links, 5)
        # The log says so once a minute.
        self.world.advance(61)

    def test_rules(self) -> None:
        """Each rule has its own words."""
        app = int(FrameType.APP)
        self.check("message 3, which has not begun", Chunk(3, 0, app, 10, b"x"))
        first = Chunk(3, 1, app, 10, b"x")
        self.check("message 3 begins twice", first, first)
        self.check("says it is another", first, Chunk(3, 2, app, 11, b"x"))
        self.check("ends after 2", first, Chunk(3, 2, app, 10, b"x"))
        self.check("and no end of a message", Chunk(3, 1, app, 1, b"x"))
        self.check("limit 67108864", Chunk(3, 1, app, MESSAGE_BYTES_MAX + 1, b"x"))
        self.check("frame type 6 in a CHUNK", Chunk(3, 1, FrameType.WELCOME, 10, b"x"))

    def test_one_message_too_many(self) -> None:
        """Sixteen messages may be open, and not one more."""
        many = [Chunk(no, 1, 9, 10, b"x") for no in range(OPEN_MESSAGES_MAX + 1)]
        self.check("more than 16 messages open at once", *many)

    def test_bomb(self) -> None:
        """A message that would inflate to more than 64 MiB is refused (F26)."""
        bomb = Zstd().compress(bytes(MESSAGE_BYTES_MAX + 1))
        kind = FrameType.APP | COMPRESSED_BIT
        self.check("inflates to more than", Chunk(1, 3, kind, len(bomb), bomb))
