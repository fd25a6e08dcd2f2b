# -*- test-case-name: tests.nodosum.test_witness -*-
"""
What the recorder is told of members and links.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from mycorrizal.nodosum.config import format_address
from mycorrizal.nodosum.lateness import Lateness
from mycorrizal.nodosum.peer import (
    MemberDied,
    MemberEvent,
    MemberJoined,
    Peer,
    PeerState,
    SupportsLink,
)
from mycorrizal.recorder import Kind, Recorder

#: A node that is looked at so late did not run: it looks ten times a second.
STALL_S: Final = 1.0


class Witness:
    """
    Who tells a node's recorder of members and links.

    :param now: Returns monotonic seconds.
    """

    def __init__(self, recorder: Recorder, now: Callable[[], float]) -> None:
        self._recorder = recorder
        self._now = now
        self._suspects: dict[bytes, Peer] = {}
        self._looked_at: float | None = None
        self._lateness = Lateness(now())

    @property
    def lag_s(self) -> float:
        """As `mycorrizal.nodosum.lateness.Lateness.worst_s`."""
        return self._lateness.worst_s(self._now())

    def started(self, address: str, version: str) -> None:
        """The ports are open."""
        text = f"This node listens on {address}, version {version}"
        self._recorder.note(Kind.STARTED, text, address=address, version=version)

    def link_up(self, peer: Peer, link: SupportsLink) -> None:
        """A link carries frames."""
        name, address = _name(peer), format_address(link.address)
        way = "dialled" if link.dialled else "accepted"
        text = f"Link to {name} at {address}, {way}"
        self._recorder.note(Kind.LINK_UP, text, peer=name, address=address)

    def link_down(self, peer: Peer, link: SupportsLink) -> None:
        """A link carries frames no more."""
        name, silent_s = _name(peer), round(self._now() - link.heard_at, 3)
        text = f"Link to {name} is down, heard {silent_s:.1f} s before"
        self._recorder.note(Kind.LINK_DOWN, text, peer=name, silent_s=silent_s)

    def member_changed(self, event: MemberEvent) -> None:
        """Somebody joined, left or died."""
        if isinstance(event, MemberJoined):
            kind, what = Kind.JOINED, "joined"
        elif isinstance(event, MemberDied):
            kind, what = Kind.DIED, "is dead"
        else:
            kind, what = Kind.LEFT, "left"
        name, address = event.node.id, event.node.address
        self._recorder.note(kind, f"{name} {what}", peer=name, address=address)

    def look(self, peers: Iterable[Peer]) -> None:
        """
        See whom this node suspects, and whether it ran; several times a second.
        """
        now, before = self._now(), self._looked_at
        self._looked_at = now
        self._lateness.looked(now)
        if before is not None and now - before >= STALL_S:
            stall_s = round(now - before, 3)
            text = f"This node did not run for {stall_s:.1f} s"
            self._recorder.note(Kind.STALLED, text, stall_s=stall_s)
        suspects = {
            peer.node_key: peer for peer in peers if peer.state is PeerState.SUSPECT
        }
        if suspects or self._suspects:
            self._compare(suspects, now)

    def _compare(self, suspects: dict[bytes, Peer], now: float) -> None:
        for node_key, peer in suspects.items():
            if node_key not in self._suspects:
                self._suspects[node_key], name = peer, _name(peer)
                silent_s = round(now - peer.heard_at, 3)
                text = f"{name} is suspected; last heard {silent_s:.1f} s ago"
                self._recorder.note(Kind.SUSPECTED, text, peer=name, silent_s=silent_s)
        for node_key in [key for key in self._suspects if key not in suspects]:
            peer = self._suspects.pop(node_key)
            if peer.state is PeerState.ALIVE:
                name = _name(peer)
                text = f"{name} is suspected no more"
                self._recorder.note(Kind.CLEARED, text, peer=name)


def _name(peer: Peer) -> str:
    return peer.node_id or peer.node_key.hex()
