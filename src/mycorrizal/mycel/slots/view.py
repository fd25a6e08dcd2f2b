# -*- test-case-name: tests.mycel.slots.test_view -*-
"""
Who owns which slot now, and which slots are still on their way: a core.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from xxhash import xxh3_64_intdigest

from mycorrizal.mycel.slots.placement import SLOTS, Placement


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
    The slots as this node sees them.

    After a change of members every node pushes what has moved.  Until all have
    said that they are through with it, a slot whose primary this node has
    become is *unsettled*: somebody may hold a newer version of a key.

    :ivar epoch: Stands for the present members; equal on nodes that see the
        same.
    :ivar unsettled: For each slot, whether it is so.
    :ivar waiting_for: The members that have not said that they are through.
    :ivar newcomers: Members that have joined since all was pushed.
    """

    def __init__(self, me: SlotMember) -> None:
        self.me = me.node_key
        self.members: dict[bytes, SlotMember] = {me.node_key: me}
        self.placement = Placement()
        self.placement.add(me.node_key, me.host)
        self.before = Placement()
        self.before.add(me.node_key, me.host)
        self.unsettled = bytearray(SLOTS)
        self.waiting_for: set[bytes] = set()
        self.newcomers: set[bytes] = set()
        self._changes = 0
        #: Without this node, when it leaves.
        self._after: Placement | None = None
        self.epoch = self._epoch()

    def change(self, members: Iterable[SlotMember]) -> bool:
        """
        These are the members now, this node among them unless it leaves.

        :return: Whether that is a change.
        """
        now = {member.node_key: member for member in members}
        if now == self.members:
            return False
        self._changes += 1
        # Alone, this node was primary of what others may have written.
        alone = self.members.keys() == {self.me}
        primaries = [None] * SLOTS if alone else list(self.placement.primaries)
        was, self.members = self.members, now
        for node_key, member in was.items():
            if now.get(node_key) != member:
                self.placement.remove(node_key)
        for node_key, member in now.items():
            if was.get(node_key) != member:
                self.placement.add(node_key, member.host)
                self.newcomers.add(node_key)
        self.newcomers &= now.keys()
        if self._after is not None:
            self.leave()
        self.epoch = self._epoch()
        self.waiting_for = now.keys() - {self.me}
        for slot, primary in enumerate(self.placement.primaries):
            if primary != self.me or not self.waiting_for:
                self.unsettled[slot] = False
            elif primaries[slot] != self.me:
                self.unsettled[slot] = True
        return True

    def through(self, node_key: bytes, epoch: int) -> bool:
        """
        A member says that it has pushed all that has moved.

        :return: Whether all is settled by that.
        """
        if epoch != self.epoch or node_key not in self.waiting_for:
            return False
        self.waiting_for.discard(node_key)
        if self.waiting_for:
            return False
        self.unsettled[:] = bytes(SLOTS)
        return True

    def pushed(self) -> None:
        """This node has pushed all that has moved: later changes are new."""
        self._changes = 0
        self.newcomers.clear()
        for node_key in self.before.members:
            if node_key not in self.members:
                self.before.remove(node_key)
        for node_key, member in self.members.items():
            self.before.add(node_key, member.host)

    def leave(self) -> None:
        """
        This node is about to leave: the owners without it need what it holds.
        Until it has gone it stays a member, and primary of its slots.
        """
        self._after = Placement()
        for node_key, member in self.members.items():
            if node_key != self.me:
                self._after.add(node_key, member.host)

    def trust_nobody(self) -> None:
        """Owners may lack anything, until all has been pushed once more."""
        self._changes = 2
        self.waiting_for = self.members.keys() - {self.me}

    def returned(self) -> None:
        """Others did without this node for a while, and may have written."""
        self.trust_nobody()
        for slot, primary in enumerate(self.placement.primaries):
            if primary == self.me and self.waiting_for:
                self.unsettled[slot] = True

    def lacking(self, slot: int, count: int) -> tuple[bytes, ...]:
        """
        The owners of a slot that may lack what this node holds of it.

        An owner that was one before, and has not restarted, has had every
        write.  Nobody is taken on trust if this node is not to keep the slot,
        if the primary died and may have sent a write to some owners only, or
        if members changed twice, since an owner before and after may have been
        none in between.

        :param count: How many owners the bucket has.
        """
        lacking = self._lacking_now(slot, count)
        if self._after is None:
            return lacking
        owners = self.placement.owners(slot, count)
        heirs = self._after.owners(slot, count)
        return tuple(heir for heir in heirs if heir in lacking or heir not in owners)

    def _lacking_now(self, slot: int, count: int) -> tuple[bytes, ...]:
        owners = self.placement.owners(slot, count)
        others = tuple(owner for owner in owners if owner != self.me)
        primary = self.before.primaries[slot]
        if (
            self.me not in owners
            or self._changes > 1
            or primary not in self.members
            or primary in self.newcomers
        ):
            return others
        before = self.before.owners(slot, count)
        return tuple(
            owner for owner in others if owner in self.newcomers or owner not in before
        )

    def _epoch(self) -> int:
        return xxh3_64_intdigest(
            b"".join(
                node_key + member.incarnation.to_bytes(8, "little")
                for node_key, member in sorted(self.members.items())
            )
        )
