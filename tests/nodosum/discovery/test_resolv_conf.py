"""
Whom this machine asks for names, and in which domains it looks.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.discovery.dns_name import format_name, parse_name
from mycorrizal.nodosum.discovery.resolv_conf import (
    SEARCH_MAX,
    SERVERS_MAX,
    ResolvConf,
)

POD = """\
# As kubelet writes it.
search shop.svc.cluster.local svc.cluster.local cluster.local
nameserver 10.96.0.10
options ndots:5 timeout:1
"""


class ResolvConfTests(SynchronousTestCase):
    """What the file says."""

    def candidates(self, text: str, name: str, *, absolute: bool = False) -> list[str]:
        """The names to try for one."""
        found = ResolvConf.parse(text).candidates(parse_name(name), absolute=absolute)
        return [format_name(name) for name in found]

    def test_servers(self) -> None:
        """The first three servers are asked, of either family."""
        text = "nameserver 10.0.0.1\nnameserver fd00::1 # here\nnameserver\n"
        conf = ResolvConf.parse(
            text + "nameserver host\n" + "nameserver 10.9.9.9\n" * 2
        )
        self.assertEqual(
            conf.servers, (("10.0.0.1", 53), ("fd00::1", 53), ("10.9.9.9", 53))
        )
        self.assertEqual(len(conf.servers), SERVERS_MAX)

    def test_no_server(self) -> None:
        """Without one, this machine is asked."""
        self.assertEqual(ResolvConf.parse("").servers, (("127.0.0.1", 53),))

    def test_pod(self) -> None:
        """In a pod short names are looked for in the domains first."""
        self.assertEqual(
            self.candidates(POD, "_cluster._tcp.nodes"),
            [
                "_cluster._tcp.nodes.shop.svc.cluster.local",
                "_cluster._tcp.nodes.svc.cluster.local",
                "_cluster._tcp.nodes.cluster.local",
                "_cluster._tcp.nodes",
            ],
        )
        full = "_cluster._tcp.nodes.shop.svc.cluster.local"
        self.assertEqual(self.candidates(POD, full)[0], full)
        self.assertEqual(self.candidates(POD, "nodes", absolute=True), ["nodes"])

    def test_ndots(self) -> None:
        """A name with as many dots as ndots is tried as it stands first."""
        for options, first in (
            ("", "a.b"),
            ("options ndots:2", "a.b.c"),
            ("options ndots:x", "a.b"),
        ):
            text = f"search c\n{options}"
            self.assertEqual(self.candidates(text, "a.b")[0], first, options)

    def test_last_of_search_and_domain(self) -> None:
        """The last such line counts; a domain is one."""
        self.assertEqual(self.candidates("search a b\ndomain c", "x"), ["x.c", "x"])
        self.assertEqual(self.candidates("domain c d\n", "x"), ["x.c", "x"])

    def test_bounds(self) -> None:
        """Six domains are searched; what is none is passed over."""
        text = "search . a..b " + " ".join(f"d{n}" for n in range(SEARCH_MAX + 1))
        found = self.candidates(text, "x")
        self.assertEqual(len(found), SEARCH_MAX + 1)
        self.assertEqual(found[-2:], [f"x.d{SEARCH_MAX - 1}", "x"])

    def test_anything(self) -> None:
        """No text is too wrong."""
        for text in ("\0\0", "nameserver \x85", "options", "search", "é" * 10_000):
            self.assertEqual(ResolvConf.parse(text), ResolvConf())
