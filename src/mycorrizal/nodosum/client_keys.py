# -*- test-case-name: tests.nodosum.test_client_keys -*-
"""
The file of clients' keys: on each line a key, a name, and grants.
"""

from __future__ import annotations

from typing import Final

from mycorrizal.errors import ConfigError
from mycorrizal.nodosum.acl import RAW_PREFIX, ClientKey, derive_key
from mycorrizal.nodosum.grants import (
    Principal,
    check_client_name,
    parse_grants,
)

CLIENT_KEYS_MAX: Final = 256


def client_keys_in(text: str, cluster_name: str, field: str) -> tuple[ClientKey, ...]:
    """
    Read lines such as ``myk1:... reports CACHE:sessions:READ``, as ``pulse
    secret new --client`` prints them; empty ones, and those that begin with
    ``#``, are left out.

    :raises ConfigError: One is wrong; it is named by its number, never shown.
    """
    found: list[ClientKey] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            found.append(_client_key(words, cluster_name, f"{field}, line {number}"))
    if len(found) > CLIENT_KEYS_MAX:
        raise ConfigError(
            field, f"at most {CLIENT_KEYS_MAX} clients' keys, not {len(found)}"
        )
    names = [client.principal.name for client in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(field, f"client {name} has two keys; give it one")
    return tuple(found)


def _client_key(words: list[str], cluster_name: str, field: str) -> ClientKey:
    secret, *rest = words
    if not secret.startswith(RAW_PREFIX):
        raise ConfigError(
            field,
            f"a client's line begins with a key, {RAW_PREFIX} and base64; make one "
            "with `pulse secret new --client NAME --grant APP:RESOURCE:ACTION`",
        )
    if not rest or rest[0].startswith(RAW_PREFIX):
        raise ConfigError(field, "behind the key the client's name is missing")
    key = derive_key(secret, cluster_name, field)
    name = check_client_name(rest[0], field)
    grants = parse_grants(rest[1:], field)
    return ClientKey(key, Principal(name, key.fingerprint, grants))
