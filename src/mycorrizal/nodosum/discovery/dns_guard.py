# -*- test-case-name: tests.nodosum.discovery.test_dns_guard -*-
"""
A look over the bytes of a DNS reply before `twisted.names` decodes them.

What comes in may be anything, and a decoder that follows whatever it is told
can be kept busy: for half a minute by one message of 64 KiB.  So each byte is
looked at once here, without knowledge of any socket: names are measured, not
read, and each that was is known by where it begins.
"""

from __future__ import annotations

import struct

from mycorrizal.nodosum.discovery.dns_name import LABEL_BYTES_MAX, NAME_BYTES_MAX

#: Records that are let through of one reply; 64 KiB have room for six times as
#: many.
RECORDS_MAX = 1000
#: Compression pointers that are followed for them; `twisted.names` refuses a
#: message with more (its ``Message.maxCompressionPointers``).
POINTERS_MAX = 1000
#: Of all their names in full length: 1000 with some room.
NAMES_BYTES_MAX = 128 * 1024
#: A type of records that is nobody's (RFC 6895, 3.1).
OPAQUE = 0xFF00

_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!HHIH")
_TYPE = struct.Struct("!H")
_TYPE_AND_CLASS_BYTES = 4
_IS_REPLY, _OPCODE, _TRUNCATED, _RCODE = 0x8000, 0x7800, 0x0200, 0x000F
_POINTER = 0xC0

_TXT = 16
#: What EDNS adds to a message (RFC 6891): options, of which none matters here.
_OPT = 41
#: By type: bytes, then names, then bytes.  Names in others are not compressed.
_LAYOUTS = {
    1: (4, 0, 0),  # A
    2: (0, 1, 0),  # NS
    5: (0, 1, 0),  # CNAME
    6: (0, 2, 20),  # SOA
    12: (0, 1, 0),  # PTR
    15: (2, 1, 0),  # MX
    28: (16, 0, 0),  # AAAA
    33: (6, 1, 0),  # SRV
    39: (0, 1, 0),  # DNAME
}


class Malformed(ValueError):
    """These bytes are no reply to our question."""


def guarded(data: bytes, message_id: int, question: bytes) -> bytes:
    """
    Look a reply over.

    :param message_id: What the question had.
    :param question: As it was sent, without its header.
    :return: What may be decoded: records beyond the bounds are not counted any
        more, those of unknown types have the type `OPAQUE`, and of a reply
        that was cut only the header and the question are left.
    :raises Malformed: It is damaged, or answers something else.
    """
    try:
        return _guarded(data, message_id, question)
    except (struct.error, IndexError):
        raise Malformed("it ends too early") from None


def _guarded(data: bytes, message_id: int, question: bytes) -> bytes:
    got_id, flags, questions, *counts = _HEADER.unpack_from(data)
    if got_id != message_id or not flags & _IS_REPLY or flags & _OPCODE:
        raise Malformed("it is no reply to this question")
    # Servers that could not read a question may leave it out.
    if questions != 1 and (questions or not flags & _RCODE):
        raise Malformed("it does not repeat the question")
    look = _Look(data, _HEADER.size)
    if questions:
        repeated = data[look.at : look.at + len(question)]
        # Letters match in either case; no length and no type is a letter.
        if repeated.lower() != question.lower():
            raise Malformed("it repeats another question")
        look.name()
        look.at += _TYPE_AND_CLASS_BYTES
    if flags & _TRUNCATED:
        # What is there is a part of something (RFC 2181, 9).
        return (
            _HEADER.pack(got_id, flags, questions, 0, 0, 0)
            + data[_HEADER.size : look.at]
        )
    kept = look.records(counts)
    return _HEADER.pack(got_id, flags, questions, *kept) + look.safe[_HEADER.size :]


class _Look:
    """
    Where in a message the look is, and what was seen.

    :ivar safe: The message, with the types of unknown records made `OPAQUE`.
    """

    def __init__(self, data: bytes, at: int) -> None:
        self.at = at
        self.safe = bytearray(data)
        self._data = data
        self._pointers = 0
        self._names_bytes = 0
        # By where a name, or the rest of one, begins: its bytes in full
        # length, and the pointers that lead through it.
        self._known: dict[int, tuple[int, int]] = {}

    def records(self, counts: list[int]) -> list[int]:
        """
        Look at the records of each section.

        :return: How many of each are let through.
        """
        kept = [0] * len(counts)
        for section, count in enumerate(counts):
            for _ in range(count):
                if sum(kept) == RECORDS_MAX:
                    return kept
                self._record()
                if self._pointers > POINTERS_MAX or self._names_bytes > NAMES_BYTES_MAX:
                    return kept
                kept[section] += 1
        return kept

    def name(self) -> None:
        """Measure the name that begins here, and go to where it ends."""
        data, start = self._data, self.at
        at, begins = start, []
        while 0 < (length := data[at]) <= LABEL_BYTES_MAX:
            begins.append(at)
            at += 1 + length
        if not length:
            rest_bytes, pointers, self.at = 1, 0, at + 1
        elif length & _POINTER == _POINTER:
            target = (length & ~_POINTER) << 8 | data[at + 1]
            # To nothing but names, so that what the bytes in between say can
            # make no difference, and to no name that is not over yet.
            if target not in self._known:
                raise Malformed("a compression pointer does not point back to a name")
            rest_bytes, pointers = self._known[target]
            pointers += 1
            begins.append(at)
            self.at = at + 2
        else:
            raise Malformed("a part of a name is too long")
        name_bytes = at - start + rest_bytes
        if name_bytes > NAME_BYTES_MAX:
            raise Malformed("a name is too long")
        for begin in begins:
            self._known[begin] = (at - begin + rest_bytes, pointers)
        self._pointers += pointers
        self._names_bytes += name_bytes

    def _record(self) -> None:
        self.name()
        type_at = self.at
        kind, _, _, size = _RECORD.unpack_from(self._data, type_at)
        self.at += _RECORD.size
        end = self.at + size
        if end > len(self._data):
            raise Malformed("it ends too early")
        if kind == _TXT:
            while self.at < end:
                self.at += 1 + self._data[self.at]
        elif kind in _LAYOUTS:
            before, names, after = _LAYOUTS[kind]
            self.at += before
            for _ in range(names):
                self.name()
            self.at += after
        else:
            if kind != _OPT:
                _TYPE.pack_into(self.safe, type_at, OPAQUE)
            self.at = end
        if self.at != end:
            raise Malformed("a record has a wrong length")
