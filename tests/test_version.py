"""Tests for `mycorrizal.version`."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import mycorrizal
from mycorrizal.version import __version__


class VersionTests(SynchronousTestCase):
    """The version is said once."""

    def test_setup_says_the_same(self) -> None:
        """The package index is told the version that the program prints."""
        setup = ConfigParser()
        setup.read(Path(__file__).parents[1] / "setup.cfg")
        self.assertEqual(setup["metadata"]["version"], __version__)

    def test_form(self) -> None:
        """It is a version of the package index: numbers, or a pre-release."""
        self.assertTrue(re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", __version__))
        self.assertEqual(mycorrizal.__version__, __version__)
