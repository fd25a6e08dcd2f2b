"""
When discovery looks, and what is made of its answers.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mycorrizal import IDiscovery
from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.config import Address, is_dialable, is_nowhere
from mycorrizal.nodosum.discovery import Announcement, IAnnouncing
from mycorrizal.nodosum.rounds import ADDRESSES_MAX, PAUSE_MAX_S, PAUSE_MIN_S, Rounds
from mycorrizal.testing import World

A, B, C = ("10.0.0.1", 1), ("10.0.0.2", 2), ("fd00::3", 3)

ME = Announcement("me", "mycorrizal", ("10.0.0.9", 6969), "1")


@implementer(IDiscovery)
class Script:
    """A way of discovery that gives these answers, the last one for ever."""

    def __init__(self, *answers: Any, name: str = "script") -> None:
        self.name = name
        self.round_s = 10.0
        self.looked_at_s: list[float] = []
        self.clock: Any = lambda: 0.0
        self._answers = list(answers)

    def discover(self) -> Any:
        """See `IDiscovery`."""
        self.looked_at_s.append(self.clock())
        answers = self._answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            return fail(answer)
        if callable(answer):
            return answer()
        return answer if isinstance(answer, Deferred) else succeed(answer)


@implementer(IAnnouncing)
class Register(Script):
    """A way of discovery that tells others, and ends with this."""

    def __init__(self, *answers: Any, end: Any = None) -> None:
        super().__init__(*answers)
        self.told: list[object] = []
        self._end = end

    def announce(self, announcement: Announcement) -> None:
        """See `IAnnouncing`."""
        self.told += [announcement, len(self.looked_at_s)]

    def withdraw(self) -> Any:
        """See `IAnnouncing`."""
        self.told.append("withdrawn")
        return self._end() if callable(self._end) else self._end


class RoundsCase(SynchronousTestCase):
    """Rounds on a simulated host."""

    def setUp(self) -> None:
        self.world = World(seed=1)
        self.runtime = self.world.host("here").runtime
        self.found: list[list[Address]] = []
        self.rounds = Rounds(self.runtime, self.found.append)

    def start(self, *scripts: Script) -> None:
        """Look in these ways."""
        for script in scripts:
            script.clock = self.runtime.now
            self.rounds.add(script)
        self.rounds.start(ME)

    def pauses_s(self, script: Script) -> list[float]:
        """Between its looks."""
        times = script.looked_at_s
        return [later - sooner for sooner, later in pairwise(times)]


class AnswerTests(RoundsCase):
    """What was found."""

    def test_interface(self) -> None:
        """Anybody may write a way of discovery."""
        verifyObject(IDiscovery, Script([]))

    def test_several_ways(self) -> None:
        """All that several ways know counts, in turn, each place once."""
        self.start(Script([A, B]), Script([C, A]))
        self.assertEqual(self.found, [[A, B], [A, C, B]])
        self.assertTrue(self.rounds.complete)

    def test_last_good_answer_is_kept(self) -> None:
        """F45: a way that fails later still counts with what it found."""
        failing = Script([A], DiscoveryError("no"))
        self.start(failing, Script([B]))
        self.world.advance(100)
        self.assertEqual(self.found[-1], [A, B])

    def test_incomplete(self) -> None:
        """Until each way has answered once, not all is known, and why is."""
        self.start(Script([A]), Script(DiscoveryError("the sky fell")))
        self.assertFalse(self.rounds.complete)
        self.assertEqual(self.rounds.problem, "the sky fell")

    def test_added_later(self) -> None:
        """A way that is added to a running node looks at once."""
        self.start(Script([A]))
        self.rounds.add(Script([B]))
        self.assertEqual(self.found[-1], [A, B])

    def test_bound(self) -> None:
        """F45: of one answer the first 256 addresses are looked at."""
        many = [(f"10.1.{n >> 8}.{n & 255}", 1) for n in range(ADDRESSES_MAX + 1)]
        self.start(Script(many))
        self.assertEqual(self.found, [many[:ADDRESSES_MAX]])

    def test_nowhere(self) -> None:
        """Places where nobody can be are left out, whoever names them."""
        nowhere: list[Any] = [
            ("0.0.0.0", 1), ("::", 1), ("::ffff:0.0.0.0", 1), ("224.0.0.1", 1),
            ("ff02::1", 1), ("255.255.255.255", 1), ("name", 1), ("10.0.0.1", 0),
            ("10.0.0.1", 65536), ("10.0.0.1", "1"), (1, 1), "10.0.0.1:1", None, [],
        ]  # fmt: skip
        self.start(Script([*nowhere, A, ("::ffff:10.0.0.2", 2)]))
        self.assertEqual(self.found, [[A, B]])
        self.assertTrue(is_dialable(("fe80::1%eth0", 1)))
        self.assertFalse(is_nowhere("nodes.example"))


class PauseTests(RoundsCase):
    """When it looks again."""

    def test_pause_of_a_round(self) -> None:
        """After an answer it waits for half to all of what the way asks for."""
        script = Script([A])
        self.start(script)
        self.world.advance(1000)
        pauses_s = self.pauses_s(script)
        self.assertGreater(len(pauses_s), 90)
        self.assertTrue(all(5.0 <= pause_s <= 10.1 for pause_s in pauses_s))
        self.assertGreater(max(pauses_s) - min(pauses_s), 2.0)

    def test_way_that_changes_its_mind(self) -> None:
        """How long to wait is asked after each round."""
        script = Script([A])
        self.start(script)
        script.round_s = 1000.0
        self.world.advance(400)
        self.assertEqual(len(script.looked_at_s), 2)

    def test_pauses_after_failures(self) -> None:
        """F45: after failures it waits for 1 s, 2 s and so on up to 30 s, jittered."""
        script = Script(DiscoveryError("no"))
        self.start(script)
        self.world.advance(600)
        for number, pause_s in enumerate(self.pauses_s(script)):
            longest_s = min(PAUSE_MAX_S, PAUSE_MIN_S * 2**number)
            self.assertTrue(longest_s / 2 <= pause_s <= longest_s + 0.1, number)

    def test_short_pause_again(self) -> None:
        """After an answer the pauses begin with 1 s again."""
        no = DiscoveryError("no")
        script = Script(no, no, no, no, no, no, [A], no)
        self.start(script)
        self.world.advance(100)
        self.assertLess(self.pauses_s(script)[7], 1.1)


class FailureTests(RoundsCase):
    """Ways of discovery that misbehave."""

    def said(self, *scripts: Script) -> list[str]:
        """What is logged for people in ten minutes."""
        with capturedLogs() as logs:
            self.start(*scripts)
            self.world.advance(600)
        found = [log for log in logs if log["log_level"] > LogLevel.debug]
        return [log["log_format"].format(**log) for log in found]

    def test_one_line(self) -> None:
        """F45: what fails again and again for one reason is logged once."""
        (line,) = self.said(Script(DiscoveryError("no answer"), name="DNS"))
        self.assertIn("Discovery by DNS failed: no answer; it is tried again", line)

    def test_another_reason(self) -> None:
        """F45: another reason is news, and so is an end of it."""
        one, two = DiscoveryError("one"), DiscoveryError("two")
        lines = self.said(Script(one, one, two, [A], one, [A]))
        self.assertEqual(len(lines), 5)
        self.assertEqual(lines[2], "Discovery by script works")

    def test_bug(self) -> None:
        """An error that is none of discovery's is logged in full; it goes on."""

        def bug() -> None:
            raise ZeroDivisionError("oh")

        script = Script(bug, ValueError("no"), 5, "text", {"a": 1}, None, [A])
        self.start(script)
        self.world.advance(200)
        self.assertEqual(self.found[0], [A])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.world.errors(), [])

    def test_wrong_kind(self) -> None:
        """What is no list is a failure in words."""
        self.start(Script("10.0.0.1:1"))
        self.assertEqual(self.rounds.problem, "it gave str, not a list")

    def test_stopped(self) -> None:
        """When the node stops, what is under way is cancelled and nothing is left."""
        asked: Deferred[Any] = Deferred()
        self.start(Script([A]), Script(asked))
        self.rounds.stop()
        self.assertTrue(asked.called)
        self.assertEqual(self.runtime.pending_timers(), 0)
        self.world.advance(100)
        self.assertEqual(self.found, [[A]])


