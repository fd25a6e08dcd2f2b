# -*- test-case-name: tests.nodosum.test_membership -*-
"""
All that the cores of Nodosum can ask of the world.
"""

from __future__ import annotations

import attrs

from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.messages import PeerEntry, System
from mycorrizal.nodosum.peer import MemberEvent, Peer, SupportsLink
from mycorrizal.nodosum.wire.limits import Goodbye


@attrs.frozen
class SendHello:
    """Ask by UDP who is at an address."""

    address: Address


@attrs.frozen
class Dial:
    """
    Connect to an address.

    :ivar node_key: Who should be there; None if that is not known.
    """

    address: Address
    node_key: bytes | None = None


@attrs.frozen
class SendWelcome:
    """Send WELCOME on a link."""

    link: SupportsLink


@attrs.frozen
class SendPing:
    """Send PING on a link."""

    link: SupportsLink
    token: int


@attrs.frozen
class SendPeers:
    """Send news of peers on a link."""

    link: SupportsLink
    peers: tuple[PeerEntry, ...]


@attrs.frozen
class SendSystem:
    """Ask, or answer, what members ask each other about a third."""

    link: SupportsLink
    message: System


@attrs.frozen
class CloseLink:
    """
    Close a link.

    :ivar reason: Said in a GOODBYE first; None: abort without a word.
    :ivar detail: A number that goes with the reason.
    :ivar text: Words that go with the reason.
    """

    link: SupportsLink
    reason: Goodbye | None = None
    detail: int = 0
    text: str = ""


@attrs.frozen
class LinkUp:
    """A link carries its peer's frames from now on."""

    peer: Peer
    link: SupportsLink


@attrs.frozen
class LinkDown:
    """A link that was up is so no more; calls that wait on it fail."""

    peer: Peer
    link: SupportsLink


@attrs.frozen
class Notify:
    """Tell subscribers."""

    event: MemberEvent


@attrs.frozen
class FoundOwnAddress:
    """An address turned out to be our own."""

    address: Address


@attrs.frozen
class IdTaken:
    """
    A live node has our id.

    :ivar other: Where it is, ``HOST:PORT``.
    """

    other: str


@attrs.frozen
class Reincarnate:
    """Others know a later incarnation of us; take this one."""

    incarnation: int


@attrs.frozen
class ComeLater:
    """
    This node comes again and again, and is let in by nobody for a while.

    :ivar other: Who said so, ``HOST:PORT``.
    """

    wait_s: float
    other: str


Effect = (
    SendHello
    | Dial
    | SendWelcome
    | SendPing
    | SendPeers
    | SendSystem
    | CloseLink
    | LinkUp
    | LinkDown
    | Notify
    | FoundOwnAddress
    | IdTaken
    | Reincarnate
    | ComeLater
)
