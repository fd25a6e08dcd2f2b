# -*- test-case-name: tests.pulse.web.test_health -*-
"""
Whether a node lives and is ready, as orchestrators ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from mycorrizal.pulse.web.report import Report


@attrs.frozen
class Check:
    """
    One thing that was looked at.

    :ivar problem: What is wrong; empty: nothing.
    """

    name: str
    problem: str = ""


def live(report: Report) -> list[Check]:
    """
    Whether the process should be left running: who answers at all has a reactor
    that runs, and nothing else is a reason to kill a node that others rely on.
    """
    return [Check("reactor")]


def ready(report: Report) -> list[Check]:
    """Whether the node should be given work."""
    waits = "" if report.ready else "it looks for other nodes, or was refused by them"
    leaves = "it hands over what it holds and leaves" if report.leaving else ""
    drained = "it is drained; `pulse drain ID --undo` ends that"
    return [
        Check("reactor"),
        Check("ready", waits),
        Check("staying", leaves),
        Check("in service", drained if report.drained else ""),
    ]


#: What is asked of each path.
PROBES: dict[str, Callable[[Report], Sequence[Check]]] = {
    "livez": live,
    "healthz": live,
    "readyz": ready,
}


def answer(checks: Sequence[Check], *, verbose: bool) -> tuple[int, bytes]:
    """
    The status and text for checks, as those of Kubernetes look: ``ok``, or a
    line for each that failed, or for each if `verbose`.
    """
    failed = [check for check in checks if check.problem]
    if not failed and not verbose:
        return 200, b"ok\n"
    lines = [
        f"[-]{check.name} failed: {check.problem}"
        if check.problem
        else f"[+]{check.name} ok"
        for check in checks
        if verbose or check.problem
    ]
    lines.append("check failed" if failed else "check passed")
    return 503 if failed else 200, ("\n".join(lines) + "\n").encode()
