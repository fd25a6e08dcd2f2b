# -*- test-case-name: tests.mycel.slots.test_placement -*-
"""
Which slot a key falls in, and which nodes hold a slot.

All of this is visible on the wire: two nodes that compute it differently
disagree about who owns what.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from functools import lru_cache
from typing import Final

from xxhash import xxh3_64_intdigest

#: Slots of a bucket.  Enough that a hundred nodes hold about ten each, few
#: enough that a table of them is rebuilt in a millisecond.
SLOTS: Final = 1024

#: A set of slots on the wire: a bit for each, little-endian.
SLOTSET_BYTES: Final = SLOTS // 8

#: How many nodes' ranks are remembered in a process.  One node needs those of
#: its members; many nodes in one process (a simulation) share them.
RANKS_CACHED_MAX: Final = 512

#: How many pairs of nodes are remembered that were compared: 200 bytes each.  One
#: node compares itself with its members; a hundred nodes in one process, which are
#: simulated, compare ten thousand pairs, again and again in the same order.
PAIRS_CACHED_MAX: Final = 1 << 15

#: Answers of `Placement.owners` are kept for counts up to this.
COUNT_CACHED_MAX: Final = 16

_SLOT_MASK: Final = SLOTS - 1
_RANK_MAX: Final = (1 << 64) - 1
_RANK_BYTES: Final = 8


def bucket_seed(name: str) -> int:
    """The seed that spreads the keys of the bucket `name` over the slots."""
    return xxh3_64_intdigest(name.encode())


def slot_of(seed: int, key: bytes) -> int:
    """
    The slot of a key.

    :param seed: The `bucket_seed` of its bucket.
    """
    return xxh3_64_intdigest(key, seed) & _SLOT_MASK


def rank(slot: int, node_key: bytes) -> int:
    """How much a node wants a slot; the one that wants it most is primary."""
    return xxh3_64_intdigest(slot.to_bytes(2, "little"), xxh3_64_intdigest(node_key))


@lru_cache(maxsize=RANKS_CACHED_MAX)
def _places(node_key: bytes) -> tuple[bytes, ...]:
    """
    For each slot, the bytes that put a node in order there: how far its rank is from
    the highest there is, and then its key.
    """
    seed = xxh3_64_intdigest(node_key)
    return tuple(
        (_RANK_MAX - xxh3_64_intdigest(slot.to_bytes(2, "little"), seed)).to_bytes(
            _RANK_BYTES, "big"
        )
        + node_key
        for slot in range(SLOTS)
    )


@lru_cache(maxsize=PAIRS_CACHED_MAX)
def outranks(node_key: bytes, other: bytes) -> int:
    """The slots, as bits, that one node wants more than another."""
    bits = bytearray(SLOTSET_BYTES)
    places = zip(_places(node_key), _places(other), strict=True)
    for slot, (mine, theirs) in enumerate(places):
        if mine < theirs:
            bits[slot >> 3] |= 1 << (slot & 7)
    return int.from_bytes(bits, "little")


class Placement:
    """
    A table of slots and, for each, its members in order of rank.

    This is rendezvous hashing per slot (Thaler and Ravishankar: Using
    Name-Based Mappings to Increase Hit Rates, 1998): a join moves only the
    slots the newcomer wins, a leave only those the leaver held, and the table
    depends on who is in, not on the order they came.  Equal ranks are ordered
    by node key, the lower one first.

    A join costs 1024 hashes and as many insertions into sorted lists, a leave
    1024 removals from them: less than 1 ms with 100 members.

    :ivar primaries: For each slot, its primary's node key; None without
        members.  To be read only; the list stays the same object.
    """

    __slots__ = ("_hosts", "_orders", "_owners", "primaries")

    def __init__(self) -> None:
        self.primaries: list[bytes | None] = [None] * SLOTS
        self._hosts: dict[bytes, str] = {}
        #: For each slot, its members' places (see `_places`), sorted.
        self._orders: list[list[bytes]] = [[] for _ in range(SLOTS)]
        #: Answers of `owners` since the last change, by count and slot.
        self._owners: dict[int, tuple[bytes, ...]] = {}

    def __contains__(self, node_key: bytes) -> bool:
        return node_key in self._hosts

    def __len__(self) -> int:
        return len(self._hosts)

    @property
    def members(self) -> tuple[bytes, ...]:
        """The members' node keys, sorted."""
        return tuple(sorted(self._hosts))

    def add(self, node_key: bytes, host: str = "") -> None:
        """
        Let a node take its slots; for a member, set its host.

        :param node_key: 16 bytes.
        :param host: Nodes of one host are likely to fail together.  Empty: no
            other node's host is the same.
        """
        self._owners.clear()
        known = node_key in self._hosts
        self._hosts[node_key] = host
        if known:
            return
        places = zip(self._orders, _places(node_key), strict=True)
        for slot, (order, place) in enumerate(places):
            insort(order, place)
            if order[0] is place:
                self.primaries[slot] = node_key

    def remove(self, node_key: bytes) -> None:
        """
        Take a member's slots from it.

        :raises KeyError: It is not a member.
        """
        del self._hosts[node_key]
        self._owners.clear()
        places = zip(self._orders, _places(node_key), strict=True)
        for slot, (order, place) in enumerate(places):
            at = bisect_left(order, place)
            del order[at]
            if not at:
                self.primaries[slot] = order[0][_RANK_BYTES:] if order else None

    def primary(self, slot: int) -> bytes | None:
        """The slot's primary: the member of the highest rank, if any."""
        return self.primaries[slot]

    def ranked(self, slot: int) -> tuple[bytes, ...]:
        """All members, by their rank for this slot, the primary first."""
        return tuple(place[_RANK_BYTES:] for place in self._orders[slot])

    def owners(self, slot: int, count: int) -> tuple[bytes, ...]:
        """
        The primary and the replicas of a slot, in the order they were chosen.

        A replica is the best-ranked member whose host is neither the primary's
        nor another replica's; without such, the best whose host is not the
        primary's; else the best.

        :param count: How many, the primary included; fewer if the members are.
        """
        asked = count * SLOTS + slot
        found = self._owners.get(asked)
        if found is None:
            found = self._choose(slot, count)
            if count <= COUNT_CACHED_MAX:
                self._owners[asked] = found
        return found

    def _choose(self, slot: int, count: int) -> tuple[bytes, ...]:
        rest = list(self._orders[slot])
        if count < 1 or not rest:
            return ()
        hosts = self._hosts
        chosen = [rest.pop(0)[_RANK_BYTES:]]
        primary_hosts = {hosts[chosen[0]]} - {""}
        used_hosts = set(primary_hosts)
        while rest and len(chosen) < count:
            best = next(
                (
                    place
                    for avoided in (used_hosts, primary_hosts)
                    for place in rest
                    if hosts[place[_RANK_BYTES:]] not in avoided
                ),
                rest[0],
            )
            rest.remove(best)
            chosen.append(node_key := best[_RANK_BYTES:])
            if hosts[node_key]:
                used_hosts.add(hosts[node_key])
        return tuple(chosen)
