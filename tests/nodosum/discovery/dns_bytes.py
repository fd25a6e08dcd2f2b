"""
Replies in bytes, made by `twisted.names` or by hand.
"""

from __future__ import annotations

import struct
from typing import Any

from twisted.names import dns

from mycorrizal.nodosum.discovery.dns_guard import guarded
from mycorrizal.nodosum.discovery.dns_records import Kind, Question, Reply

QUESTION = Question((b"_cluster", b"_tcp", b"example"), Kind.SRV)
ID = 4660
QUERY = bytes.fromhex(
    "1234 0100 0001 0000 0000 0000"
    "08 5f636c7573746572 04 5f746370 07 6578616d706c65 00 0021 0001"
)


def reply_bytes(*records: Any, additional: Any = (), **flags: Any) -> bytes:
    """A reply to the question, made by Twisted."""
    message = dns.Message(ID, answer=1, maxSize=0, **flags)
    message.addQuery("_cluster._tcp.example", dns.SRV)
    for section, them in ((message.answers, records), (message.additional, additional)):
        for name, record in them:
            section.append(dns.RRHeader(name, record.TYPE, ttl=60, payload=record))
    return message.toStr()


def decode(data: bytes) -> Reply:
    """Read a reply to the question; nothing in it is lost on the way."""
    message = dns.Message()
    look = guarded(data, ID, QUERY[12:])
    message.fromStr(look)
    read = (message.answers, message.authority, message.additional)
    assert list(struct.unpack_from("!3H", look, 6)) == [len(them) for them in read]
    return Reply.of(message)


def raw(records: bytes, count: int = 1) -> bytes:
    """A reply with these bytes as its answers."""
    return struct.pack("!6H", ID, 0x8400, 1, count, 0, 0) + QUERY[12:] + records
