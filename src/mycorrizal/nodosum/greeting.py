# -*- test-case-name: tests.nodosum.test_greeting -*-
"""
The exchange of HELLOs, without sockets: who is there, and tickets to dial.

``HELLO -> RETRY(cookie) -> HELLO(cookie) -> HELLO_ACK``: nothing is kept of a
stranger, and nobody is dialled, before a cookie came back from the address
that it was sent to.
"""

from __future__ import annotations

import hmac
import ipaddress
import struct
from collections import OrderedDict

import attrs

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.wire.events import Local
from mycorrizal.nodosum.wire.hello import NO_TOKEN, TOKEN_BYTES, Hello, HelloType
from mycorrizal.nodosum.wire.limits import (
    HELLO_ANSWERS_PER_SECOND,
    STRANGER_TABLE_MAX,
)
from mycorrizal.runtime import Entropy

#: Where datagrams come from and go to: an IP literal and a port.
Address = tuple[str, int]

#: Age at which the key of cookies and tickets is replaced; the one before it
#: is still accepted.
COOKIE_KEY_S = 60.0
_COOKIE_KEY_BYTES = 32
#: Questions to one address that share a nonce, so that an answer may be
#: slower than the pause between them; as many as a contact sends in a row.
QUESTIONS_PER_NONCE = 3
_PORT = struct.Struct("<H")


@attrs.frozen
class Reply:
    """Send this datagram back to where the last one came from."""

    data: bytes


@attrs.frozen
class Greeted:
    """
    A peer that knows the secret listens at an address.

    :ivar ticket: 16 bytes that open a TCP connection to it.
    :ivar asked: Whether it answered us; else it asked.
    """

    node_key: bytes
    incarnation: int
    address: Address
    ticket: bytes
    asked: bool


