"""
Several membership cores that talk over links in memory, message by message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, assert_never

import attrs

from mycorrizal.nodosum import effects as do
from mycorrizal.nodosum.acl import (
    KeyRing,
    derive_key,
    new_secret,
    node_key_of,
)
from mycorrizal.nodosum.admission import CHOICE_TIMEOUT_S
from mycorrizal.nodosum.config import Address, NodosumConfig
from mycorrizal.nodosum.farewells import LinkEnd
from mycorrizal.nodosum.membership import Me, Membership
from mycorrizal.nodosum.messages import PeerEntry, Welcome
from mycorrizal.nodosum.peer import MemberEvent, Peer, PeerState

CONFIG = NodosumConfig(KeyRing([derive_key(new_secret(bytes(32)), "demo")]))
#: How often the cores look at the clock.
TICK_S = 0.1


def address_of(name: str) -> Address:
    """Where the node of that name listens."""
    return f"10.0.0.{ord(name[0]) - 96}", 7000


def core_of(
    name: str, incarnation: int = 1, config: NodosumConfig = CONFIG
) -> Membership:
    """A node's membership, before anything has happened to it."""
    host, port = address_of(name)
    me = Me(name, node_key_of(name), incarnation, f"{host}:{port}")
    return Membership(me, config, lambda: 0.5)


def welcome_of(name: str, *peers: PeerEntry, leaving: bool = False) -> Welcome:
    """The WELCOME of the node of that name."""
    return Welcome(name, "host", {}, "1", (address_of(name),), 1, leaving, peers)


@attrs.define(eq=False)
class FakeLink:
    """One end of a connection, as a core sees it."""

    node_key: bytes
    incarnation: int
    dialled: Address | None
    address: Address
    heard_at: float = 0.0


def link_to(
    name: str, incarnation: int = 1, *, dialled: bool = True, now: float = 0
) -> FakeLink:
    """An authenticated link to the node of that name."""
    address = address_of(name)
    where = address if dialled else None
    return FakeLink(node_key_of(name), incarnation, where, address, now)


class Wire:
    """
    A connection between two nodes.

    :ivar nodes: Who dialled, and who was dialled.
    :ivar ends: Their links, once they are authenticated.
    :ivar inboxes: Messages on the way to each of them.
    :ivar hung: Whether nothing arrives any more.
    """

    def __init__(self, dialler: Resident, dialled: Resident) -> None:
        self.nodes = (dialler, dialled)
        self.ends: list[FakeLink | None] = [None, None]
        self.inboxes: tuple[deque[Any], deque[Any]] = (deque(), deque(["auth"]))
        self.closed = [False, False]
        self.born_at = 0.0
        self.hung = False

    @property
    def up(self) -> tuple[bool, bool]:
        """Whether each side uses it as the one link to the other."""
        return (self._up(0), self._up(1))

    def _up(self, side: int) -> bool:
        other = self.nodes[1 - side].core.me.node_key
        peer = self.nodes[side].core.peers.get(other)
        mine = peer is not None and peer.link is self.ends[side] is not None
        return peer is not None and mine and peer.up and not self.closed[side]


