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
from mycorrizal.mycel.fields import AboutBucket, Question
from mycorrizal.mycel.messages import (
    Answer,
    Buckets,
    Direct,
    Done,
    Request,
    Routed,
    decode_answer,
    decode_request,
    encode,
)
from mycorrizal.mycel.moves import Moves
from mycorrizal.mycel.near.wiring import Near
from mycorrizal.mycel.operations.administering import Administration
from mycorrizal.mycel.operations.asking import OnAnswer, Unasked
from mycorrizal.mycel.operations.evicting import Evicting
from mycorrizal.mycel.operations.primary import Primary
from mycorrizal.mycel.operations.relaying import Relays
from mycorrizal.mycel.operations.replica import Asked as AskedOfReplica
from mycorrizal.mycel.operations.replica import Replica
from mycorrizal.mycel.operations.routing import Router
from mycorrizal.mycel.operations.serving import Serving
from mycorrizal.mycel.operations.sweeping import Sweeper
from mycorrizal.mycel.operations.watching import Outboxes
from mycorrizal.mycel.operations.writing import Writes
from mycorrizal.mycel.slot_messages import Claim, Leaving, Moved
from mycorrizal.mycel.slots.placement import bucket_seed, slot_of
from mycorrizal.mycel.slots.promises import Life
from mycorrizal.mycel.standing import Standing
from mycorrizal.nodosum import (
    ANSWERED,
    Channel,
    ErrorCode,
    Link,
    MemberDied,
    MemberEvent,
    MemberJoined,
    MemberLeft,
    NodosumService,
    Peer,
    node_key_of,
)
from mycorrizal.runtime import Timer

APPLICATION_ID = "SYSTEM-MYCEL"
#: Spreads the names of buckets over the slots, as a bucket's does its keys.
BUCKETS_SEED = bucket_seed("SYSTEM-MYCEL.buckets")
#: How often expired entries are freed and the time of writes is checked.
TICK_S = 0.25
#: Expired entries freed in one go: 1 to 4 µs each, as they are met in memory.
SWEEP_MAX = 2_000
#: Pause before the next go, where there are more.
SWEEP_PAUSE_S = 0.01


