"""
What the tests of Mycel's parts stand on: a clock to turn, nodes, and fakes.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.config import BucketSettings
from mycorrizal.mycel.messages import Answer, Buckets, Request
from mycorrizal.mycel.operations.administering import Administration
from mycorrizal.mycel.operations.asking import OnAnswer
from mycorrizal.mycel.operations.sweeping import Sweeper
from mycorrizal.mycel.operations.writing import Writes
from mycorrizal.mycel.slot_messages import Claim, Claimed
from mycorrizal.mycel.slots.claims import CLAIM_PAUSE_S, Claims
from mycorrizal.mycel.slots.effects import AskClaim, Effects
from mycorrizal.mycel.slots.placement import SLOTS, slot_of
from mycorrizal.mycel.slots.promises import Life
from mycorrizal.mycel.slots.slotset import NO_SLOTS, from_bytes, to_bytes
from mycorrizal.mycel.slots.view import SlotMember, View
from mycorrizal.runtime import Runtime

WALL_S = 1_700_000_000.0


def key_of(number: int) -> bytes:
    """The key of the node with that number."""
    return bytes([number]) * 16


ME, A, B, C, D = map(key_of, range(1, 6))


def member(node_key: bytes, incarnation: int = 1, host: str = "") -> SlotMember:
    """A node, in its first life unless told otherwise."""
    return SlotMember(node_key, incarnation, host)


def members(*node_keys: bytes) -> list[SlotMember]:
    """Nodes in their first lives, this one among them."""
    return [member(node_key) for node_key in (ME, *node_keys)]


def view_of(*others: bytes) -> View:
    """This node and others."""
    view = View(member(ME))
    view.change(members(*others))
    return view


#: The answer of one who agrees to a claim, and holds nothing.
YES = Claimed((), to_bytes(NO_SLOTS), (), 0)


def agree(claims: Claims, effects: Effects, now: float = 0.0, held: int = 0) -> None:
    """
    Let everybody who is asked agree to a claim, and what follows from that.

    :param held: The slots of which each of them says it holds something.
    """
    for effect in effects:
        if isinstance(effect, AskClaim):
            slots = from_bytes(effect.claim.slots) & held
            answer = Claimed((), to_bytes(slots), (), 0)
            more = claims.answered(effect.node_key, effect.claim, answer, now)
            agree(claims, more, now, held)


def let_claim(claims: Claims, node_key: bytes, slots: int, now: float = 0.0) -> None:
    """Let another node in its first life claim slots."""
    claims.claimed((node_key, 1), Claim(to_bytes(slots), 0), NO_SLOTS, now)


def claims_of(view: View, now: float = 0.0) -> Claims:
    """Claims of this node, where each node is primary of its share."""
    claims = Claims(view, 1, lambda: 0)
    settle(view, claims, now)
    return claims


def settle(view: View, claims: Claims, now: float, held: int = NO_SLOTS) -> None:
    """
    Let members that have changed claim what is theirs, this node too.

    :param held: The slots of which the others hold something.
    """
    others = {key: it.incarnation for key, it in view.members.items() if key != ME}
    agree(claims, claims.nodes_changed(others, now), now, held)
    for node_key in others:
        let_claim(claims, node_key, view.shares[node_key], now)
    agree(claims, claims.begin(now), now, held)


def slot_owned_by(view: View, *owners: bytes) -> int:
    """A slot with exactly these owners, the primary first."""
    for slot in range(SLOTS):
        if view.placement.owners(slot, len(owners)) == owners:
            return slot
    raise AssertionError("no slot has these owners")


def key_in(bucket: OpenBucket, slot: int, number: int = 0) -> bytes:
    """A key that falls in a slot; another for each number."""
    found = 0
    for candidate in range(200 * SLOTS):
        key = b"key %d" % candidate
        if slot_of(bucket.seed, key) == slot:
            if found == number:
                return key
            found += 1
    raise AssertionError("no key found for the slot")


class Asked:
    """One question that waits for its answer."""

    def __init__(self, node_key: bytes, request: Request, done: OnAnswer) -> None:
        self.node_key = node_key
        self.request = request
        self.done = done


class FakeAsk:
    """
    The other nodes: it keeps what is asked of them until the test answers.

    :ivar asked: The questions without an answer, in order.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def __call__(
        self, node_key: bytes, request: Request, timeout_s: float, done: OnAnswer
    ) -> None:
        self.asked.append(Asked(node_key, request, done))

    def requests(self, node_key: bytes | None = None) -> list[Request]:
        """What is asked of a node, or of all."""
        return [
            asked.request
            for asked in self.asked
            if node_key is None or asked.node_key == node_key
        ]

    def answer(self, answer: Answer | None, node_key: bytes | None = None) -> Request:
        """Answer the oldest question, of a node or of all."""
        for asked in self.asked:
            if node_key is None or asked.node_key == node_key:
                self.asked.remove(asked)
                asked.done(answer)
                return asked.request
        raise AssertionError("nothing is asked")


