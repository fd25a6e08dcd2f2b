"""
The simulated reactor keeps the contract: on every way of cutting bytes up.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from mycorrizal.testing import Segmentation, World
from tests.contract import datagrams, producers, streams, times
from tests.contract.place import Place, Scenario

ON_TCP = (*streams.SCENARIOS, *producers.SCENARIOS)
SCENARIOS = (*ON_TCP, *datagrams.SCENARIOS, *times.SCENARIOS)
CASES: list[tuple[Scenario, Segmentation]] = [
    *((scenario, "whole") for scenario in SCENARIOS),
    *((scenario, "random") for scenario in ON_TCP),
    # A million calls would take too long.
    *(
        (scenario, "one-byte")
        for scenario in ON_TCP
        if scenario is not streams.a_megabyte_arrives_in_order
    ),
]


async def run(scenario: Scenario, place: Place) -> None:
    await scenario(place)
    await place.clean_up()


@pytest.mark.parametrize(
    ("scenario", "segmentation"), CASES, ids=lambda it: getattr(it, "__name__", it)
)
def test_simulated(scenario: Scenario, segmentation: Segmentation) -> None:
    world = World(seed=segmentation)
    world.segmentation = segmentation
    server, client = world.host("server"), world.host("client")
    place = Place(server.reactor, client.reactor, server.address, client.address)
    world.result_of(Deferred.fromCoroutine(run(scenario, place)))
    world.advance(1)
    assert server.sockets() == []
    assert client.sockets() == []
    assert not server.reactor.getDelayedCalls()
    assert not client.reactor.getDelayedCalls()
