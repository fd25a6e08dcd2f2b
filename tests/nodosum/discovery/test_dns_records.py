"""
Questions and replies, from and for `twisted.names`.
"""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.discovery.dns_guard import Malformed
from mycorrizal.nodosum.discovery.dns_records import (
    Kind,
    Question,
    Record,
    Reply,
    Service,
)
from tests.nodosum.discovery.dns_bytes import QUERY, QUESTION, decode, raw, reply_bytes


class QuestionTests(SynchronousTestCase):
    """What goes out."""

    def test_bytes(self) -> None:
        """A question has these bytes."""
        self.assertEqual(QUESTION.encoded(), QUERY[12:])
        message = dns.Message(4660, recDes=1)
        message.queries = [QUESTION.query()]
        self.assertEqual(message.toStr(), QUERY)
        self.assertEqual(str(message.queries[0].name), "_cluster._tcp.example")

    def test_dots(self) -> None:
        """A dot within a label is no end of it."""
        question = Question((b"3.2", b"_x"), Kind.PTR)
        self.assertEqual(question.encoded(), b"\x033.2\x02_x\0\0\x0c\0\1")

    def test_as_text(self) -> None:
        """A question can be named in a sentence."""
        self.assertEqual(str(QUESTION), "SRV of _cluster._tcp.example")


class ReplyTests(SynchronousTestCase):
    """What Twisted writes is read."""

    def test_records(self) -> None:
        """Each kind of record, and compressed names."""
        reply = decode(
            reply_bytes(
                ("_cluster._tcp.example", dns.Record_SRV(1, 2, 7000, "a.example")),
                ("p.example", dns.Record_PTR("i._cluster._tcp.example")),
                ("t.example", dns.Record_TXT(b"txtvers=1", b"")),
                ("c.example", dns.Record_CNAME("a.example")),
                ("m.example", dns.Record_MX(1, "a.example")),
                additional=[
                    ("a.example", dns.Record_A("10.0.0.1")),
                    ("a.example", dns.Record_AAAA("fd00::1")),
                ],
            )
        )
        self.assertEqual((reply.rcode, reply.truncated), (0, False))
        target = (b"a", b"example")
        self.assertEqual(
            [record.data for record in reply.answers],
            [
                Service(1, 7000, target),
                (b"i", b"_cluster", b"_tcp", b"example"),
                (b"txtvers=1", b""),
                target,
            ],
        )
        self.assertEqual({record.ttl_s for record in reply.answers}, {60})
        self.assertEqual(
            [record.data for record in reply.additional], ["10.0.0.1", "fd00::1"]
        )

    def test_target_of_nothing(self) -> None:
        """A target "." has no labels."""
        reply = decode(reply_bytes(("x", dns.Record_SRV(0, 0, 1, b""))))
        self.assertEqual(reply.answers[0].data, Service(0, 1, ()))

    def test_truncated(self) -> None:
        """Of an answer that was cut nothing is used."""
        reply = decode(reply_bytes(("x", dns.Record_PTR("a")), trunc=1)[:-3])
        self.assertEqual(reply, Reply(0, True, ()))

    def test_time_to_live(self) -> None:
        """A time to live with its highest bit set means 0 (RFC 2181, 8)."""
        for ttl_s, expected in ((2**31 - 1, 2**31 - 1), (2**31, 0), (0, 0)):
            record = b"\0" + struct.pack("!HHIH", 1, 1, ttl_s, 4) + b"\x0a\0\0\1"
            self.assertEqual(decode(raw(record)).answers[0].ttl_s, expected)

    def test_dots(self) -> None:
        """The name of an instance may have dots, whoever names it."""
        text = b"Room 3.2._cluster._tcp.example"
        instance = (b"Room 3.2", b"_cluster", b"_tcp", b"example")
        for record in (dns.Record_PTR(text), dns.Record_CNAME(text)):
            reply = decode(reply_bytes(("_cluster._tcp.example", record)))
            self.assertEqual(reply.answers[0].data, instance)

    def test_how_long_there_is_none(self) -> None:
        """A SOA tells it."""
        (record,) = decode(reply_bytes(("x", dns.Record_SOA(minimum=7)))).answers
        self.assertEqual(record, Record((b"x",), Kind.SOA, 60, 7))

    def test_other_classes(self) -> None:
        """Records of other classes than the Internet's are none."""
        record = b"\0" + struct.pack("!HHIH", 1, 3, 60, 4) + b"\x0a\0\0\1"
        self.assertEqual(decode(raw(record)).answers, ())


class GarbageTests(SynchronousTestCase):
    """F45: any bytes are a reply or `Malformed`."""

    @given(st.binary(max_size=600))
    def test_any_bytes(self, data: bytes) -> None:
        """F45: nothing else comes of any bytes."""
        for start in (b"", raw(b"", 3)):
            try:
                decode(start + data)
            except Malformed:
                pass

    @given(st.data())
    def test_any_damage(self, data: Any) -> None:
        """F45: nor of a good reply in which some bytes are others."""
        good = bytearray(
            reply_bytes(
                ("a._cluster._tcp.example", dns.Record_SRV(1, 2, 3, "b.example")),
                ("b.example", dns.Record_SOA("c.example", "d.example")),
                ("e.example", dns.Record_TXT(b"a", b"b")),
                ("f.example", dns.Record_NAPTR(1, 2, b"", b"", b"", "g.example")),
                ("a._cluster._tcp.example", dns.Record_CNAME("h.example")),
            )
        )
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(good) - 1))
            good[at] = data.draw(st.integers(0, 255))
        try:
            decode(bytes(good))
        except Malformed:
            pass
