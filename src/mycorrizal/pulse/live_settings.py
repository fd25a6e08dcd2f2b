# -*- test-case-name: tests.pulse.test_config_command -*-
"""
Settings as people are shown them, and those of a node that runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from mycorrizal.mycel import BucketSettings
from mycorrizal.nodosum import ConsulSettings, NodosumConfig, format_address
from mycorrizal.pulse.cluster_messages import HasConfig, LiveSetting

DEFAULT: Final = "default"
GIVEN: Final = "given"
#: What is shown in place of a secret.
MASK: Final = "***"

_SECRETS: Final = ("secret", "token")
_ADDRESSES: Final = ("listen", "advertise")
_USER_INFO: Final = re.compile(r"(?<=://)[^/@]*@")


def live_config(config: NodosumConfig, host: str) -> HasConfig:
    """What a node that runs has; whether somebody gave it, or it is a default."""
    defaults = NodosumConfig(config.keys)
    found: dict[str, LiveSetting] = {}
    for field in attrs.fields(NodosumConfig):
        name, value = field.name, getattr(config, field.name)
        if name == "keys":
            prints = ", ".join(key.fingerprint for key in value.keys)
            found["secret"] = LiveSetting(f"fingerprint {prints}", GIVEN)
            continue
        source = DEFAULT if value == getattr(defaults, name) else GIVEN
        if name == "consul" and value is not None:
            for inner, text in of_consul(value):
                found[f"consul.{inner}"] = LiveSetting(text, source)
            continue
        found[name] = LiveSetting(shown(name, value), source)
    found["host"] = LiveSetting(host, GIVEN)
    return HasConfig(found)


def shown(name: str, value: Any) -> str:
    """A value, for people; a secret is masked."""
    if value is None:
        return "-"
    if name in _SECRETS:
        return MASK
    if name in _ADDRESSES:
        return format_address(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={text}" for key, text in value.items()) or "-"
    if isinstance(value, tuple):
        return ", ".join(_item(item) for item in value) or "-"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return _USER_INFO.sub(f"{MASK}@", text)


def _item(item: Any) -> str:
    if isinstance(item, BucketSettings):
        return _bucket(item)
    return format_address(item) if isinstance(item, tuple) else str(item)


def _bucket(bucket: BucketSettings) -> str:
    """As a user would write it, but for what is as it is anyway."""
    ttl = None if bucket.ttl_s is None else f"{bucket.ttl_s:g}s"
    parts = {
        "ttl": ttl,
        "max_entries": bucket.max_entries,
        "max_bytes": bucket.max_bytes,
        "replicas": bucket.replicas,
        "write": None if bucket.write == "all" else bucket.write,
    }
    said = [f"{name}={part}" for name, part in parts.items() if part is not None]
    return f"{bucket.name}:{','.join(said)}"


def of_consul(value: ConsulSettings) -> Iterator[tuple[str, str]]:
    """The settings of Consul that say something, one by one."""
    for field in attrs.fields(ConsulSettings):
        inner = getattr(value, field.name)
        # That there is no such file, or no token, says nothing.
        if inner is not None and inner != ():
            yield field.name, shown(field.name, inner)
