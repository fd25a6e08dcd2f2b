"""
This node's entry in Consul: made, renewed, made again, taken back.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from mycorrizal.nodosum.discovery.consul_registration import DEREGISTER_TIMEOUT_S
from tests.fakes.consul import Fault
from tests.nodosum.discovery.consul_case import ConsulCase, sentences

RENEW_S_MAX = 5.0


class RegistrationTests(ConsulCase):
    """An entry that lives as long as its node."""

    def renewals(self, since: int = 0) -> int:
        """How many signs of life were given."""
        return len(self.asked("agent/check/pass", since))

    def test_entry(self) -> None:
        """It names the node, its cluster and its address, and passes at once."""
        self.discovery("a", ("10.1.2.3", 7000), cluster_name="shop", tags=("blue",))
        self.world.advance(0.1)
        service = self.consul.state.services["mycorrizal-a"]
        self.assertEqual((service.address, service.port), ("10.1.2.3", 7000))
        self.assertEqual(service.tags, ["blue"])
        self.assertEqual(service.meta["mycorrizal-node-id"], "a")
        self.assertEqual(service.meta["mycorrizal-cluster"], "shop")
        check = service.check
        assert check is not None
        self.assertEqual((check.id, check.status), ("service:mycorrizal-a", "passing"))
        self.assertEqual((check.ttl_s, check.deregister_after_s), (15.0, 60.0))
        self.assertEqual(self.passing(), ["mycorrizal-a"])

    def test_renewed(self) -> None:
        """A sign of life is given three times in each TTL, with jitter."""
        self.discovery("a")
        self.world.advance(300)
        self.assertEqual(self.passing(), ["mycorrizal-a"])
        times = [it.at_s for it in self.asked("agent/check/pass")]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        self.assertLess(max(gaps), RENEW_S_MAX + 0.01)
        self.assertGreater(min(gaps), RENEW_S_MAX * 0.75)
        self.assertGreater(max(gaps) - min(gaps), 0.5)
        self.withdraw()

    def test_two_signs_may_be_lost(self) -> None:
        """An agent that stalls for a while does not make us critical (F46)."""
        self.discovery("a")
        self.world.advance(14)
        self.consul.faults["agent/check"] = Fault.ERROR_500
        self.world.advance(9)
        self.consul.faults.clear()
        self.world.advance(6)
        self.assertEqual(self.passing(), ["mycorrizal-a"])
        self.assertEqual(len(self.asked("agent/service/register")), 1)

    def test_renewed_soon_after_trouble(self) -> None:
        """An entry that is running out, or has, is renewed within 5 s (F46)."""
        self.discovery("a")
        self.world.advance(1)
        self.consul.faults["agent/check"] = Fault.ERROR_500
        self.world.advance(60)
        self.assertEqual(self.passing(), [])
        self.consul.faults.clear()
        self.world.advance(RENEW_S_MAX + 0.1)
        self.assertEqual(self.passing(), ["mycorrizal-a"])

    def test_deregistered(self) -> None:
        """Who leaves is gone from the list at once, and gives no more signs."""
        (a,) = [self.discovery("a")]
        self.world.advance(1)
        self.world.result_of(a.withdraw())
        self.world.advance(0.1)
        self.assertEqual(self.passing(), [])
        self.assertEqual(self.consul.state.services, {})
        since = len(self.consul.asked)
        self.world.advance(60)
        self.assertEqual(self.renewals(since), 0)

    def test_crash(self) -> None:
        """A node that crashed is critical after its TTL, and then removed."""
        self.discovery("a")
        self.world.advance(3)
        self.host("a").crash()
        self.world.advance(12)
        self.assertEqual(self.passing(), ["mycorrizal-a"])
        self.world.advance(4)
        self.assertEqual(self.passing(), [])
        self.assertEqual(list(self.consul.state.services), ["mycorrizal-a"])
        self.world.advance(95)
        self.assertEqual(list(self.consul.state.services), [])

    def test_agent_lost_it(self) -> None:
        """An entry that the agent has no more is made again, and said so (F46)."""
        for old in (False, True):
            self.setUp()
            self.consul.before_1_11 = old
            self.discovery("a")
            self.world.advance(1)
            self.consul.state.deregister("mycorrizal-a")
            with capturedLogs() as logs:
                self.world.advance(RENEW_S_MAX + 0.1)
            self.assertEqual(self.passing(), ["mycorrizal-a"])
            self.assertIn("has lost this node's entry", "\n".join(sentences(logs)))

    def test_paused(self) -> None:
        """A process that was stopped until it was removed is listed again."""
        self.discovery("a")
        self.world.advance(1)
        self.host("a").pause()
        self.world.advance(150)
        self.assertEqual(self.consul.state.services, {})
        self.host("a").resume()
        self.world.advance(10)
        self.assertEqual(self.passing(), ["mycorrizal-a"])

    def test_no_agent_at_first(self) -> None:
        """Without an agent it is tried again, sooner first, then each 30 s (F46)."""
        self.consul.faults["agent/service/register"] = Fault.ERROR_500
        with capturedLogs() as logs:
            self.discovery("a")
            self.world.advance(600)
        times = [it.at_s for it in self.asked("agent/service/register")]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        for gap, expected in zip(gaps, (1, 2, 4, 8, 16, 30, 30, 30), strict=False):
            self.assertGreater(gap, expected * 0.49)
            self.assertLess(gap, expected * 1.05)
        # The same problem is told once.
        told = [line for line in sentences(logs) if "can't register" in line]
        self.assertEqual(len(told), 1)
        self.assertIn("it answered 500 No cluster leader", told[0])
        self.consul.faults.clear()
        self.world.advance(31)
        self.assertEqual(self.passing(), ["mycorrizal-a"])
        self.withdraw()

    def withdrawn_after_s(self, withdrawn: Deferred[Any]) -> float:
        """How long a node that leaves waits."""
        began_s = self.world.now_s
        self.world.result_of(withdrawn)
        return self.world.now_s - began_s

    def test_leave_while_the_agent_is_away(self) -> None:
        """Leaving waits 2 s for the agent, says what will happen, and ends (F46)."""
        for fault in (Fault.STALL, Fault.ERROR_500, Fault.HANG_UP):
            self.setUp()
            discovery = self.discovery("a")
            self.world.advance(1)
            self.consul.faults["agent/service/deregister"] = fault
            with capturedLogs() as logs:
                after_s = self.withdrawn_after_s(discovery.withdraw())
            self.assertLess(after_s, DEREGISTER_TIMEOUT_S + 0.1)
            said = "\n".join(sentences(logs))
            self.assertIn(
                "can't deregister this node, and will forget it in 75 s", said
            )
            self.withdraw()

    def test_leave_before_it_was_made(self) -> None:
        """Who leaves while the agent stalls is not held up."""
        self.consul.faults["agent"] = Fault.STALL
        discovery = self.discovery("a")
        self.world.advance(1)
        self.assertLess(
            self.withdrawn_after_s(discovery.withdraw()), DEREGISTER_TIMEOUT_S + 0.1
        )
        self.withdraw()

    def test_leave_twice(self) -> None:
        """Leaving again changes nothing."""
        discovery = self.discovery("a")
        self.world.advance(1)
        self.withdraw()
        self.withdraw()
        self.assertEqual(len(self.asked("agent/service/deregister")), 1)
        self.assertFalse(discovery._registration.made)
