"""
The bytes of the DNS, good and bad, with Twisted's own as the other opinion.
"""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.discovery.dns_message import (
    RECORDS_MAX,
    Kind,
    Malformed,
    Name,
    Question,
    Reply,
    Service,
    decode_reply,
    encode_question,
    format_name,
    parse_name,
    same_name,
)

QUESTION = Question((b"_cluster", b"_tcp", b"example"), Kind.SRV)
ID = 4660
QUERY = bytes.fromhex(
    "1234 0100 0001 0000 0000 0000"
    "08 5f636c7573746572 04 5f746370 07 6578616d706c65 00 0021 0001"
)
LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=4)


def reply_bytes(*records: Any, additional: Any = (), **flags: Any) -> bytes:
    """A reply to the question, made by Twisted."""
    message = dns.Message(ID, answer=1, maxSize=0, **flags)
    message.addQuery("_cluster._tcp.example", dns.SRV)
    for section, them in ((message.answers, records), (message.additional, additional)):
        for name, record in them:
            section.append(dns.RRHeader(name, record.TYPE, ttl=60, payload=record))
    return message.toStr()


def decode(data: bytes) -> Reply:
    """Read a reply to the question."""
    return decode_reply(data, ID, QUESTION)


def raw(records: bytes, count: int = 1) -> bytes:
    """A reply with these bytes as its answers."""
    return struct.pack("!6H", ID, 0x8400, 1, count, 0, 0) + QUERY[12:] + records


class QuestionTests(SynchronousTestCase):
    """What goes out."""

    def test_bytes(self) -> None:
        """A question is these bytes, and Twisted reads them so."""
        self.assertEqual(encode_question(ID, QUESTION), QUERY)
        message = dns.Message()
        message.fromStr(encode_question(ID, QUESTION))
        (query,) = message.queries
        self.assertEqual((message.id, message.recDes), (ID, 1))
        self.assertEqual(str(query.name), "_cluster._tcp.example")

    def test_as_text(self) -> None:
        """A question can be named in a sentence."""
        self.assertEqual(str(QUESTION), "SRV of _cluster._tcp.example")


class NameTests(SynchronousTestCase):
    """Names as text."""

    def test_text(self) -> None:
        """Dots and backslashes within a label, and bytes, are written with \\."""
        for text, name in (
            ("a.b", (b"a", b"b")),
            (r"Room 3\.2._x", (b"Room 3.2", b"_x")),
            (r"a\\b", (b"a\\b",)),
            (r"\000\255", (b"\0\xff",)),
            ("Küche", ("Küche".encode(),)),
            ("\\027", (b"\x1b",)),
        ):
            self.assertEqual(parse_name(text), name)
            self.assertEqual(format_name(name), text)
        self.assertEqual(format_name(()), ".")
        self.assertEqual(parse_name("a.b."), (b"a", b"b"))

    @given(LABELS.filter(bool))
    def test_any_name(self, labels: list[bytes]) -> None:
        """Every name can be written and read again, on one line."""
        if sum(map(len, labels)) + len(labels) < 255:
            text = format_name(tuple(labels))
            self.assertTrue(text.isprintable())
            self.assertEqual(parse_name(text), tuple(labels))

    def test_case(self) -> None:
        """Case makes no difference, but for letters beyond ASCII."""
        self.assertTrue(same_name((b"A", b"b"), (b"a", b"B")))
        self.assertFalse(same_name((b"a",), (b"a", b"b")))


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

    def test_no_question(self) -> None:
        """A server that failed may leave the question out, no other."""
        header = struct.pack("!6H", ID, 0x8001, 0, 0, 0, 0)
        self.assertEqual(decode(header).rcode, 1)
        with self.assertRaises(Malformed):
            decode(struct.pack("!6H", ID, 0x8000, 0, 0, 0, 0))

    def test_records_at_the_bound(self) -> None:
        """1024 records are read, one more is not."""
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + b"\x0a\0\0\1"
        for count in (RECORDS_MAX, RECORDS_MAX + 1, 4000):
            reply = decode(raw(record * count, count))
            self.assertEqual(len(reply.answers), min(count, RECORDS_MAX))


