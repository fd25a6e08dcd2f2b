# -*- test-case-name: tests.test_settings -*-
"""
Reading single settings: addresses, durations, bucket descriptions.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from mycorrizal.errors import ConfigError
from mycorrizal.mycel import BucketSettings
from mycorrizal.mycel.config import WriteMode
from mycorrizal.nodosum import DEFAULT_PORT, Address
from mycorrizal.nodosum.acl import RAW_PREFIX

#: What other nodes accept, of labels and of any name that they are told.
LABELS_MAX = 32
LABELS_BYTES_MAX = 2048
NAME_BYTES_MAX = 128
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)(ms|s|m|h|d)?")
#: Longer numbers mean nothing, and Python refuses to read very long ones.
_NUMBER = re.compile(r"[0-9]{1,18}")
#: A name in the DNS has at most 253 characters (RFC 1035).
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
#: The interface of a link-local address, as in fe80::1%eth0.
_SCOPE = re.compile(r"[A-Za-z0-9_.@-]{1,15}")
_ADDRESS_EXAMPLE = "give HOST:PORT, as in 10.0.0.1:6969 or [::1]:6969"
_BUCKET_KEYS = ("ttl", "max_entries", "max_bytes", "replicas", "write")
_NODE_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")


def parse_address(
    text: str, field: str, *, any_port: bool = False, default_port: int = DEFAULT_PORT
) -> Address:
    """
    Read ``HOST``, ``HOST:PORT``, ``[::1]`` or ``[::1]:PORT``.

    :param any_port: Whether port 0 (a free one) is allowed.
    :param default_port: For one that is written without.
    :raises ConfigError: It is none of these.
    """
    example = _ADDRESS_EXAMPLE
    text = text.strip()
    port_text: str | None = None
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        # Nothing but IPv6 is written in brackets.
        if ":" not in host or "]" not in text or rest[:1] not in ("", ":"):
            raise ConfigError(field, f"{text!r} is not an address; {example}")
        port_text = rest[1:] if rest else None
    elif text.count(":") == 1:
        host, _, port_text = text.partition(":")
    else:
        host = text
    port = default_port
    if port_text is not None:
        if not _NUMBER.fullmatch(port_text):
            raise ConfigError(field, f"{text!r} has no valid port; {example}")
        port = int(port_text)
    return check_address((host, port), field, any_port=any_port, text=text)


def check_address(
    address: Address, field: str, *, any_port: bool = False, text: str = ""
) -> Address:
    """
    :param any_port: Whether port 0 (a free one) is allowed.
    :param text: As which it was given.
    :return: The address, an IP literal in it as it is usually written.
    :raises ConfigError: It is none.
    """
    host, port = address
    if not 0 <= port <= 65535 or (port == 0 and not any_port):
        raise ConfigError(field, f"port {port} is out of range; {_ADDRESS_EXAMPLE}")
    sound = _sound_host(host)
    if sound is None:
        raise ConfigError(
            field, f"{text or host!r} is not an address; {_ADDRESS_EXAMPLE}"
        )
    return sound, port


def check_host(host: str, field: str) -> str:
    """
    :return: The name, or the IP literal as it is usually written.
    :raises ConfigError: It is neither.
    """
    sound = _sound_host(host)
    if sound is None:
        raise ConfigError(
            field, f"{host!r} is no name; give one as in nodes.shop.example"
        )
    return sound


def _sound_host(host: str) -> str | None:
    try:
        literal = str(ipaddress.ip_address(host))
    except ValueError:
        literal = ""
    scope = literal.partition("%")[2]
    looks_numeric = re.fullmatch(r"[0-9.]+", host) is not None
    if literal:
        sound = not scope or _SCOPE.fullmatch(scope) is not None
    else:
        sound = not looks_numeric and _HOST.fullmatch(host) is not None
    return (literal or host) if sound else None


def read_address(
    value: object, field: str, *, any_port: bool = True, port: int = DEFAULT_PORT
) -> Address:
    """
    Read an address: a text, or host and port.

    :param any_port: Whether port 0 (a free one) is allowed.
    :param port: For one that is written without.
    :raises ConfigError: It is none.
    """
    if isinstance(value, str):
        return parse_address(value, field, any_port=any_port, default_port=port)
    if not (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[0], str)
        and type(value[1]) is int
    ):
        raise ConfigError(field, f"give HOST:PORT, as in 10.0.0.1:6969, not {value!r}")
    return check_address(value, field, any_port=any_port)


def read_items(value: object, field: str, what: str) -> list[Any]:
    """
    Read the items of one text with commas, or of a list.

    :param what: They are, in the plural.
    :raises ConfigError: It is neither.
    """
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping)):
        return list(value)
    raise ConfigError(field, f"give a list of {what}, not {value!r}")


def read_text(value: object, field: str) -> str:
    """
    :raises ConfigError: It is no text, or an empty one.
    """
    if not isinstance(value, str) or not value or "\0" in value:
        raise ConfigError(field, f"give a text, not {value!r}")
    return value


def parse_duration_s(text: str, field: str) -> float:
    """
    Read a time such as ``15m``, ``250ms``, ``1.5h`` or plain seconds.

    :raises ConfigError: It is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ConfigError(field, f"{text!r} is not a time; give one as in 15m or 90s")
    number, unit = match.groups()
    return float(number) * _UNITS_S[unit or "s"]


