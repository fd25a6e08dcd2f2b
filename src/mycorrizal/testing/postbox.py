# -*- test-case-name: tests.testing.test_postbox -*-
"""
The application of a storm: numbered messages and requests, and who got them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import attrs

from mycorrizal.errors import PeerBusy, PeerUnreachable
from mycorrizal.nodosum import Application
from mycorrizal.service import Mycorrizal

#: Its id.
POSTBOX = "SWARM"
#: What no compression makes smaller.
NOISE = Random(1).randbytes(200_000)


class ReceiverFailed(Exception):
    """What a receive function raises in bad weather."""


@attrs.frozen(eq=False)
class Sent:
    """
    One message that a link took.

    :ivar number: Of those that its sender's process sent.
    :ivar link: What it was given to.
    """

    sender: str
    receiver: str
    number: int
    link: Any


class Postbox:
    """
    The postboxes of all nodes.

    A process is called by its node's id and its count, as ``n1.2``.

    :ivar raising: Node ids whose receive functions fail.
    :ivar problems: What was wrong, as (invariant, text).
    """

    def __init__(self) -> None:
        self.raising: set[str] = set()
        self.problems: list[tuple[str, str]] = []
        self._lives: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._sent: list[Sent] = []
        self._received: dict[tuple[str, str], list[int]] = {}
        self._served: set[str] = set()

    def set_up(self, node: Mycorrizal, life: int) -> None:
        """Give a new process its postbox."""
        name = f"{node.node_id}.{life}"
        self._lives[node.node_id] = name
        application = node.register_application(POSTBOX)
        application.set_receive_func(self._receiver(name, node.node_id))
        application.set_request_func(self._answerer(node.node_id))

    def send(self, node: Mycorrizal, node_ids: Sequence[str], size: int = 0) -> Any:
        """
        Send the next message.

        :param node_ids: To whom; none: to all.
        :return: A Deferred, as of `Application.send`.
        """
        sender = self._lives[node.node_id]
        number = self._counts[sender] = self._counts.get(sender, 0) + 1
        application = node.get_application(POSTBOX)
        links = dict(node.nodosum.applications.links)
        taken = node_ids or list(links)
        # Every other one gets smaller when it is compressed.
        padding = NOISE[:size] if number % 2 else bytes(size)
        payload = f"{sender}:{number}:".encode() + padding
        done = application.send(payload, node_ids)
        failed: list[str] = []

        def look(failure: Any) -> Any:
            if failure.check(PeerBusy, PeerUnreachable):
                failed.extend(failure.value.node_ids)
            return failure

        done.addErrback(look)
        for node_id in taken:
            if node_id in links and node_id not in failed:
                receiver = self._lives.get(node_id, node_id)
                self._sent.append(Sent(sender, receiver, number, links[node_id]))
        return done

    def application(self, node: Mycorrizal) -> Application:
        """A node's postbox, to ask from."""
        return node.get_application(POSTBOX)

    def _receiver(self, name: str, node_id: str) -> Callable[[bytes, str], None]:
        def receive(payload: bytes, sender_id: str) -> None:
            sender, number, _ = payload.split(b":", 2)
            self._got(sender.decode(), name, int(number), sender_id)
            if node_id in self.raising:
                raise ReceiverFailed(f"on message {int(number)}")

        return receive

    def _got(self, sender: str, receiver: str, number: int, sender_id: str) -> None:
        if not sender.startswith(f"{sender_id}."):
            text = f"{receiver} got {number} of {sender} as from {sender_id}"
            self.problems.append(("messages", text))
        received = self._received.setdefault((sender, receiver), [])
        if received and number <= received[-1]:
            text = f"{receiver} got {number} of {sender} after {received[-1]}"
            self.problems.append(("messages", text))
        received.append(number)

    def _answerer(self, node_id: str) -> Callable[[bytes, str], bytes]:
        def answer(payload: bytes, sender_id: str) -> bytes:
            request = payload.decode()
            if request in self._served:
                self.problems.append(("requests", f"{request} was answered twice"))
            self._served.add(request)
            if node_id in self.raising:
                raise ReceiverFailed(f"on request {request}")
            return payload

        return answer

    def undelivered(self, living: frozenset[str]) -> Iterator[str]:
        """
        Messages that did not arrive, though their link is still there.

        :param living: The processes that are still there; of the others' links
            nobody knows.
        """
        got = {pair: set(numbers) for pair, numbers in self._received.items()}
        for sent in self._sent:
            pair = (sent.sender, sent.receiver)
            if sent.link.closed or not living.issuperset(pair):
                continue
            if sent.number not in got.get(pair, ()):
                yield f"{sent.receiver} did not get {sent.number} of {sent.sender}"
