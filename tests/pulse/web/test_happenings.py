"""
What the page shows of a node's events.
"""

from __future__ import annotations

from mycorrizal.pulse.web.happenings import SHOWN_MAX, Happening, happenings_of
from mycorrizal.recorder import Kind
from tests.pulse.web.worlds import WebTestCase


class HappeningsTests(WebTestCase):
    """Events of a node in a cluster."""

    def test_a_death(self) -> None:
        """A death is told, by whom and when."""
        node = self.cluster[0]
        self.cluster.crash(2)
        self.cluster.until(lambda: node.nodes()[2].state == "dead")
        recorder = node.nodosum.recorder
        (died,) = [it for it in happenings_of(recorder) if it.kind == "died"]
        wall_s = recorder.recent(0)[-1].wall_s
        self.assertLess(abs(died.at - wall_s), 10)
        self.assertEqual(
            (died.node, died.level, died.text), ("n0", "error", "n2 is dead")
        )

    def test_bounded(self) -> None:
        """So many are shown, the latest."""
        recorder = self.cluster[0].nodosum.recorder
        for number in range(SHOWN_MAX + 1):
            recorder.note(Kind.BUCKET, f"{number}")
        shown = happenings_of(recorder)
        self.assertEqual(len(shown), SHOWN_MAX)
        self.assertIsInstance(shown[-1], Happening)
        self.assertEqual(shown[-1].text, str(SHOWN_MAX))
