"""
What a node answers, asked by a client on a simulated network.
"""

from __future__ import annotations

import attrs
import msgspec
from twisted.internet.defer import Deferred, fail

from mycorrizal.mycel import MycelService
from mycorrizal.pulse.cluster_messages import AskAll
from mycorrizal.pulse.messages import (
    AskCreate,
    AskDelete,
    AskGet,
    AskLeave,
    AskPing,
    AskPut,
    AskSend,
    AskStatus,
    AskTtl,
    Failed,
    Ok,
    Reply,
    RoundTrip,
    Status,
    Value,
    decode_reply,
)
from mycorrizal.version import __version__
from tests.pulse.worlds import PulseTestCase


class ServerTests(PulseTestCase):
    """Three nodes, of which the first is asked."""

    size = 3
    settings = {"labels": "zone=a", "buckets": "sessions:ttl=15m,max_entries=10"}

    def failed(self, reply: Reply) -> tuple[str, str]:
        """What went wrong."""
        assert isinstance(reply, Failed)
        return reply.error, reply.text

    def test_status(self) -> None:
        """Status tells of the node, all members, buckets and applications."""
        self.cluster[0].register_application("chat")
        self.cluster.advance(2)
        status = self.ask(AskStatus())
        assert isinstance(status, Status)
        node = status.node
        self.assertEqual((node.id, node.version), ("n0", __version__))
        self.assertEqual((node.cluster, node.tls), ("mycorrizal", "auto"))
        self.assertEqual(node.address, "10.0.0.1:6969")
        self.assertEqual(node.secret, self.cluster[0].fingerprint)
        self.assertGreater(node.uptime_s, 2)
        self.assertGreater(node.incarnation, 0)
        self.assertEqual([m.id for m in status.members], ["n0", "n1", "n2"])
        for member in status.members:
            self.assertEqual((member.state, member.labels), ("alive", {"zone": "a"}))
            self.assertEqual((member.host, member.version), (member.id, __version__))
            self.assertIsInstance(member.rtt_ms, float)
        (bucket,) = status.buckets
        self.assertEqual((bucket.name, bucket.ttl_s), ("sessions", 900))
        self.assertEqual((bucket.max_entries, bucket.max_bytes), (10, None))
        self.assertIn("chat", status.applications)
        self.assertEqual(status.under_replicated, 0)

    def test_dead_member(self) -> None:
        """A member that died is shown as dead, without a round trip."""
        self.cluster.crash(2)
        self.cluster.advance(10)
        status = self.ask(AskStatus())
        assert isinstance(status, Status)
        dead = status.members[2]
        self.assertEqual((dead.id, dead.state, dead.rtt_ms), ("n2", "dead", None))

    def test_broken_link(self) -> None:
        """A member that only another hears is alive, and shown so (F4)."""
        self.cluster.world.cut("n0", "n2")
        self.cluster.advance(8)
        status = self.ask(AskStatus())
        assert isinstance(status, Status)
        links = [(member.state, member.link) for member in status.members]
        self.assertEqual(links, [("alive", ""), ("alive", "up"), ("alive", "via n1")])
        self.assertIsNone(status.members[2].rtt_ms)

    def test_leave(self) -> None:
        """A node leaves when it is asked, and after it has answered."""
        node = self.cluster[0]
        self.assertEqual(self.ask(AskLeave("n0")), Ok())
        self.cluster.until(lambda: not node.running)
        self.cluster.advance(1)
        (seen,) = [it for it in self.cluster[1].nodes() if it.id == "n0"]
        self.assertEqual(seen.state, "left")

    def test_have_another_leave(self) -> None:
        """A node passes the question on to the one that is meant."""
        self.assertEqual(self.ask(AskLeave("n2")), Ok())
        self.cluster.until(lambda: not self.cluster[2].running)
        self.assertTrue(self.cluster[0].running)
        self.assertTrue(self.cluster[1].running)

    def test_have_nobody_leave(self) -> None:
        """Who is not there can't leave; the answer says so."""
        error, text = self.failed(self.ask(AskLeave("n7")))
        self.assertEqual((error, text), ("PeerUnreachable", "no link to n7"))

    def test_values(self) -> None:
        """A value is put, read, given another time, and deleted."""
        put = self.ask(AskPut("sessions", "k", b"v"))
        self.assertEqual(put, Ok(copies=2))
        found = self.ask(AskGet("sessions", "k"))
        assert isinstance(found, Value) and found.remaining_s is not None
        self.assertEqual(found.value, b"v")
        self.assertTrue(899 < found.remaining_s <= 900, found)
        self.assertEqual(self.ask(AskTtl("sessions", "k", 5.0)), Ok())
        self.cluster.advance(5)
        self.assertEqual(self.ask(AskGet("sessions", "k")), Value(None))
        self.assertEqual(self.ask(AskTtl("sessions", "k", 5.0)), Ok(existed=False))
        self.ask(AskPut("sessions", "k", b"v", None))
        self.assertEqual(self.ask(AskGet("sessions", "k")), Value(b"v"))
        self.assertEqual(self.ask(AskDelete("sessions", "k")), Ok())
        self.assertEqual(self.ask(AskDelete("sessions", "k")), Ok(existed=False))

    def test_create(self) -> None:
        """A bucket is created everywhere, and not twice in different ways."""
        self.assertEqual(self.ask(AskCreate("b", 60.0, 5)), Ok())
        self.assertIn("b", self.cluster[2].cache().buckets())
        self.assertEqual(self.ask(AskCreate("b", 60.0, 5)), Ok())
        error, text = self.failed(self.ask(AskCreate("b", 61.0, 5)))
        self.assertEqual(error, "BucketConflict")
        self.assertIn("ttl_s", text)

    def test_named_errors(self) -> None:
        """What can't be done is answered by the name of the error."""
        for question, name in (
            (AskGet("none", "k"), "UnknownBucket"),
            (AskGet("sessions", ""), "KeyTooLarge"),
            (AskPing("n9"), "PeerUnreachable"),
            (AskSend("none", b""), "UnknownApplication"),
            (AskSend("SYSTEM-MYCEL", b""), "UnknownApplication"),
            (AskPut("sessions", "k", b"", -1.0), "ConfigError"),
        ):
            self.assertEqual(self.failed(self.ask(question))[0], name, question)

    def test_ping(self) -> None:
        """The way to another node is measured; to itself there is none."""
        away = self.ask(AskPing("n2"))
        assert isinstance(away, RoundTrip)
        self.assertEqual(away.node_id, "n2")
        self.assertTrue(0 < away.rtt_ms < 100, away)
        self.assertEqual(self.ask(AskPing("n0")), RoundTrip("n0", 0.0))

    def test_ping_of_the_dying(self) -> None:
        """A node that does not answer a ping is unreachable."""
        client = self.connected()
        asking = client.ask(AskPing("n2"), 10.0)
        self.cluster.pause(2)
        error, _ = self.failed(self.cluster.result_of(asking))
        self.assertEqual(error, "PeerUnreachable")

    def test_send(self) -> None:
        """A message goes to the application on all others, or on some."""
        heard: list[tuple[str, bytes, str]] = []
        for node in self.cluster.nodes:
            self._listen(node.node_id, heard)
        self.assertEqual(self.ask(AskSend("chat", b"all")), Ok())
        self.cluster.advance(1)
        expected = [("n1", b"all", "n0"), ("n2", b"all", "n0")]
        self.assertEqual(sorted(heard), expected)
        heard.clear()
        self.assertEqual(self.ask(AskSend("chat", b"one", ("n2",))), Ok())
        self.cluster.advance(1)
        self.assertEqual(heard, [("n2", b"one", "n0")])

    def _listen(self, node_id: str, heard: list[tuple[str, bytes, str]]) -> None:
        node = self.cluster[int(node_id[1:])]
        application = node.register_application("chat")
        application.set_receive_func(
            lambda payload, sender: heard.append((node_id, payload, sender))
        )

    def test_bug(self) -> None:
        """A bug in the node is logged there, and answered as a failure."""

        @attrs.define
        class Broken:
            """A cache without any sense."""

            def entry(self, bucket: str, key: str, *, raw: bool) -> Deferred[None]:
                return fail(ZeroDivisionError("a bug"))

        mycel: MycelService = self.cluster[0].mycel
        self.patch(mycel, "cache", Broken())
        reply = self.ask(AskGet("sessions", "k"))
        self.assertEqual(self.failed(reply), ("ZeroDivisionError", "a bug"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_of_another_version(self) -> None:
        """Who asks what only another version knows is told so, and not hung up on."""
        client = self.connected()
        link = client._connection.link
        assert link is not None
        answers: list[bytes] = []
        now = self.host.runtime.now()
        asked = msgspec.msgpack.encode({"type": "of tomorrow"})
        client._channel.call(link, asked, lambda _, it: answers.append(it), now + 5)
        self.cluster.advance(1)
        error, text = self.failed(decode_reply(answers[0]))
        self.assertEqual(error, "UnknownQuestion")
        self.assertIn(f"is of version {__version__}", text)
        self.assertFalse(link.closed)
        wrapped = self.ask(AskAll(asked))
        self.assertEqual(self.failed(wrapped)[0], "UnknownQuestion")

    def test_nonsense(self) -> None:
        """Who asks nonsense is hung up on; others are not."""
        good, bad = self.connected(), self.connected()
        link = bad._connection.link
        assert link is not None
        ended: list[int] = []
        now = self.host.runtime.now()
        bad._channel.call(link, b"\xc1", lambda how, _: ended.append(how), now + 5)
        self.cluster.advance(1)
        self.assertEqual(len(ended), 1)
        self.assertTrue(link.closed)
        self.assertIsInstance(self.cluster.result_of(good.ask(AskStatus())), Status)
