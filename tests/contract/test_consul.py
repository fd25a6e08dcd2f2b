"""
Our stand-in for Consul keeps Consul's promises; so does any real agent.

``CONSUL_HTTP_ADDR=http://127.0.0.1:8500 python -m pytest
tests/contract/test_consul.py`` tries a real one, with the token and
certificates of the other ``CONSUL_`` variables.
"""

from __future__ import annotations

import os

import pytest
import pytest_twisted
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.web.server import Site

from mycorrizal import Config
from mycorrizal.nodosum import ConsulSettings
from tests.contract.consul_api import SCENARIOS, AgentPlace, Scenario, lists_nothing
from tests.fakes.consul import FakeConsul

each_scenario = pytest.mark.parametrize(
    "scenario", SCENARIOS, ids=lambda scenario: scenario.__name__
)


@each_scenario
@pytest_twisted.ensureDeferred
async def test_stand_in(scenario: Scenario) -> None:
    from twisted.internet import reactor

    consul = FakeConsul(reactor)
    port = consul.listen(0)
    settings = ConsulSettings(url=f"http://127.0.0.1:{port.getHost().port}")
    place = AgentPlace.at(reactor, settings, "x")
    try:
        await scenario(place)
        await place.clean_up()
    finally:
        await consul.stop()


@pytest.mark.skipif(
    not os.environ.get("CONSUL_HTTP_ADDR"),
    reason="CONSUL_HTTP_ADDR names no real agent",
)
@each_scenario
@pytest_twisted.ensureDeferred
async def test_real_agent(scenario: Scenario) -> None:
    from twisted.internet import reactor

    config = Config.from_sources(environment=os.environ, options={"consul": {}})
    assert config.consul is not None
    place = AgentPlace.at(reactor, config.consul, scenario.__name__.replace("_", "-"))
    try:
        await scenario(place)
    finally:
        await place.clean_up()


@pytest_twisted.ensureDeferred
async def test_unix_socket(tmp_path: os.PathLike[str]) -> None:
    """An agent may listen on a Unix socket."""
    from twisted.internet import reactor

    consul = FakeConsul(reactor)
    path = os.path.join(tmp_path, "consul.sock")
    port = await UNIXServerEndpoint(reactor, path).listen(Site(consul, reactor=reactor))
    place = AgentPlace.at(reactor, ConsulSettings(url=f"unix://{path}"), "x")
    try:
        await lists_nothing(place)
        assert place.http.local_host is None
        await place.clean_up()
    finally:
        await port.stopListening()
        await consul.stop()
