# -*- test-case-name: tests.testing.test_name_server -*-
"""
A DNS server on a simulated host, which answers in real bytes, or in wrong ones.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.names import dns
from twisted.protocols.basic import Int16StringReceiver

from mycorrizal.testing.host import Host

PORT = 53
#: A datagram without EDNS has so many bytes at most (RFC 1035, 4.2.1).
UDP_BYTES_MAX = 512
#: And with it, if the question says that it takes more.
EDNS_BYTES_MAX = 4096
#: Aliases that are followed in one answer.
CNAMES_MAX = 16

#: Where a message has its question, and what follows its name.
_QUESTION = dns.Message.headerSize
_ARCOUNT_AT = 10
_OPT = struct.Struct("!BHHBBHH")
_POINTER_TO_QUESTION = b"\xc0\x0c"


class _Written(dns.Name):
    """A name as it stands in a message."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    def encode(self, strio: Any, compDict: object = None) -> None:
        strio.write(self._data)


class _Datagrams(DatagramProtocol):
    transport: Any

    def __init__(self, server: SimNameServer) -> None:
        self._server = server

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        for answer in self._server.answers(datagram, UDP_BYTES_MAX):
            self.transport.write(answer, addr)


class _Stream(Int16StringReceiver):
    def __init__(self, server: SimNameServer) -> None:
        super().__init__()
        self._server = server

    def stringReceived(self, string: bytes) -> None:
        for answer in self._server.answers(string, 0):
            self.sendString(answer)


class SimNameServer:
    """
    A DNS server that knows the names of its world, and what it is told.

    ::

        server = SimNameServer(world.host("dns"))
        server.add("_cluster._tcp.example", dns.Record_SRV(0, 0, 7000, "a"))

    :param host: Where it listens, by UDP and TCP.
    :ivar records: By name in lower case, of `twisted.names.dns`; for a name
        that is not in it the table of the world counts.
    :ivar ttl_s: Of addresses from the world's table, and of answers that there
        is nothing.
    :ivar with_additional: Whether answers with SRV carry addresses along.
    :ivar misbehave: If set, is asked for the datagrams or messages that go out
        instead: given the question, and the answer that would be right.
    :ivar edns: Whether it knows EDNS; else it takes no notice of it.
    :ivar asked: Each question: the name and the number of its type.
    :ivar by_tcp: How many of them came by TCP.
    """

    def __init__(self, host: Host, port: int = PORT) -> None:
        self.records: dict[str, list[Any]] = {}
        self.ttl_s = 60
        self.with_additional = False
        self.misbehave: Callable[[dns.Message, bytes], Iterable[bytes]] | None = None
        self.edns = True
        self.asked: list[tuple[str, int]] = []
        self.by_tcp = 0
        self.address = (host.address, port)
        self._names = host.world.names
        factory = Factory.forProtocol(lambda: _Stream(self))
        factory.noisy = False
        host.reactor.listenUDP(port, _Datagrams(self), interface="::")
        self._listening = host.reactor.listenTCP(port, factory, interface="::")

    def add(self, name: str, *records: Any, ttl_s: int = 60) -> None:
        """Add records of a name."""
        for record in records:
            record.ttl = ttl_s
        self.records.setdefault(name.lower(), []).extend(records)

    def close_tcp(self) -> None:
        """Answer by UDP only."""
        self._listening.stopListening()

    def answers(self, query: bytes, bytes_max: int) -> Iterable[bytes]:
        """
        What goes out for a question.

        :param bytes_max: Longer answers are cut; 0: none are.
        """
        message = dns.Message()
        try:
            message.fromStr(query)
            (question,) = message.queries
        except (EOFError, ValueError):
            return []
        name = question.name.name.decode(errors="replace").lower()
        self.asked.append((name, question.type))
        self.by_tcp += not bytes_max
        options = [it for it in message.additional if it.type == dns.OPT]
        takes = [it.cls for it in options if self.edns]
        if takes and bytes_max:
            bytes_max = max(bytes_max, min(EDNS_BYTES_MAX, *takes)) - _OPT.size
        answer = self._answer(message.id, query, name, question.type, bytes_max)
        if takes:
            answer = with_opt(answer)
        if self.misbehave is not None:
            return self.misbehave(message, answer)
        return [answer]

    def _answer(
        self, message_id: int, query: bytes, name: str, kind: int, bytes_max: int
    ) -> bytes:
        reply = dns.Message(
            message_id, answer=1, recDes=1, recAv=1, auth=True, maxSize=bytes_max
        )
        # Labels may hold dots, which the text of a name does not show.
        reply.queries = [dns.Query(b"", kind)]
        reply.queries[0].name = _Written(_first_name(query))
        own: dns.Name | str = _Written(_POINTER_TO_QUESTION)
        for _ in range(CNAMES_MAX):
            known = self._records_of(name)
            reply.answers += _headers(own, [r for r in known if kind == r.TYPE])
            aliases = [r for r in known if r.TYPE == dns.CNAME]
            if kind == dns.CNAME or not aliases:
                break
            reply.answers += _headers(own, aliases)
            own = name = aliases[0].name.name.decode().lower()
        if not known and not reply.answers:
            reply.rCode = dns.ENAME
        if not any(header.type == kind for header in reply.answers):
            # How long there is none (RFC 2308).
            soa = dns.Record_SOA(minimum=self.ttl_s, ttl=self.ttl_s)
            reply.authority += _headers("example", [soa])
        if self.with_additional and kind == dns.SRV:
            header: Any
            for header in list(reply.answers):
                target = header.payload.target.name.decode().lower()
                reply.additional += _headers(target, self._records_of(target))
        return reply.toStr()

    def _records_of(self, name: str) -> list[Any]:
        if name in self.records:
            return self.records[name]
        return [
            dns.Record_AAAA(it, ttl=self.ttl_s)
            if ":" in it
            else dns.Record_A(it, ttl=self.ttl_s)
            for it in self._names.addresses_of(name)
        ]


def _headers(name: dns.Name | str, records: Iterable[Any]) -> list[dns.RRHeader]:
    found = []
    for record in records:
        text = b"" if isinstance(name, dns.Name) else name
        header = dns.RRHeader(text, record.TYPE, ttl=record.ttl or 0, payload=record)
        if isinstance(name, dns.Name):
            header.name = name
        found.append(header)
    return found


def _first_name(query: bytes) -> bytes:
    end = _QUESTION
    while query[end]:
        end += 1 + query[end]
    return query[_QUESTION : end + 1]


def with_opt(answer: bytes, extended_code: int = 0) -> bytes:
    """
    An answer with what EDNS adds to it.

    :param extended_code: The upper bits of what went wrong.
    """
    (count,) = struct.unpack_from("!H", answer, _ARCOUNT_AT)
    opt = _OPT.pack(0, dns.OPT, EDNS_BYTES_MAX, extended_code, 0, 0, 0)
    more = struct.pack("!H", count + 1)
    return answer[:_ARCOUNT_AT] + more + answer[_ARCOUNT_AT + 2 :] + opt


def with_code(answer: bytes, code: int) -> bytes:
    """An answer that says instead that something went wrong."""
    (flags,) = struct.unpack_from("!H", answer, 2)
    return answer[:2] + struct.pack("!H", flags & 0xFFF0 | code) + answer[4:]
