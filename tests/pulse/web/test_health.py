"""
What orchestrators are answered.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.web.health import PROBES, answer
from tests.pulse.web.reports import report


class HealthTests(SynchronousTestCase):
    """Probes of nodes in several conditions."""

    def test_ready(self) -> None:
        """Only a node that is ready and stays gets work."""
        cases: list[tuple[dict[str, Any], int, bytes]] = [
            ({}, 200, b"ok\n"),
            ({"ready": False}, 503, b"[-]ready failed: it looks for other nodes"),
            ({"leaving": True}, 503, b"[-]staying failed: it hands over"),
            ({"drained": True}, 503, b"[-]in service failed: it is drained"),
        ]
        for fields, status, text in cases:
            got = answer(PROBES["readyz"](report(**fields)), verbose=False)
            self.assertEqual(got[0], status)
            self.assertTrue(got[1].startswith(text), got)

    def test_live(self) -> None:
        """A node is not killed for waiting or leaving."""
        for path in ("livez", "healthz"):
            checks = PROBES[path](report(ready=False, leaving=True, drained=True))
            self.assertEqual(answer(checks, verbose=False), (200, b"ok\n"))

    def test_verbose(self) -> None:
        """All checks are told, if asked for."""
        checks = PROBES["readyz"](report())
        lines = answer(checks, verbose=True)[1].decode().splitlines()
        names = ("reactor", "ready", "staying", "in service")
        expected = [*(f"[+]{name} ok" for name in names), "check passed"]
        self.assertEqual(lines, expected)