def packed_ip(host: str) -> bytes:
    """An IP literal as 16 bytes; IPv4 as IPv4-mapped IPv6."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.version == 4:
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


class Greeting:
    """
    Our side of all HELLO exchanges.

    :param local: What we say of ourselves.
    :param tcp_port: Where we listen.
    """

    def __init__(self, local: Local, tcp_port: int, entropy: Entropy) -> None:
        self.local = local
        self._tcp_port = tcp_port
        self._token_bytes = entropy.token_bytes
        self._asked: OrderedDict[Address, tuple[bytes, int]] = OrderedDict()
        self._given: OrderedDict[Address, bytes] = OrderedDict()
        self._cookie_keys: list[bytes] = []
        self._cookie_key_until = float("-inf")
        self._answers: dict[str, int] = {}
        self._answers_until = float("-inf")

    def hello(self, address: Address, sent_ms: int) -> bytes:
        """The datagram that asks who is at an address."""
        nonce, questions = self._asked.get(address, (b"", QUESTIONS_PER_NONCE))
        if questions >= QUESTIONS_PER_NONCE:
            nonce, questions = self._token_bytes(TOKEN_BYTES), 0
        self._asked[address] = (nonce, questions + 1)
        self._asked.move_to_end(address)
        if len(self._asked) > STRANGER_TABLE_MAX:
            self._asked.popitem(last=False)
        return self._encode(
            HelloType.HELLO, self.local.keys.first.key_id, nonce=nonce, sent_ms=sent_ms
        )

    def datagram_received(
        self, data: bytes, source: Address, now: float
    ) -> tuple[Reply | Greeted, ...]:
        """
        Take one datagram.

        :return: What to answer and what was learned; nothing at all for a
            stranger's.
        """
        try:
            hello = Hello.decode(data, self.local.keys, self.local.cluster_tag)
        except RemoteProtocolError:
            return ()
        if hello.kind is HelloType.HELLO:
            return self._hello_received(hello, source, now)
        asked = self._asked.get(source)
        if hello.kind is HelloType.BYE or asked is None or asked[0] != hello.echo:
            return ()
        if hello.key_id != self.local.keys.first.key_id:
            # Our question was signed with the first key, so is its answer.
            return ()
        if hello.kind is HelloType.RETRY:
            return self._retry_received(hello, source, now)
        del self._asked[source]
        return (self._greeted(hello, source, asked=True),)

    def ticket_valid(
        self, ticket: bytes, host: str, node_key: bytes, now: float
    ) -> bool:
        """Whether we gave this ticket to that node at that IP address."""
        return ticket != NO_TOKEN and any(
            hmac.compare_digest(ticket, self._ticket(key, host, node_key))
            for key in self._live_keys(now)
        )

    def ticket_for(self, address: Address) -> bytes:
        """The ticket that the node at an address gave us last, or zeros."""
        return self._given.get(address, NO_TOKEN)

    # -- what comes in --------------------------------------------------------

    def _hello_received(
        self, hello: Hello, source: Address, now: float
    ) -> tuple[Reply | Greeted, ...]:
        if not self._may_answer(source[0], now):
            return ()
        keys = self._live_keys(now)
        if hello.cookie == NO_TOKEN:
            cookie = self._cookie(keys[0], hello, source)
            return (self._reply(HelloType.RETRY, hello, cookie=cookie),)
        if not any(
            hmac.compare_digest(hello.cookie, self._cookie(key, hello, source))
            for key in keys
        ):
            return ()
        ticket = self._ticket(keys[0], source[0], hello.node_key)
        return (
            self._reply(HelloType.HELLO_ACK, hello, ticket=ticket),
            self._greeted(hello, source, asked=False),
        )

    def _retry_received(
        self, retry: Hello, source: Address, now: float
    ) -> tuple[Reply]:
        ticket = self._ticket(self._live_keys(now)[0], source[0], retry.node_key)
        data = self._encode(
            HelloType.HELLO,
            retry.key_id,
            nonce=retry.echo,
            cookie=retry.cookie,
            ticket=ticket,
        )
        return (Reply(data),)

    def _greeted(self, hello: Hello, source: Address, *, asked: bool) -> Greeted:
        address = (source[0], hello.tcp_port)
        self._given[address] = hello.ticket
        self._given.move_to_end(address)
        if len(self._given) > STRANGER_TABLE_MAX:
            self._given.popitem(last=False)
        return Greeted(
            hello.node_key, hello.incarnation, address, hello.ticket, asked=asked
        )

    # -- what goes out --------------------------------------------------------

    def _reply(
        self,
        kind: HelloType,
        question: Hello,
        cookie: bytes = NO_TOKEN,
        ticket: bytes = NO_TOKEN,
    ) -> Reply:
        data = self._encode(
            kind, question.key_id, echo=question.nonce, cookie=cookie, ticket=ticket
        )
        return Reply(data)

    def _encode(
        self,
        kind: HelloType,
        key_id: int,
        *,
        nonce: bytes = NO_TOKEN,
        echo: bytes = NO_TOKEN,
        cookie: bytes = NO_TOKEN,
        ticket: bytes = NO_TOKEN,
        sent_ms: int = 0,
    ) -> bytes:
        local = self.local
        hello = Hello(
            kind,
            key_id,
            local.node_key,
            local.incarnation,
            self._tcp_port,
            local.cluster_tag,
            local.tls,
            nonce,
            echo,
            cookie,
            ticket,
            sent_ms,
        )
        return hello.encode(local.keys)

    def _may_answer(self, host: str, now: float) -> bool:
        if now >= self._answers_until:
            self._answers.clear()
            self._answers_until = now + 1.0
        answers = self._answers.get(host, 0)
        if not answers and len(self._answers) >= STRANGER_TABLE_MAX:
            return False
        self._answers[host] = answers + 1
        return answers < HELLO_ANSWERS_PER_SECOND

    # -- cookies and tickets --------------------------------------------------

    def _live_keys(self, now: float) -> list[bytes]:
        late_s = now - self._cookie_key_until
        if late_s >= 0:
            # After a long silence the key before is as old as the silence,
            # and what was recorded then must not be good again.
            previous = self._cookie_keys[:1] if late_s < COOKIE_KEY_S else []
            since = self._cookie_key_until if previous else now
            self._cookie_keys = [self._token_bytes(_COOKIE_KEY_BYTES), *previous]
            self._cookie_key_until = since + COOKIE_KEY_S
        return self._cookie_keys

    @staticmethod
    def _cookie(key: bytes, hello: Hello, source: Address) -> bytes:
        place = packed_ip(source[0]) + _PORT.pack(source[1])
        message = b"cookie" + place + hello.node_key + hello.nonce
        return hmac.digest(key, message, "sha256")[:TOKEN_BYTES]

    @staticmethod
    def _ticket(key: bytes, host: str, node_key: bytes) -> bytes:
        message = b"ticket" + packed_ip(host) + node_key
        return hmac.digest(key, message, "sha256")[:TOKEN_BYTES]
