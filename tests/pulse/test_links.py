"""Tests for `mycorrizal.pulse.links`: who has no link to whom, as all see it."""

from __future__ import annotations

import click
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse import render
from mycorrizal.pulse.links import SURVEY_TIMEOUT_S, broken
from mycorrizal.pulse.messages import AskStatus, MemberStatus, NodeStatus, Status
from tests.pulse.worlds import PulseTestCase


def status_of(**unlinked: dict[str, str]) -> Status:
    """What is known of some live nodes, each with those it has no link to."""
    node = NodeStatus("a", "1", 1, "a:1", 1.0, "c", "s", "auto", False)
    members = [
        MemberStatus(name, f"{name}:1", "alive", 0.1, "1", "h", {}, "up", whom)
        for name, whom in unlinked.items()
    ]
    return Status(node, members, [], [], 0)


class SurveyTests(PulseTestCase):
    """Four nodes, of which the first is asked."""

    size = 4

    def survey(self) -> Status:
        status = self.ask(AskStatus(links=True))
        assert isinstance(status, Status)
        return status

    def test_whole(self) -> None:
        """Where each has a link to each, nothing is broken."""
        self.assertEqual(broken(self.survey()), [])
        self.assertNotIn("No link", self.out_of("nodes"))

    def test_links_of_others(self) -> None:
        """A broken link between two others is shown, and who reaches both (F4)."""
        self.cluster.world.cut("n1", "n3")
        self.cluster.advance(8)
        ((one, other, via),) = broken(self.survey())
        self.assertEqual((one, other), ("n1", "n3"))
        self.assertIn(via, ("n0", "n2"))
        shown = f"No link between n1 and n3; {via} reaches both\n"
        self.assertIn(shown, self.out_of("nodes"))
        self.assertIn(shown, self.out_of("status"))
        self.assertIn('"unlinked": {\n      "n3": "', self.out_of("--json", "nodes"))
        self.cluster.world.heal()
        self.cluster.advance(8)
        self.assertEqual(broken(self.survey()), [])

    def test_own_links(self) -> None:
        """So is one of the node that is asked, at both ends, whom it can ask or not."""
        self.cluster.world.cut("n0", "n3")
        self.cluster.advance(8)
        status = self.survey()
        ((one, other, via),) = broken(status)
        self.assertEqual((one, other), ("n0", "n3"))
        found = {member.id: member.unlinked for member in status.members}
        expected = {"n0": {"n3": via}, "n1": {}, "n2": {}, "n3": {"n0": via}}
        self.assertEqual(found, expected)

    def test_hung(self) -> None:
        """Who hangs says nothing, and costs half a second."""
        self.cluster.pause(2)
        began_s = self.cluster.world.now_s
        self.assertEqual(broken(self.survey()), [])
        took_s = self.cluster.world.now_s - began_s
        self.assertTrue(SURVEY_TIMEOUT_S < took_s < SURVEY_TIMEOUT_S + 0.3, took_s)

    def test_dead(self) -> None:
        """A dead node has no broken links, only no life."""
        self.cluster.crash(3)
        self.cluster.advance(10)
        self.assertEqual(broken(self.survey()), [])

    def test_unasked(self) -> None:
        """Who asks for the status alone gets it from the one node alone."""
        self.cluster.world.cut("n1", "n3")
        self.cluster.advance(8)
        status = self.ask(AskStatus())
        assert isinstance(status, Status)
        self.assertEqual(broken(status), [])


class BrokenTests(SynchronousTestCase):
    """The pairs without a link."""

    def test_once(self) -> None:
        """A pair that both ends name is one, with whoever is said to reach both."""
        status = status_of(a={}, b={"c": ""}, c={"b": "a"})
        self.assertEqual(broken(status), [("b", "c", "a")])

    def test_strangers(self) -> None:
        """Who is not alive for the node that was asked is left out."""
        status = status_of(a={"z": ""}, b={"c": ""}, c={})
        status.members[2].state = "dead"
        self.assertEqual(broken(status), [])

    def test_many(self) -> None:
        """Twenty pairs are shown; of more there is a count."""
        names = [f"n{number:02}" for number in range(22)]
        for count in (20, 21):
            cut = dict.fromkeys(names[1 : count + 1], "")
            status = status_of(**{name: {} for name in names[1:]}, n00=cut)
            shown = click.unstyle(render.nodes(status))
            self.assertEqual(shown.count("No link between n00"), 20)
            self.assertEqual("1 more pair" in shown, count == 21)
