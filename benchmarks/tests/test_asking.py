# -*- test-case-name: benchmarks.tests.test_asking -*-
"""
Tests of questions to another process, without one.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.catalog import ROWS
from benchmarks.peers import servers
from benchmarks.peers.floor import FramedLink, Receive
from benchmarks.peers.floor_asking import Answering, Questions, TurningLink
from benchmarks.peers.remote_caches import (
    OWN_PARSER,
    PIPELINE,
    SET,
    memcached,
    redis,
)
from benchmarks.processes import Crew
from benchmarks.rows import Better
from benchmarks.workloads.asking import Answers, Asking, Load, measure


class LoadTests(SynchronousTestCase):
    """The questions of a load."""

    def test_values(self) -> None:
        """Values have their size, all differ, and each process makes the same."""
        values = Load(1, 1, 1, keys=50).values()
        self.assertEqual({len(value) for value in values}, {100})
        self.assertEqual(len(set(values)), 50)
        self.assertEqual(values, Load(8, 2, 2, keys=50).values())

    def test_batches(self) -> None:
        """Batches hold all questions in order, and are not larger than may fly."""
        load = Load(in_flight=4, warmup=3, measured=7)
        batches = list(load.batches())
        self.assertEqual([len(batch) for batch in batches], [4, 4, 2])
        self.assertEqual(
            [number for batch in batches for number in batch], list(load.order())
        )


class AskingTests(SynchronousTestCase):
    """The asking application."""

    def setUp(self) -> None:
        self.asked: list[tuple[int, Deferred[Any]]] = []
        self.told: list[tuple[str, Any]] = []
        self.refused: list[str] = []

    def ask(self, number: int) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.asked.append((number, answer))
        return answer

    def start(self, load: Load) -> None:
        Asking(
            load,
            self.ask,
            lambda number, answer: answer == -number,
            tell=lambda key, value: self.told.append((key, value)),
            refuse=self.refused.append,
        ).start()

    def answer_next(self) -> None:
        number, answer = self.asked.pop(0)
        answer.callback(-number)

    def test_in_flight(self) -> None:
        """As many questions are under way as the load says, until they run out."""
        self.start(Load(in_flight=3, warmup=1, measured=4))
        lengths = []
        while self.asked:
            lengths.append(len(self.asked))
            self.answer_next()
        self.assertEqual(lengths, [3, 3, 3, 2, 1])
        self.assertEqual([key for key, _ in self.told], ["done"])
        self.assertEqual(self.refused, [])

    def test_few(self) -> None:
        """No more questions are asked than the load has."""
        self.start(Load(in_flight=64, warmup=1, measured=1))
        self.assertEqual(len(self.asked), 2)

    def test_wrong(self) -> None:
        """A wrong answer is refused, and nothing is asked after it."""
        self.start(Load(in_flight=1, warmup=1, measured=4))
        number, answer = self.asked.pop(0)
        answer.callback(1)
        self.assertEqual(self.refused, [f"key {number} was answered with 1"])
        self.assertEqual(self.asked, [])

    def test_failed(self) -> None:
        """A question that fails is refused with its reason."""
        self.start(Load(in_flight=1, warmup=1, measured=4))
        self.asked.pop(0)[1].errback(ValueError("no such key"))
        self.assertEqual(self.refused, ["no such key"])

    def test_p50(self) -> None:
        """The time of one answer is told where it counts only."""
        for expected in (True, False):
            load = Load(1, warmup=2, measured=3, by_time=expected)
            self.told.clear()
            answers = Answers(load, lambda *words: self.told.append(words))
            for _ in range(5):
                answers.answered()
            ((_, done),) = self.told
            self.assertEqual(done["p50_s"] is not None, expected)


class FloorTests(SynchronousTestCase):
    """Both ends of the floor, without sockets."""

    def test_answers_of_a_turn(self) -> None:
        """Questions find their answers, which leave in one write, at once."""
        clock = Clock()
        there, back = StringTransport(), StringTransport()

        def make_link(receivers: dict[bytes, Receive]) -> FramedLink:
            return TurningLink(clock, receivers)

        questions = Questions(make_link)
        questions.link.makeConnection(there)
        server = Answering(clock, {b"one": b"1", b"two": b"22"}).buildProtocol(None)
        server.makeConnection(back)
        answers = [questions.ask(key) for key in (b"two", b"one", b"two")]
        self.assertEqual(there.value(), b"")
        clock.advance(0)
        server.dataReceived(there.value())
        self.assertEqual(clock.getDelayedCalls(), [])
        questions.link.dataReceived(back.value())
        self.assertEqual(
            [self.successResultOf(answer) for answer in answers], [b"22", b"1", b"22"]
        )


class PeerTests(SynchronousTestCase):
    """The servers that are measured beside us."""

    def test_missing_server(self) -> None:
        """A missing server says which script installs it."""
        for needed in (servers.REDIS, servers.MEMCACHED):
            self.assertEqual(needed.install_command, "scripts/bench-peers.sh")

    def test_settings(self) -> None:
        """What was asked of a client, and how, stands in its settings."""
        load = Load(64, 1, 1)
        self.assertIn("GET, 64 commands on their way", redis(load).settings)
        self.assertIn("SET, pipelines of 64", redis(load, SET, PIPELINE).settings)
        self.assertIn("its own parser", redis(load, way=OWN_PARSER).settings)
        self.assertEqual(redis(load, way=PIPELINE).name, "txredisapi pipeline")
        self.assertEqual(memcached(load).name, "memcached")

    def test_port(self) -> None:
        """A port that is free is not open."""
        self.assertFalse(servers.is_open(servers.free_port()))

    def test_bars(self) -> None:
        """Reads and writes of other processes have the bars of their peers."""
        bars = {
            row_id: {
                rival.peer.name: (rival.bar.must, rival.bar.aim)
                for rival in ROWS[row_id](True).rivals
            }
            for row_id in ("P2", "P3", "P6")
        }
        self.assertEqual(bars["P2"]["memcached"], (1.0, 1.5))
        self.assertEqual(bars["P2"]["txredisapi"], (4.0, None))
        self.assertEqual(bars["P3"]["memcached"], (1.3, None))
        self.assertEqual(bars["P3"]["floor"], (None, 1.1))
        self.assertEqual(bars["P6"]["txredisapi"], (0.7, 1.0))
        self.assertIs(ROWS["P3"](True).better, Better.LOWER)


class UsedTests(SynchronousTestCase):
    """What is asked of a crew."""

    def test_median_of_one_at_a_time(self) -> None:
        """One at a time is judged by its median in µs, many by answers per second."""

        class Told:
            """A crew whose client has said it all."""

            def start_usage(self) -> None: ...

            def usage(self) -> dict[str, Any]:
                return {}

            def expect(self, child: object, key: str) -> dict[str, float]:
                return {"elapsed_s": 2.0, "p50_s": 0.00005}

        crew, child = cast(Crew, Told()), cast(Any, None)
        alone = measure(crew, Load(1, 1, 10, by_time=True), child).value
        self.assertAlmostEqual(alone, 50.0)
        self.assertEqual(measure(crew, Load(2, 1, 10), child).value, 5.0)
