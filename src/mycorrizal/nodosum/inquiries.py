# -*- test-case-name: tests.nodosum.test_inquiries -*-
"""
What members ask each other about a third that one of them does not hear.

A silent peer may be dead, or only the way to it may be broken.  So before it
counts as dead others are asked, three first and then more (the indirect probe
of SWIM).  Each answers when it heard the peer last, or had it from others, so
that all who ask agree on the time after which nobody has heard it; and one
that somebody hears stays a member everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil

import attrs

from mycorrizal.nodosum import choice, liveness
from mycorrizal.nodosum.config import NodosumConfig
from mycorrizal.nodosum.effects import Effect, Notify, SendPeers, SendPing, SendSystem
from mycorrizal.nodosum.health import LocalHealth
from mycorrizal.nodosum.messages import Probe, Probed, System
from mycorrizal.nodosum.peer import Peer, PeerInput, PeerState, SupportsLink

#: How many members are asked first; twice as many in each round after it.
PROBES = 3
#: Pause before others are asked, while nobody says that it is heard.
ROUND_S = 0.5
#: A peer at none of whose addresses anything listens: pause before others are
#: asked once more, and when it is dead if nobody has heard it by then.
REFUSED_ROUND_S = 0.3
REFUSED_DEAD_S = 0.6
#: A member that heard the peer longer ago than this pings it when asked.
FRESH_S = 0.25
#: Questions that may be unanswered; the oldest are forgotten.
UNANSWERED_MAX = 4096
#: How long an answer is waited for: one that is older says nothing of use.
ANSWER_S = 30.0

#: What a `Probed` says.
HEARD, SILENT, LEFT = 1, 2, 3


@attrs.frozen
class Question:
    """A question that was asked: about which life of whom, whom, and when."""

    peer_key: bytes
    incarnation: int
    asked_key: bytes
    asked_at: float


class Inquiries:
    """
    The questions of one node, and its answers to others'.

    (SWIM: Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent
    Infection-style Process Group Membership Protocol", 2002.)

    :param peers: All peers by node key; the table of the membership.
    :param random: Returns a float in [0, 1).
    """

    def __init__(
        self,
        peers: Mapping[bytes, Peer],
        config: NodosumConfig,
        health: LocalHealth,
        random: Callable[[], float],
    ) -> None:
        self._peers = peers
        self._config = config
        self._health = health
        self._random = random
        self._questions: dict[int, Question] = {}
        self._last_number = 0

    # -- asking -----------------------------------------------------------------

    def forget(self, now: float) -> None:
        """Questions that nobody answers are forgotten; call this at each tick."""
        questions = self._questions
        while questions:
            number = next(iter(questions))
            if now - questions[number].asked_at < ANSWER_S:
                return
            del questions[number]

    def look(self, peer: Peer, now: float) -> list[Effect]:
        """Ask about a member that we don't hear; call this at each tick."""
        hearsay = peer.hearsay
        if not peer.member:
            return []
        if hearsay.refused_at is not None:
            if now - hearsay.refused_at >= REFUSED_DEAD_S:
                return liveness.give_up(peer, now)
        elif peer.linked and self._hears(peer, now):
            hearsay.rounds, hearsay.ask_at = 0, now
            return []
        return self.ask(peer, now) if now >= hearsay.ask_at else []

    def ask(self, peer: Peer, now: float) -> list[Effect]:
        """Ask some members whether they hear a peer."""
        hearsay = peer.hearsay
        current = now - hearsay.heard_at < self._config.suspect_after_s
        hearsay.rounds = 0 if current else hearsay.rounds
        asked = self._choose(peer, PROBES * 2 ** min(hearsay.rounds, 10), now)
        hearsay.rounds += 1
        pause_s = self._config.ping_interval_s if current else ROUND_S
        if hearsay.refused_at is not None:
            pause_s = REFUSED_ROUND_S
        hearsay.ask_at = now + pause_s
        hearsay.asked = dict.fromkeys((other.node_key for other in asked), None)
        return [self._ask(other, peer, now) for other in asked]

    def _ask(self, other: Peer, peer: Peer, now: float) -> SendSystem:
        assert other.link is not None
        self._last_number += 1
        number = self._last_number
        if len(self._questions) >= UNANSWERED_MAX:
            del self._questions[next(iter(self._questions))]
        self._questions[number] = Question(
            peer.node_key, peer.incarnation, other.node_key, now
        )
        return SendSystem(other.link, Probe(number, peer.node_key, peer.incarnation))

    def _choose(self, peer: Peer, count: int, now: float) -> list[Peer]:
        """Members at random; first who heard the peer last."""
        others = [
            other
            for _, other in sorted(self._peers.items())
            if other is not peer and other.member and self._hears(other, now)
        ]
        chosen = [other for other in others if other.node_key == peer.hearsay.via]
        others = [other for other in others if other.node_key != peer.hearsay.via]
        while others and len(chosen) < count:
            chosen.append(others.pop(int(self._random() * len(others))))
        return chosen

    def _hears(self, peer: Peer, now: float) -> bool:
        link = peer.link if peer.up else None
        suspect_s = self._config.suspect_after_s * self._health.stretch
        return link is not None and now - link.heard_at < suspect_s

    def refused(self, peer: Peer, now: float) -> list[Effect]:
        """
        Nothing listens at any of a peer's addresses.  Its process is gone, or
        something between us answers in its place: who else has a link knows.
        """
        if not peer.member:
            peer.step(PeerInput.DIED, now)
            return []
        hearsay = peer.hearsay
        if hearsay.refused_at is not None:
            return []
        hearsay.refused_at, hearsay.rounds = now, 0
        hearsay.heard_at = min(hearsay.heard_at, peer.lost_at)
        asking = self.ask(peer, now)
        return asking or liveness.give_up(peer, now)

    # -- what comes ---------------------------------------------------------------

    def received(self, link: SupportsLink, message: System, now: float) -> list[Effect]:
        """A question or an answer came."""
        if isinstance(message, Probe):
            return self._questioned(link, message, now)
        return self._answered(link, message, now)

    def _questioned(self, link: SupportsLink, probe: Probe, now: float) -> list[Effect]:
        peer = self._peers.get(probe.node_key)
        silent = SendSystem(link, Probed(probe.number, SILENT))
        if peer is None or peer.life is None:
            return [silent]
        if peer.life != probe.incarnation:
            later = peer.member and peer.life > probe.incarnation
            return [silent, SendPeers(link, (peer.entry,))] if later else [silent]
        if peer.state is PeerState.LEFT:
            return [SendSystem(link, Probed(probe.number, LEFT))]
        if not peer.member or peer.hearsay.refused_at is not None:
            return [silent]
        heard_at, pings = peer.hearsay.heard_at, list[Effect]()
        if peer.up and peer.link is not None:
            heard_at = max(heard_at, peer.link.heard_at)
            if now - heard_at > FRESH_S:
                pings.append(SendPing(peer.link, 0))
        if now - heard_at >= self._config.dead_after_s:
            return [silent, *pings]
        # Rounded up: what goes round must never seem younger than it is.
        age_ms = max(0, ceil((now - heard_at) * 1000))
        return [SendSystem(link, Probed(probe.number, HEARD, age_ms)), *pings]

    def _answered(self, link: SupportsLink, probed: Probed, now: float) -> list[Effect]:
        question = self._questions.get(probed.number)
        if question is None or question.asked_key != link.node_key:
            return []
        del self._questions[probed.number]
        peer = self._peers.get(question.peer_key)
        if peer is None or peer.incarnation != question.incarnation:
            return []
        hearsay = peer.hearsay
        if question.asked_key in hearsay.asked:
            hearsay.asked[question.asked_key] = probed.said
        if probed.said == LEFT:
            return self._has_left(peer, now)
        if probed.said == HEARD:
            # By our clock no earlier than this, however long the answer took.
            heard_at = min(now, question.asked_at - probed.age_ms / 1000)
            return self._heard(peer, question, heard_at, now)
        if hearsay.via == question.asked_key:
            hearsay.via = None
        if hearsay.refused_at is not None and hearsay.asked:
            if all(said == SILENT for said in hearsay.asked.values()):
                return liveness.give_up(peer, now)
        return []

    def _has_left(self, peer: Peer, now: float) -> list[Effect]:
        if peer.linked and self._hears(peer, now):
            return []
        closing = choice.drop_current(peer)
        peer.dial_at = float("inf")
        events = peer.step(PeerInput.SAID_GOODBYE, now)
        return [*closing, *map(Notify, events)]

    def _heard(
        self, peer: Peer, question: Question, heard_at: float, now: float
    ) -> list[Effect]:
        hearsay = peer.hearsay
        if hearsay.refused_at is not None:
            # Just after a crash somebody may not have noticed it yet.
            early = question.asked_at < hearsay.refused_at + FRESH_S
            if early or heard_at <= peer.lost_at:
                return []
            hearsay.refused_at = None
        if heard_at > hearsay.heard_at:
            hearsay.heard_at, hearsay.via = heard_at, question.asked_key
        over = peer.state is PeerState.LEFT and peer.life == peer.incarnation
        if peer.member or peer.node_id is None or over:
            return []
        # It must have been heard after all that we know of its end.
        if heard_at <= peer.since or now - heard_at >= self._config.suspect_after_s:
            return []
        peer.life, peer.lost_at = peer.incarnation, heard_at
        return [*map(Notify, peer.step(PeerInput.VOUCHED, now))]

    # -- who can pass something on --------------------------------------------------

    def way_to(self, peer: Peer) -> SupportsLink | None:
        """The link to a member that hears a peer which we have no link to."""
        via = self._peers.get(peer.hearsay.via or b"")
        if via is None or not via.up or not peer.member:
            return None
        return via.link
