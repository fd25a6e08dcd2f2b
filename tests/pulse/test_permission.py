"""
What clients with grants may do, and what the log says of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from twisted.logger import capturedLogs, formatEvent

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import derive_key, new_secret
from mycorrizal.pulse.bench_messages import AskBench
from mycorrizal.pulse.cluster_messages import (
    AskAll,
    AskChangeKeys,
    AskConfig,
    AskEvents,
    AskExplain,
    AskKeys,
    AskVitals,
)
from mycorrizal.pulse.drain_messages import AskDrain
from mycorrizal.pulse.messages import (
    AskAlter,
    AskClear,
    AskCreate,
    AskDelete,
    AskDrop,
    AskGet,
    AskLeave,
    AskPing,
    AskPut,
    AskScan,
    AskSend,
    AskStatus,
    AskTtl,
    AskWatch,
    Echo,
    Failed,
    Ok,
    Question,
    Reply,
    Status,
    Value,
    Watched,
    encode,
)
from mycorrizal.pulse.permission import needed
from tests.pulse.worlds import PulseTestCase, key_ring

KEY, OTHER = (new_secret(bytes([n]) * 32) for n in (1, 2))
FINGERPRINT = derive_key(KEY, "mycorrizal").fingerprint

#: Each question, and the grant that it takes.
NEEDED: list[tuple[Question, str]] = [
    (AskStatus(), "CLUSTER:status:READ"),
    (AskPing("n1"), "CLUSTER:status:READ"),
    (AskVitals(), "CLUSTER:status:READ"),
    (AskConfig(), "CLUSTER:config:READ"),
    (AskBench(), "CACHE:pulse-bench-:ADMIN"),
    (Echo(), "CLUSTER:status:READ"),
    (AskEvents(), "CLUSTER:events:READ"),
    (AskKeys(), "CLUSTER:keys:READ"),
    (AskChangeKeys("use", "00000000"), "CLUSTER:keys:ADMIN"),
    (AskAll(encode(AskStatus())), "CLUSTER:status:READ"),
    (AskAll(encode(AskExplain("b", "k"))), "CACHE:b:READ"),
    (AskLeave("n1"), "CLUSTER:n1:LEAVE"),
    (AskDrain("n1", "begin"), "CLUSTER:n1:LEAVE"),
    (AskDrain("n1", "undo"), "CLUSTER:n1:LEAVE"),
    (AskDrain("n1"), "CLUSTER:status:READ"),
    (AskSend("chat", b"x"), "MESSAGES:chat:SEND"),
    (AskGet("b", "k"), "CACHE:b:READ"),
    (AskScan("b"), "CACHE:b:READ"),
    (AskWatch("b"), "CACHE:b:READ"),
    (AskExplain("b", "k"), "CACHE:b:READ"),
    (AskPut("b", "k", b"v"), "CACHE:b:WRITE"),
    (AskDelete("b", "k"), "CACHE:b:WRITE"),
    (AskTtl("b", "k", 1.0), "CACHE:b:WRITE"),
    (AskCreate("new"), "CACHE:new:ADMIN"),
    (AskAlter("b", {}), "CACHE:b:ADMIN"),
    (AskClear("b"), "CACHE:b:ADMIN"),
    (AskDrop("b"), "CACHE:b:ADMIN"),
]


class ClientTestCase(PulseTestCase):
    """A node with two buckets, and clients that may do something."""

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.keys_file = directory / "clients"
        self.grant()
        self.settings = {
            "client_keys_file": str(self.keys_file), "buckets": ("b", "other"),
        }  # fmt: skip
        super().setUp()

    def grant(self, *grants: str) -> None:
        """Give the client these grants, and no others."""
        self.keys_file.touch(0o600)
        line = " ".join((KEY, "reports", *grants))
        self.keys_file.write_text(f"{line}\n{OTHER} other CACHE:*:*\n")

    def regrant(self, *grants: str) -> None:
        """Do so while the node runs."""
        self.grant(*grants)
        self.cluster[0].reload()

    def asked(self, question: Question, key: str = KEY) -> Reply:
        """What the node answers to a client with a key of its own."""
        return self._ask_through(self.client(keys=key_ring(key)), question)

    def denied(self, question: Question) -> None:
        """The node denies it."""
        reply = self.asked(question)
        assert isinstance(reply, Failed), (question, reply)
        self.assertEqual(reply.error, "NotGranted")
        self.assertIn(f"client reports (key {FINGERPRINT}) has no grant", reply.text)


class PermissionTests(ClientTestCase):
    """What clients may do."""

    def test_each_question_needs_a_grant(self) -> None:
        """F15: there is a grant for each question; without it each is denied."""
        tested = {type(question) for question, _ in NEEDED}
        self.assertEqual(tested, set(get_args(Question)))
        for question, grant in NEEDED:
            self.assertEqual(str(needed(question)), grant)
            self.denied(question)

    def test_no_other_grant_will_do(self) -> None:
        """F15: all grants but the one that is needed do not allow a question."""
        everything = [grant for _, grant in NEEDED if not grant.startswith("CACHE")]
        everything += [f"CACHE:other:{action}" for action in ("READ", "WRITE", "ADMIN")]
        for action in ("READ", "WRITE", "ADMIN"):
            rest = {"READ", "WRITE", "ADMIN"} - {action}
            self.regrant(*everything[-3:], *(f"CACHE:*:{one}" for one in sorted(rest)))
            for question, grant in NEEDED:
                if grant.startswith("CACHE:") and grant.endswith(action):
                    self.denied(question)

    def test_read(self) -> None:
        """Who may read a bucket reads that one, and changes nothing."""
        self.cluster.result_of(self.cluster[0].cache().put("b", "k", b"v"))
        self.regrant("CACHE:b:READ")
        self.assertEqual(self.asked(AskGet("b", "k")), Value(b"v"))
        self.denied(AskPut("b", "k", b"w"))
        self.denied(AskGet("other", "k"))
        self.assertEqual(
            self.cluster.result_of(self.cluster[0].cache().get("b", "k")), b"v"
        )

    def test_write(self) -> None:
        """Who may write a bucket may neither read nor drop it."""
        self.regrant("CACHE:b:WRITE")
        self.assertEqual(self.asked(AskPut("b", "k", b"v")), Ok(copies=1))
        self.denied(AskGet("b", "k"))
        self.denied(AskDrop("b"))
        self.assertIn("b", self.cluster[0].cache().buckets())

    def test_status(self) -> None:
        """Who may read of the cluster may not have a node leave it."""
        self.regrant("CLUSTER:*:READ")
        self.assertIsInstance(self.asked(AskStatus()), Status)
        self.denied(AskLeave("n0"))
        self.cluster.advance(5)
        self.assertTrue(self.cluster[0].running)

    def test_changing_within_all(self) -> None:
        """F15: what changes something passes in no envelope, however deep."""
        self.regrant("CLUSTER:status:READ")
        deep = AskAll(encode(AskLeave("n0")))
        for _ in range(3):
            reply = self.asked(deep)
            assert isinstance(reply, Failed)
            self.assertIn("can't be asked of all", reply.text)
            deep = AskAll(encode(deep))
        nonsense = self.asked(AskAll(b"nonsense"))
        assert isinstance(nonsense, Failed)
        self.assertEqual(nonsense.error, "UnknownQuestion")

    def test_cluster_secret(self) -> None:
        """Who has the cluster's secret may do everything."""
        self.assertEqual(self.ask(AskCreate("new")), Ok())
        welcome = self.cluster.result_of(self.client().connect())
        self.assertEqual(welcome.grants, ("*:*:*",))

    def test_welcome(self) -> None:
        """A client is told what it may do."""
        self.regrant("CACHE:b:READ", "CLUSTER:*:READ")
        client = self.client(keys=key_ring(KEY))
        self.addCleanup(client.abort)
        welcome = self.cluster.result_of(client.connect())
        self.assertEqual(welcome.grants, ("CACHE:b:READ", "CLUSTER:*:READ"))

    def test_taken_away(self) -> None:
        """F15: a grant, or a key, that is taken away is gone for open links, too."""
        self.regrant("CACHE:b:READ")
        client = self.connected(keys=key_ring(KEY))
        self.addCleanup(client.abort)
        member = self.connected()
        self.addCleanup(member.abort)

        def get() -> Reply:
            return self.cluster.result_of(client.ask(AskGet("b", "k")))

        self.assertEqual(get(), Value(None))
        self.regrant()
        self.assertIsInstance(get(), Failed)
        self.keys_file.write_text("# nobody\n")
        self.cluster[0].reload()
        self.assertIsInstance(get(), Failed)
        ring = self.cluster[0].nodosum.config.keys
        ring.replace([derive_key(OTHER, "mycorrizal")])
        reply = self.cluster.result_of(member.ask(AskGet("b", "k")))
        self.assertIsInstance(reply, Failed)

    def test_watch_of_another_bucket(self) -> None:
        """F15: a watch that was begun goes on for its own bucket only."""
        self.regrant("CACHE:b:READ", "CACHE:other:READ")
        client = self.connected(keys=key_ring(KEY))
        self.addCleanup(client.abort)
        begun = self.cluster.result_of(client.ask(AskWatch("b")))
        assert isinstance(begun, Watched)
        self.regrant("CACHE:other:READ")
        for bucket in ("b", "other"):
            asked = client.ask(AskWatch(bucket, watch=begun.watch))
            self.assertIsInstance(self.cluster.result_of(asked), Failed)

    def test_bad_file(self) -> None:
        """A file of clients' keys that can't be used changes nothing."""
        self.regrant("CACHE:b:READ")
        self.keys_file.write_text(f"{KEY} reports CACHE:b\n")
        self.assertRaises(ConfigError, self.cluster[0].reload)
        self.assertEqual(self.asked(AskGet("b", "k")), Value(None))


