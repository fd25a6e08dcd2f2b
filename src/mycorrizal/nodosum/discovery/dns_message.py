# -*- test-case-name: tests.nodosum.discovery.test_dns_message -*-
"""
The bytes of the DNS (RFC 1035): one question out, one reply in.

What comes in may be anything.  No name costs more than its 255 bytes, however
its compression pointers point, no reply more than `RECORDS_MAX` records, and a
label may hold any byte, dots too (RFC 6763, 4.3).
"""

from __future__ import annotations

import ipaddress
import re
import struct
from enum import IntEnum

import attrs

#: Of one label, and of a whole name with its length bytes (RFC 1035, 2.3.4).
LABEL_BYTES_MAX = 63
NAME_BYTES_MAX = 255
#: Records that are read of one reply; 64 KiB have room for five times as many.
RECORDS_MAX = 1024
#: A time to live with its highest bit set means 0 (RFC 2181, 8).
_TTL_S_MAX = 2**31 - 1

_HEADER = struct.Struct("!6H")
_AFTER_NAME = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
_SERVICE = struct.Struct("!3H")
_IS_REPLY, _OPCODE, _TRUNCATED = 0x8000, 0x7800, 0x0200
_RECURSION_DESIRED, _RCODE = 0x0100, 0x000F
_INTERNET = 1
_POINTER = 0xC0

#: A name: its labels, from the left.
Name = tuple[bytes, ...]


class Kind(IntEnum):
    """The types of records that matter here."""

    A = 1
    CNAME = 5
    SOA = 6
    PTR = 12
    TXT = 16
    AAAA = 28
    SRV = 33


class Rcode(IntEnum):
    """How a server says what became of a question (RFC 1035, 4.1.1)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5


class Malformed(ValueError):
    """These bytes are no reply to our question."""


@attrs.frozen
class Question:
    """What a server is asked for: the records of one name and kind."""

    name: Name
    kind: Kind

    def __str__(self) -> str:
        return f"{self.kind.name} of {format_name(self.name)}"


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
    """What a server answered, without the kinds of records that don't matter."""

    rcode: int
    truncated: bool
    answers: tuple[Record, ...]
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()


# -- names as text ------------------------------------------------------------


def parse_name(text: str) -> Name:
    r"""
    Read ``_cluster._tcp.example.org``; a dot within a label is ``\.``, any
    byte ``\DDD`` (RFC 1035, 5.1), and a dot at the end changes nothing.

    :raises ValueError: It is too long, or has an empty label.
    """
    labels: list[bytearray] = [bytearray()]
    for escaped, char in re.findall(r"\\([0-9]{3}|.)|(.)", text, re.DOTALL):
        if char == ".":
            labels.append(bytearray())
        elif len(escaped) == 3:
            if int(escaped) > 255:
                raise ValueError(f"\\{escaped} is no byte")
            labels[-1].append(int(escaped))
        else:
            labels[-1] += (escaped or char).encode()
    if len(labels) > 1 and not labels[-1]:
        labels.pop()
    name = tuple(map(bytes, labels))
    _encode_name(name)
    return name


def format_name(name: Name) -> str:
    """A name as text; what can't be printed as ``\\DDD``."""
    return ".".join(map(_format_label, name)) or "."


def _format_label(label: bytes) -> str:
    text = label.replace(b"\\", b"\\\\").replace(b".", b"\\.").decode("latin-1")
    try:
        text = label.replace(b"\\", b"\\\\").replace(b".", b"\\.").decode()
    except UnicodeDecodeError:
        return "".join(c if " " <= c <= "~" else f"\\{ord(c):03}" for c in text)
    return "".join(
        c if c.isprintable() else "".join(f"\\{byte:03}" for byte in c.encode())
        for c in text
    )


def same_name(one: Name, other: Name) -> bool:
    """Whether two names are one; ASCII letters match in either case."""
    return fold(one) == fold(other)


def fold(name: Name) -> Name:
    """A name as it is compared."""
    return tuple(label.lower() for label in name)


# -- what goes out ------------------------------------------------------------


def _encode_name(name: Name) -> bytes:
    if not all(0 < len(label) <= LABEL_BYTES_MAX for label in name):
        raise ValueError(
            f"each part of a name between dots has 1 to {LABEL_BYTES_MAX} bytes"
        )
    data = b"".join(bytes([len(label)]) + label for label in name) + b"\0"
    if len(data) > NAME_BYTES_MAX:
        raise ValueError(f"a name has at most {NAME_BYTES_MAX - 2} bytes")
    return data


