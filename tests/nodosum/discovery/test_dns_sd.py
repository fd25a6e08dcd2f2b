"""
Finding nodes in the DNS: services, instances, plain addresses, and what goes
wrong with each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.logger import LogLevel, capturedLogs
from twisted.names import dns
from zope.interface.verify import verifyObject

from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.discovery import IDiscovery
from mycorrizal.nodosum.discovery.dns_sd import (
    INSTANCES_MAX,
    LOOK_S_MAX,
    ROUND_S_MAX,
    ROUND_S_MIN,
)
from mycorrizal.testing.name_server import with_code
from tests.nodosum.discovery.dns_case import SERVICE, DnsCase
from tests.places import fresh_path


def warnings(logs: Sequence[Any]) -> list[Any]:
    """What was logged for people to read."""
    return [log for log in logs if log["log_level"] >= LogLevel.warn]


class WaysTests(DnsCase):
    """The three ways in which the DNS may name nodes."""

    def test_interface(self) -> None:
        """It is a way of discovery as any other."""
        verifyObject(IDiscovery, self.discovery())

    def test_instances(self) -> None:
        """
        PTR names instances, whose SRV and addresses are asked for one by one:
        servers send nothing along.
        """
        self.instances(1, 2, 3)
        found = self.look(self.discovery())
        self.assertEqual(found, [(f"10.1.0.{n}", 7000) for n in (1, 2, 3)])
        self.assertIn(("i2._cluster._tcp.example", dns.SRV), self.server.asked)
        self.assertIn(("n2.example", dns.A), self.server.asked)

    def test_service(self) -> None:
        """SRV at the name itself will do, as a headless Service has it."""
        self.service(1, 2)
        found = self.look(self.discovery())
        self.assertEqual(found, [("10.1.0.1", 7000), ("10.1.0.2", 7000)])
        self.assertNotIn((SERVICE, dns.PTR), self.server.asked)

    def test_service_of_any_name(self) -> None:
        """It need not begin with an underscore: Consul's DNS has none."""
        self.service(1, name="cluster.service.consul")
        found = self.look(self.discovery("cluster.service.consul"))
        self.assertEqual(found, [("10.1.0.1", 7000)])

    def test_addresses_that_come_along(self) -> None:
        """Addresses that come with SRV are not asked for again."""
        self.service(1, 2)
        self.server.with_additional = True
        found = self.look(self.discovery())
        self.assertEqual(found, [("10.1.0.1", 7000), ("10.1.0.2", 7000)])
        self.assertEqual(self.server.asked, [(SERVICE, dns.SRV)])

    def test_host_with_a_port(self) -> None:
        """A host's addresses of both families count, with the port that is given."""
        self.world.names["nodes.example"] = ["10.1.0.1", "fd00::9", "10.1.0.2"]
        found = self.look(self.discovery("nodes.example:7001"))
        expected = [("10.1.0.1", 7001), ("10.1.0.2", 7001), ("fd00::9", 7001)]
        self.assertEqual(found, expected)

    def test_host_without_a_port(self) -> None:
        """Without a port it is 6969."""
        self.world.names["nodes.example"] = ["10.1.0.1"]
        self.assertEqual(
            self.look(self.discovery("nodes.example")), [("10.1.0.1", 6969)]
        )

    def test_several_addresses_of_a_target(self) -> None:
        """Each address of a target counts, of either family."""
        self.server.add(SERVICE, dns.Record_SRV(0, 0, 7000, "n.example"))
        self.world.names["n.example"] = ["10.1.0.1", "10.1.0.2", "fd00::9"]
        found = self.look(self.discovery())
        expected = [("10.1.0.1", 7000), ("10.1.0.2", 7000), ("fd00::9", 7000)]
        self.assertEqual(found, expected)

    def test_priority_and_weight(self) -> None:
        """All are used; priority orders them, weight does not."""
        for number, priority, weight in ((1, 20, 100), (2, 10, 0), (3, 10, 9)):
            self.server.add(
                SERVICE, dns.Record_SRV(priority, weight, 7000, self.node(number))
            )
        found = [host for host, _ in self.look(self.discovery())]
        self.assertEqual(found, ["10.1.0.2", "10.1.0.3", "10.1.0.1"])

    def test_not_to_be_had(self) -> None:
        """A target of "." means that there is none (RFC 2782), nor a port 0."""
        self.server.add(SERVICE, dns.Record_SRV(0, 0, 7000, b""))
        self.assertEqual(self.look(self.discovery()), [])
        self.assertNotIn((SERVICE, dns.PTR), self.server.asked)
        self.server.add(SERVICE, dns.Record_SRV(0, 0, 0, self.node(1)))
        self.assertEqual(self.look(self.discovery()), [])

    def test_same_place_twice(self) -> None:
        """However often something is named, it is one."""
        self.instances(1)
        self.server.add(SERVICE, dns.Record_PTR("I1._CLUSTER._tcp.example"))
        self.server.add(f"i1.{SERVICE}", dns.Record_SRV(5, 5, 7000, "N1.EXAMPLE"))
        self.assertEqual(self.look(self.discovery()), [("10.1.0.1", 7000)])

    def test_aliases(self) -> None:
        """Aliases are followed, wherever they stand."""
        self.server.add("alias.example", dns.Record_CNAME(SERVICE))
        self.server.add(SERVICE, dns.Record_SRV(0, 0, 7000, "www.example"))
        self.server.add("www.example", dns.Record_CNAME("n1.example"))
        self.node(1)
        found = self.look(self.discovery("alias.example"))
        self.assertEqual(found, [("10.1.0.1", 7000)])


