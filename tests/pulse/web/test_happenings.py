"""
News of members.
"""

from __future__ import annotations

from mycorrizal.pulse.web.happenings import KEPT_MAX, MemberNews
from tests.pulse.web.worlds import WebTestCase


class NewsTests(WebTestCase):
    """What has become of the members of a cluster."""

    def test_changes(self) -> None:
        """Each change is told once, with what was before."""
        node = self.cluster[0]
        news = MemberNews(node.nodosum, lambda: 7.0)
        self.assertTrue(news.look())
        self.assertFalse(news.look())
        self.cluster.crash(2)
        self.cluster.until(lambda: node.nodes()[2].state == "dead")
        self.assertTrue(news.look())
        last = news.recent(1)[0]
        self.assertEqual((last.at, last.node, last.kind), (7.0, "n0", "dead"))
        self.assertEqual(last.text, "n2 is dead, was alive")

    def test_bounded(self) -> None:
        """So many are kept, the latest."""
        news = self.http.happenings
        assert isinstance(news, MemberNews)
        for number in range(KEPT_MAX + 1):
            news.note(f"{number}", "test")
        kept = news.recent(KEPT_MAX + 1)
        self.assertEqual(len(kept), KEPT_MAX)
        self.assertEqual(kept[-1].text, str(KEPT_MAX))
