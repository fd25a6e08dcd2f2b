# -*- test-case-name: tests.nodosum.discovery.test_dns_name -*-
"""
Names in the DNS: their labels, as text, and as a user writes one to look up.

A label may hold any byte, dots too (RFC 6763, 4.3).
"""

from __future__ import annotations

import re

import attrs

from mycorrizal.errors import ConfigError

#: Of one label, and of a whole name with its length bytes (RFC 1035, 2.3.4).
LABEL_BYTES_MAX = 63
NAME_BYTES_MAX = 255

#: A name: its labels, from the left.
Name = tuple[bytes, ...]


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
    _check(name)
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
    """
    Whether two names are one; ASCII letters match in either case.

    So do dots, within labels and between them: of names that were received no
    more is known for certain.
    """
    return b".".join(one).lower() == b".".join(other).lower()


def fold(name: Name) -> Name:
    """A name as it is compared."""
    return tuple(label.lower() for label in name)


def received_name(text: bytes, beside: Name) -> Name:
    """
    The labels of a name that was received, which `twisted.names` joins by dots.

    In the name of an instance, all that stands before the service is one
    label, dots or not (RFC 6763, 4.1).

    :param beside: The name of the record that it stands in: the service, a
        subtype of it, or another instance.
    """
    labels = tuple(text.split(b".")) if text else ()
    common = 0
    for one, other in zip(reversed(labels), reversed(beside), strict=False):
        if one.lower() != other.lower():
            break
        common += 1
    before = len(labels) - common
    instance, service = b".".join(labels[:before]), labels[before:]
    is_service = service[:1] and service[0].startswith(b"_")
    if is_service and 0 < len(instance) <= LABEL_BYTES_MAX:
        return (instance, *service)
    return labels


def _check(name: Name) -> None:
    if not all(0 < len(label) <= LABEL_BYTES_MAX for label in name):
        raise ValueError(
            f"each part of a name between dots has 1 to {LABEL_BYTES_MAX} bytes"
        )
    if sum(len(label) + 1 for label in name) + 1 > NAME_BYTES_MAX:
        raise ValueError(f"a name has at most {NAME_BYTES_MAX - 2} bytes")


@attrs.frozen
class DnsName:
    """
    What to look for, as it was written: ``NAME`` or ``NAME:PORT``.

    :ivar port: For the addresses of a host; None: `name` is a service, or a
        host with the usual port.
    :ivar absolute: Whether it ended with a dot: no search domain counts.
    """

    name: Name
    port: int | None
    absolute: bool

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return format_name(self.name) + port

    @classmethod
    def parse(cls, text: str, field: str = "dns_sd") -> DnsName:
        """
        :raises ConfigError: It is neither.
        """
        host, colon, port_text = text.strip().rpartition(":")
        if not colon:
            host, port_text = port_text, ""
        sound = not colon or (port_text.isascii() and port_text.isdecimal())
        port = int(port_text[:6]) if sound and colon else None
        problem = ""
        if not sound or port == 0 or (port or 0) > 65535:
            problem = f"{port_text!r} is no port"
        try:
            name = parse_name(host)
        except ValueError as error:
            name, problem = (), problem or str(error)
        if colon and host.startswith("_"):
            problem = "a service tells the ports itself: leave the port out"
        if problem:
            raise ConfigError(
                field,
                f"{text!r} is no name to look up: {problem}; give one as in "
                "_cluster._tcp.shop.example or nodes.example:6969",
            )
        return cls(name, port, host.endswith("."))
