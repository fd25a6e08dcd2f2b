"""
Tests for `mycorrizal.keys`: secrets that are read again while a node runs.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.config import Config
from mycorrizal.errors import ConfigError
from mycorrizal.nodosum import derive_key, new_secret
from mycorrizal.service import Mycorrizal
from mycorrizal.testing.world import World

OLD, NEW, THIRD = (new_secret(bytes([n]) * 32) for n in (1, 2, 3))


def fingerprint(secret: str) -> str:
    """Eight digits."""
    return derive_key(secret, "mycorrizal").fingerprint


class KeysTests(SynchronousTestCase):
    """A node whose file of secrets is changed."""

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.path = directory / "secret"
        self.write(OLD)
        host = World(seed=1).host("10.0.0.1")
        config = Config(listen="10.0.0.1:6969", secret_files=[str(self.path)])
        self.node = Mycorrizal(host.reactor, config)

    def write(self, *lines: str) -> None:
        """Put other lines in the file."""
        self.path.touch(0o600)
        self.path.write_text("\n".join(lines) + "\n")

    def test_several_in_one_file(self) -> None:
        """A file may have several secrets, each on a line; the first signs."""
        self.write(NEW, "", f"  {OLD} ")
        self.assertEqual(
            self.node.reload(),
            f"secret {fingerprint(NEW)}, and {fingerprint(OLD)} accepted",
        )
        self.assertEqual(self.node.fingerprint, fingerprint(NEW))

    def test_greetings_and_links(self) -> None:
        """F15: what was taken out is accepted neither by UDP nor by TCP."""
        self.write(NEW)
        self.node.reload()
        local = self.node.nodosum._local
        old = derive_key(OLD, "mycorrizal").key_id
        self.assertNotIn(old, local.keys.by_id)
        self.assertIsNone(local.keys.shared([old]))

    def test_bad_file(self) -> None:
        """A file that can't be used changes nothing, and is not shown."""
        for lines in (
            (), ("short",), (OLD, OLD), (OLD, NEW[:-4]), (OLD, "x" * 20 + "\udcff"),
            tuple(new_secret(bytes([n]) * 32) for n in range(10, 15)),
        ):  # fmt: skip
            self.path.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
            error = self.assertRaises(ConfigError, self.node.reload)
            self.assertNotIn(NEW[5:30], str(error))
            self.assertEqual(self.node.fingerprint, fingerprint(OLD))
        self.path.unlink()
        self.assertRaises(ConfigError, self.node.reload)
        self.assertEqual(self.node.fingerprint, fingerprint(OLD))

    def test_lines_of_a_passphrase(self) -> None:
        """A passphrase of several lines is still one."""
        self.write("correct horse", "battery staple")
        self.assertEqual(
            self.node.reload(),
            f"secret {fingerprint('correct horse' + chr(10) + 'battery staple')}",
        )
