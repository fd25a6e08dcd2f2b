"""
Tests for `mycorrizal.key_options`, and for the files that they name.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.config import Config
from mycorrizal.errors import ConfigError
from mycorrizal.keys import CLIENT_KEYS_BYTES_MAX, read_client_keys, read_keys
from mycorrizal.nodosum import new_secret
from mycorrizal.runtime import Runtime
from mycorrizal.testing.world import World

KEY = new_secret(bytes([1]) * 32)


class ClientKeysFileTests(SynchronousTestCase):
    """The file of clients' keys, and the one of the secret."""

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.path = directory / "clients"
        self.path.touch(0o600)
        self.runtime = Runtime.of(World(seed=1).host("10.0.0.1").reactor)

    def config(self) -> Config:
        """Settings that name the file."""
        return Config(client_keys_file=str(self.path), single=True)

    def test_none(self) -> None:
        """Without a file there are no such clients."""
        self.assertEqual(read_client_keys(Config(single=True)), ())

    def test_guarded(self) -> None:
        """F15: a file that others can read is refused, as that of a secret is."""
        self.path.write_text(f"{KEY} a\n")
        self.assertEqual(len(read_client_keys(self.config())), 1)
        self.path.chmod(0o640)
        error = self.assertRaises(ConfigError, read_client_keys, self.config())
        self.assertIn("client_keys_file: ", str(error))
        self.assertIn("can be read by others", str(error))

    def test_length(self) -> None:
        """It has up to 2 MiB."""
        line = f"{KEY} a\n#"
        self.path.write_text(line + "x" * (CLIENT_KEYS_BYTES_MAX - len(line)))
        self.assertEqual(len(read_client_keys(self.config())), 1)
        with self.path.open("a") as file:
            file.write("x")
        error = self.assertRaises(ConfigError, read_client_keys, self.config())
        self.assertIn("is longer than", str(error))

    def test_no_node(self) -> None:
        """F15: a client's line in the file of secrets makes no node of it."""
        self.path.write_text(f"{KEY} a *:*:*\n")
        config = Config(secret_files=[str(self.path)])
        error = self.assertRaises(ConfigError, read_keys, config, self.runtime)
        self.assertIn("has a client's key, which makes no node", str(error))
        self.assertNotIn(KEY[5:30], str(error))