class TextTests(DnsCase):
    """What the TXT of an instance says."""

    def text(self, number: int, *strings: bytes) -> None:
        """Put another text in the place of an instance's."""
        records = self.server.records[f"i{number}.{SERVICE}"]
        records[:] = [it for it in records if it.TYPE != dns.TXT]
        records.append(dns.Record_TXT(*strings, ttl=60))

    def test_version(self) -> None:
        """A text of another version is not understood: left out, and said once."""
        self.instances(1, 2)
        self.text(1, b"txtvers=2")
        discovery = self.discovery()
        with capturedLogs() as logs:
            for _ in range(3):
                self.assertEqual(self.look(discovery), [("10.1.0.2", 7000)])
        (said,) = warnings(logs)
        self.assertEqual(said["instance"], f"i1.{SERVICE}")
        self.assertIn("version '2', not 1", said["problem"])

    def test_cluster(self) -> None:
        """An instance that says it is of another cluster is not dialled."""
        self.instances(1, 2, 3)
        self.text(1, b"cluster=shop", b"cluster=bank")
        self.text(2, b"Cluster=bank")
        found = self.look(self.discovery(cluster_name="shop"))
        self.assertEqual(found, [("10.1.0.1", 7000), ("10.1.0.3", 7000)])

    def test_unknown_keys(self) -> None:
        """What a text says besides is of no interest, nor whether there is one."""
        self.instances(1, 2)
        self.text(1, b"", b"=", b"paper", b"colour=\xff", b"txtvers=1")
        self.server.records[f"i2.{SERVICE}"] = self.server.records[f"i2.{SERVICE}"][1:]
        self.assertEqual(len(self.look(self.discovery())), 2)

    def test_text_cannot_be_asked_for(self) -> None:
        """A server that fails on TXT does not matter."""
        self.instances(1)

        def fail_on_text(query: dns.Message, right: bytes) -> list[bytes]:
            failed = query.queries[0].type == dns.TXT
            return [with_code(right, dns.ESERVER) if failed else right]

        self.server.misbehave = fail_on_text
        self.assertEqual(self.look(self.discovery()), [("10.1.0.1", 7000)])


