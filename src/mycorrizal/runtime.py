# -*- test-case-name: tests.test_runtime -*-
"""
The only seam to the world: time, timers, randomness, the reactor.

Everything else in Mycorrizal is given a `Runtime` and asks it; so a whole
cluster can live in one process, and under a simulated clock.
"""

from __future__ import annotations

import functools
import heapq
import os
import random as _random
import socket
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import attrs
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorTime,
)
from twisted.logger import Logger

from mycorrizal.errors import Forked, NotRunning

#: A step of the wall clock against the monotonic one that is worth re-arming
#: the reactor's timer for.
CLOCK_STEP_S = 0.3


#: Cancelled timers that are kept until they are due, unless more than half of
#: all timers are to come.
CANCELLED_TIMERS_MAX = 100


#: Seconds on a clock that never steps and, where the system has such a clock,
#: runs on while the machine is suspended.  (A partial, not a function: it is
#: asked on each cache read.)
monotonic_s: Callable[[], float] = functools.partial(
    time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
)


@attrs.frozen
class Entropy:
    """
    A source of randomness.

    :ivar random: Returns a float in [0, 1).
    :ivar token_bytes: Returns that many unpredictable bytes.
    """

    random: Callable[[], float] = _random.random
    token_bytes: Callable[[int], bytes] = os.urandom


class Timer:
    """
    One call that will be made later, on monotonic time.
    """

    __slots__ = ("_arguments", "_call", "_runtime", "due_s")

    def __init__(
        self,
        runtime: Runtime,
        due_s: float,
        call: Callable[..., object],
        arguments: tuple[Any, ...],
    ) -> None:
        self.due_s = due_s
        self._runtime = runtime
        self._call: Callable[..., object] | None = call
        self._arguments = arguments

    def active(self) -> bool:
        """Whether the call is still to come."""
        return self._call is not None

    def cancel(self) -> None:
        """Forget the call; harmless when it was made or cancelled already."""
        if self._call is not None:
            self._call = None
            self._arguments = ()
            self._runtime.timer_cancelled()

    def fire(self) -> None:
        """Make the call now, unless it was cancelled."""
        call, arguments = self._call, self._arguments
        self._call = None
        self._arguments = ()
        if call is not None:
            call(*arguments)


class SupportsFlush(Protocol):
    """What `Runtime.flush_later` accepts: one peer's corked link."""

    def flush(self) -> None:
        """Hand everything that is queued to the transport, in one write."""


