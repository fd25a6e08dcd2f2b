# -*- test-case-name: tests.nodosum.test_renewals -*-
"""
Links that move from one connection to another, without their frames noticing.
(A shell.)

A link that was made with an old key, or shows an old certificate, is not made
again: it moves.  Who has dialled it opens a second connection, which says that
it renews.  Then, on the first one, READY says that it is held, and MOVED, each
way, is the last frame: what follows comes by the second, and is not looked at
before.  So all that hangs on a link (calls, queues, half a message) stays, and
frames keep their order.
"""

from __future__ import annotations

from typing import Protocol as Interface

import attrs
from twisted.logger import Logger

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.acl import KeyRing
from mycorrizal.nodosum.admission import Admission
from mycorrizal.nodosum.dialling import Dialling
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.outdated import Turns, is_outdated
from mycorrizal.nodosum.peer import SupportsLink
from mycorrizal.nodosum.protocol import LinkProtocol
from mycorrizal.nodosum.wire.events import Remote
from mycorrizal.nodosum.wire.frame import encode_frame
from mycorrizal.nodosum.wire.limits import Feature, FrameType
from mycorrizal.nodosum.wire.version import Role
from mycorrizal.recorder import Kind, Recorder
from mycorrizal.runtime import Runtime

#: How often the links are looked at.
LOOK_S = 1.0
#: How long the other side may take to hold the new connection, once both are
#: proved on it.
READY_TIMEOUT_S = 5.0


class Host(Interface):
    """
    The mesh, as renewals see it.

    :ivar protocols: By link, the connection that its frames go out on.
    """

    runtime: Runtime
    recorder: Recorder
    admission: Admission
    dialling: Dialling
    protocols: dict[Link, LinkProtocol]

    def link_to(self, node_key: bytes) -> Link | None: ...
    def closed(self, protocol: LinkProtocol) -> None: ...


@attrs.define(eq=False)
class Move:
    """
    A link that moves.

    :ivar old: The connection that it leaves.
    :ivar new: The one it moves to; None until it is open.
    :ivar remote: Who is at the other end of that, once it is proved.
    :ivar ready: What the other side holds, from its READY.
    :ivar moved: Whether our frames go by the new one.
    """

    link: Link
    old: LinkProtocol
    new: LinkProtocol | None = None
    remote: Remote | None = None
    ready: bytes | None = None
    moved: bool = False

    @property
    def name(self) -> bytes:
        """What both ends call the new connection: its initiator's nonce."""
        assert self.new is not None
        opening = self.new.opening
        return b"" if opening is None else opening.nonce