class LabelTests(DnsCase):
    """Names of instances are for people: any text will do."""

    def test_dots_blanks_and_umlauts(self) -> None:
        """A dot within a label is no end of it (RFC 6763, 4.3)."""

        class Labels(dns.Name):
            """A name whose first label has dots."""

            def encode(self, strio: Any, compDict: Any = None) -> None:
                label = "Küche, Regal 3.2".encode()
                strio.write(bytes([len(label)]) + label)
                dns.Name(SERVICE).encode(strio)

        record = dns.Record_PTR("x")
        record.name = Labels("x")
        self.server.add(SERVICE, record)
        instance = f"Küche, Regal 3.2.{SERVICE}"
        self.service(1, name=instance)
        self.assertEqual(self.look(self.discovery()), [("10.1.0.1", 7000)])
        self.assertIn((instance.lower(), dns.SRV), self.server.asked)


class TimeTests(DnsCase):
    """How long an answer is good for."""

    def test_time_to_live(self) -> None:
        """The next look comes within the shortest time to live, in bounds."""
        for ttl_s, round_s in ((0, ROUND_S_MIN), (9, ROUND_S_MIN), (60, 60.0)):
            self.setUp()
            self.service(1, ttl_s=ttl_s)
            discovery = self.discovery()
            self.look(discovery)
            self.assertLess(abs(discovery.round_s - round_s), 0.1, ttl_s)
        self.setUp()
        self.service(1, ttl_s=100_000)
        discovery = self.discovery()
        self.look(discovery)
        self.assertLess(abs(discovery.round_s - ROUND_S_MAX), 0.1)

    def test_what_is_known_is_not_asked_again(self) -> None:
        """Details that hold for long are asked for after half of their time."""
        self.instances(1, 2, ttl_s=200)
        self.server.ttl_s = 200
        discovery = self.discovery()
        self.look(discovery)
        before = len(self.server.asked)
        self.world.advance(60)
        self.look(discovery)
        self.assertEqual(
            self.server.asked[before:], [(SERVICE, dns.SRV), (SERVICE, dns.PTR)]
        )
        self.world.advance(60)
        self.look(discovery)
        self.assertIn(("n1.example", dns.A), self.server.asked[before:])

    def test_zero_is_not_remembered(self) -> None:
        """An answer with TTL 0 is asked for anew in each round, which are not more."""
        self.instances(1, ttl_s=0)
        self.server.ttl_s = 0
        discovery = self.discovery()
        self.look(discovery)
        before = len(self.server.asked)
        self.assertEqual(discovery.round_s, ROUND_S_MIN)
        self.look(discovery)
        self.assertEqual(len(self.server.asked), 2 * before)

    def test_nothing_found(self) -> None:
        """Where there is nobody yet it looks again soon, and says once what to do."""
        discovery = self.discovery()
        with capturedLogs() as logs:
            for _ in range(3):
                self.assertEqual(self.look(discovery), [])
        self.assertEqual(discovery.round_s, ROUND_S_MIN)
        (said,) = warnings(logs)
        self.assertIn("publishNotReadyAddresses", said["log_format"])
        self.instances(1)
        self.assertEqual(len(self.look(discovery)), 1)
        self.server.records.clear()
        with capturedLogs() as logs:
            self.assertEqual(self.look(discovery), [])
        self.assertEqual(len(warnings(logs)), 1)


