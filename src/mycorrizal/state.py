# -*- test-case-name: tests.test_state,tests.test_state_secret -*-
"""
The state directory: a node's id and incarnation, and the user's secret.
(A shell.)

``CLUSTER/secret`` is shared by all of a user's nodes; ``CLUSTER/PORT/`` is
one node's, and locked while it runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from mycorrizal import restarts
from mycorrizal.errors import ConfigError, StateError
from mycorrizal.nodosum import new_secret
from mycorrizal.settings import check_node_id, check_secret_path

SECRET_BYTES_MAX = 4096
#: node.json holds one id and two numbers.
STATE_BYTES_MAX = 4096
_DIRECTORY_MODE = 0o700
_SECRET_MODE = 0o600
_INCARNATION_MAX = 2**63


def default_directory(environment: Mapping[str, str]) -> Path:
    """
    Where state is kept unless somebody says otherwise.

    :raises ConfigError: The user has no home.
    """
    base = environment.get("XDG_STATE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "mycorrizal"
    try:
        home = Path(environment.get("HOME") or "~").expanduser()
    except RuntimeError:
        raise ConfigError(
            "state_dir", "there is no home directory; name a place with --state-dir"
        ) from None
    return home / ".local/state/mycorrizal"


def cluster_directory(directory: Path, cluster_name: str) -> Path:
    """The part of the state that belongs to one cluster, and to no other."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", cluster_name)
    if plain != cluster_name or plain.startswith("."):
        # "a/b" is not "a_b", and ".." is no place of ours.
        digest = hashlib.sha256(cluster_name.encode()).hexdigest()
        plain = f"{plain.lstrip('.')}-{digest[:8]}"
    return directory / plain


def present(path: Path) -> bool:
    """
    Whether there is anything of that name: a link that leads nowhere counts,
    and so does what we may not look at, since reading it will say why.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def _make_private(directory: Path) -> None:
    """Make a directory, and those above it, for this user alone."""
    for place in reversed((directory, *directory.parents)):
        if not place.is_dir():
            place.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)


def read_secret(
    path: Path, field: str = "secret_files", bytes_max: int = SECRET_BYTES_MAX
) -> str:
    """
    Read a secret.

    :raises ConfigError: There is none, or others than its owner can read it.
        If `path` might be a secret, given in place of a path, it is not shown.
    """
    check_secret_path(str(path), field)
    problem: str | None = None
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(bytes_max + 1)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    if problem is not None:
        # Raised outside: the system's error would carry the path along.
        raise ConfigError(field, f"cannot read {_shown(path)}: {problem}")
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            field, f"{path} can be read by others; run `chmod 600 {path}` first"
        )
    if len(data) > bytes_max:
        raise ConfigError(
            field, f"{path} is longer than {bytes_max} bytes; is it a secret?"
        )
    secret: str | None = None
    try:
        secret = data.decode().strip()
    except UnicodeDecodeError:
        # Raised outside: this error would carry the secret along.
        pass
    if secret is None:
        raise ConfigError(field, f"{path} is not text; `pulse secret new > {path}`")
    if not secret:
        raise ConfigError(field, f"{path} is empty; `pulse secret new > {path}`")
    return secret


def _shown(path: Path) -> str:
    """A path for an error, unless it might be a passphrase given in its place."""
    parent = path.parent
    beside = len(parent.parts) > bool(path.anchor) and os.path.isdir(parent)
    if beside or os.path.lexists(path):
        return str(path)
    return "what is named (it is not shown, as it might be the secret itself)"


def make_secret(directory: Path, token_bytes: Callable[[int], bytes]) -> bool:
    """
    Make the cluster's secret, unless somebody else has made it.

    :param directory: The cluster's.
    :return: Whether we made it; the loser of a race reads the winner's.
    :raises StateError: The directory can't be written.
    """
    path = directory / "secret"
    if present(path):
        return False
    try:
        _make_private(directory)
        # Written aside and linked into place: nobody reads half a secret.
        descriptor, name = tempfile.mkstemp(dir=directory, prefix=".secret-")
        try:
            with os.fdopen(descriptor, "w") as file:
                os.fchmod(descriptor, _SECRET_MODE)
                file.write(new_secret(token_bytes(32)) + "\n")
                file.flush()
                os.fsync(descriptor)
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
    :ivar starts: In a row, each after a short life; 1 of a steady node.
    :raises StateError: It can't be used, or another process uses it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "node.json"
        self._id_before: str | None = None
        self.starts = 1
        try:
            _make_private(directory)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unusable(directory, error) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            if not isinstance(error, BlockingIOError):
                raise _unusable(directory, error) from None
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
        stored_id, stored_incarnation, starts = self._read()
        # An incarnation is the wall clock of its beginning, unless that went back.
        self.starts = restarts.in_a_row(starts, stored_incarnation, wall_ms)
        chosen = node_id or stored_id or new_id()
        self._id_before = None if chosen == stored_id else stored_id
        incarnation = max(stored_incarnation + 1, wall_ms)
        self.store(chosen, incarnation)
        return chosen, incarnation

    def give_up_id(self, incarnation: int) -> None:
        """
        A live node has the id: the next life is to have the one from before
        it, or a new one.

        :raises StateError: It can't be written.
        """
        self.store(self._id_before, incarnation)

    def store(self, node_id: str | None, incarnation: int) -> None:
        """
        Keep an id and an incarnation.

        :raises StateError: They can't be written; what was stored is intact.
        """
        kept = {"node_id": node_id, "incarnation": incarnation, "starts": self.starts}
        text = json.dumps(kept)
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

    def _read(self) -> tuple[str | None, int, int]:
        try:
            with self._path.open("rb") as file:
                data = file.read(STATE_BYTES_MAX + 1)
        except FileNotFoundError:
            return None, 0, 0
        except OSError as error:
            problem = error.strerror or str(error)
            raise StateError(f"cannot read {self._path}: {problem}") from None
        try:
            stored = json.loads(data)
            node_id = stored["node_id"]
            if node_id is not None:
                check_node_id(node_id, "node_id")
            incarnation, starts = stored["incarnation"], stored.get("starts", 1)
            sound = (
                len(data) <= STATE_BYTES_MAX
                and type(incarnation) is int
                and 0 <= incarnation < _INCARNATION_MAX
                and type(starts) is int
                and 0 <= starts < _INCARNATION_MAX
            )
        except (ValueError, KeyError, TypeError, RecursionError, ConfigError):
            sound = False
        if not sound:
            raise StateError(
                f"{self._path} is damaged; remove it, and the node begins with a new id"
            )
        return node_id, incarnation, starts
