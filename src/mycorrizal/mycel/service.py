# -*- test-case-name: tests.mycel.test_service -*-
"""
Mycel as a Twisted service: the application ``SYSTEM-MYCEL`` and its clock.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.cache import Cache
from mycorrizal.mycel.config import OPERATION_TIMEOUT_S, MycelConfig
from mycorrizal.mycel.messages import (
    Answer,
    Buckets,
    Copy,
    CreateBucket,
    Done,
    Fetch,
    Leaving,
    Push,
    Request,
    Returned,
    Routed,
    decode_answer,
    decode_request,
    encode,
)
from mycorrizal.mycel.operations.asking import OnAnswer
from mycorrizal.mycel.operations.primary import Primary
from mycorrizal.mycel.operations.replica import Replica
from mycorrizal.mycel.operations.routing import Router
from mycorrizal.mycel.operations.writing import Writes
from mycorrizal.mycel.settling import Settling
from mycorrizal.mycel.slots.handoff import Handoff
from mycorrizal.mycel.slots.placement import SLOTS, bucket_seed, slot_of
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
        self._writes = Writes(
            self.view, self.ask, runtime.now, self._linked, self._news
        )
        self._primary = Primary(
            self.view,
            self.buckets,
            self.clock,
            self._writes,
            self.ask,
            runtime.now,
            self._meeting,
        )
        self._replica = Replica(self.buckets, self.clock, runtime.now)
        self.router = Router(
            runtime, self.view, self._primary, self.channel, nodosum.link_to
        )
        self._handoff = Handoff(
            runtime, self.view, self.buckets, self.ask, self._news, self._pushed
        )
        self.cache = Cache(self)
        self._held: set[bytes] = set()
        self._settling = Settling(
            self.view, self._handoff, self.clock, self.ask, runtime.now
        )
        self._steady: set[Link] = set()
        self._timer: Timer | None = None
        self._unasked: list[OnAnswer] = []
        self._unasked_timer: Timer | None = None
        self._drained: Readiness | None = None
        self._handed_over = False
        nodosum.applications.add_route(APPLICATION_ID, self)
        nodosum.listen_to_links(self)
        nodosum.subscribe(self._member_changed)
        nodosum.tables_held = self._held.__contains__

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
        self._handoff.stop()
        self.router.stop()
        self.cache.stop()

    def drain(self) -> Deferred[None]:
        """
        Hand over all that this node holds; the first half of stopping.

        It goes on to serve its slots until all has been pushed once; then it
        sends operations back, and pushes what has changed meanwhile.

        :return: Fires when every other owner has it, at once if there is
            nobody.
        """
        if not self.running or not self.nodosum.membership.members():
            return succeed(None)
        self._drained = Readiness()
        for node_key in self.view.members:
            if link := self.nodosum.link_to(node_key):
                self._tell(link, Leaving)
        self._settling.leavers.add(self._me)
        self.view.leave()
        self._handoff.begin()
        return self._drained.when_ready()

    def _tick(self) -> None:
        self._timer = self.runtime.call_later(TICK_S, self._tick)
        now = self.runtime.now()
        # While slots move, what has expired stays: it keeps out the older
        # versions that others may still push.
        if not self.view.waiting_for:
            for bucket in self.buckets.by_name.values():
                if bucket.store.next_due_s() <= now:
                    bucket.store.pop_due(now, SWEEP_MAX)
        self._writes.expire()
        self._settling.ask()
        self._settling.answer()

    # -- members ----------------------------------------------------------------

    def link_up(self, peer: Peer, link: Link) -> None:
        """A link is new: tell it of our buckets."""
        if self._members_changed():
            self._tell(link, Returned)
        else:
            self._steady.add(link)
        self._tell(link, self._news)
        if self._drained is not None:
            self._tell(link, Leaving)
        self._writes.members_changed()

    def _tell(self, link: Link, news: Callable[[], Request]) -> None:
        """Tell a node something for as long as its link lives."""

        def answered(answer: Answer | None) -> None:
            if answer is None and link.up:
                self._tell(link, news)

        self.ask(link.node_key, news(), OPERATION_TIMEOUT_S, answered)

    def link_down(self, peer: Peer, link: Link) -> None:
        """A link is gone, and with it what it told us."""
        self._held.discard(peer.node_key)
        self._steady.discard(link)

    def _returned(self, link: Link) -> None:
        """
        A member has taken us for new.  If it was not new to us, then it did
        without us for a while, and others may have written our slots.
        """
        if link in self._steady:
            self._steady.discard(link)
            self.view.returned()
            self._primary.members_changed()
            self._handoff.begin()
            self._settling.ask()

    def _member_changed(self, event: MemberEvent) -> None:
        self._members_changed()

    def _members_changed(self) -> bool:
        members = [
            SlotMember(peer.node_key, peer.incarnation, peer.host)
            for peer in self.nodosum.membership.members()
        ]
        if not self.view.change([self._me, *members]):
            return False
        for bucket in self.buckets.by_name.values():
            self._lead(bucket)
        self._primary.members_changed()
        self._handoff.begin()
        self._writes.members_changed()
        self._settling.members_changed()
        return True

    @property
    def _me(self) -> SlotMember:
        me = self.nodosum.me
        return SlotMember(me.node_key, me.incarnation, self.host)

    def _lead(self, bucket: OpenBucket) -> None:
        for slot, primary in enumerate(self.view.placement.primaries):
            bucket.store.lead(slot, primary == self.view.me)

    def _meeting(self) -> bool:
        """Whether we have heard of nodes that we are about to link with."""
        since = self.runtime.now() - self.nodosum.config.dead_after_s
        return any(
            peer.state is PeerState.JOINING and peer.since > since
            for peer in self.nodosum.membership.peers.values()
        )

    def _linked(self, node_key: bytes) -> bool:
        return self.nodosum.link_to(node_key) is not None

    def _news(self) -> Buckets:
        return Buckets(self.buckets.entries(), self.clock.last)

    def under_replicated(self) -> int:
        """
        Copies that are still missing, as far as this node can tell: entries of
        its slots times owners that have not said that they are settled.
        """
        if self._settling.settled:
            return 0
        return sum(
            bucket.store.count(slot) * len(self.view.lacking(slot, bucket.owners))
            for bucket in self.buckets.by_name.values()
            for slot in range(SLOTS)
            if bucket.store.count(slot)
        )

    # -- settling ---------------------------------------------------------------

    def _pushed(self) -> None:
        self._settling.answer()
        if self._drained is None:
            self._settling.drop_moved()
        elif self._handed_over:
            self._drained.succeeded()
        else:
            self._handed_over = True
            self.cache.running = False
            self._handoff.begin(changed=True)

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

        def done(answer: Answer) -> None:
            if not link.closed:
                link.reply(call_id, encode(answer), self.channel.app_id)

        routed = isinstance(request, Routed)
        if not self.running or (routed and self._handed_over):
            link.error(call_id, ErrorCode.BUSY, "")
        elif isinstance(request, Routed):
            deadline = self.runtime.now() + OPERATION_TIMEOUT_S
            self.router.passed_on(request, self.slot(request), deadline, done)
        elif isinstance(request, (Copy, Fetch, Push)):
            done(self._replica.answer(request))
        elif isinstance(request, Buckets):
            self._buckets_told(request, link)
            done(Done())
        elif isinstance(request, Leaving):
            if link.node_key in self.view.members:
                self._settling.leavers.add(self.view.members[link.node_key])
            done(Done())
        elif isinstance(request, Returned):
            self._returned(link)
            done(Done())
        else:
            self._settling.asked(request, done)

    def _buckets_told(self, told: Buckets, link: Link) -> None:
        self.clock.observe(told.clock)
        conflicts = self.buckets.merge(told.buckets)
        for name, difference in conflicts:
            self._log.warn(
                "Bucket {bucket} was created twice with other settings "
                "({difference}); the later ones are in force",
                bucket=name,
                difference=difference,
            )
        if conflicts:
            # There may be owners now that were none.
            self.view.trust_nobody()
            self._handoff.begin()
        self._held.add(link.node_key)

    def slot(self, request: Routed) -> int:
        """The slot of an operation."""
        if isinstance(request, CreateBucket):
            return slot_of(BUCKETS_SEED, request.name.encode())
        bucket = self.buckets.by_name.get(request.bucket)
        seed = bucket_seed(request.bucket) if bucket is None else bucket.seed
        return slot_of(seed, request.key)

    def received(self, payloads: list[bytes], link: Link) -> None:
        """A message without an answer came; there are none of ours."""
        raise RemoteProtocolError("the cache takes requests only")

    def cancelled(self, call_id: int, link: Link) -> None:
        """The caller waits no more: the operation goes on all the same."""
