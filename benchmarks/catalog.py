# -*- test-case-name: benchmarks.tests.test_rows -*-
"""
The list of all rows.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.rows import Row
from benchmarks.workloads.at_rest import (
    p11,
    p11_simulated,
    p12_members,
    p13,
    p13_simulated,
)
from benchmarks.workloads.caches import p4, p5, p5_large, p5_mixed, p10, p12
from benchmarks.workloads.p1 import p1
from benchmarks.workloads.p7 import p7
from benchmarks.workloads.p8 import p8_p1, p8_p2, p8_p3, p8_p7
from benchmarks.workloads.ping import ping
from benchmarks.workloads.remote import p2, p3, p6
from benchmarks.workloads.request import p2_request, p3_request

#: A row by its id; the argument makes it smaller, for a quick run.
ROWS: dict[str, Callable[[bool], Row]] = {
    "P1": p1,
    "P2": p2,
    "P2-REQUEST": p2_request,
    "P3": p3,
    "P3-REQUEST": p3_request,
    "P4": p4,
    "P5": p5,
    "P5M": p5_mixed,
    "P5L": p5_large,
    "P6": p6,
    "P7": p7,
    "P8-P1": p8_p1,
    "P8-P2": p8_p2,
    "P8-P3": p8_p3,
    "P8-P7": p8_p7,
    "P10": p10,
    "P11": p11,
    "P11-SIM": p11_simulated,
    "P12": p12,
    "P12-MEMBERS": p12_members,
    "P13": p13,
    "P13-SIM": p13_simulated,
    "PING": ping,
}