class Runtime:
    """
    Time, timers, randomness and the reactor of one node.

    `now` never steps, unlike ``reactor.seconds``, which follows the wall
    clock; `call_later` runs on it.  All timers share one heap and one of the
    reactor's delayed calls, and each received frame pokes the heap, so a step
    of the wall clock can delay a timer only on an idle node.

    :param reactor: The reactor; never defaulted, never imported here.
    :param entropy: Where random bytes come from.
    :param monotonic: Returns monotonic seconds.
    :param wall: Returns seconds since the epoch.
    :param tls: What begins TLS on a connection in place of OpenSSL, whose
        bytes differ from run to run.
    :ivar forked: Whether this process was forked from the node's.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        entropy: Entropy | None = None,
        *,
        monotonic: Callable[[], float] = monotonic_s,
        wall: Callable[[], float] = time.time,
        tls: Any = None,
    ) -> None:
        entropy = entropy or Entropy()
        self.reactor = reactor
        self.now = monotonic
        self.wall = wall
        self.tls = tls
        self.forked = False
        self.random = entropy.random
        self.token_bytes = entropy.token_bytes
        self._timers: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._cancelled = 0
        self._armed: IDelayedCall | None = None
        self._armed_for_s = 0.0
        self._armed_skew_s = 0.0
        self._depth = 0
        self._corked: list[SupportsFlush] = []
        self._flush_call: IDelayedCall | None = None

    @classmethod
    def of(cls, reactor: Any) -> Runtime:
        """
        The runtime of a reactor: the one that a simulated reactor carries as
        its attribute ``runtime``, or a new one on the system's clocks.
        """
        if isinstance(reactor, Runtime):
            return reactor
        carried = getattr(reactor, "runtime", None)
        return carried if isinstance(carried, Runtime) else cls(reactor)

    def new_id(self) -> str:
        """A random UUID, as text."""
        return str(uuid.UUID(bytes=self.token_bytes(16), version=4))

    # -- forks ----------------------------------------------------------------

    def when_forked(self, call: Callable[[], None]) -> None:
        """
        Have a method called in each process that is forked from this one, as long
        as its object lives.

        A simulated node is forked with its whole world, and goes on in it.
        """
        if getattr(self.reactor, "runtime", None) is not None:
            return
        method = weakref.WeakMethod(call)

        def in_child() -> None:
            called = method()
            if called is not None:
                called()

        os.register_at_fork(after_in_child=in_child)

    def disown(self) -> None:
        """This process was forked from the node's: no timer is its own."""
        self.forked = True
        self._timers.clear()
        self._corked.clear()

    def not_running(self, what: str = "the node") -> NotRunning:
        """Why something does not run here."""
        return Forked(what) if self.forked else NotRunning(what)

    # -- timers ---------------------------------------------------------------

    def call_later(
        self, delay_s: float, call: Callable[..., object], *arguments: Any
    ) -> Timer:
        """
        Call ``call(*arguments)`` once, `delay_s` seconds of `now` from now.

        :return: The timer, which can be cancelled.
        """
        timer = Timer(self, self.now() + max(0.0, delay_s), call, arguments)
        self._sequence += 1
        heapq.heappush(self._timers, (timer.due_s, self._sequence, timer))
        if self._armed is None or timer.due_s < self._armed_for_s:
            self.rearm()
        return timer

    def pending_timers(self) -> int:
        """How many calls are still to come."""
        return sum(timer.active() for _, _, timer in self._timers)

    def poke(self) -> None:
        """
        Make every call that is due, then set the reactor's alarm for the next.
        """
        timers = self._timers
        now = self.now()
        # A timer that is set meanwhile waits for the next turn, even if it is
        # due at once, so that one which sets itself again lets others live.
        last = self._sequence
        while timers and timers[0][0] <= now and timers[0][1] <= last:
            timer = heapq.heappop(timers)[2]
            try:
                timer.fire()
            except Exception:
                self._log.failure("A timed call failed")
        self.rearm()

    def rearm(self) -> None:
        """
        Set the reactor's alarm for the next call that is to be made; with
        none, leave no alarm behind.
        """
        timers = self._timers
        while timers and not timers[0][2].active():
            heapq.heappop(timers)
        skew_s = self.wall() - self.now()
        if self._armed is not None and self._armed.active():
            # The alarm follows the wall clock: when that has stepped, it would
            # come too late, or for nothing.
            stepped = abs(skew_s - self._armed_skew_s) > CLOCK_STEP_S
            if timers and self._armed_for_s == timers[0][0] and not stepped:
                return
            self._armed.cancel()
        self._armed = None
        if timers:
            self._armed_skew_s = skew_s
            self._armed_for_s = timers[0][0]
            delay_s = max(0.0, self._armed_for_s - self.now())
            self._armed = self.reactor.callLater(delay_s, self._alarm)

    def timer_cancelled(self) -> None:
        """
        Count a cancelled timer, and forget them all when they are many: a
        deadline of minutes that was met in a millisecond leaves nothing.
        """
        self._cancelled += 1
        if self._cancelled > max(CANCELLED_TIMERS_MAX, len(self._timers) // 2):
            self._cancelled = 0
            # In place: `poke` may be at work on it.
            self._timers[:] = [entry for entry in self._timers if entry[2].active()]
            heapq.heapify(self._timers)

    def _alarm(self) -> None:
        self._armed = None
        self.poke()

    # -- corking --------------------------------------------------------------

    def enter(self) -> None:
        """
        Begin a stretch of work (bytes received) whose frames leave together.
        """
        self._depth += 1
        if self._timers and self._timers[0][0] <= self.now():
            self.poke()

    def leave(self) -> None:
        """
        End the stretch; the outermost one flushes every corked link.
        """
        self._depth -= 1
        if not self._depth and self._corked:
            self.flush()

    def flush_later(self, link: SupportsFlush) -> None:
        """
        Flush `link` when the present stretch of work, or else the present
        turn of the reactor, is over.
        """
        self._corked.append(link)
        if not self._depth and self._flush_call is None:
            self._flush_call = self.reactor.callLater(0, self._flush_turn)

    def _flush_turn(self) -> None:
        self._flush_call = None
        self.flush()

    def flush(self) -> None:
        """Flush every corked link, also before the stretch of work is over."""
        corked, self._corked = self._corked, []
        for link in corked:
            try:
                link.flush()
            except Exception:
                self._log.failure("A link could not be flushed")


class Repeater:
    """
    A thread that calls something again and again, beside the reactor.

    :param pause_s: Between two calls.
    """

    def __init__(self, pause_s: float, call: Callable[[], object], name: str) -> None:
        self._pause_s = pause_s
        self._call = call
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to call."""
        self._thread.start()

    def stop(self) -> None:
        """Call no more, and wait for a call that is being made."""
        self._stopping.set()
        self._thread.join(self._pause_s)

    def _run(self) -> None:
        while not self._stopping.wait(self._pause_s):
            self._call()


#: Which thread this is, and seconds of CPU that the process has used.
thread_id: Callable[[], int] = threading.get_ident
cpu_s: Callable[[], float] = time.process_time


def let_go(transport: Any) -> None:
    """
    Close a socket for this process only: others that have it go on with it, and
    nobody at its other end hears of it.

    :param transport: A connection or port; a simulated one has no socket.
    """
    shared = getattr(transport, "socket", None)
    if shared is not None:
        shared.close()


def limit_buffers(transport: Any, unsent_bytes: int, unread_bytes: int) -> None:
    """
    Let the system hold only so much of a connection, so that what is urgent
    does not wait behind megabytes; where it can be told (Linux).

    :param transport: A connection; a simulated one has no socket, and is as it is.
    :param unsent_bytes: What it takes before it can send it (TCP_NOTSENT_LOWAT).
    :param unread_bytes: What the other side may send before we have read it
        (TCP_WINDOW_CLAMP).
    """
    get_handle = getattr(transport, "getHandle", None)
    if get_handle is None:
        return
    handle: socket.socket = get_handle()
    for name, value in (
        ("TCP_NOTSENT_LOWAT", unsent_bytes),
        ("TCP_WINDOW_CLAMP", unread_bytes),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            handle.setsockopt(socket.IPPROTO_TCP, option, value)


def follow_monotonic_time(reactor: Any) -> bool:
    """
    Let a reactor without pending calls, which is about to be run by
    ``twist``, take its time from the monotonic clock, so that no timer of the
    process follows a step of the wall clock.

    :return: Whether it was done; a reactor that has delayed calls already
        keeps its clock, since their times were taken from it.
    """
    clock: Any = reactor  # no interface says that `seconds` may be set
    if not IReactorTime.providedBy(reactor) or reactor.getDelayedCalls():
        return False
    clock.seconds = monotonic_s
    return True