class AnnouncingTests(RoundsCase):
    """Ways of discovery that tell others of this node."""

    def test_announced_and_withdrawn(self) -> None:
        """Each is told once, before it looks, and once when it is over."""
        end: Deferred[None] = Deferred()
        register = Register([A], end=end)
        verifyObject(IAnnouncing, register)
        self.start(register, Script([B]))
        self.world.advance(100)
        self.assertEqual(register.told, [ME, 0])
        stopped = self.rounds.stop()
        self.assertEqual(register.told[2:], ["withdrawn"])
        self.assertNoResult(stopped)
        end.callback(None)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertIsNone(self.successResultOf(self.rounds.stop()))
        self.assertEqual(register.told[2:], ["withdrawn"])

    def test_added_later(self) -> None:
        """One that is added to a running node is told at once."""
        self.start()
        register = Register([A])
        self.rounds.add(register)
        self.assertEqual(register.told, [ME, 0])

    def test_never_started(self) -> None:
        """One that was told nothing has nothing to take back."""
        register = Register([A])
        self.rounds.add(register)
        self.successResultOf(self.rounds.stop())
        self.assertEqual(register.told, [])

    def test_bugs(self) -> None:
        """One that fails is logged, is looked in, and does not keep the node up."""

        def bug(*_: Any) -> None:
            raise ZeroDivisionError("oh")

        register: Any = Register([A], end=bug)
        register.announce = bug
        self.start(register, Script([B]))
        self.assertEqual(self.found[-1], [A, B])
        self.successResultOf(self.rounds.stop())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
