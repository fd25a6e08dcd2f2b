"""
Places on disk for a test: `TestCase.mktemp` litters the current directory when
pytest runs the test.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase


def fresh_path(case: SynchronousTestCase) -> Path:
    """A path where nothing is yet, in a directory that goes with the test."""
    directory = tempfile.TemporaryDirectory()
    case.addCleanup(directory.cleanup)
    return Path(directory.name).resolve() / "it"
