# -*- test-case-name: tests.mycel.test_moves -*-
"""
One node's slots on the move: it sees members come and go, claims what is its
own, fetches, repairs and lets go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.bucket_messages import Buckets
from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.messages import Answer, Remake, remaining_ms
from mycorrizal.mycel.near.wiring import Near
from mycorrizal.mycel.operations.asking import Ask, Errands, Waiter
from mycorrizal.mycel.operations.primary import Primary
from mycorrizal.mycel.operations.routing import Router
from mycorrizal.mycel.operations.writing import Write, Writes
from mycorrizal.mycel.slot_messages import Claim, Claimed
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.dropping import Dropping
from mycorrizal.mycel.slots.effects import (
    AskClaim,
    Began,
    Effects,
    Ended,
    Fetchable,
    Tell,
)
from mycorrizal.mycel.slots.fetching import Fetching
from mycorrizal.mycel.slots.leveling import Leveling
from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.mycel.slots.promises import Life
from mycorrizal.mycel.slots.repair import Repair
from mycorrizal.mycel.slots.slotset import ALL_SLOTS, NO_SLOTS, slots_of, slotset
from mycorrizal.mycel.slots.view import SlotMember, View
from mycorrizal.nodosum import NodosumService, PeerState
from mycorrizal.recorder import Kind

#: How long a node may take to answer a claim before it is asked again.
CLAIM_TIMEOUT_S = 2.0
#: So long after somebody has said whether it is drained, all primaries ask again.
ASK_AGAIN_S = 1.0


class Moves:
    """
    What one node does about slots that change hands.

    :param host: Of this node.
    :param news: The buckets that this node knows.
    :ivar settled_down: Called when something may have come to rest.
    :ivar looked_at_the_clock: Called often, with the time (monotonic) from which
        on this node did not run for so long that others have given it up.
    """

    def __init__(
        self,
        nodosum: NodosumService,
        host: str,
        buckets: BucketTable,
        ask: Ask,
        news: Callable[[], Buckets],
    ) -> None:
        self._nodosum = nodosum
        self._host = host
        self._runtime = runtime = nodosum.runtime
        self._now = now = runtime.now
        self._clock: HybridClock = nodosum.clock
        self._buckets = buckets
        self._ask = ask
        self._awake_at: float | None = None
        self._ask_again_at = float("inf")
        self.settled_down: Callable[[], None] = lambda: None
        self.looked_at_the_clock: Callable[[float], None] = lambda awake_until: None
        self.view = view = View(self._me)
        self.claims = claims = Claims(
            view, nodosum.me.incarnation, lambda: self._clock.last, self._dead
        )
        self.errands = errands = Errands(runtime, ask)
        leveling = Leveling(errands, self._clock, now, news)
        self.repair = Repair(
            view, claims, buckets, leveling, errands, runtime.random, now, self._doubted
        )
        self.dropping = Dropping(
            view, claims, buckets, leveling, errands, now, lambda: self.settled_down()
        )
        self.fetching = Fetching(
            errands, claims, buckets, self._clock, now, self._fetched
        )

    def connect(
        self, writes: Writes, primary: Primary, router: Router, near: Near
    ) -> None:
        """These work on what moves, and are told when it does."""
        self._writes = writes
        self._primary = primary
        self._router = router
        self._near = near

    # -- what is so -------------------------------------------------------------

    @property
    def missing(self) -> int:
        """The copies that owners of this node's slots are not known to hold."""
        return self.repair.missing()

    @property
    def settled(self) -> bool:
        """Whether all is where it belongs, as far as this node can tell."""
        return not (self.repair.missing() or self.dropping.left())

    @property
    def handed_over(self) -> bool:
        """
        Whether this node, which leaves or is drained, has nothing that others
        still need.
        """
        # Who is left alone, or among others that leave too, has no heir.
        heirs = len(self.view.placement) > 0
        return not heirs or not (self.claims.serving or self.dropping.left())

    @property
    def _me(self) -> SlotMember:
        me = self._nodosum.me
        return SlotMember(me.node_key, me.incarnation, self._host)

    def _known(self) -> dict[bytes, int]:
        """The nodes that may be primary of something: heard of, and not dead."""
        since = self._now() - self._nodosum.config.dead_after_s
        return {
            peer.node_key: peer.incarnation
            for peer in self._nodosum.membership.peers.values()
            if peer.member or (peer.state is PeerState.JOINING and peer.since > since)
        }

    def _dead(self, node_key: bytes, incarnation: int) -> bool:
        """Whether we know that a life of a node is over."""
        peer = self._nodosum.membership.peers.get(node_key)
        if peer is None or peer.member or peer.state is PeerState.JOINING:
            return peer is not None and incarnation < peer.incarnation
        return incarnation <= peer.incarnation

    # -- members ----------------------------------------------------------------

    def begin(self) -> None:
        """Whom this node was told of at its start has linked or failed once."""
        if not self.claims.begun:
            self._perform(self.claims.begin(self._now()))

    def tick(self) -> None:
        """Time has passed."""
        now = self._now()
        self._wake_up(now)
        # There may be a way now to owners that have no link.
        self._writes.tick()
        # Who is heard of, and does not come, counts no more after a while.
        self._perform(self.claims.nodes_changed(self._known(), now))
        if now >= self._ask_again_at:
            self._ask_again(now)
        self.repair.go_on(now)
        self.dropping.go_on()
        self.settled_down()

    def _wake_up(self, now: float) -> None:
        """
        Notice that this node did not run for so long that others have given it
        up; call this first when anything happens.
        """
        awake_at, self._awake_at = self._awake_at, now
        dead_after_s = self._nodosum.config.dead_after_s
        self.looked_at_the_clock(now + dead_after_s)
        overslept = awake_at is not None and now - awake_at >= dead_after_s
        if overslept and len(self.view.members) > 1:
            self._perform(self.claims.forget(now))

    def members_changed(self) -> None:
        """Somebody joined, left or died, or this node has begun another life."""
        self._wake_up(self._now())
        members = [
            SlotMember(peer.node_key, peer.incarnation, peer.host)
            for peer in self._nodosum.membership.members()
        ]
        was = self.view.members
        self.claims.reincarnated(self._nodosum.me.incarnation)
        if self.view.change([self._me, *members]):
            for node_key, member in was.items():
                if self.view.members.get(node_key) != member:
                    self.repair.lost(node_key)
            self._owners_changed()

    def leaves(self, node_key: bytes) -> None:
        """A member, maybe this node, is about to leave."""
        if self.view.leaves(node_key):
            self._owners_changed()

    def drains(self, node_key: bytes, drained: bool, turn: int) -> None:
        """A member, maybe this node, says whether it is drained."""
        if self.view.drains(node_key, drained, turn):
            self._ask_again_at = self._now() + ASK_AGAIN_S
            self._owners_changed()

    def _ask_again(self, now: float) -> None:
        """
        Ask all about what this node is primary of.

        While some have heard that a node is drained, or is so no more, and some
        have not, a node may have agreed to a claim that came to nothing.
        """
        if self.claims.unsettled:
            return
        self._ask_again_at = float("inf")
        for node_key in sorted(self._known()):
            self._perform(self.claims.doubted(node_key, ALL_SLOTS, now))

    def link_up(self, node_key: bytes) -> None:
        """A link is new."""
        self._perform(self.claims.link_up(node_key, self._now()))
        self._writes.go_on()

    def _owners_changed(self) -> None:
        now = self._now()
        self.repair.owners_changed()
        self._perform(self.claims.nodes_changed(self._known(), now))
        self._writes.go_on()
        self.repair.go_on(now)
        self.settled_down()

    def opened(self, bucket: OpenBucket) -> None:
        """A bucket is new here."""
        name = bucket.settings.name
        self._nodosum.recorder.note(Kind.BUCKET, f"Bucket {name} is new", bucket=name)
        for slot in range(SLOTS):
            bucket.store.lead(slot, bool(self.claims.serving >> slot & 1))
        self.repair.owners_changed()

    def conflicted(self, bucket: str, difference: str) -> None:
        """A bucket was created twice, in different ways."""
        text = f"Bucket {bucket} was created twice with other settings ({difference})"
        self._nodosum.recorder.note(
            Kind.CONFLICT, text, bucket=bucket, difference=difference
        )

    # -- claims -----------------------------------------------------------------

    def claimed(self, life: Life, claim: Claim) -> Claimed:
        """Another node claims slots; the answer is for it."""
        self._clock.observe(claim.clock)
        held = slotset(write.slot for write in self._writes)
        for bucket in self._buckets.by_name.values():
            held |= bucket.store.held()
        answer, effects = self.claims.claimed(life, claim, held, self._now())
        # Who is answered may ask for what we had under way.
        self._perform(effects)
        self._near.others_moved()
        return answer

    def copy_refused(self, slot: int, promised: Life) -> None:
        """A copy of ours was not taken: its slot was promised to another."""
        self._perform(self.claims.refused(slot, promised, self._now()))

    def _doubted(self, node_key: bytes, slots: int) -> None:
        self._perform(self.claims.doubted(node_key, slots, self._now()))

    def _perform(self, effects: Effects) -> None:
        stale, vouched = NO_SLOTS, True
        for effect in effects:
            match effect:
                case AskClaim(node_key, claim):
                    self._ask_claim(node_key, claim)
                case Began(slots):
                    self._lead(slots, True)
                    self._note(Kind.SLOTS_TAKEN, "Primary of {count} more slots", slots)
                    vouched = False
                case Ended(slots):
                    self._lead(slots, False)
                    self._note(Kind.SLOTS_GIVEN, "Gave {count} slots away", slots)
                    stale |= slots
                    for write in self._writes.stop(slots):
                        self._make_anew(write)
                    self._primary.slots_ended()
                case Fetchable(node_key):
                    held = self.claims.held_by(node_key)
                    stale |= held
                    self.repair.fetches(held)
                    self._primary.holders_changed()
                    self.fetching.begin(node_key)
                case Tell(node_key, moved):
                    self._ask(node_key, moved, CLAIM_TIMEOUT_S, lambda _: None)
                case _:
                    assert_never(effect)
        if stale:
            self._primary.leasing.slots_moved(stale)
        if stale or not vouched:
            self._near.slots_moved()
        if effects:
            self._router.wake()

    def _note(self, kind: Kind, text: str, slots: int) -> None:
        count, serving = slots.bit_count(), self.claims.serving.bit_count()
        text = f"{text.format(count=count)}; {serving} now"
        self._nodosum.recorder.note(kind, text, slots=count, serving=serving)

    def _lead(self, slots: int, leads: bool) -> None:
        for bucket in self._buckets.by_name.values():
            for slot in slots_of(slots):
                bucket.store.lead(slot, leads)
        self.repair.owners_changed()

    def _ask_claim(self, node_key: bytes, claim: Claim) -> None:
        def answered(answer: Answer | None) -> None:
            found = answer if isinstance(answer, Claimed) else None
            if found is not None:
                self._clock.observe(found.clock)
            self._perform(self.claims.answered(node_key, claim, found, self._now()))

        self._ask(node_key, claim, CLAIM_TIMEOUT_S, answered)

    def _make_anew(self, write: Write) -> None:
        """Let the new primary of a slot make a write that we have begun."""
        if isinstance(write.done, Waiter) and not write.done.wanted:
            return  # Its caller may have had it made elsewhere, long ago.
        remake = Remake(
            write.bucket.settings.name,
            write.key,
            write.value,
            write.stamp,
            write.origin or self.view.me,
            remaining_ms(write.deadline, self._now()),
            write.existed,
        )
        self._router.route(remake, write.slot, write.until, write.done)

    def _fetched(self) -> None:
        self.repair.owners_changed()
        self.repair.go_on(self._now())
        self._router.wake()