class MycelService(Service):
    """
    The cache of one node.

    :ivar cache: Its public API.
    :ivar not_handed_over: After a drain that did not end in time: how many
        copies of which bucket nobody has taken.
    :ivar standing: Whether it has a part in owning what is in the cache.
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
        self.buckets = BucketTable(self._opened)
        self.channel = Channel(APPLICATION_ID)
        self._relays = Relays(
            nodosum.me.node_key,
            self.channel,
            nodosum.link_to,
            nodosum.way_to,
            runtime.now,
        )
        self.moves = Moves(nodosum, host, self.buckets, self.ask, self._news)
        self.view, self.claims = self.moves.view, self.moves.claims
        self.cache: Cache
        self._make_parts()
        self.standing = Standing(nodosum, self.moves, self._tell, self.ask)
        self.not_handed_over = self.moves.dropping.left_by_bucket
        self._held: set[bytes] = set()
        self._timer: Timer | None = None
        self._unasked = Unasked(runtime)
        nodosum.applications.add_route(APPLICATION_ID, self)
        nodosum.applications.add_route(self.near.channel.id, self.near)
        nodosum.listen_to_links(self)
        nodosum.subscribe(self._member_changed)
        nodosum.tables_held = self._held.__contains__
        nodosum.readiness.when_ready().addBoth(lambda _: self._begin())

    def _make_parts(self) -> None:
        view, claims, buckets, clock = self.view, self.claims, self.buckets, self.clock
        runtime, now, moves = self.runtime, self.runtime.now, self.moves
        self._writes = Writes(
            view,
            self.ask,
            now,
            self._relays.toward,
            self._news,
            moves.copy_refused,
            moves.repair.behind,
        )
        self._sweeper = Sweeper(runtime)
        self._administration = Administration(
            view,
            buckets,
            clock,
            self.ask,
            now,
            self._sweeper,
            moves.repair.owners_changed,
            self._emptied,
            moves.conflicted,
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
        written = self._primary.leasing.leases.written
        self._replica = Replica(view, claims, buckets, clock, now, written)
        self.router = Router(
            runtime, claims, self._primary, self.channel, self._relays.toward
        )
        self.near = Near(runtime, claims, buckets, self.router, self.nodosum.link_to)
        moves.connect(self._writes, self._primary, self.router, self.near)
        self._evicting = Evicting(runtime, view, claims, self.ask)
        moves.settled_down = self._settled_down
        moves.looked_at_the_clock = self._looked_at_the_clock
        self.outboxes = Outboxes(runtime, buckets)
        self._serving = Serving(
            self, self.channel.app_id, runtime, self.router, buckets, self.outboxes
        )
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
        if self._timer is not None:
            self._timer.cancel()
        self._unasked.stop()
        self.moves.errands.stop()
        self._sweeper.stop()
        self._evicting.stop()
        self.outboxes.stop()
        self.near.stop()
        self.cache.stop()
        self.router.stop()

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
        return self.standing.leave()

    @property
    def draining(self) -> bool:
        """Whether it hands over what it holds, to stop then."""
        return self.standing.leaving

    def _settled_down(self) -> None:
        if self.standing.look():
            self.cache.running = False
            self.standing.left()

    def _begin(self) -> None:
        if self.running:
            self.moves.begin()

    def _tick(self) -> None:
        self._timer = self.runtime.call_later(TICK_S, self._tick)
        now = self.runtime.now()
        if self.nodosum.arrival.first_round_over(now):
            self.moves.begin()
        if self.buckets.sweep(now, SWEEP_MAX):
            self._timer.cancel()
            self._timer = self.runtime.call_later(SWEEP_PAUSE_S, self._tick)
        self.moves.tick()
        self.standing.tick(now)
        self._primary.leasing.expire()
        self.outboxes.expire()

    def _looked_at_the_clock(self, awake_until: float) -> None:
        self.cache.awake_until = awake_until

    # -- members ----------------------------------------------------------------

    def link_up(self, peer: Peer, link: Link) -> None:
        """A link is new: tell it of our buckets, and of what we are primary of."""
        if not self.running:
            return
        self._tell(peer.node_key, self._news)
        self.standing.tell(peer.node_key)
        self.moves.members_changed()
        if peer.leaving:
            self.moves.leaves(peer.node_key)
        self.moves.link_up(peer.node_key)
        self.near.link_up(link)
        self.cache.members_changed()

    def _tell(self, node_key: bytes, news: Callable[[], Request]) -> None:
        """
        Tell a member something for as long as its link lives; or, if it has
        none, by way of others until it has one.
        """
        link = self.nodosum.link_to(node_key)

        def answered(answer: Answer | None) -> None:
            same = self.nodosum.link_to(node_key) is link
            if answer is None and same and node_key in self.view.members:
                self._tell(node_key, news)

        self.ask(node_key, news(), OPERATION_TIMEOUT_S, answered)

    def link_down(self, peer: Peer, link: Link) -> None:
        """A link is gone, and with it what it told us."""
        self._held.discard(peer.node_key)
        self._primary.leasing.node_lost(peer.node_key)
        self.near.link_down(peer.node_key)

    def _member_changed(self, event: MemberEvent) -> None:
        if not self.running:
            return
        self.moves.members_changed()
        self.cache.members_changed()
        node_key = node_key_of(event.node.id)
        if isinstance(event, MemberJoined) and not self.nodosum.link_to(node_key):
            # It can be asked by way of others.
            self._tell(node_key, self._news)
            self.standing.tell(node_key)
            self.moves.link_up(node_key)
        elif isinstance(event, (MemberLeft, MemberDied)):
            self._primary.leasing.node_lost(node_key)

    def _opened(self, bucket: OpenBucket) -> None:
        self._evicting.look_after(bucket)
        self.moves.opened(bucket)

    def _emptied(self, bucket: OpenBucket, gone: bool) -> None:
        """A bucket is cleared or dropped, and what was in it is gone, or will be."""
        if gone:
            self.near.emptied(bucket.settings.name)
        else:
            self._primary.leasing.emptied(bucket.settings.name, dropped=bucket.dropped)

    def _news(self) -> Buckets:
        return Buckets(self.buckets.entries(), self.clock.last)

    def under_replicated(self) -> int:
        """How many copies owners of this node's slots are not known to hold."""
        return self.moves.missing

    def safe_to_stop(self) -> bool:
        """Whether others hold all that this node holds, as far as it can tell."""
        if any(write.stands for write in self._writes):
            return False  # Copies of what was acknowledged are on their way.
        return not self.moves.missing and self.moves.repair.doubled()

    # -- talking ----------------------------------------------------------------

    def ask(
        self, node_key: bytes, request: Request, timeout_s: float, done: OnAnswer
    ) -> None:
        """Ask one node something, once; after the stop nobody is asked."""
        if not self.running:
            return

        def replied(how: int, payload: bytes) -> None:
            answer: Answer | None = None
            try:
                if how == ANSWERED:
                    answer = decode_answer(payload, request)
            finally:
                done(answer)

        if not self._relays.call(node_key, encode(request), replied, timeout_s):
            self._unasked.add(done)

    def serve(self, call_id: int, payload: bytes, link: Link) -> None:
        """A request came."""
        if not self.running:
            link.error(call_id, ErrorCode.BUSY, "", self.channel.app_id)
            return
        request = decode_request(payload)
        if isinstance(request, Question):
            # Most are, and come from whoever asks.
            self._serving.serve(call_id, request, link)
            return
        opened = self._relays.opened(request, call_id, link)
        if opened is not None:
            self._serve(call_id, *opened, link)

    def _serve(self, call_id: int, request: Direct, sender: bytes, link: Link) -> None:

        def done(answer: Answer) -> None:
            if not link.closed:
                link.reply(call_id, encode(answer), self.channel.app_id)

        if isinstance(request, AskedOfReplica):
            # First, since most are copies.
            done(self._replica.answer(request, self._life(sender, link)))
        elif isinstance(request, Question):
            self._serving.serve(call_id, request, link)
        elif isinstance(request, Claim):
            done(self.moves.claimed(self._life(sender, link), request))
        elif isinstance(request, Moved):
            self.claims.moved(self._life(sender, link), request)
            done(Done())
        elif isinstance(request, Buckets):
            self._administration.told(request, lambda: done(Done()))
            self._held.add(sender)
        elif isinstance(request, Leaving):
            self.moves.leaves(sender)
            done(Done())
        else:
            self.moves.drains(sender, request.drained, request.turn)
            done(Done())

    def _life(self, sender: bytes, link: Link) -> Life:
        if sender == link.node_key:
            return sender, link.incarnation
        peer = self.nodosum.membership.peers.get(sender)
        return sender, -1 if peer is None else peer.incarnation

    def slot(self, request: Routed) -> int:
        """The slot of an operation."""
        if isinstance(request, AboutBucket):
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
