# -*- test-case-name: benchmarks.tests.test_options -*-
"""
Facts of the machine that the figures depend on.
"""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any


def facts() -> dict[str, Any]:
    """
    :return: the machine and this moment, ready for JSON.
    """
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_average": [round(each, 2) for each in os.getloadavg()],
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _field(path: str, name: str) -> str | None:
    if not Path(path).exists():
        return None
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
