"""
Watching the list of a service in Consul, in a simulated world.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.logger import capturedLogs
from zope.interface.verify import verifyObject

from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.discovery import Announcement, IAnnouncing, IDiscovery
from mycorrizal.nodosum.discovery.consul import (
    ANSWER_MARGIN_S,
    QUERIES_BURST,
    QUERY_REFILL_S,
    SELF_LISTED_S,
    WAIT_S_MAX,
)
from tests.fakes.consul import Fault
from tests.nodosum.discovery.consul_case import (
    AGENT,
    ALL_RULES,
    TOKEN,
    ConsulCase,
    sentences,
)


class FindingTests(ConsulCase):
    """What is found."""

    def test_interface(self) -> None:
        """It is a way of discovery as any other, and one that announces."""
        discovery = self.discovery(announced=False)
        verifyObject(IDiscovery, discovery)
        verifyObject(IAnnouncing, discovery)

    def test_alone(self) -> None:
        """A node alone finds nobody, and not itself, at once."""
        self.assertEqual(self.found(self.discovery().discover()), [])
        self.assertLess(self.world.now_s, 0.1)
        self.assertEqual(self.passing(), ["mycorrizal-a"])
        self.withdraw()

    def test_two_that_start_together(self) -> None:
        """Of two nodes that start in one moment, at least one finds the other."""
        looks = [self.discovery(name).discover() for name in "ab"]
        found = [self.found(look) for look in looks]
        self.assertTrue(any(found))
        self.assertIn(found[0], ([], [(self.host("b").address, 6969)]))
        self.assertIn(found[1], ([], [(self.host("a").address, 6969)]))
        self.withdraw()

    def test_news(self) -> None:
        """A node that comes or goes is known within a moment, no earlier."""
        a = self.discovery("a")
        self.found(a.discover())
        look = self.look(a)
        self.world.advance(20)
        self.assertNoResult(look)
        b = self.discovery("b", ("10.0.0.7", 7000))
        began_s = self.world.now_s
        self.assertEqual(self.found(look), [("10.0.0.7", 7000)])
        self.assertLess(self.world.now_s - began_s, 0.1)
        look = self.look(a)
        self.world.result_of(b.withdraw())
        self.assertEqual(self.found(look), [])
        self.assertEqual(self.world.result_of(a.withdraw()), None)

    def test_listens_everywhere(self) -> None:
        """A node on all interfaces is known by the address it comes from (F53)."""
        self.discovery("b", ("0.0.0.0", 7000))
        self.discovery("c", ("::", 7001))
        self.world.advance(1)
        self.assertEqual(
            self.found(self.discovery("a").discover()),
            [(self.host("b").address, 7000), (self.host("c").address, 7001)],
        )

    def test_address_of_the_machine(self) -> None:
        """One beside its agent has the agent's address, and says none (F53)."""
        self.discovery("agent", ("0.0.0.0", 7000), url="http://127.0.0.1:8500")
        self.world.advance(1)
        service = self.consul.state.services["mycorrizal-agent"]
        self.assertEqual((service.address, service.port), ("", 7000))
        self.assertEqual(self.found(self.discovery("a").discover()), [(AGENT, 7000)])

    def test_another_cluster(self) -> None:
        """Nodes of another cluster name are left alone."""
        self.discovery("b", cluster_name="other")
        self.discovery("c")
        self.world.advance(1)
        self.assertEqual(
            self.found(self.discovery("a").discover()), [(self.host("c").address, 6969)]
        )

    def test_tags(self) -> None:
        """Only nodes with all of our tags are looked at."""
        self.discovery("b", tags=("blue", "fast"))
        self.discovery("c", tags=("blue",))
        self.world.advance(1)
        look = self.discovery("a", tags=("fast", "blue")).discover()
        self.assertEqual(self.found(look), [(self.host("b").address, 6969)])
        self.assertEqual(
            self.consul.state.services["mycorrizal-a"].tags, ["fast", "blue"]
        )

    def test_names(self) -> None:
        """A name in the list is looked up; one without an address is left out."""
        self.discovery("b", ("b", 7000))
        self.discovery("c", ("nowhere.example", 7000))
        self.world.advance(1)
        self.assertEqual(
            self.found(self.discovery("a").discover()), [(self.host("b").address, 7000)]
        )
        self.world.result_of(self.discoveries[0].withdraw())
        self.world.result_of(self.discoveries[2].withdraw())
        self.world.advance(1)
        with self.assertRaises(DiscoveryError) as caught:
            self.found(self.discovery("d", announced=False).discover())
        self.assertIn("none of the names that Consul lists", str(caught.exception))

    def test_name_that_gets_an_address_later(self) -> None:
        """A name that could not be looked up is looked up again each minute."""
        self.discovery("b", ("late.example", 7000))
        self.discovery("c")
        self.world.advance(1)
        a = self.discovery("a")
        expected = [(self.host("c").address, 6969)]
        self.assertEqual(self.found(a.discover()), expected)
        self.world.names["late.example"] = ["10.0.7.7"]
        found = self.found(a.discover(), 70)
        self.assertEqual(found, [("10.0.7.7", 7000), *expected])

    def test_twin(self) -> None:
        """Another node with our id is found, and not taken for ourselves (F13)."""
        a = self.discovery("a")
        self.found(a.discover())
        look = self.look(a)
        twin = self.discovery("b", announced=False)
        twin.announce(Announcement("a", "mycorrizal", ("10.0.7.7", 7000), "1"))
        self.assertEqual(self.found(look), [("10.0.7.7", 7000)])

    def test_datacenter(self) -> None:
        """Another datacenter is asked for by name."""
        look = self.discovery(datacenter="dc1").discover()
        self.assertEqual(self.found(look), [])
        self.assertEqual({it.query["dc"] for it in self.queries()}, {"dc1"})
        with self.assertRaises(DiscoveryError) as caught:
            self.found(self.discovery("b", datacenter="dc9").discover())
        self.assertIn("500 No path to datacenter", str(caught.exception))

    def test_not_in_the_list(self) -> None:
        """A node that is registered but never listed says so, and goes on."""
        self.consul.state._sync_s = 1e6
        with capturedLogs() as logs:
            self.assertEqual(self.found(self.discovery().discover()), [])
        self.assertGreater(self.world.now_s, SELF_LISTED_S * 0.9)
        self.assertLess(self.world.now_s, SELF_LISTED_S * 1.2)
        said = "\n".join(sentences(logs))
        self.assertIn("registered with Consul but not in the list", said)
        self.withdraw()