class Parts:
    """
    What the parts of one node share.

    :param others: The other members, where all is settled.
    :ivar clock: To be advanced.
    """

    def __init__(self, *others: bytes, replicas: int = 1) -> None:
        self.clock = Clock()
        self.runtime = Runtime(self.clock, monotonic=self.clock.seconds, wall=self.wall)
        self.now = self.clock.seconds
        self.hybrid = HybridClock(self.wall)
        self.view = view_of(*others)
        self.claims = claims_of(self.view)
        self.buckets = BucketTable()
        self.ask = FakeAsk()
        self.sweeper = Sweeper(self.runtime)
        #: How often values have got other owners.
        self.moves = 0
        self.administration = Administration(
            self.view,
            self.buckets,
            self.hybrid,
            self.ask,
            self.now,
            self.sweeper,
            self._moved,
        )
        self.bucket = self.open("b", replicas)
        self.refused: list[tuple[int, Life]] = []
        self.behind: list[tuple[bytes, int]] = []

    def change(self, *others: bytes, held: int = NO_SLOTS) -> None:
        """
        Members change, and claim what is theirs.

        :param held: The slots of which the others hold something.
        """
        self.view.change(members(*others))
        settle(self.view, self.claims, self.now() + CLAIM_PAUSE_S, held)

    def _moved(self) -> None:
        self.moves += 1

    def wall(self) -> float:
        """Seconds since the epoch."""
        return WALL_S + self.clock.seconds()

    def open(self, name: str, replicas: int = 1) -> OpenBucket:
        """Open a bucket."""
        settings = BucketSettings(name, max_entries=1000, replicas=replicas)
        return self.buckets.add(settings, (1, ME))

    def store(
        self,
        key: bytes,
        value: bytes | None,
        stamp: int,
        *,
        origin: bytes = ME,
        ttl_s: float = float("inf"),
    ) -> int:
        """Let this node hold a version of a key; returns its slot."""
        slot, now = slot_of(self.bucket.seed, key), self.now()
        self.bucket.store.merge(slot, key, value, stamp, origin, now + ttl_s, now)
        return slot

    def held(self, key: bytes) -> bytes | None:
        """The value that this node holds of a key."""
        slot = slot_of(self.bucket.seed, key)
        entry = self.bucket.store.peek(slot, key, self.now())
        return None if entry is None else entry.value


def writes_of(
    parts: Parts, linked: Callable[[bytes], object] = lambda _: True
) -> Writes:
    """The writes of a node; what is refused or behind is kept in `parts`."""
    return Writes(
        parts.view,
        parts.ask,
        parts.now,
        linked,
        lambda: Buckets(parts.buckets.entries(), 0),
        lambda slot, promised: parts.refused.append((slot, promised)),
        lambda bucket, owner, slot: parts.behind.append((owner, slot)),
    )
