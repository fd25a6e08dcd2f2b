"""
Tests for `mycorrizal.tls_options`.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.config import Config
from mycorrizal.errors import ConfigError
from mycorrizal.service import Mycorrizal
from mycorrizal.testing.world import World
from mycorrizal.tls_options import pki_settings
from tests.nodosum.authority import Authority


class TlsSettingsTests(SynchronousTestCase):
    """Which settings go together."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())

    def config(self, **settings: str) -> Config:
        """Settings of a node alone."""
        return Config(single=True, tls="pki", listen="127.0.0.1:7001", **settings)

    def test_pki(self) -> None:
        """The settings of pki are those of the files."""
        files = Authority(self.directory).files("10.0.0.1", hostname="10.0.0.1")
        given = {
            "tls_ca": files.ca,
            "tls_cert": files.cert,
            "tls_key": files.key,
            "tls_hostname": "10.0.0.1",
        }
        self.assertEqual(pki_settings(self.config(**given)), files)
        self.assertIsNone(pki_settings(Config(single=True)))

    def test_each_is_needed(self) -> None:
        """Authority, certificate and key are needed, all three."""
        given = {"tls_ca": "/a", "tls_cert": "/c", "tls_key": "/k"}
        for field in given:
            rest = {name: path for name, path in given.items() if name != field}
            error = self.assertRaises(ConfigError, self.config, **rest)
            self.assertEqual(str(error), f"{field}: tls pki needs a PEM file here")

    def test_files_are_read(self) -> None:
        """A node whose certificate can't be read is not made."""
        world = World(seed=1)
        reactor = world.host("10.0.0.1").reactor
        reactor.runtime.tls = None
        config = self.config(tls_ca="/nowhere/ca", tls_cert="/c", tls_key="/k")
        error = self.assertRaises(ConfigError, Mycorrizal, reactor, config)
        self.assertIn("tls_ca: cannot read /nowhere/ca", str(error))