class GarbageTests(SynchronousTestCase):
    """F45: any bytes are a reply or `Malformed`, soon."""

    def bad(self, data: bytes, reason: str) -> None:
        """These bytes are no reply."""
        with self.assertRaises(Malformed) as caught:
            decode(data)
        self.assertIn(reason, str(caught.exception))

    def test_wrong_id_question_or_kind(self) -> None:
        """F45: what answers something else is not taken for an answer."""
        good = reply_bytes(("x", dns.Record_A("10.0.0.1")))
        self.bad(b"\0\0" + good[2:], "no reply to this question")
        self.bad(good[:2] + b"\0" + good[3:], "no reply to this question")
        self.bad(good[:2] + b"\xfc" + good[3:], "no reply to this question")
        self.bad(good.replace(b"_tcp", b"_udp", 1), "another question")
        self.bad(good.replace(b"\0\x21\0\1", b"\0\x10\0\1", 1), "another question")
        self.assertEqual(len(decode(good.replace(b"_tcp", b"_TCP", 1)).answers), 1)

    def test_every_cut(self) -> None:
        """F45: a reply that ends early is none, wherever it ends."""
        good = reply_bytes(("a.example", dns.Record_SRV(1, 2, 3, "b.example")))
        decode(good)
        for end in range(len(good)):
            with self.assertRaises(Malformed):
                decode(good[:end])

    def test_pointers(self) -> None:
        """F45: compression pointers in circles, to themselves or ahead."""
        after = struct.pack("!HHIH", 1, 1, 60, 4) + b"\x0a\0\0\1"
        at = len(QUERY)
        for target in (at, at + 2, at + 100):
            pointer = struct.pack("!H", 0xC000 | target)
            self.bad(raw(pointer + after), "does not point back")
        # To a label that leads on to the pointer itself.
        circle = b"\1a" + struct.pack("!H", 0xC000 | at)
        self.bad(raw(circle + after), "does not point back")

    def test_long_names(self) -> None:
        """F45: a name has 255 bytes with its lengths, not one more."""
        after = struct.pack("!HHIH", 1, 1, 60, 4) + b"\x0a\0\0\1"
        for last, good in ((61, True), (62, False)):
            name = (b"\x3f" + b"a" * 63) * 3 + bytes([last]) + b"a" * last + b"\0"
            self.assertEqual(len(name) <= 255, good)
            if good:
                self.assertEqual(len(decode(raw(name + after)).answers), 1)
            else:
                self.bad(raw(name + after), "too long")
        self.bad(raw(b"\x40" + b"a" * 64 + b"\0" + after), "too long")

    def test_wrong_lengths(self) -> None:
        """F45: records that are longer or shorter than they may be."""

        def record(kind: int, data: bytes) -> bytes:
            return raw(b"\0" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data)

        self.bad(record(Kind.A, b"abc"), "wrong length")
        self.bad(record(Kind.AAAA, b"a" * 17), "wrong length")
        self.bad(record(Kind.PTR, b"\1a\0\0"), "wrong length")
        self.bad(record(Kind.SRV, b"\0" * 8), "wrong length")
        self.bad(record(Kind.SRV, b"\0"), "")
        self.bad(record(Kind.TXT, b"\5a"), "wrong length")

    def test_cost(self) -> None:
        """
        F45: a message of 64 KiB whose names all point at a long one costs no
        more than any other: 255 bytes a name.
        """
        long_name = b"\1a" * 30_000 + b"\0"
        after = struct.pack("!HHIH", 16, 1, 60, 0)
        pointer = b"\xc0" + bytes([len(QUERY)])
        self.bad(raw(long_name + after + (pointer + after) * 400, 401), "too long")

    @given(st.binary(max_size=600))
    def test_any_bytes(self, data: bytes) -> None:
        """F45: nothing else comes of any bytes."""
        for start in (b"", raw(b"", 3)):
            try:
                decode(start + data)
            except Malformed:
                pass

    @given(LABELS, LABELS)
    def test_any_name(self, owner: list[bytes], target: list[bytes]) -> None:
        """A label may hold any byte, dots too."""

        def encoded(labels: list[bytes]) -> bytes:
            return b"".join(bytes([len(it)]) + it for it in labels) + b"\0"

        data = encoded(target)
        if len(data) > 255 or len(encoded(owner)) > 255:
            return
        record = encoded(owner) + struct.pack("!HHIH", 12, 1, 0, len(data)) + data
        (read,) = decode(raw(record)).answers
        names: tuple[Name, Any] = (read.name, read.data)
        self.assertEqual(names, (tuple(owner), tuple(target)))