class BoundTests(DnsCase):
    """F45: answers may be of any size."""

    def test_truncated(self) -> None:
        """F45: an answer that does not fit a datagram is fetched by TCP."""
        self.instances(*range(1, 81))
        self.assertEqual(len(self.look(self.discovery())), 80)

    def test_many_instances(self) -> None:
        """F45: 256 instances are looked at; of one more, it is said."""
        for count in (INSTANCES_MAX, INSTANCES_MAX + 1):
            self.setUp()
            self.instances(*range(1, count + 1))
            discovery = self.discovery()
            with capturedLogs() as logs:
                found = self.look(discovery)
                self.look(discovery)
            self.assertEqual(len(found), INSTANCES_MAX)
            said = [log["count"] for log in warnings(logs)]
            self.assertEqual(said, [count] if count > INSTANCES_MAX else [])

    def test_ten_thousand_addresses(self) -> None:
        """F45: of more addresses than a message holds, 256 are used."""
        self.world.names["many.example"] = [
            f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(1, 4001)
        ]
        found = self.look(self.discovery("many.example:7000"))
        self.assertEqual(len(found), 256)

    def test_questions_at_once(self) -> None:
        """Eight questions are under way at once, not one more."""
        self.instances(*range(1, 41))
        most = 0
        discovery = self.discovery()
        looking = discovery.discover()
        while not looking.called:
            self.world.advance(0.0001)
            most = max(most, len(self.here.sockets()))
        self.assertEqual(most, 8)


class FailureTests(DnsCase):
    """F45: the DNS does not answer, or answers nonsense."""

    def fails(self, discovery: Any) -> str:
        """Why a look fails; nothing is left open."""
        with self.assertRaises(DiscoveryError) as caught:
            self.look(discovery)
        self.check_nothing_left()
        return str(caught.exception)

    def test_nobody_answers(self) -> None:
        """F45: a server that never answers is named, with what it was asked for."""
        self.server.misbehave = lambda query, right: []
        self.assertEqual(
            self.fails(self.discovery()),
            f"DNS server 10.0.0.53:53 does not answer, asked for SRV of {SERVICE}",
        )

    def test_servfail(self) -> None:
        """F45: a server that fails is named with what it says."""
        self.instances(1)
        for code, said in ((2, "SERVFAIL"), (5, "REFUSED"), (9, "code 9")):
            self.server.misbehave = lambda query, right, code=code: [
                with_code(right, code)
            ]
            self.assertIn(f"answers {said}, asked for", self.fails(self.discovery()))

    def test_no_such_name(self) -> None:
        """F45: NXDOMAIN is an answer: there is nobody."""
        self.assertEqual(self.look(self.discovery("nowhere.example:7000")), [])

    def test_unreachable_details(self) -> None:
        """F45: an instance that can't be looked up is left out, the others used."""
        self.instances(1, 2)
        broken = f"i1.{SERVICE}"

        def fail_on_one(query: dns.Message, right: bytes) -> list[bytes]:
            name = query.queries[0].name.name.decode()
            return [with_code(right, dns.ESERVER) if name == broken else right]

        self.server.misbehave = fail_on_one
        with capturedLogs() as logs:
            self.assertEqual(self.look(self.discovery()), [("10.1.0.2", 7000)])
        self.assertEqual([log["instance"] for log in warnings(logs)], [broken])

    def test_details_that_were_known(self) -> None:
        """F45: what can't be asked for again is still what it was."""
        self.instances(1, 2)
        discovery = self.discovery()
        before = self.look(discovery)

        def fail_on_details(query: dns.Message, right: bytes) -> list[bytes]:
            name = query.queries[0].name.name.decode()
            return [right if name == SERVICE else with_code(right, dns.ESERVER)]

        self.server.misbehave = fail_on_details
        for _ in range(3):
            self.world.advance(1000)
            self.assertEqual(self.look(discovery), before)

    def test_no_target_has_an_address(self) -> None:
        """If no host that is named has an address, that is a failure."""
        self.server.add(SERVICE, dns.Record_SRV(0, 0, 7000, "gone.example"))
        self.assertIn("no address is known", self.fails(self.discovery()))

    def test_family_that_fails(self) -> None:
        """One family of addresses is enough, if a server fails on the other."""
        self.service(1)

        def fail_on_ipv6(query: dns.Message, right: bytes) -> list[bytes]:
            failed = query.queries[0].type == dns.AAAA
            return [with_code(right, dns.ESERVER) if failed else right]

        self.server.misbehave = fail_on_ipv6
        self.assertEqual(self.look(self.discovery()), [("10.1.0.1", 7000)])

    def test_silence_in_the_middle(self) -> None:
        """F45: a look has an end, however slow the DNS is."""
        self.instances(*range(1, 100))
        self.server.misbehave = lambda query, right: (
            [right] if query.queries[0].name.name.decode() == SERVICE else []
        )
        began_s = self.world.now_s
        self.assertIn("did not tell all within 20 s", self.fails(self.discovery()))
        self.assertLess(self.world.now_s - began_s, LOOK_S_MAX + 0.1)

    def test_cancelled(self) -> None:
        """A look that nobody waits for any more leaves nothing open."""
        self.instances(*range(1, 40))
        for pause_s in (0.0, 0.001, 0.005, 0.02, 0.05):
            looking = self.discovery().discover()
            self.world.advance(pause_s)
            looking.cancel()
            if pause_s < 0.02:
                self.failureResultOf(looking)
            looking.addErrback(lambda failure: failure.trap(CancelledError, Exception))
            self.check_nothing_left()


