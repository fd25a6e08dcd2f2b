# -*- test-case-name: tests.test_settings -*-
"""
Reading single settings: addresses, durations, bucket descriptions.
"""

from __future__ import annotations

import ipaddress
import re

from mycorrizal.errors import ConfigError
from mycorrizal.mycel import BucketSettings
from mycorrizal.nodosum import DEFAULT_PORT, Address

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_NODE_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")


def parse_address(text: str, field: str, *, any_port: bool = False) -> Address:
    """
    Read ``HOST``, ``HOST:PORT``, ``[::1]`` or ``[::1]:PORT``.

    :param any_port: Whether port 0 (a free one) is allowed.
    :raises ConfigError: It is none of these.
    """
    example = "give HOST:PORT, as in 10.0.0.1:6969 or [::1]:6969"
    text = text.strip()
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        port_text = rest.removeprefix(":") if closed else "?"
        if closed and rest and not rest.startswith(":"):
            port_text = "?"
    elif text.count(":") > 1:
        host, port_text = text, ""
    else:
        host, _, port_text = text.partition(":")
    port = DEFAULT_PORT
    if port_text or text.endswith(":"):
        if not port_text.isascii() or not port_text.isdigit():
            raise ConfigError(field, f"{text!r} has no valid port; {example}")
        port = int(port_text)
    if port > 65535 or (port == 0 and not any_port):
        raise ConfigError(field, f"port {port} is out of range; {example}")
    return _host(host, text, field, example), port


def _host(host: str, text: str, field: str, example: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    looks_numeric = re.fullmatch(r"[\d.]+", host) is not None
    if ":" in host or looks_numeric or not _HOST.fullmatch(host):
        raise ConfigError(field, f"{text!r} is not an address; {example}")
    return host


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
    if not text.strip().isascii() or not text.strip().isdigit():
        raise ConfigError(field, f"{text!r} is not a whole number")
    return int(text)


def parse_bucket(text: str, field: str) -> BucketSettings:
    """
    Read ``NAME:ttl=15m,max_entries=10000,max_bytes=N,replicas=1``.

    :raises ConfigError: It is not that.
    """
    name, _, rest = text.partition(":")
    ttl_s: float | None = None
    counts: dict[str, int] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.strip().partition("=")
        if not equals or key not in ("ttl", "max_entries", "max_bytes", "replicas"):
            raise ConfigError(
                field,
                f"{part!r} is unknown; give NAME:ttl=15m,max_entries=10000,replicas=1",
            )
        if key == "ttl":
            ttl_s = parse_duration_s(value, f"{field}.ttl")
        else:
            counts[key] = parse_count(value, f"{field}.{key}")
    settings = BucketSettings(
        name.strip(),
        ttl_s,
        counts.get("max_entries"),
        counts.get("max_bytes"),
        counts.get("replicas", 1),
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
