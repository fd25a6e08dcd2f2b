"""
What every reactor promises about time, threads and names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.task import LoopingCall

from tests.contract.place import Place, Scenario


async def calls_are_made_in_order_of_time(place: Place) -> None:
    """Not in the order in which they were asked for."""
    made: list[str] = []
    place.client.callLater(0.03, made.append, "late")
    place.client.callLater(0.01, made.append, "early")
    place.client.callLater(0.02, made.append, "between")
    await place.pause(0.04)
    assert made == ["early", "between", "late"]


async def calls_without_delay_wait_a_turn(place: Place) -> None:
    """In the order in which they were asked for, and never at once."""
    made: list[Any] = []

    def again() -> None:
        place.client.callLater(0, made.append, "again")
        made.append("first")

    place.client.callLater(0, again)
    place.client.callLater(0, made.append, "second")
    assert made == []
    await place.wait_for(lambda: len(made) == 3)
    assert made == ["first", "second", "again"]


async def a_call_is_made_with_its_arguments(place: Place) -> None:
    """Positional ones and named ones."""
    made: list[Any] = []

    def call(*args: Any, **kwargs: Any) -> None:
        made.append((args, kwargs))

    place.client.callLater(0, call, 1, 2, a=3)
    await place.wait_for(lambda: made)
    assert made == [((1, 2), {"a": 3})]


async def a_cancelled_call_is_not_made(place: Place) -> None:
    """Nor can it be cancelled again, moved, or found."""
    made: list[int] = []
    call = place.client.callLater(0.005, made.append, 1)
    assert call.active()
    assert call in place.client.getDelayedCalls()
    call.cancel()
    assert not call.active()
    assert call not in place.client.getDelayedCalls()
    await place.pause(0.02)
    assert made == []
    _refused(AlreadyCancelled, call.cancel)
    _refused(AlreadyCancelled, lambda: call.reset(1))
    _refused(AlreadyCancelled, lambda: call.delay(1))


async def a_made_call_cannot_be_cancelled(place: Place) -> None:
    """It is not active, not even while it is being made."""
    active: list[bool] = []
    call: Any = place.client.callLater(0, lambda: active.append(call.active()))
    await place.wait_for(lambda: active)
    assert active == [False]
    _refused(AlreadyCalled, call.cancel)
    _refused(AlreadyCalled, lambda: call.reset(1))
    _refused(AlreadyCalled, lambda: call.delay(1))


async def a_call_can_be_moved(place: Place) -> None:
    """`reset` counts from now, `delay` from when it was due; both ways."""
    made: list[str] = []
    client = place.client
    sooner = client.callLater(100, made.append, "sooner")
    later = client.callLater(0.001, made.append, "later")
    delayed = client.callLater(0.01, made.append, "delayed")
    hastened = client.callLater(100, made.append, "hastened")
    sooner.reset(0.01)
    later.reset(0.03)
    delayed.delay(0.01)
    hastened.delay(-99.96)
    assert abs(sooner.getTime() - client.seconds() - 0.01) < 0.005
    assert abs(delayed.getTime() - client.seconds() - 0.02) < 0.005
    await place.pause(0.06)
    assert made == ["sooner", "delayed", "later", "hastened"]


async def one_call_can_cancel_or_move_another(place: Place) -> None:
    """Also when both are due at the same time."""
    made: list[str] = []
    client = place.client

    def first() -> None:
        cancelled.cancel()
        moved.reset(0.02)

    client.callLater(0, first)
    cancelled = client.callLater(0, made.append, "cancelled")
    moved = client.callLater(0, made.append, "moved")
    await place.pause(0.01)
    assert made == []
    await place.wait_for(lambda: made == ["moved"])


async def a_failing_call_hurts_no_other(place: Place) -> None:
    """Its exception is logged, and the next call is made."""
    made: list[int] = []
    place.client.callLater(0, lambda: 1 / 0)
    place.client.callLater(0, made.append, 1)
    await place.wait_for(lambda: made)


async def the_past_cannot_be_chosen(place: Place) -> None:
    """A negative delay is a mistake."""
    _refused(AssertionError, lambda: place.client.callLater(-1, print))


async def a_looping_call_keeps_its_rhythm(place: Place) -> None:
    """Twisted's own loops run on it."""
    made: list[float] = []
    loop = LoopingCall(lambda: made.append(place.client.seconds()))
    loop.clock = place.client
    done = loop.start(0.01)
    await place.wait_for(lambda: len(made) == 4)
    loop.stop()
    await done
    assert 0.02 < made[-1] - made[0] < 1