def encode_question(message_id: int, question: Question) -> bytes:
    """
    The datagram that asks.

    :param message_id: 0 to 65535, not to be guessed.
    """
    header = _HEADER.pack(message_id, _RECURSION_DESIRED, 1, 0, 0, 0)
    after = _AFTER_NAME.pack(question.kind, _INTERNET)
    return header + _encode_name(question.name) + after


# -- what comes in ------------------------------------------------------------


def decode_reply(data: bytes, message_id: int, question: Question) -> Reply:
    """
    Read a reply.

    :raises Malformed: It can't be read, or answers something else.
    """
    try:
        return _decode_reply(data, message_id, question)
    except (struct.error, IndexError):
        raise Malformed("it ends too early") from None


def _decode_reply(data: bytes, message_id: int, question: Question) -> Reply:
    got_id, flags, questions, *counts = _HEADER.unpack_from(data)
    if got_id != message_id or not flags & _IS_REPLY or flags & _OPCODE:
        raise Malformed("it is no reply to this question")
    reader = _Reader(data, _HEADER.size)
    rcode = flags & _RCODE
    # Servers that could not read a question may leave it out.
    if questions != 1 and (questions or not rcode):
        raise Malformed("it does not repeat the question")
    if questions:
        name = reader.name()
        if reader.take(_AFTER_NAME) != (question.kind, _INTERNET) or not same_name(
            name, question.name
        ):
            raise Malformed("it repeats another question")
    truncated = bool(flags & _TRUNCATED)
    if truncated:
        # What is there is a part of something (RFC 2181, 9).
        return Reply(rcode, truncated, ())
    sections, room = [], RECORDS_MAX
    for count in counts:
        read = [reader.record() for _ in range(min(count, room))]
        room -= len(read)
        sections.append(tuple(record for record in read if record is not None))
    return Reply(rcode, truncated, *sections)


class _Reader:
    """Reads one message from a position on."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def take(self, layout: struct.Struct) -> tuple[int, ...]:
        """The next numbers."""
        numbers = layout.unpack_from(self._data, self._at)
        self._at += layout.size
        return numbers

    def name(self) -> Name:
        """The next name."""
        name, self._at = self._name_at(self._at)
        return name

    def _name_at(self, at: int) -> tuple[Name, int]:
        data, labels, size, after, lowest = self._data, [], 1, 0, at
        while length := data[at]:
            if length & _POINTER == _POINTER:
                after = after or at + 2
                at = (length & ~_POINTER) << 8 | data[at + 1]
                # Each pointer points before all that was read of this name,
                # so there is no loop.
                if at >= lowest:
                    raise Malformed("a compression pointer does not point back")
                lowest = at
                continue
            size += 1 + length
            if length > LABEL_BYTES_MAX or size > NAME_BYTES_MAX:
                raise Malformed("a name is too long")
            label = data[at + 1 : at + 1 + length]
            if len(label) != length:
                raise Malformed("it ends too early")
            labels.append(label)
            at += 1 + length
        return tuple(labels), after or at + 1

    def record(self) -> Record | None:
        """The next record, or None if it is of no kind that matters."""
        name = self.name()
        number, net, ttl_s, size = self.take(_RECORD)
        begin = self._at
        self._at = end = begin + size
        if end > len(self._data):
            raise Malformed("it ends too early")
        if net != _INTERNET or number not in _KINDS:
            return None
        kind = Kind(number)
        data = self._payload(kind, begin, end)
        return Record(name, kind, ttl_s if ttl_s <= _TTL_S_MAX else 0, data)

    def _payload(self, kind: Kind, begin: int, end: int) -> str | Name | Service | int:
        data = self._data
        match kind:
            case Kind.A | Kind.AAAA:
                if end - begin != (4 if kind is Kind.A else 16):
                    raise Malformed("an address has a wrong length")
                return str(ipaddress.ip_address(data[begin:end]))
            case Kind.TXT:
                return _strings(data[begin:end])
            case Kind.SRV:
                priority, _, port = _SERVICE.unpack_from(data, begin)
                target = self._name_within(begin + _SERVICE.size, end)
                return Service(priority, port, target)
            case Kind.SOA:
                # Two names and five numbers, of which the last is wanted.
                return int(struct.unpack("!I", data[end - 4 : end])[0])
            case Kind.PTR | Kind.CNAME:
                return self._name_within(begin, end)

    def _name_within(self, at: int, end: int) -> Name:
        name, after = self._name_at(at)
        if after != end:
            raise Malformed("a record has a wrong length")
        return name


_KINDS = frozenset(Kind)


def _strings(data: bytes) -> Name:
    strings, at = [], 0
    while at < len(data):
        length = data[at]
        strings.append(data[at + 1 : at + 1 + length])
        if len(strings[-1]) != length:
            raise Malformed("a text has a wrong length")
        at += 1 + length
    return tuple(strings)
