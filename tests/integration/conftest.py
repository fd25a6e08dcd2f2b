"""
What all tests with real processes use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import Crew


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # Without the plugin that runs the reactor nothing here can be run.
    if collection_path.name.startswith("test_"):
        return not config.pluginmanager.hasplugin("twisted")
    return None


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    """The processes of one test, which end with it."""
    with_own_home = Crew(tmp_path)
    try:
        yield with_own_home
    finally:
        with_own_home.end()