async def threads_can_reach_the_reactor(place: Place) -> None:
    """`callFromThread` makes the call in a later turn."""
    made: list[tuple[int, int]] = []

    def call(a: int, b: int) -> None:
        made.append((a, b))

    place.client.callFromThread(call, 1, b=2)
    assert made == []
    await place.wait_for(lambda: made == [(1, 2)])


async def a_running_reactor_calls_at_once(place: Place) -> None:
    """`callWhenRunning` does not wait when it is running."""
    made: list[int] = []
    assert place.client.running
    assert place.client.callWhenRunning(made.append, 1) is None
    assert made == [1]


async def triggers_can_be_taken_back(place: Place) -> None:
    """A trigger is removed once; a phase that does not exist is refused."""
    client = place.client
    trigger = client.addSystemEventTrigger("before", "shutdown", print)
    client.removeSystemEventTrigger(trigger)
    _refused(ValueError, lambda: client.removeSystemEventTrigger(trigger))
    _refused(KeyError, lambda: client.addSystemEventTrigger("?", "shutdown", print))


class Answers:
    """What a name resolver says."""

    def __init__(self) -> None:
        self.addresses: list[Any] = []
        self.events: list[str] = []

    def resolutionBegan(self, resolutionInProgress: Any) -> None:
        self.events.append(f"began {resolutionInProgress.name}")

    def addressResolved(self, address: Any) -> None:
        self.addresses.append(address)

    def resolutionComplete(self) -> None:
        self.events.append("complete")

    def complete(self) -> bool:
        """Whether all is said."""
        return self.events[-1] == "complete"


async def literals_resolve_to_themselves(place: Place) -> None:
    """IPv4 and IPv6 addresses need no name service."""
    for literal, kind in (("127.0.0.1", IPv4Address), ("::1", IPv6Address)):
        answers = Answers()
        place.client.nameResolver.resolveHostName(answers, literal, 80)
        assert answers.events == [f"began {literal}"]
        await place.wait_for(answers.complete)
        (address,) = answers.addresses
        assert isinstance(address, kind)
        assert (address.type, address.host, address.port) == ("TCP", literal, 80)


async def a_literal_of_another_family_is_unknown(place: Place) -> None:
    """Who asks for IPv6 gets no IPv4 address."""
    answers = Answers()
    place.client.nameResolver.resolveHostName(
        answers, "127.0.0.1", addressTypes=[IPv6Address]
    )
    await place.wait_for(answers.complete)
    assert answers.addresses == []


async def a_host_resolves_to_one_address(place: Place) -> None:
    """`resolve` answers with IPv4."""
    assert await place.client.resolve("127.0.0.1") == "127.0.0.1"
    assert await place.client.resolve("localhost") == "127.0.0.1"


def _refused(error: type[BaseException], call: Callable[[], object]) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")


SCENARIOS: tuple[Scenario, ...] = (
    calls_are_made_in_order_of_time,
    calls_without_delay_wait_a_turn,
    a_call_is_made_with_its_arguments,
    a_cancelled_call_is_not_made,
    a_made_call_cannot_be_cancelled,
    a_call_can_be_moved,
    one_call_can_cancel_or_move_another,
    a_failing_call_hurts_no_other,
    the_past_cannot_be_chosen,
    a_looping_call_keeps_its_rhythm,
    threads_can_reach_the_reactor,
    a_running_reactor_calls_at_once,
    triggers_can_be_taken_back,
    literals_resolve_to_themselves,
    a_literal_of_another_family_is_unknown,
    a_host_resolves_to_one_address,
)
