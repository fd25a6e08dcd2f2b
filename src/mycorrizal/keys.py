# -*- test-case-name: tests.test_keys -*-
"""
The keys of a node's secrets, from wherever its settings say.  (A shell.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mycorrizal.config import Config
from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import (
    ClientKey,
    Key,
    KeyRing,
    client_keys_in,
    derive_key,
    is_raw,
    new_secret,
    secrets_in,
)
from mycorrizal.runtime import Runtime
from mycorrizal.state import cluster_directory, present, read_secret

#: As many keys as there may be, each with as many grants as it may have.
CLIENT_KEYS_BYTES_MAX: Final = 2 * 1024 * 1024


def secret_paths(config: Config) -> tuple[Path, ...]:
    """The files that secrets are read from."""
    if config.secret_files:
        return tuple(map(Path, config.secret_files))
    if config.secret is None and config.state_dir is not None:
        path = cluster_directory(Path(config.state_dir), config.cluster_name) / "secret"
        return (path,) if present(path) else ()
    return ()


def read_keys(config: Config, runtime: Runtime) -> tuple[Key, ...]:
    """
    Read all secrets; the first signs.

    :raises ConfigError: One can't be read or will not do, or there is none.
    """
    name = config.cluster_name
    keys = [] if config.secret is None else [derive_key(config.secret, name)]
    for number, path in enumerate(secret_paths(config)):
        field = f"secret_files[{number}]" if config.secret_files else "secret"
        text = read_secret(path)
        secrets = secrets_in(text)
        if any(len(secret.split()) > 1 for secret in secrets if is_raw(secret)):
            raise ConfigError(
                field,
                f"{path} has a client's key, which makes no node; name its file "
                "with client_keys_file, and here that of the cluster's secret",
            )
        keys += [derive_key(secret, name, field) for secret in secrets]
    if not keys and config.single:
        # Nobody else needs to know it.
        keys.append(derive_key(new_secret(runtime.token_bytes(32)), name))
    if not keys:
        raise ConfigError(
            "secret",
            "the nodes of a cluster need a shared secret: make one with "
            "`pulse secret new > FILE` and give secret_files=['FILE'] (or "
            "secret=..., or single=True for a node alone)",
        )
    return tuple(keys)


def read_client_keys(config: Config) -> tuple[ClientKey, ...]:
    """
    Read the keys of clients that have grants; none unless a file is named.

    :raises ConfigError: It can't be read, or will not do.
    """
    field, path = "client_keys_file", config.client_keys_file
    if path is None:
        return ()
    text = read_secret(Path(path), field, CLIENT_KEYS_BYTES_MAX)
    return client_keys_in(text, config.cluster_name, field)


def read_ring(
    config: Config, runtime: Runtime, before: KeyRing | None = None
) -> KeyRing:
    """
    All keys that files, or settings, have now.

    :param before: Keeps its secrets if there is no file to read them from.
    :raises ConfigError: Some will not do.
    """
    if before is not None and not secret_paths(config):
        keys = before.keys
    else:
        keys = read_keys(config, runtime)
    return KeyRing(keys, read_client_keys(config))
