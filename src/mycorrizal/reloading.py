# -*- test-case-name: tests.test_reloading -*-
"""
Secrets and certificates are read again when a signal says so, or when their
files change.  (A shell.)
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from mycorrizal.config import Config
from mycorrizal.errors import MycorrizalError
from mycorrizal.keys import secret_paths
from mycorrizal.runtime import Runtime, Timer

#: How often the files are looked at.
LOOK_S = 2.0


class Reloading:
    """
    What reads the files of a node again in time.

    :param paths: The files to look at.
    :param reload: Reads them, and says in a sentence what is in force now.
    """

    _log = Logger()

    def __init__(
        self, runtime: Runtime, paths: Iterable[Path], reload: Callable[[], str]
    ) -> None:
        self._runtime = runtime
        self._paths = tuple(paths)
        self._reload = reload
        self._seen = self._look()
        self._timer: Timer | None = None
        self._before: Any = None

    def start(self) -> None:
        """Listen for SIGHUP, and look at the files from time to time."""
        self._before = signal.signal(signal.SIGHUP, self._signalled)
        self._wait()

    def stop(self) -> None:
        """Do neither any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._runtime.rearm()
            signal.signal(signal.SIGHUP, self._before or signal.SIG_DFL)

    def reload_now(self) -> None:
        """Read the files; what can't be used leaves all as it was."""
        self._seen = self._look()
        try:
            sentence = self._reload()
        except MycorrizalError as error:
            self._log.error("Nothing is changed, as {problem}", problem=str(error))
        else:
            self._log.info("Read again: {what}", what=sentence)

    def _signalled(self, number: int, frame: object) -> None:
        # Between two instructions of anything: do it in a turn of the reactor.
        self._runtime.reactor.callFromThread(self.reload_now)

    def _wait(self) -> None:
        self._timer = self._runtime.call_later(LOOK_S, self._look_again)

    def _look_again(self) -> None:
        self._wait()
        if self._look() != self._seen:
            self.reload_now()

    def _look(self) -> tuple[object, ...]:
        return tuple(map(_version, self._paths))


def reloading_of(
    runtime: Runtime, config: Config, reload: Callable[[], str]
) -> Reloading:
    """What reads the keys and certificates of a node's settings again."""
    files = (config.client_keys_file, config.tls_ca, config.tls_cert, config.tls_key)
    named = [Path(one) for one in files if one is not None]
    return Reloading(runtime, (*secret_paths(config), *named), reload)


def _version(path: Path) -> object:
    """What is different once a file was written or replaced."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