def parse_count(text: str, field: str) -> int:
    """
    Read a whole number.

    :raises ConfigError: It is none.
    """
    if not _NUMBER.fullmatch(text.strip()):
        raise ConfigError(field, f"{text!r} is not a whole number, as in 10000")
    return int(text)


def parse_bucket(text: str, field: str) -> BucketSettings:
    """
    Read ``NAME:ttl=15m,max_entries=10000,max_bytes=N,replicas=1,write=all``.

    :raises ConfigError: It is not that.
    """
    name, _, rest = text.partition(":")
    parts: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.strip().partition("=")
        if not equals or key not in _BUCKET_KEYS:
            raise ConfigError(
                field,
                f"{part!r} is unknown; give NAME:ttl=15m,max_entries=10000,replicas=1",
            )
        if key in parts:
            raise ConfigError(f"{field}.{key}", "is given twice")
        parts[key] = value
    return make_bucket(name.strip(), parts, field)


def make_bucket(name: str, parts: Mapping[str, str], field: str) -> BucketSettings:
    """
    Read the single settings of a bucket.

    :raises ConfigError: One is unknown or wrong.
    """
    ttl_s: float | None = None
    counts: dict[str, int] = {}
    write: WriteMode = "all"
    for key, value in parts.items():
        if key not in _BUCKET_KEYS:
            near = difflib.get_close_matches(key, _BUCKET_KEYS, 1)
            known = near[0] if near else ", ".join(_BUCKET_KEYS)
            raise ConfigError(f"{field}.{key}", f"unknown; did you mean {known}?")
        if key == "ttl":
            ttl_s = parse_duration_s(value, f"{field}.ttl")
        elif key == "write":
            write = cast(WriteMode, value)  # As it is checked below.
        else:
            counts[key] = parse_count(value, f"{field}.{key}")
    if not name.isprintable():
        raise ConfigError(f"{field}.name", f"{name!r} can't be printed")
    settings = BucketSettings(
        name,
        ttl_s,
        counts.get("max_entries"),
        counts.get("max_bytes"),
        counts.get("replicas", 1),
        write,
    )
    settings.validate(field)
    return settings


def check_node_id(node_id: str, field: str) -> str:
    """
    :raises ConfigError: It is not a name that fits a log line.
    """
    if not _NODE_ID.fullmatch(node_id):
        raise ConfigError(
            field,
            f"{node_id!r} is no node id; use 1 to 128 letters, digits and . _ : @ -",
        )
    return node_id


def check_secret_path(path: str, field: str) -> None:
    """
    :raises ConfigError: It is a secret itself, given in place of a path; the
        secret is not shown.
    """
    if path.strip().startswith(RAW_PREFIX):
        raise ConfigError(
            field,
            "is a secret itself; write it to a file that only its owner can read, "
            "and give the file's path",
        )


def read_name(value: object, field: str) -> str:
    """
    Take a text that others are told, and print.

    :raises ConfigError: It is none, too long, or not printable.
    """
    if (
        not isinstance(value, str)
        or not value.isprintable()
        or len(value.encode()) > NAME_BYTES_MAX
    ):
        raise ConfigError(
            field, f"give up to {NAME_BYTES_MAX} printable bytes, not {value!r}"
        )
    return value


def read_labels(value: object, field: str) -> dict[str, str]:
    """
    Take names and texts, or a text as ``zone=a,rack=7``.

    :raises ConfigError: They are not, or too many or too long.
    """
    if isinstance(value, str):
        parts = read_items(value, field, "labels")
        if not all("=" in part for part in parts):
            raise ConfigError(field, f"give NAME=TEXT, as in zone=a, not {value!r}")
        value = dict(part.split("=", 1) for part in parts)
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) and key and isinstance(item, str)
        for key, item in value.items()
    ):
        raise ConfigError(field, f"give names and texts, as in zone=a, not {value!r}")
    if len(value) > LABELS_MAX:
        raise ConfigError(field, f"at most {LABELS_MAX} labels, not {len(value)}")
    found = {
        read_name(key, field): read_name(item, f"{field}.{key}")
        for key, item in value.items()
    }
    count = sum(len(key.encode()) + len(found[key].encode()) for key in found)
    if count > LABELS_BYTES_MAX:
        problem = f"at most {LABELS_BYTES_MAX} bytes in all, not {count}"
        raise ConfigError(field, problem)
    return found
