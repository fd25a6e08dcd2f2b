"""
Debian's Prometheus, which scrapes what a test names.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.integration.processes import Crew, free_ports

PROMETHEUS = Path("/usr/bin/prometheus")
PROMTOOL = Path("/usr/bin/promtool")
#: The name under which the nodes are scraped.
JOB = "m"


class Prometheus:
    """
    A Prometheus that scrapes nodes each second.

    :param targets: Where their metrics are, ``HOST:PORT``.
    """

    def __init__(self, crew: Crew, targets: Sequence[str]) -> None:
        if not PROMETHEUS.exists():
            pytest.skip("needs Debian's prometheus")
        (port,) = free_ports(1)
        config = crew.home / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: {JOB}, "
            f"static_configs: [{{targets: {json.dumps(list(targets))}}}]}}]\n"
        )
        self._address = f"127.0.0.1:{port}"
        crew.start(
            "prometheus",
            [
                str(PROMETHEUS),
                f"--config.file={config}",
                f"--storage.tsdb.path={crew.home / 'data'}",
                f"--web.listen-address={self._address}",
            ],
        )

    def ask(self, query: str) -> list[Any]:
        """
        What a query gives now; nothing while it does not listen yet.

        :raises AssertionError: It does not understand the query.
        """
        url = f"http://{self._address}/api/v1/query?{urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found: list[Any] = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return []
            raise AssertionError(f"{query}: {error.read().decode()}") from None
        except OSError:
            return []
        return found
