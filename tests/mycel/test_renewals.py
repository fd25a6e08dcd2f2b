"""
The cache while the links under it are renewed, as secrets and certificates change.
"""

from __future__ import annotations

from typing import Any

from mycorrizal.nodosum import derive_key, new_secret
from mycorrizal.recorder import Kind
from tests.mycel.cases import ClusterTestCase

NEW = derive_key(new_secret(b"another secret of a test's own !"), "mycorrizal")
#: Operations of each node in so many seconds.
BURST, PAUSE_S = 5, 0.02


class RenewalTests(ClusterTestCase):
    """Three nodes that put, get and change all the time."""

    def setUp(self) -> None:
        super().setUp()
        self.failed: list[str] = []
        self.done = 0
        self.versions: dict[str, int] = {}

    def work(self, seconds: float) -> None:
        """Let time pass, in which each node works."""
        until_s = self.cluster.world.now_s + seconds
        while self.cluster.world.now_s < until_s:
            for number in range(3):
                for _ in range(BURST):
                    self.put_and_get(number)
            self.cluster.advance(PAUSE_S)

    def put_and_get(self, number: int) -> None:
        """Put the next value of a key that is this node's alone, and read it."""
        self.done += 1
        key = f"n{number}:{self.done}"
        value = b"%d" % self.done * (1 if self.done % 40 else 50_000)
        put = self.cache(number).put("b", key, value)
        put.addCallback(lambda _: self.cache((number + 1) % 3).get("b", key))

        def found(read: Any) -> None:
            if read != value:
                self.failed.append(f"{key} is {read!r}")

        put.addCallbacks(found, lambda why: self.failed.append(str(why.value)))

    def renewed(self) -> int:
        """How often a node has said that a link was renewed."""
        return sum(
            event.kind is Kind.LINK_RENEWED
            for node in self.cluster.nodes
            for event in node.nodosum.recorder.recent(0)
        )

    def check(self, renewals: int) -> None:
        """Nothing has failed, nobody died, and all copies are there."""
        self.cluster.advance(6)
        self.assertEqual(self.failed, [])
        self.assertGreaterEqual(self.renewed(), renewals)
        bad = {Kind.DIED, Kind.SUSPECTED, Kind.LINK_DOWN}
        for node in self.cluster.nodes:
            kinds = {event.kind for event in node.nodosum.recorder.recent(0)}
            self.assertEqual(kinds & bad, set())
        self.settle()

    def test_secret_is_changed(self) -> None:
        """A secret is added, used and removed: no put or get fails."""
        rings = [node.nodosum.config.keys for node in self.cluster.nodes]
        old = rings[0].first
        for keys, seconds in (((old, NEW), 0.5), ((NEW, old), 8), ((NEW,), 3)):
            for ring in rings:
                ring.replace(keys)
                self.work(0.1)
            self.work(seconds)
        self.check(6)

    def test_certificates_are_replaced(self) -> None:
        """Each node shows a new certificate: no put or get fails."""
        for host in self.cluster.hosts:
            host.runtime.tls.edition += 1
            self.work(2.5)
        self.work(6)
        self.check(6)

    def test_crash_in_the_middle(self) -> None:
        """A node crashes while links are renewed: the others lose no value."""
        rings = [node.nodosum.config.keys for node in self.cluster.nodes]
        old = rings[0].first
        self.fill(100)
        for keys in ((old, NEW), (NEW,)):
            for ring in rings:
                ring.replace(keys)
        moves = [node.nodosum.mesh.renewals for node in self.cluster.nodes]
        self.cluster.until(lambda: any(map(len, moves)), 5)
        self.cluster.crash(2)
        self.cluster.until(self.cluster.converged)
        self.cluster.advance(5)
        for through in (0, 1):
            self.check_all(through)
            links = self.cluster[through].nodosum.applications.links.values()
            self.assertEqual({link.remote.key for link in links}, {NEW})
        self.settle()
