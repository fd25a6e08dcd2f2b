"""
Who changed what, as the events of a node tell.
"""

from __future__ import annotations

from mycorrizal.pulse.audit import DENIED_EVENT_S, DENIED_LOG_S, Seldom
from mycorrizal.pulse.cluster_messages import AskChangeKeys
from mycorrizal.pulse.messages import (
    AskAlter,
    AskClear,
    AskCreate,
    AskDrop,
    AskGet,
    AskLeave,
    AskPut,
    AskSend,
    AskStatus,
    Failed,
)
from mycorrizal.recorder import Event, Kind
from tests.pulse.test_permission import FINGERPRINT, KEY, ClientTestCase
from tests.pulse.worlds import key_ring

WHO = f"client reports (key {FINGERPRINT})"


class SeldomTests(ClientTestCase):
    """What is told at most once in a while."""

    def test_at_the_bound(self) -> None:
        """It is told again just when the pause is over, with what was left out."""
        seldom = Seldom(DENIED_LOG_S)
        times = (5.0, 5.1, 5.999, 6.0, 6.5, 9.0, 12.0)
        told = [seldom.now(now) for now in times]
        self.assertEqual(told, [0, None, None, 2, None, 1, 0])


class EventTests(ClientTestCase):
    """What is kept of what clients change."""

    size = 2

    def events(self, *kinds: Kind, number: int = 0) -> list[Event]:
        """What a node keeps of these kinds."""
        found = self.cluster[number].nodosum.recorder.recent(0)
        return [event for event in found if event.kind in kinds]

    def texts(self, *kinds: Kind, number: int = 0) -> list[str]:
        """Their sentences."""
        return [event.text for event in self.events(*kinds, number=number)]

    def test_done(self) -> None:
        """F58: each admin action is an event: who, from where, what, and how."""
        self.regrant("*:*:*")
        self.asked(AskCreate("new"))
        self.asked(AskClear("b"))
        self.asked(AskAlter("b", {"ttl_s": 5}))
        self.asked(AskDrop("b"))
        events = self.events(Kind.ADMIN)
        self.assertEqual(
            [(it.fields["action"], it.fields["resource"]) for it in events],
            [("create", "new"), ("clear", "b"), ("alter", "b"), ("drop", "b")],
        )
        for event in events:
            self.assertEqual((event.fields["who"], event.level), (WHO, "info"))
            self.assertEqual(event.fields["result"], "done")
        address = events[-1].fields["address"]
        self.assertEqual(events[-1].text, f"{WHO} at {address}: drop of 'b': done")

    def test_failed(self) -> None:
        """What failed says so, whether at once or after a while."""
        self.regrant("*:*:*")
        self.assertIsInstance(self.asked(AskDrop("nowhere")), Failed)
        self.assertIsInstance(self.asked(AskLeave("nobody")), Failed)
        self.assertIsInstance(self.asked(AskChangeKeys("use", "00000000")), Failed)
        drop, leave, keys = self.texts(Kind.ADMIN)
        self.assertIn("drop of 'nowhere': UnknownBucket: ", drop)
        self.assertIn("leave of 'nobody': PeerUnreachable: ", leave)
        self.assertIn("use of 'keys': ConfigError: ", keys)

    def test_leave_of_another(self) -> None:
        """Who has another node leave is known to both, there by who passed it on."""
        member = self.cluster[0].fingerprint
        self.ask(AskLeave("n1"))
        (first,) = self.texts(Kind.ADMIN)
        (second,) = self.texts(Kind.ADMIN, number=1)
        self.assertRegex(first, rf"^pulse \(key {member}\) at .*: leave of 'n1': done$")
        self.assertRegex(
            second, rf"^node n0 \(key {member}\) at .*: leave of 'n1': done$"
        )

    def test_values_are_no_events(self) -> None:
        """Reads, writes and messages, of which there are many, are none."""
        self.regrant("*:*:*")
        self.cluster[0].register_application("chat")
        send, put = AskSend("chat", b"x"), AskPut("b", "k", b"v")
        for question in (send, put, AskGet("b", "k"), AskStatus()):
            self.assertNotIsInstance(self.asked(question), Failed)
        self.assertEqual(self.texts(Kind.ADMIN, Kind.DENIED), [])

    def test_denied(self) -> None:
        """F58: what is denied is a warning, and at most one in a minute."""
        self.regrant()
        client = self.connected(keys=key_ring(KEY))
        self.addCleanup(client.abort)
        for _ in range(5):
            self.cluster.result_of(client.ask(AskDrop("b")))
        (event,) = self.events(Kind.DENIED)
        address = event.fields["address"]
        self.assertEqual(
            event.text, f"Denied {WHO} at {address} what needs 'CACHE:b:ADMIN'"
        )
        self.assertEqual((event.level, event.fields["result"]), ("warn", "denied"))
        self.cluster.advance(DENIED_EVENT_S)
        self.asked(AskDrop("b"))
        text = self.texts(Kind.DENIED)[-1]
        self.assertTrue(text.endswith("'CACHE:b:ADMIN' (and 4 more)"), text)
        self.assertEqual(self.texts(Kind.ADMIN), [])

    def test_command(self) -> None:
        """``pulse events`` shows it, without what could move a cursor."""
        self.regrant("*:*:*")
        self.asked(AskCreate("new\x1b[2J"))
        page = self.out_of("events", "--limit", "0")
        (line,) = [it for it in page.splitlines() if "  admin  " in it]
        self.assertIn(f"n0  admin        {WHO} at ", line)
        self.assertIn(r"create of 'new\x1b[2J': ConfigError: ", line)