class BlockingTests(ConsulCase):
    """HashiCorp's rules for blocking queries (F46)."""

    def test_wait(self) -> None:
        """A query waits for up to a minute, with jitter, from the last index."""
        a = self.discovery()
        self.found(a.discover())
        look = self.look(a)
        self.world.advance(300)
        self.assertNoResult(look)
        waits = [it.query.get("wait", "") for it in self.queries()[2:]]
        for wait in waits:
            self.assertTrue(wait.endswith("ms"), wait)
            self.assertGreaterEqual(float(wait[:-2]), WAIT_S_MAX * 1000 * 0.75)
            self.assertLessEqual(float(wait[:-2]), WAIT_S_MAX * 1000)
        self.assertGreater(len(set(waits)), 3)
        self.assertLessEqual(len(waits), 300 / (WAIT_S_MAX * 0.75) + 1)
        self.assertEqual({it.query["index"] for it in self.queries()[2:]}, {"11"})
        self.withdraw()

    def test_nothing_new(self) -> None:
        """A query that returns without a change is no news (F46)."""
        a = self.discovery()
        self.found(a.discover())
        look = self.look(a)
        self.world.advance(60)
        self.consul.state.touch("mycorrizal")
        self.world.advance(1)
        self.assertNoResult(look)
        self.withdraw()

    def test_index_goes_back(self) -> None:
        """An index that is lower than before begins the watch anew (F46)."""
        a = self.discovery()
        self.found(a.discover())
        look = self.look(a)
        self.world.advance(100)
        self.consul.faults["health/service"] = Fault.INDEX_BACK
        since = len(self.consul.asked)
        self.world.advance(120)
        indexes = [it.query.get("index") for it in self.queries(since)]
        self.assertIn(None, indexes)
        self.consul.faults.clear()
        self.discovery("b")
        self.assertEqual(self.found(look), [(self.host("b").address, 6969)])
        self.look(a)
        self.world.advance(QUERY_REFILL_S * 3)
        self.assertEqual(self.queries()[-1].query["index"], "12")
        self.withdraw()

    def test_index_zero(self) -> None:
        """An index of 0 is never waited with (F46)."""
        self.consul.faults["health/service"] = Fault.INDEX_ZERO
        a = self.discovery()
        self.found(a.discover())
        self.look(a)
        self.world.advance(100)
        self.assertNotIn("0", [it.query.get("index") for it in self.queries()])
        self.withdraw()

    def test_no_index(self) -> None:
        """Behind a proxy that drops the index, the list is polled (F46)."""
        self.consul.faults["health/service"] = Fault.INDEX_NONE
        a = self.discovery()
        self.found(a.discover())
        look = self.look(a)
        self.world.advance(100)
        self.assertEqual({it.query.get("index") for it in self.queries()}, {None})
        self.assertLess(len(self.queries()), 100 / QUERY_REFILL_S + QUERIES_BURST + 1)
        self.discovery("b")
        self.assertEqual(self.found(look), [(self.host("b").address, 6969)])

    def test_churn(self) -> None:
        """A list that changes all the time is asked for 4 times a minute (F46)."""
        a = self.discovery()
        self.found(a.discover())
        self.consul.faults["health/service"] = Fault.CHURN
        self.consul.state.touch("mycorrizal")
        self.look(a)
        self.world.advance(600)
        rate = len(self.queries()) - QUERIES_BURST
        self.assertLessEqual(rate, 600 / QUERY_REFILL_S + 1)
        self.assertGreaterEqual(rate, 600 / QUERY_REFILL_S - 2)
        self.withdraw()

    def test_cancelled(self) -> None:
        """A look can be given up; its connection is closed."""
        a = self.discovery(announced=False)
        self.found(a.discover())
        look = self.look(a)
        self.world.advance(5)
        look.cancel()
        self.failureResultOf(look, CancelledError)
        self.world.advance(1)
        self.assertEqual(len(self.consul._waiting), 0)
        self.withdraw()


