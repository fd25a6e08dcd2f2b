# -*- test-case-name: tests.test_secret_file -*-
"""
The file of a node's secrets, changed while the node runs.  (A shell.)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from twisted.logger import Logger

from mycorrizal.config import Config
from mycorrizal.errors import ConfigError
from mycorrizal.keys import secret_paths
from mycorrizal.nodosum import KeyRing, derive_key, is_raw, secrets_in
from mycorrizal.state import read_secret

_FIELD = "secret_files"


class SecretFile:
    """
    The one file that a node's secrets are in, each on a line.

    Each change may be made twice, which is no error: nodes may share a file, and
    who was interrupted begins again.

    :param reload: Has the node read the file, and says what is in force then.
    """

    _log = Logger()

    def __init__(self, config: Config, reload: Callable[[], str]) -> None:
        self._config = config
        self._reload = reload

    def add(self, secret: str) -> None:
        """
        Accept a secret, too, without signing with it.

        :raises ConfigError: It will not do, or the file can't be written.
        """
        if not is_raw(secret) or len(secret.split()) != 1:
            raise ConfigError(
                _FIELD, "only a secret that `pulse secret new` has made can be added"
            )
        if self._config.tls == "off":
            raise ConfigError(_FIELD, "with tls off, others could read it on the way")
        self._change(lambda keys: {**keys, self._fingerprint(secret): secret})

    def use(self, fingerprint: str) -> None:
        """
        Sign with a secret that is accepted.

        :raises ConfigError: It is not, or the file can't be written.
        """

        def change(keys: dict[str, str]) -> dict[str, str]:
            if fingerprint not in keys:
                raise ConfigError(_FIELD, f"there is no secret {fingerprint}; add it")
            return {fingerprint: keys[fingerprint], **keys}

        self._change(change)

    def remove(self, fingerprint: str) -> None:
        """
        Accept a secret no more.

        :raises ConfigError: It is the one that signs, or the file can't be written.
        """

        def change(keys: dict[str, str]) -> dict[str, str]:
            if fingerprint == next(iter(keys)):
                raise ConfigError(
                    _FIELD, f"secret {fingerprint} signs; use another before"
                )
            return {name: key for name, key in keys.items() if name != fingerprint}

        self._change(change)

    def _fingerprint(self, secret: str) -> str:
        return derive_key(secret, self._config.cluster_name, _FIELD).fingerprint

    def _change(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        paths = secret_paths(self._config)
        if len(paths) != 1 or self._config.secret is not None:
            raise ConfigError(
                _FIELD, "the node's secrets are not in one file; change them by hand"
            )
        # A link stays one: what it leads to is replaced.
        path = Path(os.path.realpath(paths[0]))
        secrets = secrets_in(read_secret(path))
        if not all(map(is_raw, secrets)):
            raise ConfigError(_FIELD, f"{path} has a passphrase; change it by hand")
        before = {self._fingerprint(secret): secret for secret in secrets}
        after = change(before)
        name = self._config.cluster_name
        KeyRing(derive_key(secret, name, _FIELD) for secret in after.values())
        if list(after) != list(before):
            _replace(path, "".join(f"{secret}\n" for secret in after.values()))
        self._log.info("Keys are changed: {what}", what=self._reload())


def _replace(path: Path, text: str) -> None:
    """Nobody reads half a file, and none is lost with the power."""
    try:
        descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=".secret-")
        try:
            with os.fdopen(descriptor, "w") as file:
                # It is made for its owner alone, as it was before.
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        except BaseException:
            os.unlink(aside)
            raise
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise ConfigError(
            _FIELD, f"cannot write {path}: {problem}; change it by hand"
        ) from None
