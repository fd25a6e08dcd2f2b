# -*- test-case-name: tests.test_state -*-
"""
The state directory: a node's id and incarnation, and the user's secret.
(A shell.)

``CLUSTER/secret`` is shared by all of a user's nodes; ``CLUSTER/PORT/`` is
one node's, and locked while it runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from mycorrizal.errors import ConfigError, StateError
from mycorrizal.nodosum import new_secret

SECRET_BYTES_MAX = 4096
_SECRET_MODE = 0o600
_INCARNATION_MAX = 2**63


def default_directory(environment: Mapping[str, str]) -> Path:
    """Where state is kept unless somebody says otherwise."""
    base = environment.get("XDG_STATE_HOME")
    if base:
        return Path(base) / "mycorrizal"
    return Path(environment.get("HOME") or "~").expanduser() / ".local/state/mycorrizal"


def cluster_directory(directory: Path, cluster_name: str) -> Path:
    """The part of the state that belongs to one cluster."""
    return directory / re.sub(r"[^A-Za-z0-9._-]", "_", cluster_name)


def read_secret(path: Path, field: str = "secret_files") -> str:
    """
    Read a secret.

    :raises ConfigError: There is none, or others than its owner can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(SECRET_BYTES_MAX)
    except OSError as error:
        problem = error.strerror or str(error)
        raise ConfigError(field, f"cannot read {path}: {problem}") from None
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            field, f"{path} can be read by others; run `chmod 600 {path}` first"
        )
    secret = data.decode(errors="replace").strip()
    if not secret:
        raise ConfigError(field, f"{path} is empty; `pulse secret new > {path}`")
    return secret


def make_secret(directory: Path, token_bytes: Callable[[int], bytes]) -> bool:
    """
    Make the cluster's secret, unless somebody else has made it.

    :param directory: The cluster's.
    :return: Whether we made it; the loser of a race reads the winner's.
    :raises StateError: The directory can't be written.
    """
    path = directory / "secret"
    if path.exists():
        return False
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Written aside and linked into place: nobody reads half a secret.
        descriptor, name = tempfile.mkstemp(dir=directory, prefix=".secret-")
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, _SECRET_MODE)
            file.write(new_secret(token_bytes(32)) + "\n")
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(name, path)
        except FileExistsError:
            return False
        finally:
            os.unlink(name)
    except OSError as error:
        raise _unusable(directory, error) from None
    return True


def _unusable(directory: Path, error: OSError) -> StateError:
    problem = error.strerror or str(error)
    return StateError(
        f"cannot write state in {directory}: {problem}; "
        "name another place with --state-dir"
    )


class NodeState:
    """
    One node's place in the state directory, locked until it is closed.

    :param directory: The node's, ``CLUSTER/PORT``.
    :raises StateError: It can't be used, or another process uses it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "node.json"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unusable(directory, error) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StateError(
                f"another node runs with the state in {directory}; stop it, or "
                "give this one another port (--listen) or --state-dir"
            ) from None

    def close(self) -> None:
        """Let others use the place."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def begin(
        self, node_id: str | None, wall_ms: int, new_id: Callable[[], str]
    ) -> tuple[str, int]:
        """
        Begin another life of the node.

        :param node_id: The id that was asked for; None: the one that is
            stored, or else a new one.
        :return: The id, and an incarnation above all before it.
        :raises StateError: What is stored is damaged, or can't be written.
        """
        stored_id, stored_incarnation = self._read()
        chosen = node_id or stored_id or new_id()
        last = stored_incarnation if chosen == stored_id else 0
        incarnation = max(last + 1, wall_ms)
        self.store(chosen, incarnation)
        return chosen, incarnation

    def store(self, node_id: str, incarnation: int) -> None:
        """
        Keep an id and an incarnation.

        :raises StateError: They can't be written; what was stored is intact.
        """
        text = json.dumps({"node_id": node_id, "incarnation": incarnation})
        aside = self._path.with_suffix(".new")
        try:
            with aside.open("w") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, self._path)
            directory = os.open(self._directory, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise _unusable(self._directory, error) from None

    def _read(self) -> tuple[str | None, int]:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return None, 0
        except (OSError, UnicodeDecodeError) as error:
            raise StateError(f"cannot read {self._path}: {error}") from None
        try:
            stored = json.loads(text)
            node_id, incarnation = stored["node_id"], stored["incarnation"]
            sound = isinstance(node_id, str) and 0 <= incarnation < _INCARNATION_MAX
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            raise StateError(
                f"{self._path} is damaged; remove it, and the node begins with a new id"
            )
        return node_id, incarnation
