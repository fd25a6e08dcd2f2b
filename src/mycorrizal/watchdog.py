# -*- test-case-name: tests.test_watchdog -*-
"""
Which code holds up the reactor, and for how long.  (A shell.)
"""

from __future__ import annotations

import sys
import traceback

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from mycorrizal.runtime import CLOCK_STEP_S, Repeater, Runtime, Timer, cpu_s, thread_id

#: How often the reactor shows that it runs, and how often that is looked at.
BEAT_S = 0.2
#: Beats that are missed before a reactor that only sleeps would have been woken.
WAKE_S = 0.3
#: Between two stacks in the log, and how many frames of each are shown.
STACK_PAUSE_S = 10.0
STACK_FRAMES_MAX = 40


class Watchdog:
    """
    A thread that notices when the reactor is held up, and by which code.

    It also wakes a reactor that sleeps too long because the wall clock, which
    its alarms follow, was set back.

    :param stall_s: How long the reactor may be held up.
    """

    _log = Logger()

    def __init__(self, runtime: Runtime, stall_s: float) -> None:
        self._runtime = runtime
        self._stall_s = stall_s
        self._repeater = Repeater(BEAT_S, self.look, "mycorrizal-watchdog")
        self._stopped = self._begun = False
        self._reactor_thread = thread_id()
        self._timer: Timer | None = None
        self._beaten_at = self._looked_at = runtime.now()
        self._used_s = cpu_s()
        self._skew_s = runtime.wall() - runtime.now()
        self._held_up_since: float | None = None
        self._stack_at = float("-inf")
        self._left_out = 0

    def start(self) -> None:
        """Begin to watch, as soon as the reactor runs."""
        self._runtime.reactor.callWhenRunning(self._begin)

    def _begin(self) -> None:
        if self._stopped:
            return
        self._begun = True
        self._reactor_thread = thread_id()
        self._beaten_at = self._looked_at = self._runtime.now()
        self.beat()
        self._repeater.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._begun:
            self._repeater.stop()

    def beat(self) -> None:
        """The reactor runs."""
        self._beaten_at = self._runtime.now()
        self._timer = self._runtime.call_later(BEAT_S, self.beat)

    def look(self) -> None:
        """See whether the reactor runs, and if not, what runs in its place."""
        now, used_s = self._runtime.now(), cpu_s()
        slept_s, busy_s = now - self._looked_at, used_s - self._used_s
        self._looked_at, self._used_s = now, used_s
        was_skew_s, self._skew_s = self._skew_s, self._runtime.wall() - now
        beaten_at = self._beaten_at
        late_s = now - beaten_at
        if late_s > BEAT_S + WAKE_S or abs(self._skew_s - was_skew_s) > CLOCK_STEP_S:
            self._runtime.reactor.callFromThread(self._runtime.poke)
        since = self._held_up_since
        # The reactor may have run again before this thread did.
        stopped = slept_s > self._stall_s and busy_s < slept_s / 2
        if stopped and since is None:
            self._log.warn(
                "This process did not run for {slept_s:.1f} s: it was stopped, or "
                "the machine had no time for it",
                slept_s=slept_s,
            )
        if late_s <= self._stall_s:
            self._held_up_since = None
            if since is not None:
                self._log.info("The reactor runs again: {s:.1f} s", s=beaten_at - since)
        elif since is None:
            self._held_up_since = beaten_at
            if not stopped:
                self._tell_stack(now, late_s)

    def _tell_stack(self, now: float, late_s: float) -> None:
        frame = sys._current_frames().get(self._reactor_thread)
        if now - self._stack_at < STACK_PAUSE_S or frame is None:
            self._left_out += 1
            return
        self._stack_at = now
        left_out, self._left_out = self._left_out, 0
        stack = traceback.extract_stack(frame)
        self._log.warn(
            "The reactor has been held up for {late_s:.1f} s by {function} at "
            "{file}:{line}; nothing else runs meanwhile (and {left_out} times "
            "before, without a stack):\n{stack}",
            late_s=late_s,
            function=stack[-1].name,
            file=stack[-1].filename,
            line=stack[-1].lineno,
            left_out=left_out,
            stack="".join(traceback.format_list(stack[-STACK_FRAMES_MAX:])),
        )


def watch(runtime: Runtime, stall_s: float) -> Watchdog | None:
    """
    Begin to watch a reactor, unless it is a simulated one.

    :param stall_s: How long it may be held up; 0: don't watch.
    """
    reactor = runtime.reactor
    simulated = getattr(reactor, "runtime", None) is runtime
    if not stall_s or simulated or not IReactorFromThreads.providedBy(reactor):
        return None
    watchdog = Watchdog(runtime, stall_s)
    watchdog.start()
    return watchdog