class WhomToAskTests(DnsCase):
    """Servers and search domains."""

    def resolv_conf(self, text: str) -> str:
        """A file; its path."""
        path = fresh_path(self)
        path.write_text(text)
        return str(path)

    def test_resolv_conf(self) -> None:
        """Without a server of its own it asks whom the system asks."""
        self.service(1)
        path = self.resolv_conf("nameserver 10.0.0.53\n")
        discovery = self.discovery(servers=(), resolv_conf_path=path)
        self.assertEqual(self.look(discovery), [("10.1.0.1", 7000)])

    def test_resolv_conf_that_changes(self) -> None:
        """The file is read anew in each round."""
        self.service(1)
        path = self.resolv_conf("nameserver 10.0.0.99\n")
        discovery = self.discovery(servers=(), resolv_conf_path=path)
        with self.assertRaises(DiscoveryError):
            self.look(discovery)
        with open(path, "w") as file:
            file.write("nameserver 10.0.0.53\n")
        self.assertEqual(self.look(discovery), [("10.1.0.1", 7000)])

    def test_no_resolv_conf(self) -> None:
        """Without the file the server on this machine is asked."""
        discovery = self.discovery(servers=(), resolv_conf_path=str(fresh_path(self)))
        with self.assertRaises(DiscoveryError) as caught:
            self.look(discovery)
        self.assertIn("127.0.0.1:53", str(caught.exception))

    def test_search_domains(self) -> None:
        """A short name is looked for in the search domains, as in a pod."""
        full = "_cluster._tcp.nodes.shop.svc.cluster.local"
        self.service(1, name=full)
        text = (
            "search shop.svc.cluster.local svc.cluster.local cluster.local\n"
            "nameserver 10.0.0.53\noptions ndots:5\n"
        )
        for name in ("_cluster._tcp.nodes", "_cluster._tcp.nodes.shop.svc", full):
            path = self.resolv_conf(text)
            discovery = self.discovery(name, servers=(), resolv_conf_path=path)
            self.assertEqual(self.look(discovery), [("10.1.0.1", 7000)], name)

    def test_dot_at_the_end(self) -> None:
        """A name with a dot at its end is looked up as it stands."""
        self.service(1, name="_cluster._tcp.nodes.example")
        path = self.resolv_conf("search example\nnameserver 10.0.0.53\n")
        discovery = self.discovery(
            "_cluster._tcp.nodes.", servers=(), resolv_conf_path=path
        )
        self.assertEqual(self.look(discovery), [])
        self.assertNotIn(("_cluster._tcp.nodes.example", dns.SRV), self.server.asked)

    def test_server_by_name(self) -> None:
        """A server may be named; the system's resolver knows its address."""
        self.service(1)
        discovery = self.discovery(servers=(("dns", 53),))
        self.assertEqual(self.look(discovery), [("10.1.0.1", 7000)])
        with self.assertRaises(DiscoveryError) as caught:
            self.look(self.discovery(servers=(("nowhere", 53),)))
        self.assertIn("no DNS server has an address: nowhere", str(caught.exception))
