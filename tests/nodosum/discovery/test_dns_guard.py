"""
The look at bytes before `twisted.names` decodes them.
"""

from __future__ import annotations

import struct

from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.discovery.dns_guard import (
    NAMES_BYTES_MAX,
    POINTERS_MAX,
    RECORDS_MAX,
    Malformed,
    guarded,
)
from mycorrizal.nodosum.discovery.dns_records import Kind, Reply
from tests.nodosum.discovery.dns_bytes import ID, QUERY, decode, raw, reply_bytes

#: What follows the name of a record.
ADDRESS = struct.pack("!HHIH", 1, 1, 60, 4) + b"\x0a\0\0\1"
POINTER_TO_QUESTION = b"\xc0\x0c"


def name_of(*labels: bytes) -> bytes:
    """A name in bytes."""
    return b"".join(bytes([len(it)]) + it for it in (*labels, b""))


class ReplyTests(SynchronousTestCase):
    """What is let through."""

    def test_nothing_changes(self) -> None:
        """A reply as servers write it is decoded as it is."""
        good = reply_bytes(
            ("_cluster._tcp.example", dns.Record_SRV(1, 2, 7000, "a.example")),
            ("t.example", dns.Record_TXT(b"txtvers=1", b"")),
            ("m.example", dns.Record_MX(1, "a.example")),
            ("d.example", dns.Record_DNAME("e.example")),
            additional=[("a.example", dns.Record_AAAA("fd00::1"))],
        )
        self.assertEqual(guarded(good, ID, QUERY[12:]), good)

    def test_truncated(self) -> None:
        """Of an answer that was cut nothing is used, nor looked at."""
        data = reply_bytes(("x", dns.Record_PTR("a")), trunc=1)
        for cut in (data[:-3], data + b"\xff"):
            self.assertEqual(decode(cut), Reply(0, True, ()))

    def test_no_question(self) -> None:
        """A server that failed may leave the question out, no other."""
        header = struct.pack("!6H", ID, 0x8001, 0, 0, 0, 0)
        self.assertEqual(decode(header).rcode, 1)
        with self.assertRaises(Malformed):
            decode(struct.pack("!6H", ID, 0x8000, 0, 0, 0, 0))

    def test_unknown_records(self) -> None:
        """Records of other types are let through, but not what they say."""
        record = b"\0" + struct.pack("!HHIH", dns.NAPTR, 1, 60, 2) + b"\xc0\xff"
        self.assertEqual(len(decode(raw(record + b"\0" + ADDRESS, 2)).answers), 1)

    def test_pointers_to_rests_of_names(self) -> None:
        """A pointer may lead to any part of a name, or to another pointer."""
        at = len(QUERY)
        owner = b"\1a" + b"\xc0\x15" + ADDRESS
        for target in (at, at + 2, 12, 21):
            again = struct.pack("!H", 0xC000 | target) + ADDRESS
            first, second = decode(raw(owner + again, 2)).answers
            self.assertEqual(first.name, (b"a", b"_tcp", b"example"))
            self.assertEqual(second.name[-2:], (b"_tcp", b"example"))


class BoundTests(SynchronousTestCase):
    """F45: how much is let through."""

    def check(self, record: bytes, good: int) -> None:
        """So many of them are, in whatever sections."""
        for count in (good, good + 1, 65_535 // (len(record) + 1)):
            reply = decode(raw(record * count, count))
            self.assertEqual(len(reply.answers), min(count, good))
        data = bytearray(raw(record * (good + 9), 3))
        data[8:12] = struct.pack("!2H", 1, good + 5)
        reply = decode(bytes(data))
        sizes = tuple(map(len, (reply.answers, reply.authority, reply.additional)))
        self.assertEqual(sizes, (3, 1, good - 4))

    def test_records(self) -> None:
        """1000 records."""
        self.check(b"\0" + ADDRESS, RECORDS_MAX)

    def test_pointers(self) -> None:
        """1000 pointers, two to a record here."""
        target = POINTER_TO_QUESTION
        record = target + struct.pack("!HHIH", Kind.PTR, 1, 60, 2) + target
        self.check(record, POINTERS_MAX // 2)

    def test_names(self) -> None:
        """128 KiB of names in full length."""
        name = name_of(*[b"a" * 49] * 5)
        self.assertEqual(len(name), 251)
        first = name + ADDRESS
        again = struct.pack("!H", 0xC000 | len(QUERY)) + ADDRESS
        good = (NAMES_BYTES_MAX - len(QUERY) + 12 + 4) // len(name)
        for count in (good, good + 1, 900):
            reply = decode(raw(first + again * (count - 1), count))
            self.assertEqual(len(reply.answers), min(count, good))

    def test_worst(self) -> None:
        """F45: the worst that is let through takes no second to decode."""
        name = name_of(*[b"a"] * 127)
        again = struct.pack("!H", 0xC000 | len(QUERY)) + ADDRESS
        data = raw((name + ADDRESS) + again * 3000, 3001)
        good = (NAMES_BYTES_MAX - len(QUERY) + 12 + 4) // len(name)
        self.assertEqual(len(decode(data).answers), good)


class GarbageTests(SynchronousTestCase):
    """F45: what is no reply."""

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
            self.bad(raw(pointer + after), "does not point back to a name")
        # To a label that leads on to the pointer itself.
        circle = b"\1a" + struct.pack("!H", 0xC000 | at)
        self.bad(raw(circle + after), "does not point back to a name")

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
        self.bad(raw(b"\x40" + b"a" * 64 + b"\0" + after), "part of a name is too long")

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

    def test_pointer_to_no_name(self) -> None:
        """F45: nor to bytes between names, whatever name they would be."""
        at = len(QUERY)
        address = struct.pack("!HHIH", 1, 1, 60, 4) + b"\1a\0\0"
        first = POINTER_TO_QUESTION + address
        for target in (2, 13, at + len(first) - 4):
            pointer = struct.pack("!H", 0xC000 | target)
            self.bad(raw(first + pointer + address, 2), "point back to a name")

    def test_chain_of_long_names(self) -> None:
        """F45: a name is as long as all that its pointers lead through."""
        at, chain = len(QUERY), b"\0" + ADDRESS
        previous, size, count = 12, len(QUERY) - 12 - 4, 1
        while size + 10 <= 255:
            chain += b"\x09" + b"a" * 9 + struct.pack("!H", 0xC000 | previous) + ADDRESS
            previous, size = at + len(chain) - 12 - len(ADDRESS), size + 10
            count += 1
        self.assertEqual(len(decode(raw(chain, count)).answers), count)
        chain += b"\x09" + b"a" * 9 + struct.pack("!H", 0xC000 | previous) + ADDRESS
        self.bad(raw(chain, count + 1), "a name is too long")

    def test_long_name_that_many_point_at(self) -> None:
        """F45: the message that `twisted.names` needs half a minute for is refused."""
        long_name = b"\1a" * 25_000 + b"\0"
        after = struct.pack("!HHIH", 16, 1, 60, 0)
        pointer = b"\xc0" + bytes([len(QUERY)])
        self.bad(raw(long_name + after + (pointer + after) * 899, 900), "too long")
