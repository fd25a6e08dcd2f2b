"""
Without the plugin that runs the real reactor, only the simulated one is tried.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.name in ("test_real.py", "test_consul.py"):
        return not config.pluginmanager.hasplugin("twisted")
    return None