class Renewals:
    """
    The links of one node that move, and those that are to.

    :param keys: Those in force here, now and later.
    """

    _log = Logger()

    def __init__(self, host: Host, keys: KeyRing) -> None:
        self._host = host
        self._keys = keys
        self._now = host.runtime.now
        self._turns = Turns(host.runtime.random)
        self._look_at = float("-inf")
        self._moves: dict[Link, Move] = {}
        #: By the spare connections that they have.
        self._by_spare: dict[LinkProtocol, Move] = {}
        #: The one that we have begun, and that can still fail without harm.
        self._begun: Move | None = None

    def __len__(self) -> int:
        return len(self._moves)

    # -- whose turn it is -----------------------------------------------------

    def tick(self, now: float) -> None:
        """Time has passed; call this several times a second."""
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._look(now)
        for link in self._turns.due(now) if len(self._turns) else ():
            assert isinstance(link, Link)
            if link.closed:
                continue  # It is still in the table until the next look.
            if link.dialled is None:
                self._turns.tried(link, now)
                link.send_control(FrameType.RENEW, b"")
            elif self._begun is None and link not in self._moves:
                self._begin(link)

    def _look(self, now: float) -> None:
        edition = self._host.admission.tls.edition
        links: list[Link] = []
        outdated: dict[SupportsLink, bool] = {}
        for link, protocol in self._host.protocols.items():
            if not link.up or not link.remote.features & Feature.RENEWAL:
                continue
            links.append(link)
            urgent = is_outdated(
                self._keys,
                link.remote.key.key_id,
                accepted=link.dialled is None,
                replaced=link.encrypted and protocol.edition != edition,
            )
            if urgent is not None:
                outdated[link] = urgent
        self._turns.look(links, outdated, now)

    # -- the second connection ------------------------------------------------

    def _begin(self, link: Link) -> None:
        address = link.dialled
        assert address is not None
        move = Move(link, self._host.protocols[link])
        self._begun = self._moves[link] = move

        def build() -> LinkProtocol:
            move.new = protocol = LinkProtocol(
                self._host.admission, address, link.node_key, spare=True
            )
            self._by_spare[protocol] = move
            return protocol

        self._host.dialling.dial(address, build, lambda _: self._failed(move))

    def authenticated(self, protocol: LinkProtocol, remote: Remote) -> None:
        """Both sides have proved themselves on a spare connection."""
        if protocol.dialled is None:
            self._offered(protocol, remote)
            return
        move = self._by_spare.get(protocol)
        if move is None or not _same_but_key(move.link, remote):
            protocol.abort()
            return
        move.remote = remote
        protocol.set_deadline(READY_TIMEOUT_S, protocol.abort)
        self._leave_if_ready(move)

    def _offered(self, protocol: LinkProtocol, remote: Remote) -> None:
        link = self._host.link_to(remote.node_key)
        if link is None or link.dialled is not None or not _same_but_key(link, remote):
            protocol.close()
            return
        before = self._moves.get(link)
        if before is not None:
            # It has begun again, and so knows that nothing came of that one, or
            # has got all that it was sent there.
            self._forget(before)
            spare = before.old if before.moved else before.new
            assert spare is not None
            spare.abort()
        move = Move(link, self._host.protocols[link], protocol, remote)
        self._moves[link] = self._by_spare[protocol] = move
        link.send_control(FrameType.READY, move.name)

    def _failed(self, move: Move) -> None:
        """The new connection is gone before anything went over it."""
        self._forget(move)
        link, dialled = move.link, move.old.dialled is not None
        if link.closed or not dialled:
            return
        pause_s = self._turns.tried(link, self._now())
        why = "" if move.new is None else move.new.refusal or ""
        self._log.warn(
            "The link to {peer} could not be renewed{why}; it stays as it is, and is "
            "tried again in {pause_s:.0f} s",
            peer=link.peer_id,
            why=f" ({why})" if why else "",
            pause_s=pause_s,
        )

    def _forget(self, move: Move) -> None:
        if self._moves.get(move.link) is move:
            del self._moves[move.link]
        for protocol in (move.old, move.new):
            if protocol is not None:
                self._by_spare.pop(protocol, None)
        if self._begun is move:
            self._begun = None

    # -- moving ---------------------------------------------------------------

    def received(self, link: Link, kind: int, payload: bytes) -> None:
        """
        A frame about the renewal of its link came.

        :raises RemoteProtocolError: It makes no sense now.
        """
        dialled = link.dialled is not None
        move = self._moves.get(link)
        if kind == FrameType.RENEW and dialled:
            if move is None:
                self._turns.asked(link, self._now())
        elif kind == FrameType.READY and dialled:
            # One that comes too late, for what we have given up, changes nothing.
            if move is not None and not move.moved:
                move.ready = payload
                self._leave_if_ready(move)
        elif kind == FrameType.MOVED and move is not None and move.moved is dialled:
            if move.remote is None or payload != move.name:
                raise RemoteProtocolError("MOVED to a connection that is not there")
            self._arrived(move)
        else:
            raise RemoteProtocolError(f"frame type {kind} is not expected here")

    def _leave_if_ready(self, move: Move) -> None:
        if move.remote is not None and move.ready == move.name:
            assert move.new is not None
            move.new.clear_deadline()
            if self._begun is move:
                self._begun = None
            self._leave(move)

    def _leave(self, move: Move) -> None:
        """Our frames go by the new connection from now on."""
        link, new = move.link, move.new
        assert new is not None
        move.moved = True
        self._host.protocols[link] = new
        new.carry(link)
        link.move(encode_frame(FrameType.MOVED, move.name), new.outlet())

    def _arrived(self, move: Move) -> None:
        """Their frames come by the new connection from now on."""
        link, old, new = move.link, move.old, move.new
        assert new is not None and move.remote is not None
        old.release()
        del self._by_spare[new]
        if link.dialled is not None:
            # They have read all that we sent there: they answer our MOVED.
            self._forget(move)
            self._turns.renewed(link, self._now())
            old.close()
        else:
            # They close it when they have read all: who closes first may
            # destroy what the other has not read yet.
            self._by_spare[old] = move
            self._leave(move)
        link.remote, link.address = move.remote, new.address
        # Before anybody has a turn who needs none any more.
        self._look_at = float("-inf")
        self._say(link)
        new.adopt(link)

    def _say(self, link: Link) -> None:
        name, secret = link.peer_id, link.remote.key.fingerprint
        text = f"Link to {name} was renewed, with secret {secret}"
        self._log.info("{text}", text=text)
        self._host.recorder.note(Kind.LINK_RENEWED, text, peer=name, secret=secret)

    # -- the end --------------------------------------------------------------

    def closed(self, spare: LinkProtocol) -> None:
        """A connection is gone that no link ended with."""
        move = self._by_spare.get(spare)
        if move is None:
            return
        if spare is move.old:
            self._forget(move)
        elif not move.moved:
            self._failed(move)
        else:
            # What went over it is lost, and so is the link.
            self._forget(move)
            move.link.lost()
            move.old.close()
            self._host.closed(move.old)

    def link_closed(self, link: Link) -> None:
        """A link is gone: close what it has besides."""
        move = self._moves.get(link)
        if move is None:
            return
        self._forget(move)
        for protocol in (move.old, move.new):
            if protocol is not None:
                protocol.abort()


def _same_but_key(link: Link, remote: Remote) -> bool:
    """Whether a link may move to where somebody has proved himself."""
    before = link.remote
    is_node = remote.role is Role.NODE
    return is_node and link.up and attrs.evolve(before, key=remote.key) == remote