class Resident:
    """
    A node: its core, and what the core has told the world.
    """

    def __init__(self, town: Town, name: str, incarnation: int) -> None:
        self.core = core_of(name, incarnation)
        self.town = town
        self.name = name
        self.alive = True
        self.events: list[MemberEvent] = []
        self.ids_taken: list[str] = []
        self.told_to_wait: list[tuple[float, str]] = []
        self.own: list[Address] = []
        #: Calls of the layer above: a link went up, or down.
        self.told: list[tuple[str, Peer]] = []
        self._queue: deque[do.Effect] = deque()
        self._performing = False

    def peer(self, name: str) -> Peer:
        """What it knows of another."""
        return self.core.peers[node_key_of(name)]

    def state(self, name: str) -> PeerState:
        """How it sees another."""
        return self.peer(name).state

    def kinds(self) -> list[str]:
        """What subscribers were told, in short."""
        return [f"{type(e).__name__[6:]} {e.node.id}" for e in self.events]

    def perform(self, effects: Iterable[do.Effect]) -> None:
        """Do what the core asked for, as the mesh does."""
        self._queue.extend(effects)
        if self._performing:
            return
        self._performing = True
        while self._queue:
            self._perform(self._queue.popleft())
        self._performing = False

    def _perform(self, effect: do.Effect) -> None:
        match effect:
            case do.Dial(address, node_key):
                self.town.dial(self, address, node_key)
            case do.SendWelcome(link):
                me = welcome_of(self.name, *self.core.entries()[:8])
                self.town.send(link, ("welcome", me))
            case do.SendPing(link, token):
                self.town.send(link, ("ping", token))
            case do.SendPeers(link, peers):
                self.town.send(link, ("peers", peers))
            case do.SendSystem(link, message):
                self.town.send(link, ("system", message))
            case do.CloseLink(link, reason, detail, text):
                end = None if reason is None else LinkEnd(reason, detail, text)
                self.town.close(link, end)
            case do.LinkUp(peer, _):
                self.told.append(("up", peer))
            case do.LinkDown(peer, _):
                self.told.append(("down", peer))
            case do.Notify(event):
                self.events.append(event)
            case do.FoundOwnAddress(address):
                self.own.append(address)
            case do.IdTaken(other):
                self.ids_taken.append(other)
            case do.ComeLater(wait_s, other):
                self.told_to_wait.append((wait_s, other))
            case do.Reincarnate(incarnation):
                self.core.me.incarnation = incarnation
                for link in self.town.links_of(self):
                    self.town.close(link, None)
            case do.SendHello():
                raise AssertionError("membership sends no HELLO")
            case _:
                assert_never(effect)


