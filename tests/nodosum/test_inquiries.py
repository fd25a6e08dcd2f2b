"""
What members ask each other about a third, and what comes of it.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.effects import (
    CloseLink,
    Dial,
    Effect,
    LinkDown,
    Notify,
    SendPeers,
    SendPing,
    SendSystem,
)
from mycorrizal.nodosum.farewells import LinkEnd
from mycorrizal.nodosum.inquiries import (
    ANSWER_S,
    FRESH_S,
    HEARD,
    LEFT,
    PROBES,
    REFUSED_DEAD_S,
    REFUSED_ROUND_S,
    ROUND_S,
    SILENT,
    UNANSWERED_MAX,
)
from mycorrizal.nodosum.messages import PeerEntry, Probe, Probed
from mycorrizal.nodosum.peer import MemberDied, MemberJoined, Peer, PeerState
from mycorrizal.nodosum.wire.limits import Goodbye
from tests.nodosum.town import (
    CONFIG,
    FakeLink,
    Town,
    address_of,
    core_of,
    link_to,
    welcome_of,
)

#: The member in question; the node that asks is "a".
TARGET = "c"
KEY = node_key_of(TARGET)


def probes(effects: list[Effect]) -> list[SendSystem]:
    """The questions among effects."""
    return [
        effect
        for effect in effects
        if isinstance(effect, SendSystem) and isinstance(effect.message, Probe)
    ]


def events(effects: list[Effect]) -> list[type]:
    """What subscribers are told."""
    return [type(effect.event) for effect in effects if isinstance(effect, Notify)]


class InquiryCase(SynchronousTestCase):
    """Node a, which has links to c, in question, and to other members."""

    def setUp(self) -> None:
        self.core = core_of("a")
        self.links: dict[str, FakeLink] = {}
        self.now = 0.0
        for name in (TARGET, "b", "d"):
            self.join(name)

    def join(self, name: str) -> FakeLink:
        """A member with a link."""
        core = self.core
        link = self.links[name] = link_to(name, now=self.now)
        core.authenticated(link, self.now)
        core.welcomed(link, welcome_of(name), self.now)
        return link

    @property
    def target(self) -> Peer:
        return self.core.peers[KEY]

    def tick(self, until: float) -> list[Effect]:
        """Time passes, in which all but the target are heard."""
        found: list[Effect] = []
        while self.now < until - 1e-9:
            self.now = round(self.now + 0.1, 6)
            for name, link in self.links.items():
                if name != TARGET:
                    link.heard_at = self.now
            found += self.core.tick(self.now)
        return found

    def answer(self, question: SendSystem, said: int, age_s: float = 0) -> list[Effect]:
        """A member answers."""
        message = Probed(question.message.number, said, int(age_s * 1000))
        return self.core.inquiries.received(question.link, message, self.now)

    def answers(self, asked: list[Effect], said: int, age_s: float = 0) -> list[Effect]:
        """All that were asked answer alike."""
        found: list[Effect] = []
        for question in probes(asked):
            found += self.answer(question, said, age_s)
        return found


class SilenceTests(InquiryCase):
    """A member that we don't hear any more."""

    def test_three_are_asked(self) -> None:
        """Three others are asked before a silent member is given up (F5)."""
        for name in ("e", "f", "g"):
            self.join(name)
        asked = probes(self.tick(3.0))
        self.assertEqual(len(asked), PROBES)
        self.assertEqual(len({question.link.node_key for question in asked}), PROBES)
        for question in asked:
            number = question.message.number
            self.assertEqual(question.message, Probe(number, KEY, 1))
        self.assertEqual(probes(self.tick(3.0 + ROUND_S - 0.1)), [])
        self.assertEqual(len(probes(self.tick(3.0 + ROUND_S))), 5)

    def test_nobody_hears_it(self) -> None:
        """One that the others don't hear either is dead after 4.5 s (F1)."""
        self.answers(self.tick(3.0), SILENT)
        self.answers(self.tick(3.5), SILENT)
        found = self.tick(4.4)
        self.assertEqual(events(found), [])
        self.assertIs(self.target.state, PeerState.SUSPECT)
        self.assertEqual(events(self.tick(4.5)), [MemberDied])

    def test_somebody_hears_it(self) -> None:
        """One that others hear stays a member, and only its link goes (F4)."""
        for second in range(3, 30):
            found = self.tick(float(second))
            self.assertEqual(events(found), [])
            self.answers(found, HEARD, 0.2)
            found = self.tick(second + 0.5)
            self.answers(found, HEARD, 0.2)
        self.assertIs(self.target.state, PeerState.ALIVE)
        self.assertFalse(self.target.linked)
        self.assertIn(self.target, self.core.members())

    def test_link_is_given_up(self) -> None:
        """
        A link that was silent for 3 s in which its peer lived is closed, so
        that a sender learns it, and the peer is dialled (F4).
        """
        self.answers(self.tick(3.0), HEARD)
        closing, down, *rest = [
            effect
            for effect in self.tick(3.1)
            if isinstance(effect, (CloseLink, LinkDown, Notify))
        ]
        self.assertEqual(closing, CloseLink(self.links[TARGET]))
        self.assertEqual(down, LinkDown(self.target, self.links[TARGET]))
        self.assertEqual(rest, [])
        self.assertTrue(self.target.dialling)

    def test_link_that_only_stalls(self) -> None:
        """A link is not given up if the others don't hear its peer either (F5)."""
        self.answers(self.tick(3.2), HEARD, 3.0)
        self.assertTrue(self.target.linked)
        self.links[TARGET].heard_at = self.now
        self.tick(3.4)
        self.assertIs(self.target.state, PeerState.ALIVE)

    def test_vouching_that_ends(self) -> None:
        """When those who heard it stop, it is dead 4.5 s after the last time."""
        self.answers(self.tick(3.0), HEARD)
        self.assertEqual(events(self.tick(7.4)), [])
        self.assertEqual(events(self.tick(7.5)), [MemberDied])

    def test_an_answer_that_took_long(self) -> None:
        """An answer counts from when the question was asked, not from its arrival."""
        asked = probes(self.tick(3.0))
        self.tick(4.0)
        self.answer(asked[0], HEARD, 0.5)
        self.assertEqual(self.target.hearsay.heard_at, 2.5)

    def test_an_older_answer(self) -> None:
        """The latest time at which somebody heard it counts."""
        first, second = probes(self.tick(3.0))
        self.answer(first, HEARD, 0.1)
        self.answer(second, HEARD, 0.9)
        self.assertEqual(self.target.hearsay.heard_at, 2.9)
        self.assertEqual(self.target.hearsay.via, first.link.node_key)

    def test_who_heard_it_is_asked_first(self) -> None:
        """Who heard it last is asked again each second."""
        for name in ("e", "f", "g", "h", "i"):
            self.join(name)
        first = probes(self.tick(3.0))[0]
        self.answer(first, HEARD)
        self.assertEqual(probes(self.tick(3.4)), [])
        again = probes(self.tick(3.5))
        self.assertIs(again[0].link, first.link)
        self.assertEqual(len(again), PROBES)
        self.answers([*again], HEARD)
        self.assertEqual(probes(self.tick(4.4)), [])
        self.assertEqual(len(probes(self.tick(4.5))), PROBES)

    def test_silent_ones_are_not_asked(self) -> None:
        """Nobody is asked who is not heard; alone we decide alone."""
        for link in self.links.values():
            link.heard_at = -1.0
        found = list[Effect]()
        for step in range(45):
            found += self.core.tick(step / 10)
        self.assertEqual(probes(found), [])

    def test_our_own_stall(self) -> None:
        """
        After a stall of our own others get more time: a member that falls
        silent just then is not accused sooner than we can trust ourselves (F5).
        """
        self.tick(1.0)
        self.now = 4.0
        self.tick(4.1)
        self.links[TARGET].heard_at = 4.0
        self.assertEqual(events(self.tick(9.0)), [])
        self.assertIs(self.target.state, PeerState.ALIVE)
        self.assertEqual(events(self.tick(16.0)), [MemberDied])

    def test_bound(self) -> None:
        """4,096 questions may wait for an answer; one more forgets the oldest."""
        inquiries = self.core.inquiries
        first, _ = inquiries.ask(self.target, self.now)
        assert isinstance(first, SendSystem)
        while inquiries._last_number < UNANSWERED_MAX:
            last = inquiries.ask(self.target, self.now)[-1]
        assert isinstance(last, SendSystem)
        self.assertEqual(len(inquiries._questions), UNANSWERED_MAX)
        inquiries.ask(self.target, self.now)
        self.assertEqual(len(inquiries._questions), UNANSWERED_MAX)
        self.answer(first, HEARD)
        self.assertIsNone(self.target.hearsay.via)
        self.answer(last, HEARD)
        self.assertIsNotNone(self.target.hearsay.via)

    def test_unanswered(self) -> None:
        """A question that nobody answers is forgotten after 30 s (F57)."""
        inquiries = self.core.inquiries
        self.assertNotEqual(inquiries.ask(self.target, self.now), [])
        inquiries.forget(self.now + ANSWER_S - 0.1)
        self.assertNotEqual(inquiries._questions, {})
        inquiries.forget(self.now + ANSWER_S)
        self.assertEqual(inquiries._questions, {})

    def test_answers_of_others(self) -> None:
        """An answer counts only from who was asked, once, and about that life."""
        (question, _) = probes(self.tick(3.0))
        number = question.message.number
        other = next(
            link
            for link in self.links.values()
            if link.node_key not in (question.link.node_key, KEY)
        )
        answer = Probed(number, HEARD, 0)
        self.core.inquiries.received(other, answer, self.now)
        self.assertIsNone(self.target.hearsay.via)
        self.target.incarnation = 2
        self.core.inquiries.received(question.link, answer, self.now)
        self.assertIsNone(self.target.hearsay.via)
        self.target.incarnation = 1
        self.core.inquiries.received(question.link, answer, self.now)
        self.assertIsNone(self.target.hearsay.via)


