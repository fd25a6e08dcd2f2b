# -*- test-case-name: tests.mycel.test_service -*-
"""
Mycel as a Twisted service: the application ``SYSTEM-MYCEL`` and its clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.bucket_messages import Administered
from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.cache import Cache
from mycorrizal.mycel.config import OPERATION_TIMEOUT_S, MycelConfig
from mycorrizal.mycel.messages import (
    Answer,
    Asked,
    Buckets,
    Done,
    Put,
    Request,
    Routed,
    Touch,
    decode_answer,
    decode_request,
    encode,
    remaining_ms,
)
from mycorrizal.mycel.operations.administering import Administration
from mycorrizal.mycel.operations.asking import Errands, OnAnswer, Waiter
from mycorrizal.mycel.operations.primary import Primary
from mycorrizal.mycel.operations.replica import Replica
from mycorrizal.mycel.operations.routing import Router
from mycorrizal.mycel.operations.serving import Serving
from mycorrizal.mycel.operations.sweeping import Sweeper
from mycorrizal.mycel.operations.writing import Write, Writes
from mycorrizal.mycel.slot_messages import Claim, Claimed, Leaving, Moved
from mycorrizal.mycel.slots.claims import (
    AskClaim,
    Began,
    Claims,
    Effects,
    Ended,
    Fetchable,
    Tell,
)
from mycorrizal.mycel.slots.dropping import Dropping
from mycorrizal.mycel.slots.fetching import Fetching
from mycorrizal.mycel.slots.leveling import Leveling
from mycorrizal.mycel.slots.placement import SLOTS, bucket_seed, slot_of
from mycorrizal.mycel.slots.repair import Repair
from mycorrizal.mycel.slots.slotset import slots_of, slotset
from mycorrizal.mycel.slots.view import SlotMember, View
from mycorrizal.nodosum import (
    ANSWERED,
    Channel,
    ErrorCode,
    Link,
    MemberEvent,
    NodosumService,
    Peer,
    PeerState,
    Readiness,
)
from mycorrizal.runtime import Timer

APPLICATION_ID = "SYSTEM-MYCEL"
#: Spreads the names of buckets over the slots, as a bucket's does its keys.
BUCKETS_SEED = bucket_seed("SYSTEM-MYCEL.buckets")
#: How often expired entries are freed and the time of writes is checked.
TICK_S = 0.25
#: Expired entries freed in one go; about 1 µs each.
SWEEP_MAX = 5_000
#: Pause before who could not be asked may be asked again.
ASK_PAUSE_S = 0.02
#: How long a node may take to answer a claim before it is asked again.
CLAIM_TIMEOUT_S = 2.0


class MycelService(Service):
    """
    The cache of one node.

    :ivar cache: Its public API.
    """

    _log = Logger()

    def __init__(
        self, nodosum: NodosumService, config: MycelConfig, *, host: str
    ) -> None:
        self.setName("mycel")
        self.host = host
        runtime = nodosum.runtime
        self.runtime = runtime
        self.clock = nodosum.clock
        self.nodosum = nodosum
        self.config = config
        self.buckets = BucketTable(self._lead)
        self.channel = Channel(APPLICATION_ID)
        self.view = View(self._me)
        self.claims = Claims(
            self.view, nodosum.me.incarnation, lambda: self.clock.last, self._dead
        )
        self.cache: Cache
        self._make_parts()
        self._held: set[bytes] = set()
        self._timer: Timer | None = None
        self._unasked: list[OnAnswer] = []
        self._unasked_timer: Timer | None = None
        self._drained: Readiness | None = None
        self._awake_at: float | None = None
        nodosum.applications.add_route(APPLICATION_ID, self)
        nodosum.listen_to_links(self)
        nodosum.subscribe(self._member_changed)
        nodosum.tables_held = self._held.__contains__
        nodosum.readiness.when_ready().addBoth(lambda _: self._begin_claims())

    def _make_parts(self) -> None:
        view, claims, buckets, clock = self.view, self.claims, self.buckets, self.clock
        runtime, now = self.runtime, self.runtime.now
        self._errands = errands = Errands(runtime, self.ask)
        leveling = Leveling(errands, now, self._news)
        self._repair = Repair(view, claims, buckets, leveling, errands, runtime.random)
        self._dropping = Dropping(
            view, claims, buckets, leveling, errands, now, self._check_drained
        )
        self._fetching = Fetching(errands, claims, buckets, clock, now, self._fetched)
        self._writes = Writes(
            view,
            self.ask,
            now,
            self.nodosum.link_to,
            self._news,
            self._copy_refused,
            self._repair.behind,
        )
        self._sweeper = Sweeper(runtime)
        self._administration = Administration(
            view,
            buckets,
            clock,
            self.ask,
            now,
            self._sweeper,
            self._repair.owners_changed,
        )
        self._primary = Primary(
            view,
            claims,
            buckets,
            clock,
            self._writes,
            self.ask,
            now,
            self._administration.perform,
        )
        self._replica = Replica(view, claims, buckets, clock, now)
        self.router = Router(
            runtime, claims, self._primary, self.channel, self.nodosum.link_to
        )
        self._serving = Serving(self, runtime, self.router, buckets)
        self.cache = Cache(self)

    # -- life -------------------------------------------------------------------

    def startService(self) -> None:
        """Begin to answer."""
        super().startService()
        self.cache.running = True
        self._tick()

    def stopService(self) -> None:
        """Answer no more; what is under way becomes indeterminate."""
        super().stopService()
        self.cache.running = False
        for timer in (self._timer, self._unasked_timer):
            if timer is not None:
                timer.cancel()
        self._errands.stop()
        self._sweeper.stop()
        self.router.stop()
        self.cache.stop()

    def drain(self) -> Deferred[None]:
        """
        Hand over all that this node holds; the first half of stopping.

        It goes on to serve its slots until others have claimed them, then
        passes operations on to those.

        :return: Fires when every other owner has all of it, at once if there is
            nobody.
        """
        if not self.running or not self.nodosum.membership.members():
            return succeed(None)
        self._drained = Readiness()
        for node_key in self.view.members:
            if link := self.nodosum.link_to(node_key):
                self._tell(link, Leaving)
        self._leaves(self.view.me)
        return self._drained.when_ready()

    def _check_drained(self) -> None:
        if self._drained is None or not self._drained.pending:
            return
        # Who is left alone, or among others that leave too, has no heir.
        heirs = len(self.view.placement) > 0
        if not heirs or not (self.claims.serving or self._dropping.left()):
            self.cache.running = False
            self._drained.succeeded()

    def _tick(self) -> None:
        self._timer = self.runtime.call_later(TICK_S, self._tick)
        now = self.runtime.now()
        self._wake_up(now)
        if not self.nodosum.listening.pending and self.nodosum.first_round_over(now):
            self._begin_claims()
        for bucket in self.buckets.by_name.values():
            if bucket.store.next_due_s() <= now:
                bucket.store.pop_due(now, SWEEP_MAX)
        self._writes.tick()
        # Who is heard of, and does not come, counts no more after a while.
        self._perform(self.claims.nodes_changed(self._known(), now))
        self._repair.go_on(now)
        self._dropping.go_on()
        self._check_drained()

    def _wake_up(self, now: float) -> None:
        """
        Notice that this node did not run for so long that others have given it
        up; call this first when anything happens.
        """
        awake_at, self._awake_at = self._awake_at, now
        if awake_at is not None and now - awake_at >= self.nodosum.config.dead_after_s:
            self._perform(self.claims.forget(now))

    def _begin_claims(self) -> None:
        if self.running and not self.claims.begun:
            self._perform(self.claims.begin(self.runtime.now()))

    # -- members ----------------------------------------------------------------

    def link_up(self, peer: Peer, link: Link) -> None:
        """A link is new: tell it of our buckets, and of what we are primary of."""
        if not self.running:
            return
        self._tell(link, self._news)
        if self._drained is not None:
            self._tell(link, Leaving)
        self._members_changed()
        if peer.leaving:
            self._leaves(peer.node_key)
        self._perform(self.claims.link_up(peer.node_key, self.runtime.now()))
        self._writes.go_on()

    def _tell(self, link: Link, news: Callable[[], Request]) -> None:
        """Tell a node something for as long as its link lives."""

        def answered(answer: Answer | None) -> None:
            if answer is None and link.up:
                self._tell(link, news)

        self.ask(link.node_key, news(), OPERATION_TIMEOUT_S, answered)

    def link_down(self, peer: Peer, link: Link) -> None:
        """A link is gone, and with it what it told us."""
        self._held.discard(peer.node_key)

    def _member_changed(self, event: MemberEvent) -> None:
        self._members_changed()

    def _members_changed(self) -> None:
        if not self.running:
            return
        self._wake_up(self.runtime.now())
        members = [
            SlotMember(peer.node_key, peer.incarnation, peer.host)
            for peer in self.nodosum.membership.members()
        ]
        was = self.view.members
        self.claims.reincarnated(self.nodosum.me.incarnation)
        if self.view.change([self._me, *members]):
            for node_key, member in was.items():
                if self.view.members.get(node_key) != member:
                    self._repair.lost(node_key)
            self._owners_changed()

    def _leaves(self, node_key: bytes) -> None:
        if self.view.leaves(node_key):
            self._owners_changed()

    def _owners_changed(self) -> None:
        now = self.runtime.now()
        self._repair.owners_changed()
        self._perform(self.claims.nodes_changed(self._known(), now))
        self._writes.go_on()
        self._repair.go_on(now)
        self._check_drained()

    def _known(self) -> dict[bytes, int]:
        """The nodes that may be primary of something: heard of, and not dead."""
        since = self.runtime.now() - self.nodosum.config.dead_after_s
        return {
            peer.node_key: peer.incarnation
            for peer in self.nodosum.membership.peers.values()
            if peer.member or (peer.state is PeerState.JOINING and peer.since > since)
        }

    def _dead(self, node_key: bytes, incarnation: int) -> bool:
        """Whether we know that a life of a node is over."""
        peer = self.nodosum.membership.peers.get(node_key)
        if peer is None or peer.member or peer.state is PeerState.JOINING:
            return peer is not None and incarnation < peer.incarnation
        return incarnation <= peer.incarnation

    @property
    def _me(self) -> SlotMember:
        me = self.nodosum.me
        return SlotMember(me.node_key, me.incarnation, self.host)

    def _lead(self, bucket: OpenBucket) -> None:
        for slot in range(SLOTS):
            bucket.store.lead(slot, bool(self.claims.serving >> slot & 1))
        self._repair.owners_changed()

    def _news(self) -> Buckets:
        return Buckets(self.buckets.entries(), self.clock.last)

    def under_replicated(self) -> int:
        """
        Copies that are missing, as far as this node can tell: of the entries
        of its slots, those that some owner is not known to hold.
        """
        return self._repair.missing()

    def safe_to_stop(self) -> bool:
        """
        Whether nothing is lost if this node's process ends now, however it
        ends: others hold all that it holds, as far as it can tell.
        """
        if any(write.stands for write in self._writes):
            return False  # Copies of what was acknowledged are on their way.
        return not self._repair.missing() and self._repair.doubled()

    @property
    def settled(self) -> bool:
        """Whether all is where it belongs, as far as this node can tell."""
        return not (self._repair.missing() or self._dropping.left())

    # -- slots on the move --------------------------------------------------------

    def _perform(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case AskClaim(node_key, claim):
                    self._ask_claim(node_key, claim)
                case Began(slots):
                    self._led(slots, True)
                    self._repair.owners_changed()
                case Ended(slots):
                    self._led(slots, False)
                    self._repair.owners_changed()
                    for write in self._writes.stop(slots):
                        self._make_anew(write)
                case Fetchable(node_key):
                    self._primary.holders_changed()
                    self._fetching.begin(node_key)
                case Tell(node_key, moved):
                    self.ask(node_key, moved, CLAIM_TIMEOUT_S, lambda _: None)
                case _:
                    assert_never(effect)
        if effects:
            self.router.wake()

    def _led(self, slots: int, leads: bool) -> None:
        for bucket in self.buckets.by_name.values():
            for slot in slots_of(slots):
                bucket.store.lead(slot, leads)

    def _ask_claim(self, node_key: bytes, claim: Claim) -> None:
        def answered(answer: Answer | None) -> None:
            found = answer if isinstance(answer, Claimed) else None
            if found is not None:
                self.clock.observe(found.clock)
            now = self.runtime.now()
            self._perform(self.claims.answered(node_key, claim, found, now))

        self.ask(node_key, claim, CLAIM_TIMEOUT_S, answered)

    def _claimed(self, claim: Claim, link: Link) -> Claimed:
        self.clock.observe(claim.clock)
        held = slotset(write.slot for write in self._writes)
        for bucket in self.buckets.by_name.values():
            held |= bucket.store.held()
        life = link.node_key, link.incarnation
        answer, effects = self.claims.claimed(life, claim, held, self.runtime.now())
        # Who is answered may ask for what we had under way.
        self._perform(effects)
        return answer

    def _copy_refused(self, slot: int, promised: tuple[bytes, int]) -> None:
        self._perform(self.claims.refused(slot, promised, self.runtime.now()))

    def _make_anew(self, write: Write) -> None:
        """Let the new primary of a slot make a write that we have begun."""
        if isinstance(write.done, Waiter) and not write.done.wanted:
            return  # Its caller may have had it made elsewhere, long ago.
        ttl_ms = remaining_ms(write.deadline, self.runtime.now())
        name, clock = write.bucket.settings.name, self.clock.last
        if write.touches:
            # Of whatever value there is by then, which may be a newer one.
            touch = Touch(name, write.key, ttl_ms, clock)
            self.router.route(touch, write.slot, write.until, write.done)
            return
        put = Put(name, write.key, write.value, ttl_ms, clock)

        def done(answer: Answer) -> None:
            if isinstance(answer, Done):
                answer = msgspec.structs.replace(answer, existed=write.existed)
            write.done(answer)

        self.router.route(put, write.slot, write.until, done)

    def _fetched(self) -> None:
        self._repair.owners_changed()
        self._repair.go_on(self.runtime.now())
        self.router.wake()

    # -- talking ----------------------------------------------------------------

    def ask(
        self, node_key: bytes, request: Request, timeout_s: float, done: OnAnswer
    ) -> None:
        """Ask one node something, once; after the stop nobody is asked."""
        if not self.running:
            return
        link = self.nodosum.link_to(node_key)

        def replied(how: int, payload: bytes) -> None:
            answer: Answer | None = None
            try:
                if how == ANSWERED:
                    answer = decode_answer(payload, request)
            finally:
                done(answer)

        deadline = self.runtime.now() + timeout_s
        if link is None or not self.channel.call(
            link, encode(request), replied, deadline
        ):
            # Not at once: whoever asks may ask again.
            self._unasked.append(done)
            if len(self._unasked) == 1:
                self._unasked_timer = self.runtime.call_later(
                    ASK_PAUSE_S, self._tell_unasked
                )

    def _tell_unasked(self) -> None:
        unasked, self._unasked = self._unasked, []
        for done in unasked:
            done(None)

    def serve(self, call_id: int, payload: bytes, link: Link) -> None:
        """A request came."""
        request = decode_request(payload)
        if not self.running:
            link.error(call_id, ErrorCode.BUSY, "")
            return

        def done(answer: Answer) -> None:
            if not link.closed:
                link.reply(call_id, encode(answer))

        if isinstance(request, Asked):
            self._serving.serve(call_id, request, link)
        elif isinstance(request, Claim):
            done(self._claimed(request, link))
        elif isinstance(request, Moved):
            self.claims.moved((link.node_key, link.incarnation), request)
            done(Done())
        elif isinstance(request, Buckets):
            self._administration.told(request, lambda: done(Done()))
            self._held.add(link.node_key)
        elif isinstance(request, Leaving):
            self._leaves(link.node_key)
            done(Done())
        else:
            done(self._replica.answer(request, (link.node_key, link.incarnation)))

    def slot(self, request: Routed) -> int:
        """The slot of an operation."""
        if isinstance(request, Administered):
            return slot_of(BUCKETS_SEED, request.name.encode())
        bucket = self.buckets.by_name.get(request.bucket)
        seed = bucket_seed(request.bucket) if bucket is None else bucket.seed
        return slot_of(seed, request.key)

    def received(self, payloads: list[bytes], link: Link) -> None:
        """A message without an answer came; there are none of ours."""
        raise RemoteProtocolError("the cache takes requests only")

    def cancelled(self, call_id: int, link: Link) -> None:
        """The caller waits no more: what has not begun is not done."""
        self._serving.cancelled(call_id, link)
