"""
Tests for `mycorrizal.reloading`.
"""

from __future__ import annotations

import signal
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.config import Config
from mycorrizal.errors import ConfigError
from mycorrizal.reloading import LOOK_S, Reloading, reloading_of
from tests.nodosum.ends import runtime_of


class ReloadingTests(SynchronousTestCase):
    """A file that changes, and a signal."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text("one")
        self.clock = Clock()
        self.read: list[str] = []
        self.calls: list[object] = []
        self.clock.callFromThread = self.from_thread  # type: ignore[attr-defined]
        self.reloading = Reloading(runtime_of(self.clock), [self.path], self.reload)
        self.before = signal.getsignal(signal.SIGHUP)
        self.reloading.start()
        self.addCleanup(self.reloading.stop)

    def from_thread(self, call: object) -> None:
        """As the reactor has it: later."""
        self.calls.append(call)

    def reload(self) -> str:
        """Read the file."""
        text = self.path.read_text()
        if text == "bad":
            raise ConfigError("secret", "it is bad")
        self.read.append(text)
        return text

    def test_file_changes(self) -> None:
        """A file that was changed is read again, once."""
        self.clock.advance(LOOK_S)
        self.assertEqual(self.read, [])
        self.path.write_text("another")
        self.clock.advance(LOOK_S)
        self.clock.advance(LOOK_S)
        self.assertEqual(self.read, ["another"])

    def test_bad_file(self) -> None:
        """A file that can't be used is said to be so, once, and then waited for."""
        self.path.write_text("bad")
        with capturedLogs() as logs:
            self.clock.advance(LOOK_S)
            self.clock.advance(LOOK_S)
        self.assertEqual([log["problem"] for log in logs], ["secret: it is bad"])
        self.path.write_text("better")
        self.clock.advance(LOOK_S)
        self.assertEqual(self.read, ["better"])

    def test_signal(self) -> None:
        """SIGHUP reads it, in a turn of the reactor."""
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual(self.read, [])
        self.assertEqual(self.calls, [self.reloading.reload_now])
        self.reloading.reload_now()
        self.assertEqual(self.read, ["one"])

    def test_stop(self) -> None:
        """After a stop nothing is looked at, and the signal is as it was."""
        self.reloading.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(signal.getsignal(signal.SIGHUP), self.before)

    def test_all_files(self) -> None:
        """The files of secrets, of clients' keys and of certificates are looked at."""
        paths = {name: Path(self.mktemp()) for name in ("secret", "clients", "cert")}
        for path in paths.values():
            path.write_text("one")
        config = Config(
            secret_files=[str(paths["secret"])],
            client_keys_file=str(paths["clients"]),
            tls="pki",
            tls_ca=str(paths["cert"]),
            tls_cert=str(paths["cert"]),
            tls_key=str(paths["cert"]),
        )
        again: list[str] = []

        def reload() -> str:
            again.append("again")
            return ""

        reloading = reloading_of(runtime_of(self.clock), config, reload)
        reloading.start()
        self.addCleanup(reloading.stop)
        for number, path in enumerate(paths.values(), 1):
            path.write_text("another")
            self.clock.advance(LOOK_S)
            self.assertEqual(len(again), number, path)
