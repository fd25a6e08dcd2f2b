# -*- test-case-name: tests.nodosum.discovery.test_dns_records -*-
"""
Questions and replies as discovery knows them, from and for `twisted.names`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from enum import IntEnum
from io import BytesIO
from typing import Any

import attrs
from twisted.names import dns

from mycorrizal.nodosum.discovery.dns_name import Name, format_name, received_name

#: A time to live with its highest bit set means 0 (RFC 2181, 8).
_TTL_S_MAX = 2**31 - 1


class Kind(IntEnum):
    """The types of records that matter here."""

    A = dns.A
    CNAME = dns.CNAME
    SOA = dns.SOA
    PTR = dns.PTR
    TXT = dns.TXT
    AAAA = dns.AAAA
    SRV = dns.SRV


class _Labels(dns.Name):
    """A name that is written label by label, so that a label may have dots."""

    def __init__(self, labels: Name) -> None:
        super().__init__(b".".join(labels))
        self._labels = labels

    def encode(self, strio: Any, compDict: object = None) -> None:
        for label in (*self._labels, b""):
            dns.Charstr(label).encode(strio)


@attrs.frozen
class Question:
    """What a server is asked for: the records of one name and kind."""

    name: Name
    kind: Kind

    def __str__(self) -> str:
        return f"{self.kind.name} of {format_name(self.name)}"

    def query(self) -> dns.Query:
        """It for `twisted.names`."""
        query = dns.Query(type=self.kind)
        query.name = _Labels(self.name)
        return query

    def encoded(self) -> bytes:
        """Its bytes in a message."""
        written = BytesIO()
        self.query().encode(written)
        return written.getvalue()


@attrs.frozen
class Service:
    """
    Where a service is, as a SRV record tells (RFC 2782).

    :ivar target: A host's name; empty where the service is not to be had.
    """

    priority: int
    port: int
    target: Name


@attrs.frozen
class Record:
    """
    One record.

    :ivar data: By kind: an IP literal, a name, a `Service`, the strings of a
        TXT; of a SOA, how many seconds "there is none" holds.
    """

    name: Name
    kind: Kind
    ttl_s: int
    data: str | Name | Service | int


@attrs.frozen
class Reply:
    """
    What a server answered, without the kinds of records that don't matter.

    :ivar rcode: With what EDNS adds to it (RFC 6891, 6.1.3).
    """

    rcode: int
    truncated: bool
    answers: tuple[Record, ...]
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()

    @classmethod
    def of(cls, message: dns.Message) -> Reply:
        """What a message says that was `guarded` before it was decoded."""
        sections = (message.answers, message.authority, message.additional)
        rcode: int = message.rCode
        for header in message.additional:
            if header.type == dns.OPT:
                rcode |= header.ttl >> 24 << 4
        return cls(rcode, bool(message.trunc), *map(_records, sections))


def _records(headers: Iterable[dns.RRHeader]) -> tuple[Record, ...]:
    return tuple(
        _record(header)
        for header in headers
        if header.cls == dns.IN and header.type in _KINDS
    )


def _record(header: dns.RRHeader) -> Record:
    name = received_name(header.name.name, ())
    kind = Kind(header.type)
    data: str | Name | Service | int
    match header.payload:
        case dns.Record_A(address=packed) | dns.Record_AAAA(address=packed):
            data = str(ipaddress.ip_address(packed))
        case dns.Record_TXT(data=strings):
            data = tuple(strings)
        case dns.Record_SRV(priority=priority, port=port, target=target):
            data = Service(priority, port, received_name(target.name, ()))
        case dns.Record_SOA(minimum=minimum):
            data = minimum
        case dns.Record_PTR(name=other) | dns.Record_CNAME(name=other):
            data = received_name(other.name, name)
        case payload:
            raise AssertionError(payload)
    return Record(name, kind, header.ttl if header.ttl <= _TTL_S_MAX else 0, data)


_KINDS = frozenset(Kind)
