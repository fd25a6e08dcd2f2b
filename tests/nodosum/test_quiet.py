"""
Nothing is left of what has come and gone: the tables of a node are as long after
a busy day as before it.
"""

from __future__ import annotations

from collections.abc import Sized
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum import NodosumService
from mycorrizal.nodosum.membership import DEAD_REMEMBERED_S
from mycorrizal.testing import Host
from tests.nodosum.nodes import Nodes

NEWCOMERS = 12


def sizes(service: NodosumService, host: Host) -> dict[str, int]:
    """How much a node remembers, and how much waits to happen."""
    mesh, membership = service.mesh, service.membership
    return {
        "peers": len(membership.peers),
        "questions": len(membership.inquiries._questions),
        "contacts": len(mesh.contacts.by_address),
        "connections": len(mesh.admission.connections),
        "protocols": len(mesh.protocols),
        "ends": len(mesh._ends),
        "dials": len(mesh.dialling),
        "pings": len(mesh.control._pings),
        "links": len(service.applications.links),
        "timers": len(host.reactor.getDelayedCalls()),
        "sockets": len(host.sockets()),
    }


def met_all(links: Sized) -> bool:
    """Whether a newcomer has a link to all who stay."""
    return len(links) == 3


class QuietTests(SynchronousTestCase):
    """Three nodes that stay, and many others that come and go."""

    def test_come_and_gone(self) -> None:
        """
        Of twelve nodes that came, talked, and died or left, nothing is left after
        an hour (F57).
        """
        nodes = Nodes(3)
        world = nodes.world
        stay = nodes.three()
        hosts = [world.hosts[name] for name in "abc"]
        world.advance(30)
        before = [sizes(*pair) for pair in zip(stay, hosts, strict=True)]
        for number in range(NEWCOMERS):
            host = world.host(f"h{number}")
            newcomer = nodes.start(host, *hosts)
            links = newcomer.applications.links
            world.until(partial(met_all, links), 10)
            application = newcomer.applications.register("app")
            self.successResultOf(application.send(b"x" * 100_000, ["a", "b", "c"]))
            if number % 3 == 0:
                world.result_of(newcomer.stopService())
            else:
                host.crash("reset" if number % 3 == 1 else "silence")
            world.advance(6)
        self.assertGreater(len(stay[0].membership.peers), 8)
        world.advance(DEAD_REMEMBERED_S + 60)
        after = [sizes(*pair) for pair in zip(stay, hosts, strict=True)]
        for was, now in zip(before, after, strict=True):
            # A question, a dial or a ping may be under way at any time.
            for name, count in was.items():
                self.assertLessEqual(now[name], count + 1, name)
        self.assertEqual([now["peers"] for now in after], [2, 2, 2])