class TroubleTests(ConsulCase):
    """An agent that is not well (F46)."""

    def problem(self, fault: Fault, limit_s: float = 60.0) -> str:
        """What a look says while that is wrong."""
        self.consul.faults["health/service"] = fault
        discovery = self.discovery(announced=False)
        with self.assertRaises(DiscoveryError) as caught:
            self.found(discovery.discover(), limit_s)
        # The next look begins anew, without an index.
        self.consul.faults.clear()
        since = len(self.consul.asked)
        self.assertEqual(self.found(discovery.discover()), [])
        self.assertNotIn("index", self.queries(since)[0].query)
        return str(caught.exception)

    def test_what_is_said(self) -> None:
        """Each trouble has a sentence; afterwards all is as before (F46)."""
        where = f"http://{AGENT}:8500"
        for fault, sentence in (
            (Fault.ERROR_500, "list the nodes of mycorrizal: it answered 500 No clus"),
            (Fault.BUSY, "it gets too many requests"),
            (Fault.FORBIDDEN, "(Permission denied); a token in --consul-token-file ne"),
            (Fault.FORBIDDEN, 'the rule service "mycorrizal" { policy = "read" }'),
            (Fault.HTML, f"{where} answered with a page of HTML"),
            (
                Fault.NOT_JSON,
                f'{where} did not answer as Consul does: {{"so": "what"}}',
            ),
            (Fault.TRUNCATED, "it closed the connection before it had answered"),
            (Fault.HANG_UP, "it closed the connection before it had answered"),
            (Fault.HUGE, "Consul's answer is over 4194304 bytes"),
            (Fault.REDIRECT, "it sends us elsewhere; give the final URL"),
            (Fault.STALL, f"at {where}: no answer in 5 s"),
        ):
            self.assertIn(sentence, self.problem(fault))
        self.withdraw()

    def test_stall_while_it_waits(self) -> None:
        """A query is given up when Consul is later than it may be (F46)."""
        a = self.discovery(announced=False)
        self.found(a.discover())
        look = self.look(a)
        self.world.advance(1)
        self.world.partition([self.host("a")], [self.agent])
        began_s = self.world.now_s
        with self.assertRaises(DiscoveryError) as caught:
            self.found(look, 300)
        self.assertIn("no answer in", str(caught.exception))
        longest_s = WAIT_S_MAX * 17 / 16 + ANSWER_MARGIN_S
        self.assertLess(self.world.now_s - began_s, longest_s)

    def test_refused(self) -> None:
        """No agent at all: connection refused."""
        self.world.result_of(self.consul.stop())
        with self.assertRaises(DiscoveryError) as caught:
            self.found(self.discovery().discover())
        self.assertIn("connection refused; does it run there?", str(caught.exception))
        self.withdraw()

    def test_no_such_host(self) -> None:
        """A name that nobody knows."""
        with self.assertRaises(DiscoveryError) as caught:
            self.found(self.discovery(url="http://nowhere.example:8500").discover())
        self.assertIn("its name has no address", str(caught.exception))
        self.withdraw()

    def test_agent_restarts_with_nothing(self) -> None:
        """The list is known again soon, as are we (F46)."""
        a, _ = self.discovery("a"), self.discovery("b")
        self.world.advance(1)
        self.found(a.discover())
        look = self.look(a)
        self.world.advance(20)
        self.restart_agent()
        with self.assertRaises(DiscoveryError):
            self.found(look)
        self.world.advance(30)
        self.assertEqual(self.passing(), ["mycorrizal-a", "mycorrizal-b"])
        self.assertEqual(self.found(a.discover()), [(self.host("b").address, 6969)])