class AuditTests(ClientTestCase):
    """What the log says."""

    size = 2

    def said(self, events: Sequence[Any]) -> list[str]:
        """The lines that tell of clients."""
        lines = [formatEvent(event) or "" for event in events]
        return [line for line in lines if "asks for" in line or "Denied" in line]

    def test_admin(self) -> None:
        """F58: each admin action is a line with who asked, where, and of what."""
        self.regrant("*:*:*")
        self.cluster[0].register_application("chat")
        with capturedLogs() as events:
            self.asked(AskCreate("new\n\x1b[2J"))
            self.asked(AskClear("b"))
            self.asked(AskAlter("b", {"ttl_s": 5}))
            self.asked(AskDrop("b"))
            self.asked(AskSend("chat", b"x"))
        lines = self.said(events)
        who = f"client reports (key {FINGERPRINT}) at "
        for line in lines:
            self.assertTrue(line.startswith(who), line)
        self.assertEqual(
            [line.partition(" asks for ")[2] for line in lines],
            [
                "create of 'new\\n\\x1b[2J'", "clear of 'b'", "alter of 'b'",
                "drop of 'b'", "send of 'chat'",
            ],
        )  # fmt: skip

    def test_leave_of_another(self) -> None:
        """Who has another node leave is in both logs: there, who passed it on."""
        with capturedLogs() as events:
            self.ask(AskLeave("n1"))
        first, second = self.said(events)
        member = self.cluster[0].fingerprint
        self.assertTrue(first.startswith(f"pulse (key {member}) at "), first)
        self.assertTrue(second.startswith(f"node n0 (key {member}) at "), second)
        for line in (first, second):
            self.assertTrue(line.endswith(" asks for leave of 'n1'"), line)

    def test_values_are_no_lines(self) -> None:
        """Reads and writes of values fill no log."""
        self.regrant("CACHE:*:*", "CLUSTER:*:READ")
        with capturedLogs() as events:
            self.asked(AskPut("b", "k", b"v"))
            self.asked(AskGet("b", "k"))
            self.asked(AskStatus())
        self.assertEqual(self.said(events), [])

    def test_denied(self) -> None:
        """F58: what is denied is a line, and at most one in a second."""
        self.regrant()
        client = self.connected(keys=key_ring(KEY))
        self.addCleanup(client.abort)
        with capturedLogs() as events:
            asked = [client.ask(AskDrop("b\n")) for _ in range(5)]
            for one in asked:
                self.assertIsInstance(self.cluster.result_of(one), Failed)
            self.cluster.advance(1)
            self.cluster.result_of(client.ask(AskDrop("b")))
        first, second = self.said(events)
        self.assertIn(f"Denied client reports (key {FINGERPRINT}) at ", first)
        self.assertTrue(first.endswith(r"what needs 'CACHE:b\n:ADMIN'"), first)
        self.assertTrue(second.endswith("'CACHE:b:ADMIN' (and 4 more)"), second)


class CommandTests(ClientTestCase):
    """A client that uses the command."""

    def test_denied(self) -> None:
        """What is denied is a sentence and exit code 1."""
        path = self.secret_file("clients", f"{KEY} reports")
        error = self.error_of(1, "--secret-file", path, "cache", "clear", "b", "--yes")
        self.assertEqual(
            error,
            f"pulse: client reports (key {FINGERPRINT}) has no grant CACHE:b:ADMIN; "
            "it is given in the nodes' client_keys_file\n",
        )

    def test_granted(self) -> None:
        """A line that `pulse secret new` made is good for nodes and for pulse."""
        line = self.out_of("secret", "new", "--client", "a", "--grant", "CACHE:b:*")
        self.keys_file.write_text(line)
        self.cluster[0].reload()
        path = self.secret_file("clients", line)
        self.out_of("--secret-file", path, "cache", "put", "b", "k", "v")
        found = self.out_of("--secret-file", path, "cache", "get", "b", "k")
        self.assertIn("v", found)