class RefusedTests(InquiryCase):
    """A member that can't be linked again, since nothing listens there."""

    def lose(self, at: float = 1.0) -> list[Effect]:
        """Its link breaks, and its machine refuses the next one."""
        self.tick(at)
        self.core.link_closed(self.links[TARGET], None, self.now)
        return self.refuse()

    def refuse(self) -> list[Effect]:
        failed = self.core.dial_failed(
            KEY, refused=True, now=self.now, address=address_of(TARGET)
        )
        return list(failed)

    def test_crash(self) -> None:
        """If the others have lost it as well it is dead at once (F40)."""
        asked = self.lose()
        self.assertEqual(len(probes(asked)), 2)
        self.assertEqual(events(asked), [])
        first, second = probes(asked)
        self.assertEqual(events(self.answer(first, SILENT)), [])
        self.assertEqual(events(self.answer(second, SILENT)), [MemberDied])

    def test_alone(self) -> None:
        """With nobody to ask it is dead at once."""
        for name in ("b", "d"):
            self.core.link_closed(self.links[name], LinkEnd(Goodbye.LEAVING), 0.5)
        self.assertEqual(events(self.lose()), [MemberDied])

    def test_nobody_answers(self) -> None:
        """It is dead soon, also if nobody answers."""
        self.lose()
        self.assertEqual(events(self.tick(1.0 + REFUSED_DEAD_S - 0.1)), [])
        self.assertEqual(events(self.tick(1.0 + REFUSED_DEAD_S)), [MemberDied])

    def test_refused_by_what_lies_between(self) -> None:
        """One whose links a firewall refuses is a member while others hear it (F4)."""
        asked = self.lose()
        self.answers(asked, HEARD, 0.4)
        again = self.tick(1.0 + REFUSED_ROUND_S)
        self.assertEqual(len(probes(again)), 2)
        self.answers(again, HEARD, 0.1)
        self.assertEqual(events(self.tick(3.0)), [])
        self.assertIs(self.target.state, PeerState.ALIVE)

    def test_not_noticed_yet(self) -> None:
        """
        One that others heard just before the crash, and have not lost yet, is
        dead when they have.
        """
        first, second = probes(self.lose())
        self.answer(first, SILENT)
        self.now = 1.01
        self.answer(second, HEARD, 0.0)
        again = self.tick(1.0 + REFUSED_ROUND_S)
        self.assertEqual(events(self.answers(again, SILENT)), [MemberDied])

    def test_other_addresses(self) -> None:
        """One refused address does not make it dead while others are known."""
        other = ("10.9.0.1", 7000)
        self.target.addresses = (address_of(TARGET), other)
        self.assertEqual(self.lose(), [Dial(other, KEY)])
        failed = self.core.dial_failed(KEY, refused=False, now=self.now, address=other)
        self.assertEqual(events(list(failed)), [])
        self.assertEqual(events(self.tick(5.4)), [])
        self.assertEqual(events(self.tick(5.6)), [MemberDied])

    def test_linked_again(self) -> None:
        """One that comes back in time was never away."""
        self.lose()
        link = link_to(TARGET, now=self.now)
        self.core.authenticated(link, self.now)
        self.links[TARGET] = link
        found = self.core.welcomed(link, welcome_of(TARGET), self.now)
        self.assertEqual(events(list(found)), [])
        link.heard_at = 5.0
        self.assertEqual(events(self.tick(5.0)), [])


