# -*- test-case-name: tests.test_key_options -*-
"""
The settings of secrets and clients' keys, from options or from anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mycorrizal.errors import ConfigError
from mycorrizal.settings import check_secret_path, read_items, read_text


class KeyOptions:
    """The options of ``twist mycorrizal`` that name files of keys."""

    _settings: dict[str, Any]

    def opt_secret_file(self, path: str) -> None:
        """
        A file with the cluster's secret, as `pulse secret new` prints it. May
        be repeated: the first signs, all are accepted. [default: the one in
        the state directory, which is made if there is none]
        """
        self._settings.setdefault("secret_files", []).append(path)

    def opt_client_keys_file(self, path: str) -> None:
        """
        A file with keys of clients that may do some things only, on each line
        one, as `pulse secret new --client NAME --grant GRANT` prints it.
        """
        self._settings["client_keys_file"] = path


def read_key_settings(
    secret_files: object, secret: object, client_keys_file: object
) -> dict[str, Any]:
    """
    The settings that tell of keys, by name.

    :raises ConfigError: One is wrong; what was given is not shown, since some
        give a secret in the place of a file.
    """
    path = None if client_keys_file is None else _path(client_keys_file)
    return {
        "secret_files": _secret_files(secret_files, "secret_files"),
        "secret": _secret(secret, "secret"),
        "client_keys_file": path,
    }


def _path(value: object) -> str:
    path = read_text(value, "client_keys_file")
    check_secret_path(path, "client_keys_file")
    return path


def _secret(value: object, field: str) -> str | None:
    # Never the value itself in the error.
    if value is not None and not isinstance(value, str):
        raise ConfigError(field, f"give a text, not {type(value).__name__}")
    if value is not None and not value.strip():
        raise ConfigError(field, "is empty; `pulse secret new` makes a good one")
    return value


def _secret_files(value: object, field: str) -> tuple[str, ...]:
    # Never what was given in the error: some give a secret here.
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Iterable):
        kind = type(value).__name__
        raise ConfigError(field, f"give a list of paths, not {kind}")
    paths = read_items(value, field, "paths")
    for path in paths:
        if not isinstance(path, str) or not path or "\0" in path:
            what = "''" if path == "" else f"this {type(path).__name__}"
            raise ConfigError(field, f"give a text, not {what}")
        check_secret_path(path, field)
    return tuple(paths)
