# -*- test-case-name: tests.nodosum.test_peer -*-
"""
One peer's life, and how it is told to applications.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Protocol

import attrs

from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.config import Address, format_address
from mycorrizal.nodosum.messages import PeerEntry, Welcome
from mycorrizal.nodosum.wire.limits import ADDRESSES_PER_PEER_MAX


class PeerState(Enum):
    """Where a peer is in its life."""

    JOINING = "joining"
    ALIVE = "alive"
    SUSPECT = "suspect"
    LEFT = "left"
    DEAD = "dead"


class PeerInput(Enum):
    """What happens to a peer."""

    WELCOMED = "welcomed"
    LINK_CLOSED = "link closed"
    SILENT = "silent"
    HEARD = "heard"
    VOUCHED = "vouched for"
    DIED = "died"
    SAID_GOODBYE = "said goodbye"


@attrs.frozen
class Node:
    """
    A member of the cluster, as applications see it.

    :ivar id: The node id.
    :ivar address: ``HOST:PORT``.
    :ivar state: joining, alive, suspect, left or dead.
    :ivar via: Who hears it in our place, as we have no link to it; empty: we
        have one, or nobody does.
    """

    id: str
    address: str
    state: str
    labels: dict[str, str] = attrs.field(factory=dict, hash=False)
    via: str = ""


@attrs.frozen
class MemberJoined:
    """A node is a member now."""

    node: Node


@attrs.frozen
class MemberLeft:
    """A member said goodbye."""

    node: Node


@attrs.frozen
class MemberDied:
    """A member is dead: nothing listens there, or it has been silent."""

    node: Node


MemberEvent = MemberJoined | MemberLeft | MemberDied


class SupportsLink(Protocol):
    """What the cores know of a link."""

    #: Who is at the other end, 16 bytes, and which life of it.
    node_key: bytes
    incarnation: int
    #: Where we dialled it; None if it dialled us.
    dialled: Address | None
    #: Where the bytes come from.
    address: Address
    #: When the last byte came, on the monotonic clock.
    heard_at: float


_J, _A, _S = PeerState.JOINING, PeerState.ALIVE, PeerState.SUSPECT
_L, _D = PeerState.LEFT, PeerState.DEAD

#: (state, input) -> (next state, event); what is not here changes nothing.
TRANSITIONS: dict[
    tuple[PeerState, PeerInput], tuple[PeerState, type[MemberEvent] | None]
] = {
    (_J, PeerInput.WELCOMED): (_A, MemberJoined),
    (_L, PeerInput.WELCOMED): (_A, MemberJoined),
    (_D, PeerInput.WELCOMED): (_A, MemberJoined),
    (_J, PeerInput.VOUCHED): (_A, MemberJoined),
    (_L, PeerInput.VOUCHED): (_A, MemberJoined),
    (_D, PeerInput.VOUCHED): (_A, MemberJoined),
    (_S, PeerInput.WELCOMED): (_A, None),
    (_S, PeerInput.HEARD): (_A, None),
    (_A, PeerInput.LINK_CLOSED): (_S, None),
    (_A, PeerInput.SILENT): (_S, None),
    (_J, PeerInput.DIED): (_D, None),
    (_A, PeerInput.DIED): (_D, MemberDied),
    (_S, PeerInput.DIED): (_D, MemberDied),
    (_J, PeerInput.SAID_GOODBYE): (_L, None),
    (_A, PeerInput.SAID_GOODBYE): (_L, MemberLeft),
    (_S, PeerInput.SAID_GOODBYE): (_L, MemberLeft),
}


@attrs.define
class Contest:
    """
    A second link to a peer, which stays only if the first does not answer.

    :ivar newcomer: The second link.
    :ivar token: Of the ping that the first link must answer.
    :ivar until: When the first link has lost.
    :ivar welcome: The newcomer's WELCOME, if it came while this is undecided.
    """

    newcomer: SupportsLink
    token: int
    until: float
    welcome: Welcome | None = None


@attrs.define
class Hearsay:
    """
    What other members say of a peer that we do not hear ourselves.

    :ivar heard_at: When one of them last heard it, monotonic here.
    :ivar via: The node key of the one who said so.
    :ivar ask_at: When to ask again.
    :ivar rounds: Of questions since it was last heard of.
    :ivar refused_at: Since when nothing listens at any of its addresses.
    :ivar asked: Who was asked last, and what each said.
    """

    heard_at: float = float("-inf")
    via: bytes | None = None
    ask_at: float = float("-inf")
    rounds: int = 0
    refused_at: float | None = None
    asked: dict[bytes, int | None] = attrs.field(factory=dict)


@attrs.define
class Peer:
    """
    What we know of one other node.

    :ivar node_key: 16 bytes.
    :ivar node_id: None until it has welcomed us.
    :ivar since: When its state last changed, monotonic.
    :ivar life: The incarnation that was last a member.
    :ivar named: The highest that another member has told us of.
    :ivar link: The one link that carries its frames.
    :ivar up: Whether both WELCOMEs went over `link`.
    :ivar waiting: Authenticated links that the other side must choose from.
    :ivar lost_at: When its last link was lost, monotonic.
    :ivar up_at: When its last link came up.
    :ivar flaps: Links in a row that broke soon after they came up.
    :ivar dial_at: When to dial it next, monotonic.
    :ivar damped_until: When to do so if others hear it meanwhile.
    :ivar dials: That failed, in a row.
    :ivar refused: Its addresses where nothing listens, since it was linked.
    """

    node_key: bytes
    incarnation: int
    since: float
    addresses: tuple[Address, ...] = ()
    node_id: str | None = None
    host: str = ""
    version: str = ""
    labels: dict[str, str] = attrs.field(factory=dict)
    state: PeerState = PeerState.JOINING
    leaving: bool = False
    life: int | None = None
    named: int | None = None
    link: SupportsLink | None = None
    up: bool = False
    waiting: list[SupportsLink] = attrs.field(factory=list)
    contest: Contest | None = None
    dial_at: float = float("inf")
    damped_until: float = float("-inf")
    dials: int = 0
    dialling: bool = False
    refused: dict[Address, None] = attrs.field(factory=dict)
    rtt_s: float | None = None
    lost_at: float = attrs.Factory(lambda peer: peer.since, takes_self=True)
    up_at: float = float("-inf")
    flaps: int = 0
    hearsay: Hearsay = attrs.field(factory=Hearsay)

    @property
    def member(self) -> bool:
        """Whether it counts as a member: alive, or not yet given up."""
        return self.state in (PeerState.ALIVE, PeerState.SUSPECT)

    @property
    def linked(self) -> bool:
        """Whether frames can go to it."""
        return self.up and self.link is not None

    @property
    def heard_at(self) -> float:
        """When it was last heard, by us or by another member."""
        link = self.link
        ours = link.heard_at if self.up and link is not None else self.lost_at
        return max(ours, self.hearsay.heard_at)

    @property
    def idle(self) -> bool:
        """Whether nothing is lost but a memory if it is forgotten."""
        busy = self.link is not None or self.waiting or self.dialling
        return not self.member and not busy

    @property
    def node(self) -> Node:
        """The peer as applications see it."""
        address = format_address(self.addresses[0]) if self.addresses else ""
        name = self.node_id or self.node_key.hex()
        return Node(name, address, self.state.value, dict(self.labels))

    @property
    def entry(self) -> PeerEntry:
        """The peer as others are told of it."""
        return PeerEntry(
            self.node_key,
            self.incarnation,
            self.addresses,
            self.node_id,
            self.host,
            self.labels,
            self.version,
        )

    def described(self, entry: PeerEntry) -> None:
        """A member describes the peer, which has not welcomed us yet."""
        self.incarnation = entry.incarnation
        if entry.node_id and node_key_of(entry.node_id) == self.node_key:
            self.node_id, self.host = entry.node_id, entry.host
            self.labels, self.version = dict(entry.labels), entry.version

    def step(self, what: PeerInput, now: float) -> tuple[MemberEvent, ...]:
        """
        Let something happen to the peer.

        :return: What applications should be told.
        """
        state, event = TRANSITIONS.get((self.state, what), (self.state, None))
        if state is not self.state:
            self.state = state
            self.since = now
        return () if event is None else (event(self.node),)


def distinct(*groups: Iterable[Address]) -> tuple[Address, ...]:
    """Addresses of a peer in order, each once, as many as are kept."""
    merged = dict.fromkeys((host, port) for group in groups for host, port in group)
    return tuple(merged)[:ADDRESSES_PER_PEER_MAX]