class FarTests(InquiryCase):
    """A node that only others can reach."""

    def entry(self, incarnation: int = 1, name: str = "e") -> PeerEntry:
        """What a member says of it."""
        key, places = node_key_of(name), (address_of(name),)
        return PeerEntry(key, incarnation, places, name, "rack", {"zone": "x"}, "2")

    def hear_of(self, entry: PeerEntry) -> list[Effect]:
        """A member names it; its dial fails."""
        found = list(self.core.learned([entry], self.now))
        found += self.tick(self.now + 4.0)
        failed = self.core.dial_failed(entry.node_key, refused=False, now=self.now)
        return found + list(failed)

    def test_joins(self) -> None:
        """One that others hear, and we can't dial, is a member all the same (F4)."""
        asked = self.hear_of(self.entry())
        self.assertEqual(events(asked), [])
        self.assertEqual(events(self.answers(asked[-2:], HEARD)), [MemberJoined])
        peer = self.core.peers[node_key_of("e")]
        self.assertEqual((peer.node_id, peer.host), ("e", "rack"))
        self.assertEqual(peer.node.labels, {"zone": "x"})
        self.assertIn(peer, self.core.members())

    def test_heard_too_long_ago(self) -> None:
        """What was heard before we gave it up does not bring it back."""
        asked = self.hear_of(self.entry())
        self.assertEqual(events(self.answers(asked[-2:], HEARD, 3.5)), [])

    def test_restarts(self) -> None:
        """Its next life is another member (F12)."""
        self.answers(self.hear_of(self.entry())[-2:], HEARD)
        found = list(self.core.learned([self.entry(2)], self.now))
        self.assertEqual(events(found), [MemberDied])
        failed = list(
            self.core.dial_failed(node_key_of("e"), refused=False, now=self.now)
        )
        self.now += 0.1
        self.core.peers[node_key_of("e")].since -= 0.1
        self.assertEqual(events(self.answers(failed, HEARD)), [MemberJoined])

    def test_leaves(self) -> None:
        """One that said goodbye to those who hear it has left."""
        asked = self.hear_of(self.entry())[-2:]
        self.answers(asked[:1], HEARD)
        (left,) = self.answers(asked[1:], LEFT)
        assert isinstance(left, Notify)
        self.assertEqual(left.event.node.state, "left")
        # That life does not come back.
        peer = self.core.peers[node_key_of("e")]
        asked = self.core.inquiries.ask(peer, self.now)
        self.assertEqual(events(self.answers(asked, HEARD)), [])

    def test_false_names(self) -> None:
        """An id that does not belong to the key is not taken."""
        entry = PeerEntry(node_key_of("e"), 1, (address_of("e"),), "f")
        asked = self.hear_of(entry)
        self.assertEqual(events(self.answers(asked[-2:], HEARD)), [])
        self.assertIsNone(self.core.peers[node_key_of("e")].node_id)

    def test_dead_here_alive_there(self) -> None:
        """One that we gave up is asked about when others name it (F4)."""
        self.tick(6.0)
        self.assertIs(self.target.state, PeerState.DEAD)
        asked = list(self.core.learned([self.target.entry], self.now))
        self.assertEqual(len(probes(asked)), 2)
        self.assertEqual(events(self.answers(asked, HEARD)), [MemberJoined])

    def test_way(self) -> None:
        """What is for it goes by way of who heard it last."""
        asked = self.hear_of(self.entry())[-2:]
        peer = self.core.peers[node_key_of("e")]
        self.assertIsNone(self.core.inquiries.way_to(peer))
        first, second = probes(asked)
        self.answer(first, HEARD, 0.3)
        self.answer(second, HEARD, 0.1)
        self.assertIs(self.core.inquiries.way_to(peer), second.link)
        self.core.link_closed(self.links["b"], None, self.now)
        self.core.link_closed(self.links["d"], None, self.now)
        self.assertIsNone(self.core.inquiries.way_to(peer))


