"""
The contract that the simulated reactor is held to is Twisted's own.
"""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.contract import datagrams, producers, streams, times
from tests.contract.place import Place, Scenario

SCENARIOS = (
    *streams.SCENARIOS,
    *producers.SCENARIOS,
    *datagrams.SCENARIOS,
    *times.SCENARIOS,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda it: it.__name__)
@pytest_twisted.ensureDeferred
async def test_real(scenario: Scenario) -> None:
    from twisted.internet import reactor

    place = Place(reactor, reactor, "127.0.0.1", "127.0.0.1")
    await scenario(place)
    await place.clean_up()
