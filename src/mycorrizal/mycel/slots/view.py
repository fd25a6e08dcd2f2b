# -*- test-case-name: tests.mycel.slots.test_view -*-
"""
Who could own slots, and so who should: a core.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from xxhash import xxh3_64_intdigest

from mycorrizal.mycel.slots.placement import SLOTS, Placement
from mycorrizal.mycel.slots.slotset import slotset


@attrs.frozen
class SlotMember:
    """
    A member that can own slots.

    :ivar node_key: 16 bytes.
    :ivar host: Names its machine; empty: a machine of its own.
    """

    node_key: bytes
    incarnation: int
    host: str = ""


class View:
    """
    The members as this node sees them, itself among them.

    :ivar members: By node key, those included that are about to leave.
    :ivar leaving: Who is about to leave: it holds, answers and forwards, but
        counts for no rank.
    :ivar drained: Who stays and counts for no rank all the same, unless nobody
        else stays who does.
    :ivar placement: Of the slots over those who count.
    :ivar shares: For each who counts, the slots it is the best-ranked one for.
    :ivar epoch: Stands for those who count; equal on nodes that see the same.
    """

    def __init__(self, me: SlotMember) -> None:
        self.me = me.node_key
        self.members: dict[bytes, SlotMember] = {me.node_key: me}
        self.leaving: set[bytes] = set()
        self.drained: set[bytes] = set()
        #: How often each has said whether it is drained.
        self._turns: dict[bytes, int] = {}
        self.placement = Placement()
        self.placement.add(me.node_key, me.host)
        self._changed()

    def change(self, members: Iterable[SlotMember]) -> bool:
        """
        These are the members now.

        :return: Whether that is a change.
        """
        now = {member.node_key: member for member in members}
        if now == self.members:
            return False
        was, self.members = self.members, now
        for node_key, member in was.items():
            if now.get(node_key) != member:
                self._take_out(node_key)
                # In its next life it may stay.
                self.leaving.discard(node_key)
                if node_key != self.me:
                    self.drained.discard(node_key)
                    self._turns.pop(node_key, None)
        self._place()
        return True

    def leaves(self, node_key: bytes) -> bool:
        """
        A member is about to leave.

        :return: Whether that is news.
        """
        if node_key not in self.members or node_key in self.leaving:
            return False
        self.leaving.add(node_key)
        self._place()
        return True

    def drains(self, node_key: bytes, drained: bool, turn: int) -> bool:
        """
        A member says whether it is drained.

        :param turn: Counts what it has said in this life: the highest holds.
        :return: Whether that is news.
        """
        if node_key not in self.members or turn <= self._turns.get(node_key, 0):
            return False
        self._turns[node_key] = turn
        if drained == (node_key in self.drained):
            return False
        if drained:
            self.drained.add(node_key)
        else:
            self.drained.discard(node_key)
        self._place()
        return True

    @property
    def in_service(self) -> list[bytes]:
        """Who neither leaves nor is drained, sorted."""
        out = self.leaving | self.drained
        return sorted(node_key for node_key in self.members if node_key not in out)

    def stands_back(self, node_key: bytes) -> bool:
        """Whether a member counts for no rank."""
        return node_key in self.members and node_key not in self.placement

    def _place(self) -> None:
        """Let those have the slots who count, and nobody else."""
        # A cluster whose other members have died needs those that were drained.
        count = self.in_service or sorted(self.members.keys() - self.leaving)
        for node_key in self.placement.members:
            if node_key not in count:
                self._take_out(node_key)
        for node_key in count:
            if node_key not in self.placement:
                self.placement.add(node_key, self.members[node_key].host)
        self._changed()

    def _take_out(self, node_key: bytes) -> None:
        if node_key in self.placement:
            self.placement.remove(node_key)

    def owners(self, slot: int, count: int) -> tuple[bytes, ...]:
        """Who should hold a slot of a bucket with so many owners."""
        return self.placement.owners(slot, count)

    def owned(self, count: int) -> dict[bytes, int]:
        """
        For each who counts, the slots it owns of a bucket with so many owners.

        To be read only; it is worked out once for each change of members.
        """
        owned = self._owned.get(count)
        if owned is None:
            slots: dict[bytes, list[int]] = {key: [] for key in self.shares}
            for slot in range(SLOTS):
                for owner in self.placement.owners(slot, count):
                    slots[owner].append(slot)
            owned = {key: slotset(each) for key, each in slots.items()}
            self._owned[count] = owned
        return owned

    def _changed(self) -> None:
        self._owned: dict[int, dict[bytes, int]] = {}
        counting = self.placement.members
        shares: dict[bytes, list[int]] = {node_key: [] for node_key in counting}
        for slot, primary in enumerate(self.placement.primaries):
            if primary is not None:
                shares[primary].append(slot)
        self.shares = {key: slotset(slots) for key, slots in shares.items()}
        self.epoch = xxh3_64_intdigest(
            b"".join(
                node_key
                + self.members[node_key].incarnation.to_bytes(8, "little")
                + self.members[node_key].host.encode()
                for node_key in counting
            )
        )
