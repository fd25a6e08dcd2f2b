"""
What a node serves by HTTP, in a simulated cluster.
"""

from __future__ import annotations

import msgspec

from mycorrizal.errors import CannotListen
from mycorrizal.pulse.web.board import Board
from mycorrizal.testing.cluster import SimCluster
from tests.pulse.web.worlds import Tab, WebTestCase, reports_of


def boards(answer: str) -> list[Board]:
    """The boards in a stream of events."""
    return [
        msgspec.json.decode(part.partition("data: ")[2], type=Board)
        for part in answer.replace("\r\n", "\n").split("event: board\n")[1:]
        for part in [part.partition("\n\n")[0]]
    ]


class ServiceTests(WebTestCase):
    """Three nodes, and a browser that looks at the first."""

    def test_figures_of_all(self) -> None:
        """A viewer gets the figures of every node within some seconds."""
        tab = Tab(self.http.site)
        tab.get("/events")
        self.cluster.advance(3)
        last = boards(tab.answer)[-1]
        self.assertEqual([node.id for node in last.nodes], ["n0", "n1", "n2"])
        self.assertEqual(last.known, 3)
        self.assertEqual(sum(node.slots or 0 for node in last.nodes), 1024)
        self.assertEqual([link.state for link in last.links], ["up"] * 3)
        self.assertEqual(last.concerns, [])

    def test_a_crash_is_told(self) -> None:
        """A node that crashes is shown as not alive within two seconds."""
        tab = Tab(self.http.site)
        tab.get("/events")
        self.cluster.advance(2)
        self.cluster.crash(2)
        self.cluster.advance(2)
        last = boards(tab.answer)[-1]
        (node,) = [each for each in last.nodes if each.id == "n2"]
        self.assertIn(node.state, ("suspect", "dead"))
        self.assertTrue(last.concerns[0].text.startswith("n2 at 10.0.0.3:6969 is "))
        self.assertEqual(last.concerns[0].level, "bad")
        self.assertTrue(any("n2 is" in each.text for each in last.happenings))

    def test_nobody_looks_on(self) -> None:
        """Without a viewer other nodes are asked nothing."""
        self.cluster.advance(3)
        self.assertEqual(self.http.board().known, 1)

    def test_stop(self) -> None:
        """A stopped node has closed its page, and dismissed who looked on."""
        tab = Tab(self.http.site)
        tab.get("/events")
        self.cluster.stop(0)
        self.assertTrue(tab.answer.endswith("0\r\n\r\n"))
        self.assertFalse(self.http.running)


class PortTests(WebTestCase):
    """A node whose port is taken."""

    size = 1

    def test_taken(self) -> None:
        """It does not start, and says which option to change."""
        other = SimCluster(1, seed=1, start=False, http="tcp:6971")
        reactor = other[0].runtime.reactor
        reactor.listenTCP(6971, self.http.site, interface="127.0.0.1")
        error = self.assertRaises(CannotListen, other[0].startService)
        self.assertIn("127.0.0.1:6971", str(error))
        self.assertIn("choose another with --http tcp:PORT", str(error))

    def test_off(self) -> None:
        """Without the setting nothing is served."""
        cluster = SimCluster(1, seed=1)
        self.assertIsNone(cluster[0].http)
        self.assertIsNotNone(reports_of(self.cluster))