class RuleTests(ConsulCase):
    """Tokens, and what they may do."""

    def setUp(self) -> None:
        super().setUp()
        self.discovery("b")
        self.world.advance(1)
        self.rules = {TOKEN: ALL_RULES}
        self.consul.acl = self.rules

    def problem(self, **settings: Any) -> str:
        """What a look says."""
        with self.assertRaises(DiscoveryError) as caught:
            self.found(self.discovery(announced=False, **settings).discover())
        return str(caught.exception)

    def test_sent(self) -> None:
        """The token goes with each request, in its header only."""
        self.found(self.discovery(token=TOKEN).discover())
        self.assertEqual(self.passing(), ["mycorrizal-a", "mycorrizal-b"])
        ours = [it for it in self.consul.asked if it.token == TOKEN]
        self.assertGreaterEqual(len(ours), 3)
        for asked in self.consul.asked:
            self.assertNotIn(TOKEN, asked.path + str(asked.query))

    def test_unknown(self) -> None:
        """A token that Consul does not know."""
        said = self.problem(token="another-token")
        self.assertIn("Consul does not know our token", said)
        self.assertIn("--consul-token-file", said)
        self.assertNotIn("another-token", said)

    def test_may_not_read(self) -> None:
        """Consul hides from a token what it may not read; we say so."""
        self.rules[TOKEN] = frozenset({"service:write", "service:read"})
        said = self.problem(token=TOKEN)
        self.assertIn('node_prefix "" { policy = "read" }', said)
        self.assertIn('service "mycorrizal" { policy = "read" }', said)

    def test_may_not_write(self) -> None:
        """Without the rule a node is not registered; it finds others all the same."""
        self.rules[TOKEN] = frozenset({"service:read", "node:read"})
        with capturedLogs() as logs:
            found = self.found(self.discovery(token=TOKEN).discover())
        self.assertEqual(found, [(self.host("b").address, 6969)])
        said = "\n".join(sentences(logs))
        self.assertIn("lacks permission 'service:write' on \"mycorrizal\"", said)
        self.assertIn('needs the rule service "mycorrizal" { policy = "write" }', said)
        self.assertNotIn(TOKEN, said)

    def test_never_shown(self) -> None:
        """The token is in no repr and in no log line."""
        with capturedLogs() as logs:
            discovery = self.discovery(token=TOKEN)
            self.found(discovery.discover())
            self.restart_agent()
            self.world.advance(60)
        for shown in (
            repr(discovery),
            repr(discovery._settings),
            repr(discovery._http),
            repr(discovery._registration),
            *(str(log) for log in logs),
        ):
            self.assertNotIn(TOKEN, shown)