class Town:
    """
    Nodes, the connections between them, and one clock.
    """

    def __init__(self, *names: str) -> None:
        self.now = 0.0
        self.wires: list[Wire] = []
        self.nodes: dict[str, Resident] = {}
        self._sides: dict[int, tuple[Wire, int]] = {}
        for name in names:
            self.start(name)

    def start(self, name: str, incarnation: int = 1, at: str = "") -> Resident:
        """A node starts; one that was at its place before is not told."""
        node = Resident(self, name, incarnation)
        self.nodes[at or name] = node
        return node

    def kill(self, name: str, *, silent: bool = False) -> Resident:
        """A node is gone; its system closes what it had open, or can't."""
        node = self.nodes.pop(name)
        node.alive = False
        for wire in self.wires:
            if node in wire.nodes:
                wire.hung = wire.hung or silent
                side = wire.nodes.index(node)
                wire.closed[side] = True
                wire.inboxes[1 - side].append("lost")
        return node

    # -- what nodes do --------------------------------------------------------

    def dial(
        self, node: Resident, address: Address, node_key: bytes | None = None
    ) -> Wire | None:
        """A node connects to an address."""
        where = {address_of(name): other for name, other in self.nodes.items()}
        other = where.get(address)
        if other is None:
            if node_key is not None:
                failed = node.core.dial_failed(
                    node_key, refused=True, now=self.now, address=address
                )
                node.perform(failed)
            return None
        wire = Wire(node, other)
        wire.born_at = self.now
        self.wires.append(wire)
        return wire

    def send(self, link: Any, message: Any) -> None:
        """A message goes out on a link."""
        wire, side = self._sides[id(link)]
        if not wire.closed[side]:
            wire.inboxes[1 - side].append(message)

    def close(self, link: Any, end: LinkEnd | None) -> None:
        """A node closes a link."""
        wire, side = self._sides[id(link)]
        if not wire.closed[side]:
            wire.closed[side] = True
            wire.inboxes[1 - side].append("lost" if end is None else end)
            # Its own transport tells it a moment later, and nothing else.
            wire.inboxes[side].clear()
            wire.inboxes[side].append("closed")

    def links_of(self, node: Resident) -> list[FakeLink]:
        """A node's open links."""
        return [
            end
            for wire in self.wires
            for side, end in enumerate(wire.ends)
            if wire.nodes[side] is node and end is not None and not wire.closed[side]
        ]

    # -- what arrives ---------------------------------------------------------

    def choices(self) -> list[tuple[Wire, int]]:
        """What could arrive next: the first message of each direction."""
        return [
            (wire, side)
            for wire in self.wires
            for side, inbox in enumerate(wire.inboxes)
            if inbox and (inbox[0] == "closed" or not wire.hung)
            if wire.nodes[side].alive
        ]

    def deliver(self, wire: Wire, side: int) -> None:
        """The next message of one direction arrives."""
        message = wire.inboxes[side].popleft()
        node, link = wire.nodes[side], wire.ends[side]
        if message == "closed":
            assert link is not None
            node.perform(node.core.link_closed(link, None, self.now))
            return
        if wire.closed[side]:
            return
        if message == "auth":
            self._authenticate(wire, side)
            return
        if link is not None:
            link.heard_at = self.now
            self._give(node, wire, side, link, message)
        elif message == "lost" and side == 0:
            wire.closed[side] = True
            other = wire.nodes[1 - side].core.me.node_key
            node.perform(node.core.dial_failed(other, refused=False, now=self.now))

    def _authenticate(self, wire: Wire, side: int) -> None:
        node, other = wire.nodes[side], wire.nodes[1 - side]
        dialled = address_of(self._home(other)) if side == 0 else None
        me = other.core.me
        link = FakeLink(
            me.node_key, me.incarnation, dialled, (f"10.9.9.{side}", 1), self.now
        )
        wire.ends[side] = link
        self._sides[id(link)] = (wire, side)
        if side == 1:
            wire.inboxes[0].append("auth")
        node.perform(node.core.authenticated(link, self.now))

    def _home(self, node: Resident) -> str:
        for at, one in self.nodes.items():
            if one is node:
                return at
        return node.name

    def _give(
        self, node: Resident, wire: Wire, side: int, link: FakeLink, message: Any
    ) -> None:
        core = node.core
        match message:
            case "lost":
                wire.closed[side] = True
                node.perform(core.link_closed(link, None, self.now))
            case LinkEnd():
                wire.closed[side] = True
                node.perform(core.link_closed(link, message, self.now))
            case ("welcome", welcome):
                node.perform(core.welcomed(link, welcome, self.now))
            case ("peers", peers):
                node.perform(core.learned(peers, self.now))
            case ("system", message):
                node.perform(core.inquiries.received(link, message, self.now))
            case ("ping", token):
                self.send(link, ("pong", token))
            case ("pong", token):
                node.perform(core.ponged(link, token, self.now))
            case _:
                raise AssertionError(message)

    # -- time -----------------------------------------------------------------

    def settle(self) -> None:
        """Everything that is on the way arrives, oldest connection first."""
        for _ in range(10_000):
            choices = self.choices()
            if not choices:
                return
            self.deliver(*choices[0])
        raise AssertionError("they never stop talking")

    def tick(self) -> None:
        """A tenth of a second passes, and all that is on the way arrives."""
        self.now = round(self.now + TICK_S, 6)
        for wire in self.wires:
            self._give_up(wire)
            late = self.now - wire.born_at >= CHOICE_TIMEOUT_S
            for end, up in zip(wire.ends, wire.up, strict=True):
                if end is not None and late and not up:
                    self.close(end, None)
        for node in list(self.nodes.values()):
            node.perform(node.core.tick(self.now))
        self.settle()

    def _give_up(self, wire: Wire) -> None:
        late = self.now - wire.born_at >= CONFIG.handshake_timeout_s
        if late and wire.ends[0] is None and not wire.closed[0]:
            wire.closed[0] = True
            node, other = wire.nodes
            key = other.core.me.node_key
            node.perform(node.core.dial_failed(key, refused=False, now=self.now))

    def pass_time(self, seconds: float) -> None:
        """Time passes."""
        for _ in range(round(seconds / TICK_S)):
            self.tick()

    def joined(self) -> Town:
        """Everybody has dialled everybody, and all is quiet."""
        names = sorted(self.nodes)
        for at, name in enumerate(names):
            for other in names[at + 1 :]:
                self.dial(self.nodes[name], address_of(other))
                self.settle()
        return self

    def live_wires(self) -> list[Wire]:
        """The connections that both ends use."""
        return [wire for wire in self.wires if wire.up == (True, True)]

    def half_wires(self) -> list[Wire]:
        """The connections that only one end uses, or that nobody closed."""
        return [
            wire
            for wire in self.wires
            if wire.up != (True, True)
            and not wire.hung
            and (True in wire.up or wire.closed != [True, True])
            and all(node.alive for node in wire.nodes)
        ]
