"""
The cluster layer as a service: ready, or not, and why.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import (
    AuthenticationError,
    CannotListen,
    DiscoveryError,
    NotReady,
    NotRunning,
)
from mycorrizal.nodosum import NodosumService
from mycorrizal.nodosum.acl import new_secret
from tests.nodosum.nodes import Nodes, states

OTHER_SECRET = new_secret(bytes([9]) * 32)


class ServiceTestCase(SynchronousTestCase):
    """Nodes in a world."""

    def setUp(self) -> None:
        self.nodes = Nodes()
        self.world = self.nodes.world

    def ready_after_s(self, node: NodosumService, limit_s: float = 60.0) -> float:
        """How long it takes until a node is ready."""
        began_s = self.world.now_s
        self.world.result_of(node.readiness.when_ready(), limit_s)
        return self.world.now_s - began_s

    def check_errors(self) -> None:
        """No code raised an error that nobody expected."""
        self.assertEqual(self.world.errors(), [])


class ReadyTests(ServiceTestCase):
    """When a node is ready."""

    def test_alone(self) -> None:
        """A node that has nobody to look for is ready at once."""
        node = self.nodes.start("a")
        self.assertLess(self.ready_after_s(node), 0.2)
        self.assertEqual(states(node), {"a": "alive"})

    def test_only_itself(self) -> None:
        """So is one that finds only itself under the addresses it was given."""
        host = self.world.host("a")
        node = self.nodes.start(host, host, ("a", 7000))
        self.assertLess(self.ready_after_s(node), 0.2)
        self.check_errors()

    def test_itself_on_all_interfaces(self) -> None:
        """One that listens on 0.0.0.0 finds out by HELLO, or by TCP (F53)."""
        for hello in ("udp", "tcp"):
            self.setUp()
            host = self.world.host("a")
            node = self.nodes.start(host, host, listen=("0.0.0.0", 7000), hello=hello)
            self.assertLess(self.ready_after_s(node), 0.5)
            self.check_errors()

    def test_silent_addresses(self) -> None:
        """Addresses that are silent are waited for 3 s at most."""
        self.world.host("silent").crash("silence")
        node = self.nodes.start("a", ("10.0.0.1", 7000), ("10.9.9.9", 7000))
        ready_after_s = self.ready_after_s(node)
        self.assertGreater(ready_after_s, 2.4)
        self.assertLess(ready_after_s, 3.2)

    def test_members(self) -> None:
        """A node among members is ready as soon as they are linked."""
        self.nodes.three()
        self.world.advance(5)
        node = self.nodes.start("d", ("10.0.0.2", 7000))
        self.assertLess(self.ready_after_s(node), 0.5)
        self.assertEqual(set(states(node).values()), {"alive"})
        self.assertEqual(len(states(node)), 4)

    def test_tables(self) -> None:
        """It waits until it holds the tables of those it is linked to."""
        self.nodes.start("a")
        node = self.nodes.start("b", ("10.0.0.1", 7000))
        held: list[bytes] = []
        node.tables_held = held.__contains__
        self.world.advance(5)
        self.assertNoResult(node.readiness.when_ready())
        held += node.membership.peers
        self.assertLess(self.ready_after_s(node), 0.2)

    def test_tables_that_never_come(self) -> None:
        """But not for ever."""
        self.nodes.start("a")
        node = self.nodes.start("b", ("10.0.0.1", 7000))
        node.tables_held = lambda node_key: False
        self.assertLess(abs(self.ready_after_s(node) - 30.0), 0.3)


class NotReadyTests(ServiceTestCase):
    """Why a node does not become ready."""

    def test_another_secret(self) -> None:
        """If all who answer refuse us, the error says who and what to check (F15)."""
        settings: tuple[dict[str, Any], ...] = (
            {"secret": OTHER_SECRET}, {"cluster_name": "x"}, {"tls": "off"},
        )  # fmt: skip
        for theirs in settings:
            for names in ("ab", "ba"):
                self.setUp()
                for name in "ab":
                    self.world.host(name)
                other = self.world.hosts[names[0]]
                self.nodes.start(other)
                node = self.nodes.start(names[1], other, **theirs)
                with self.assertRaises(AuthenticationError) as caught:
                    self.ready_after_s(node)
                text = str(caught.exception)
                self.assertIn(f"{other.address}:7000 refused us", text)
                self.assertIn("--secret-file", text)
                self.check_errors()

    def test_one_of_two_refuses(self) -> None:
        """One that refuses us is no obstacle if another takes us."""
        self.nodes.start("a", secret=OTHER_SECRET)
        self.nodes.start("b")
        node = self.nodes.start("c", ("10.0.0.1", 7000), ("10.0.0.2", 7000))
        self.assertLess(self.ready_after_s(node), 3.5)
        self.assertEqual(states(node), {"b": "alive", "c": "alive"})

    def test_discovery_fails(self) -> None:
        """If no name has an address for 30 s, the error names the names."""
        node = self.nodes.start("a", ("gone", 7000))
        with self.assertRaises(NotReady) as caught:
            self.ready_after_s(node)
        self.assertIn("within 30 s: none of the names", str(caught.exception))
        self.assertIn("gone", str(caught.exception))
        self.assertLess(abs(self.world.now_s - 30), 1)

    def test_discovery_fails_for_a_while(self) -> None:
        """A name that gets its address later is found."""
        a = self.nodes.start("a")
        node = self.nodes.start("b", ("later", 7000))
        self.world.advance(5)
        self.world.names["later"] = ["10.0.0.1"]
        self.ready_after_s(node)
        self.assertEqual(states(a), {"a": "alive", "b": "alive"})

    def test_stopped(self) -> None:
        """Who waits for a node that is stopped hears so."""
        node = self.nodes.start("a", ("10.9.9.9", 7000))
        waiting = node.readiness.when_ready()
        self.world.advance(1)
        self.world.result_of(node.stopService())
        self.failureResultOf(waiting, NotRunning)
        self.failureResultOf(node.readiness.when_ready(), NotRunning)
        node.runtime.rearm()
        self.assertEqual(node.runtime.pending_timers(), 0)
        self.assertEqual(node.runtime.reactor.getDelayedCalls(), [])

    def test_busy_port(self) -> None:
        """A busy port is an error at once."""
        self.nodes.start("a")
        with self.assertRaises(CannotListen) as caught:
            self.nodes.start("a", node_id="other")
        self.assertIn("10.0.0.1:7000", str(caught.exception))


class DiscoveryTests(ServiceTestCase):
    """Ways of discovery that others write."""

    class Script:
        """A discovery that gives these answers, one after the other."""

        name = "script"
        round_s = 1.0

        def __init__(self, *answers: Any) -> None:
            self.answers = list(answers)

        def discover(self) -> Deferred[Any]:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, Exception):
                return fail(answer)
            return succeed(answer)

    def start(self, *answers: Any) -> NodosumService:
        """Node b looks with this script."""
        host = self.world.host("b")
        node = self.nodes.start(host, ("10.9.9.9", 1))
        self.world.result_of(node.stopService())
        node = NodosumService(
            host.runtime, node.config, node_id="b", incarnation=2, host="b",
            version="1", tls=node.tls, clock=node.clock,
        )  # fmt: skip
        script: Any = self.Script(*answers)
        node.add_discovery(script)
        node.startService()
        return node

    def test_last_good_answer_is_kept(self) -> None:
        """A discovery that fails, or finds nothing, removes no member (F45)."""
        a = self.nodes.start("a")
        good = [("10.0.0.1", 7000)]
        node = self.start(good, DiscoveryError("no"), [], DiscoveryError("no"))
        self.world.advance(60)
        self.assertEqual(states(node), {"a": "alive", "b": "alive"})
        self.assertEqual(states(a), {"a": "alive", "b": "alive"})
        self.check_errors()

    def test_ten_thousand_addresses(self) -> None:
        """Of ten thousand addresses the first 256 are looked at (F45)."""
        many = [(f"10.2.{at >> 8}.{at & 255}", 1) for at in range(10_000)]
        node = self.start(many)
        self.world.advance(10)
        self.assertEqual(len(node.mesh.contacts.by_address), 256)
        self.check_errors()


class SubscriptionTests(ServiceTestCase):
    """Being told of members."""

    def test_end(self) -> None:
        """Who does not want to hear any more does not, and may say so twice."""
        a = self.nodes.start("a")
        told: list[object] = []
        end = a.subscribe(told.append)
        end()
        end()
        self.nodes.start("b", ("10.0.0.1", 7000))
        self.world.advance(3)
        self.assertEqual((told, self.nodes.told["a"]), ([], ["Joined b"]))

    def test_subscribed_twice(self) -> None:
        """Who subscribes a function twice is told twice, and ends each by itself."""
        a = self.nodes.start("a")
        told: list[object] = []
        ends = [a.subscribe(told.append) for _ in range(2)]
        ends[0]()
        ends[0]()
        self.nodes.start("b", ("10.0.0.1", 7000))
        self.world.advance(3)
        self.assertEqual(len(told), 1)

    def test_ended_by_another(self) -> None:
        """A subscription that one before ends hears no more, not even of that."""
        a = self.nodes.start("a")
        told: list[object] = []
        a.subscribe(lambda event: end())
        end = a.subscribe(told.append)
        self.nodes.start("b", ("10.0.0.1", 7000))
        self.world.advance(3)
        self.assertEqual(told, [])

    def test_subscriber_that_fails(self) -> None:
        """One that raises is logged, and the others are told (F33)."""
        a = self.nodes.start("a")
        a._subscribers = {None: lambda event: 1 / 0, **a._subscribers}
        self.nodes.start("b", ("10.0.0.1", 7000))
        self.world.advance(3)
        self.assertEqual(self.nodes.told["a"], ["Joined b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(states(a)["b"], "alive")
