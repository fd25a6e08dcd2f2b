"""
The dashboard for Grafana: each of its queries has an answer when nodes are at work.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from tests.integration.processes import PROJECT_ROOT, Crew, until
from tests.integration.prometheus import JOB, Prometheus
from tests.integration.test_status_page import Pages

DASHBOARD = PROJECT_ROOT / "docs/howto/monitor/grafana.json"


def queries() -> dict[str, str]:
    """The queries of all panels, as they are asked when all jobs are chosen."""
    found: dict[str, Any] = json.loads(Path(DASHBOARD).read_text())
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$job", JOB)
        for panel in found["panels"]
        for target in panel["targets"]
    }


def test_each_query_has_an_answer(crew: Crew) -> None:
    """Each panel's query is understood, and gives figures of three nodes at work."""
    pages = Pages(crew)
    prometheus = Prometheus(crew, [f"127.0.0.1:{port}" for port in pages.pages])
    until(lambda: len(prometheus.ask("up==1")) == 3, "three nodes are scraped")
    ended = crew.run_pulse("bench", "--operations", "500", "--node", pages.addresses[0])
    assert ended.code == 0, ended
    for number in range(9):
        key = str(number)
        for command in (("put", "sessions", key, "value"), ("get", "sessions", key)):
            ended = crew.run_pulse("cache", *command, "--node", pages.addresses[0])
            assert ended.code == 0, ended

    def silent() -> list[str]:
        return [name for name, query in queries().items() if not figures(query)]

    def figures(query: str) -> bool:
        values = [float(one["value"][1]) for one in prometheus.ask(query)]
        return any(math.isfinite(value) for value in values)

    try:
        until(lambda: not silent(), "each query has an answer")
    except AssertionError as error:
        raise AssertionError(f"{error}: {silent()}") from None


def test_queries_are_all_there() -> None:
    """Each panel asks something, of a job that is chosen above it."""
    found = json.loads(DASHBOARD.read_text())
    assert len(queries()) >= len(found["panels"]) >= 12
    for panel in found["panels"]:
        assert panel["targets"], panel["title"]
        assert all('job=~"$job"' in target["expr"] for target in panel["targets"])
