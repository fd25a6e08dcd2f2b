"""
How ``pulse`` says that something went wrong, and with which exit code.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from mycorrizal.errors import CallTimeout, MycorrizalError, PeerBusy
from mycorrizal.nodosum import new_secret
from mycorrizal.nodosum.wire.events import Refused
from mycorrizal.nodosum.wire.limits import RejectCode
from mycorrizal.pulse.access import Access
from mycorrizal.pulse.bench_messages import AskBench
from mycorrizal.pulse.client import NodeBusy, NodeRefused
from mycorrizal.pulse.messages import AskGet, AskStatus, Ok, Question, Reply
from mycorrizal.pulse.server import PulseServer
from mycorrizal.pulse.session import (
    CACHE_TIMEOUT_S,
    COMMAND_TIMEOUT_S,
    Session,
    Trouble,
    ask_in_turn,
)
from tests.pulse.worlds import PulseTestCase


class TroubleTests(PulseTestCase):
    """A user for whom something is not right."""

    def test_nothing_listens(self) -> None:
        """No node there: exit code 3, and how to name another."""
        sentence = self.error_of(3, "status", "--node", "n0:7")
        self.assertEqual(
            sentence,
            "pulse: cannot connect to n0:7: nothing listens there; is a node running "
            "there? --node HOST:PORT names another\n",
        )

    def test_wrong_secret(self) -> None:
        """Another secret: exit code 1, and what to compare."""
        path = self.secret_file("other", new_secret(bytes(32)))
        sentence = self.error_of(1, "status", "--secret-file", path)
        self.assertIn("n0:6969 refused us: another secret or cluster name", sentence)
        self.assertIn(path, sentence)
        self.assertIn("'mycorrizal'", sentence)

    def test_wrong_tls(self) -> None:
        """Another TLS mode: exit code 1, and the option that helps."""
        sentence = self.error_of(1, "status", "--tls", "off")
        self.assertEqual(
            sentence,
            "pulse: n0:6969 refused us: its TLS is on, ours is off; use --tls auto\n",
        )

    def test_no_secret(self) -> None:
        """No secret: exit code 2, and where it was looked for."""
        del self.environment["MYCORRIZAL_SECRET_FILE"]
        sentence = self.error_of(2, "status")
        self.assertIn(str(self.directory), sentence)
        self.assertEqual(sentence.count("\n"), 1)

    def test_death(self) -> None:
        """A node that dies meanwhile: exit code 3, and what that means."""
        self.serve(lambda *_: self.cluster.crash(0))
        sentence = self.error_of(3, "cache", "put", "b", "k", "v")
        self.assertIn("may or may not be done", sentence)

    def test_death_while_looking(self) -> None:
        """Where nothing was to be changed it is advised to ask another node."""
        self.serve(lambda *_: self.cluster.crash(0))
        sentence = self.error_of(3, "status")
        self.assertIn("it answered; --node HOST:PORT names another", sentence)

    def serve(self, serve: Callable[..., object]) -> None:
        """Let the node do this when it is asked."""
        routes = self.cluster[0].nodosum.applications.client_routes
        self.patch(routes[b"SYSTEM-PULSE"], "serve", serve)

    def test_silence(self) -> None:
        """A node that hangs is not waited for longer than 5 s in all."""
        self.serve(lambda *_: None)
        began_s = self.cluster.world.now_s
        sentence = self.error_of(3, "status")
        self.assertIn("n0:6969 does not answer", sentence)
        self.assertAlmostEqual(self.cluster.world.now_s - began_s, 5, places=2)
        self.assert_nothing_left()

    def test_silence_about_the_cache(self) -> None:
        """What others may have to be asked for is waited for longer."""
        self.serve(lambda *_: None)
        began_s = self.cluster.world.now_s
        self.error_of(3, "cache", "get", "b", "k")
        self.assertAlmostEqual(self.cluster.world.now_s - began_s, 12, places=2)

    def raising(self, error: MycorrizalError) -> str:
        """What is said when asking fails with this error."""

        def converse(access: Access, question: Question) -> Reply:
            raise error

        session = Session(converse, self.environment)
        with self.assertRaises(Trouble) as raised:
            session.ask(AskStatus(), Ok)
        return f"{raised.exception.exit_code} {raised.exception.message}"

    def test_other_version(self) -> None:
        """A node of another protocol version: which pulse to use."""
        refused = Refused(RejectCode.VERSION, True, "it speaks versions 2-3")
        said = self.raising(NodeRefused("n0:6969", refused))
        self.assertTrue(said.startswith("1 n0:6969 refused us: it speaks versions"))
        self.assertIn("use the pulse of", said)

    def test_busy(self) -> None:
        """A node that takes no more of us: exit code 1, and why."""
        said = self.raising(NodeBusy("n0:6969", "it has 64 connections already"))
        self.assertEqual(
            said,
            "1 cannot connect to n0:6969: it has 64 connections already; "
            "try again in a moment",
        )

    def test_others(self) -> None:
        """All others are told as they are."""
        self.assertIn("3 n0:6969", self.raising(CallTimeout("n0", 5)))
        self.assertIn("1 the queue to n0", self.raising(PeerBusy(["n0"])))

    def test_escape_codes(self) -> None:
        """What a stranger says can't steer the terminal."""
        said = self.raising(MycorrizalError("\x1b[2Jgone"))
        self.assertNotIn("\x1b", said)

    def test_wrong_answer(self) -> None:
        """An answer to another question is none."""
        session = Session(self._converse, self.environment)
        with self.assertRaises(Trouble) as raised:
            session.ask(AskStatus(), Ok)
        self.assertIn("makes no sense", raised.exception.message)


class AskInTurnTests(PulseTestCase):
    """One question, from connect to close."""

    def test_all_is_closed(self) -> None:
        """After the answer nothing is left."""
        self.ask(AskStatus())
        self.assert_nothing_left()

    def test_cancel(self) -> None:
        """Given up in the middle, nothing is left either."""
        for after_s in (0.0, 0.001, 0.002, 0.003, 0.004, 0.006):
            asking = ask_in_turn(
                self.host.runtime, self.client(), AskStatus(), lambda reply: None
            )
            asked = Deferred.fromCoroutine(asking)
            self.cluster.advance(after_s)
            asked.addErrback(lambda _: None)
            asked.cancel()
            self.assert_nothing_left()

    def test_patience(self) -> None:
        """What the cache is asked may take longer than what a node knows."""
        self.patch(PulseServer, "answer", lambda server, question: Deferred())
        for question, within_s in (
            (AskStatus(), COMMAND_TIMEOUT_S),
            (AskGet("b", "k"), CACHE_TIMEOUT_S),
            (AskBench(), CACHE_TIMEOUT_S),
        ):
            began_at = self.host.runtime.now()
            with self.assertRaises(CallTimeout):
                self.ask(question)
            took_s = self.host.runtime.now() - began_at
            self.assertAlmostEqual(took_s, within_s, delta=0.1)
