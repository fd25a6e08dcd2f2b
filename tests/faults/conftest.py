"""
The relay's tests have real sockets, so they need the plugin with the reactor.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.name == "test_relay.py":
        return not config.pluginmanager.hasplugin("twisted")
    return None
