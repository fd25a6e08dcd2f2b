"""
What the tests of Mycel's parts stand on: a clock to turn, nodes, and fakes.
"""

from __future__ import annotations

from twisted.internet.task import Clock

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.config import BucketSettings
from mycorrizal.mycel.messages import Answer, Request
from mycorrizal.mycel.operations.administering import Administration
from mycorrizal.mycel.operations.asking import OnAnswer
from mycorrizal.mycel.operations.sweeping import Sweeper
from mycorrizal.mycel.slots.placement import SLOTS, slot_of
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


def settled_view(*others: bytes) -> View:
    """This node and others, where all has been pushed."""
    view = View(member(ME))
    view.change(members(*others))
    for other in others:
        view.through(other, view.epoch)
    view.pushed()
    return view


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
        self.view = settled_view(*others)
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
