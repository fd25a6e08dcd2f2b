# -*- test-case-name: tests.test_keys -*-
"""
The keys of a node's secrets, from wherever its settings say.  (A shell.)
"""

from __future__ import annotations

from pathlib import Path

from mycorrizal.config import Config
from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import Key, derive_key, new_secret, secrets_in
from mycorrizal.runtime import Runtime
from mycorrizal.state import cluster_directory, present, read_secret


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
        keys += [derive_key(secret, name, field) for secret in secrets_in(text)]
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
