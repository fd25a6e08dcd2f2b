# -*- test-case-name: tests.pulse.web.test_service -*-
"""
What a node tells of itself, and serves by HTTP if it is asked to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mycorrizal.config import Config
from mycorrizal.mycel import MycelService
from mycorrizal.nodosum import NodosumService
from mycorrizal.pulse.web.report import Reporter
from mycorrizal.pulse.web.survey import Survey

if TYPE_CHECKING:
    from mycorrizal.pulse.web.service import HttpService


def http_of(
    config: Config, nodosum: NodosumService, mycel: MycelService
) -> HttpService | None:
    """
    Let other nodes ask how this one is, and make its page if there is to be one.

    :raises ConfigError: The token can't be read, or is too short.
    """
    reporter = Reporter(nodosum, mycel)
    survey = Survey(nodosum, reporter)
    if config.http is None:
        return None
    # Here, so that nodes without a page do not load a web server.
    from mycorrizal.pulse.web.service import HttpService

    return HttpService(
        nodosum,
        mycel,
        reporter,
        survey,
        config.http,
        config.http_hosts,
        config.http_token_file,
    )