class AnswerTests(InquiryCase):
    """What a node answers when it is asked."""

    def asked(self, name: str = TARGET, incarnation: int = 1) -> list[Effect]:
        """Member b asks about a node."""
        question = Probe(7, node_key_of(name), incarnation)
        return self.core.inquiries.received(self.links["b"], question, self.now)

    def said(self, effects: list[Effect]) -> tuple[int, int]:
        """The first of them, an answer to b."""
        first = effects[0]
        assert isinstance(first, SendSystem) and isinstance(first.message, Probed)
        self.assertIs(first.link, self.links["b"])
        self.assertEqual(first.message.number, 7)
        return first.message.said, first.message.age_ms

    def test_heard(self) -> None:
        """How long ago it was heard, rounded up; a stale one is pinged as well."""
        self.now = 1.0
        self.links[TARGET].heard_at = 1.0 - FRESH_S
        self.assertEqual(len(self.asked()), 1)
        self.assertEqual(self.said(self.asked()), (HEARD, 250))
        self.links[TARGET].heard_at = 0.2496
        answer, ping = self.asked()
        self.assertEqual(self.said([answer]), (HEARD, 751))
        self.assertEqual(ping, SendPing(self.links[TARGET], 0))

    def test_hearsay(self) -> None:
        """What it has from others is passed on with its age (F4)."""
        self.answers(self.tick(3.0), HEARD, 0.5)
        self.tick(3.5)
        self.assertEqual(self.said(self.asked()), (HEARD, 1000))

    def test_rumours_age(self) -> None:
        """Two that only have it from each other give it up in the end (F4)."""
        town = Town("a", "b", "c").joined()
        town.kill("c", silent=True)
        town.pass_time(6)
        for name in "ab":
            self.assertIs(town.nodes[name].state("c"), PeerState.DEAD)

    def test_silent(self) -> None:
        """One that is unknown, dead or long silent is not heard."""
        self.assertEqual(self.said(self.asked("z")), (SILENT, 0))
        self.links[TARGET].heard_at = self.now - CONFIG.dead_after_s
        self.assertEqual(self.said(self.asked()), (SILENT, 0))
        self.tick(6.0)
        self.assertIs(self.target.state, PeerState.DEAD)
        self.assertEqual(self.said(self.asked()), (SILENT, 0))

    def test_left(self) -> None:
        """One that said goodbye has left."""
        end = LinkEnd(Goodbye.LEAVING)
        self.core.link_closed(self.links[TARGET], end, self.now)
        self.assertEqual(self.said(self.asked()), (LEFT, 0))

    def test_another_life(self) -> None:
        """Asked about an earlier life, a node names the present one (F12)."""
        self.target.life = self.target.incarnation = 3
        answer, news = self.asked(incarnation=2)
        self.assertEqual(self.said([answer]), (SILENT, 0))
        self.assertEqual(news, SendPeers(self.links["b"], (self.target.entry,)))
        self.assertEqual(len(self.asked(incarnation=4)), 1)
