# -*- test-case-name: benchmarks.tests.test_rows -*-
"""
The list of all rows.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.rows import Row
from benchmarks.workloads.p1 import p1
from benchmarks.workloads.p7 import p7
from benchmarks.workloads.ping import ping

#: A row by its id; the argument makes it smaller, for a quick run.
ROWS: dict[str, Callable[[bool], Row]] = {"P1": p1, "P7": p7, "PING": ping}
