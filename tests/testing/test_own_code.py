"""Whatever is given its reactor runs in a simulated cluster, as it is."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import treq
from treq.client import HTTPClient
from twisted.internet.defer import DeferredList, gatherResults
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import LoopingCall, deferLater
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from mycorrizal import Mycorrizal
from mycorrizal.testing import Host, SimClusterMixin


class Sessions(Resource):
    """A web page of a user's own: it shows a session of the cache."""

    isLeaf = True

    def __init__(self, node: Mycorrizal) -> None:
        super().__init__()
        self._node = node

    def render_GET(self, request: Any) -> Any:
        name = request.postpath[0].decode()

        def found(value: bytes | None) -> None:
            if value is None:
                request.setResponseCode(404)
            request.write(value or b"nobody")
            request.finish()

        self._node.cache().get("sessions", name).addCallback(found)
        return NOT_DONE_YET


class OwnCodeTests(SimClusterMixin, SynchronousTestCase):
    """A web server at each node, and a browser elsewhere."""

    def setUp(self) -> None:
        self.cluster = self.sim_cluster(3, seed=1, buckets=["sessions:replicas=1"])
        for host, node in zip(self.cluster.hosts, self.cluster.nodes, strict=True):
            self.serve(host, node)
        self.laptop = self.cluster.world.host("laptop")
        reactor: Any = self.laptop.reactor
        self.pool = HTTPConnectionPool(reactor)
        self.client = HTTPClient(Agent(reactor, pool=self.pool))
        self.addCleanup(self.clean_up)

    def serve(self, host: Host, node: Mycorrizal) -> None:
        site = Site(Sessions(node), reactor=host.reactor)
        port: Any = host.reactor.listenTCP(8080, site)
        self.addCleanup(lambda: self.cluster.result_of(port.stopListening()))

    def clean_up(self) -> None:
        self.cluster.result_of(self.pool.closeCachedConnections())
        self.cluster.advance(1)

    def get(self, number: int, name: str) -> Any:
        url = f"http://n{number}:8080/{name}"
        reactor: Any = self.laptop.reactor
        return self.client.get(url, timeout=5, reactor=reactor)

    def test_treq(self) -> None:
        """A treq client reads from any node what was put through another."""
        cluster = self.cluster
        cluster.result_of(cluster[0].cache().put("sessions", "ada", b"Ada"))
        for number in range(3):
            response = cluster.result_of(self.get(number, "ada"))
            self.assertEqual(response.code, 200)
            self.assertEqual(cluster.result_of(treq.content(response)), b"Ada")
        self.assertEqual(cluster.result_of(self.get(1, "bob")).code, 404)

    def test_many_at_once(self) -> None:
        """A DeferredList waits for many, of which some fail."""
        cluster, cache = self.cluster, self.cluster[0].cache()
        puts = [cache.put("sessions", f"u{n}", b"%d" % n) for n in range(20)]
        cluster.result_of(gatherResults(puts))
        cluster.world.isolate("n2")
        cluster.advance(10)
        asked = DeferredList([self.get(n, "u7") for n in (0, 2)], consumeErrors=True)
        (well, _), (late, failure) = cluster.result_of(asked)
        self.assertEqual((well, late), (True, False))
        self.assertIs(failure.type, ConnectingCancelledError)
        cluster.heal()

    def test_looping_call(self) -> None:
        """A LoopingCall that waits for the cache keeps its rhythm."""
        cluster = self.cluster
        beats: list[float] = []

        def beat() -> Any:
            beats.append(cluster.world.now_s)
            put = cluster[1].cache().put("sessions", "beat", b"here")
            return put.addCallback(
                lambda _: deferLater(cluster.hosts[1].reactor, 0.3, lambda: None)
            )

        loop = LoopingCall(beat)
        loop.clock = cluster.hosts[1].reactor
        loop.start(10)
        cluster.advance(35)
        loop.stop()
        pauses = [b - a for a, b in pairwise(beats)]
        self.assertEqual(len(pauses), 3)
        for pause_s in pauses:
            self.assertAlmostEqual(pause_s, 10.0, 2)
        cluster.advance(1)
