"""
Tests for `mycorrizal.secret_file`: a node's secrets are changed in their file.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.config import Config
from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import derive_key, new_secret
from mycorrizal.secret_file import SecretFile

OLD, NEW, THIRD = (new_secret(bytes([n]) * 32) for n in (1, 2, 3))


def fingerprint(secret: str) -> str:
    """Eight digits."""
    return derive_key(secret, "mycorrizal").fingerprint


class SecretFileTests(SynchronousTestCase):
    """A file with one secret."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "secret"
        self.path.touch(0o600)
        self.path.write_text(OLD + "\n")
        self.reloads = 0
        self.file = self.of()

    def of(self, **settings: str) -> SecretFile:
        """The file of a node with such settings."""
        given = {"secret_files": [str(self.path)], **settings}
        return SecretFile(Config(**given), self.reload)  # type: ignore[arg-type]

    def reload(self) -> str:
        """Count how often the node reads it."""
        self.reloads += 1
        return "what is in force"

    def lines(self) -> list[str]:
        """What the file has now; nobody else may read it, and no other is left."""
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual([one.name for one in self.directory.iterdir()], ["secret"])
        return self.path.read_text().splitlines()

    def refused(self, sentence: str, secret: str = NEW, **settings: str) -> None:
        """Adding a secret is refused, without a word of it; nothing is changed."""
        error = self.assertRaises(ConfigError, self.of(**settings).add, secret)
        self.assertIn(sentence, str(error))
        self.assertNotIn(secret[5:30], str(error))
        self.assertEqual(self.reloads, 0)

    def test_rotation(self) -> None:
        """F15: a secret is added, used, and the old one removed; each is reloaded."""
        self.file.add(NEW)
        self.assertEqual(self.lines(), [OLD, NEW])
        self.file.use(fingerprint(NEW))
        self.assertEqual(self.lines(), [NEW, OLD])
        self.file.remove(fingerprint(OLD))
        self.assertEqual(self.lines(), [NEW])
        self.assertEqual(self.reloads, 3)

    def test_twice(self) -> None:
        """What is done already is done again without harm."""
        self.file.add(NEW)
        self.file.add(NEW)
        self.assertEqual(self.lines(), [OLD, NEW])
        self.file.use(fingerprint(NEW))
        self.file.use(fingerprint(NEW))
        self.file.add(OLD)
        self.assertEqual(self.lines(), [NEW, OLD])
        self.file.remove(fingerprint(OLD))
        self.file.remove(fingerprint(OLD))
        self.assertEqual(self.lines(), [NEW])

    def test_signing_one(self) -> None:
        """F15: the secret that signs can't be removed, nor an unknown one used."""
        self.file.add(NEW)
        for call, key in ((self.file.remove, OLD), (self.file.use, THIRD)):
            self.assertRaises(ConfigError, call, fingerprint(key))
        self.assertEqual(self.lines(), [OLD, NEW])

    def test_bound(self) -> None:
        """A fifth secret is one too many, and changes nothing."""
        more = [new_secret(bytes([n]) * 32) for n in range(10, 14)]
        for secret in more[:3]:
            self.file.add(secret)
        error = self.assertRaises(ConfigError, self.file.add, more[3])
        self.assertIn("give one to 4 secrets, not 5", str(error))
        self.assertEqual(self.lines(), [OLD, *more[:3]])

    def test_what_can_be_added(self) -> None:
        """F15: neither a passphrase nor a client's line is added, nor with tls off."""
        self.refused("has made can be added", "correct horse battery staple")
        self.refused("has made can be added", f"{NEW} reports *:*:*")
        self.refused("has made can be added", f"{NEW}\n{THIRD}")
        self.refused("must go on with", NEW[:-5])
        self.refused("others could read it", tls="off")
        self.assertEqual(self.lines(), [OLD])

    def test_other_places(self) -> None:
        """Secrets that are not in one file of secrets are changed by hand."""
        several = self.of(secret=THIRD)
        error = self.assertRaises(ConfigError, several.add, NEW)
        self.assertIn("not in one file", str(error))
        self.path.write_text("correct horse battery staple")
        self.refused("has a passphrase")

    def test_link(self) -> None:
        """A symbolic link stays one; what it leads to is changed."""
        link = Path(self.mktemp())
        link.symlink_to(self.path.resolve())
        SecretFile(Config(secret_files=[str(link)]), self.reload).add(NEW)
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.lines(), [OLD, NEW])

    def test_cannot_write(self) -> None:
        """F44: where the file can't be written it stays whole, and that is said."""

        def full(_: object) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", full)
        self.refused("cannot write")
        self.assertEqual(self.lines(), [OLD])

    def test_log(self) -> None:
        """The log tells what is in force, and no secret."""
        with capturedLogs() as events:
            self.file.add(NEW)
        (line,) = map(formatEvent, events)
        self.assertEqual(line, "Keys are changed: what is in force")
