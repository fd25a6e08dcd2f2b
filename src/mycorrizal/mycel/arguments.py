# -*- test-case-name: tests.mycel.test_arguments -*-
"""
What callers of the cache may give it: one check for each kind of argument.
"""

from __future__ import annotations

from mycorrizal.errors import (
    CacheError,
    ConfigError,
    InvalidKey,
    KeyTooLarge,
    ValueTooLarge,
)
from mycorrizal.mycel.config import (
    KEY_BYTES_MAX,
    TIMEOUT_S_MAX,
    TTL_S_MAX,
    VALUE_BYTES_MAX,
)
from mycorrizal.mycel.messages import DEFAULT_TTL, NEVER


def key_bytes(key: object) -> bytes:
    """
    A key as it is stored: text in UTF-8, bytes as they are.

    :raises InvalidKey: It is neither, or a text that UTF-8 can't hold.
    :raises KeyTooLarge: It is empty or too long.
    """
    if isinstance(key, str):
        try:
            raw = key.encode()
        except UnicodeEncodeError:
            raise InvalidKey(f"{key!a} is no key: it has half a character") from None
    elif isinstance(key, bytes):
        raw = key
    else:
        raise InvalidKey(f"a key is text or bytes, not {type(key).__name__}")
    if not 0 < len(raw) <= KEY_BYTES_MAX:
        size = f"a key has 1 to {KEY_BYTES_MAX} bytes, this one {len(raw)}"
        raise KeyTooLarge(size)
    return raw


def prefix_bytes(prefix: object) -> bytes:
    """
    What keys begin with, as it is compared; it may be empty.

    :raises InvalidKey: It is neither text nor bytes.
    :raises ConfigError: No key is as long.
    """
    if prefix in ("", b""):
        return b""
    try:
        return key_bytes(prefix)
    except KeyTooLarge:
        problem = f"has more than {KEY_BYTES_MAX} bytes"
        raise ConfigError("prefix", problem) from None


def value_bytes(value: object) -> bytes:
    """
    A value as it is stored.

    :raises CacheError: It is not bytes.
    :raises ValueTooLarge: No message can hold it.
    """
    if not isinstance(value, bytes):
        raise CacheError(f"a value is bytes, not {type(value).__name__}")
    if len(value) > VALUE_BYTES_MAX:
        raise ValueTooLarge(len(value), VALUE_BYTES_MAX)
    return value


def ttl_ms(ttl_s: object) -> int:
    """
    A time to live as it travels, a millisecond or more.

    :param ttl_s: In seconds; 0: the bucket's; None: for ever.
    :raises ConfigError: It is no time to live.
    """
    if ttl_s is None:
        return NEVER
    if not isinstance(ttl_s, (int, float)) or not 0 <= ttl_s <= TTL_S_MAX:
        raise ConfigError("ttl_s", f"{ttl_s!r} is no time to live, in seconds")
    return max(1, round(ttl_s * 1000)) if ttl_s else DEFAULT_TTL


def check_timeout_s(timeout_s: object) -> None:
    """
    :raises ConfigError: It is no time to wait.
    """
    if not (isinstance(timeout_s, (int, float)) and 0 < timeout_s <= TIMEOUT_S_MAX):
        raise ConfigError(
            "timeout_s",
            f"{timeout_s!r} is no time to wait; give seconds, above 0 and up to "
            f"{TIMEOUT_S_MAX:g}",
        )
