# -*- test-case-name: tests.pulse.web.test_pace -*-
"""
How fast a node is at work, second by second, and how late its reactor is.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from mycorrizal.histogram import Histogram, quantile
from mycorrizal.mycel.operations.latencies import Latencies
from mycorrizal.pulse.web.report import Report
from mycorrizal.runtime import Runtime, Timer

#: How often the reactor is expected to be there.
BEAT_S: Final = 0.2
#: So late it counts as held up.
STALL_S: Final = 0.1
#: Samples that are kept: five minutes of seconds.
SAMPLES_MAX: Final = 300


class Sample(msgspec.Struct):
    """
    One second of a node.

    :ivar at: When it ended, Unix seconds.
    :ivar lag_ms: How late the reactor was at worst.
    :ivar p50_ms: Of operations that went to another node; None: there was none.
    """

    at: float
    gets_per_s: float
    puts_per_s: float
    frames_in_per_s: float
    frames_out_per_s: float
    bytes_in_per_s: float
    bytes_out_per_s: float
    lag_ms: float
    p50_ms: float | None
    p99_ms: float | None


class Pace:
    """
    The last minutes of one node.

    :ivar samples: The latest one last.
    :ivar lags: How late the reactor was, seconds.
    :ivar stalls: How often that was `STALL_S` or more.
    """

    def __init__(self, runtime: Runtime, latencies: Latencies) -> None:
        self._runtime = runtime
        self.latencies = latencies
        self.samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)
        self.lags = Histogram()
        self.stalls = 0
        self._worst_s = 0.0
        self._timer: Timer | None = None
        self._last: tuple[Report, float, list[int]] | None = None

    def start(self) -> None:
        """Begin to look at the clock."""
        self._timer = self._runtime.call_later(
            BEAT_S, self.beat, self._runtime.now() + BEAT_S
        )

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def beat(self, due: float) -> None:
        """The reactor runs, and should have at `due`, monotonic."""
        late_s = max(0.0, self._runtime.now() - due)
        self.lags.observe(late_s)
        self.stalls += late_s >= STALL_S
        self._worst_s = max(self._worst_s, late_s)
        self.start()

    def sample(self, report: Report) -> Sample | None:
        """
        Take down what has happened since the last time.

        :return: None the first time.
        """
        now = self._runtime.now()
        counts = [sum(each) for each in zip(*self._counts(), strict=True)]
        last, self._last = self._last, (report, now, counts)
        worst_s, self._worst_s = self._worst_s, 0.0
        if last is None or now <= last[1]:
            return None
        was, at, counted = last
        recent = [new - old for new, old in zip(counts, counted, strict=True)]
        rate = _Rate(was, report, now - at)
        found = Sample(
            round(self._runtime.wall(), 3),
            rate.of("gets"),
            rate.of("puts"),
            rate.of("received_frames"),
            rate.of("sent_frames"),
            rate.of("received_bytes"),
            rate.of("sent_bytes"),
            round(worst_s * 1000, 3),
            self._quantile_ms(recent, 0.5),
            self._quantile_ms(recent, 0.99),
        )
        self.samples.append(found)
        return found

    def _counts(self) -> list[list[int]]:
        return [histogram.counts for histogram in self.latencies.by_kind.values()]

    @staticmethod
    def _quantile_ms(counts: list[int], share: float) -> float | None:
        value_s = quantile(Histogram().bounds, counts, share)
        return None if value_s is None else round(value_s * 1000, 3)


class _Rate:
    """What has been counted per second between two reports of one node."""

    def __init__(self, was: Report, now: Report, elapsed_s: float) -> None:
        self._was = was
        self._now = now
        self._elapsed_s = elapsed_s

    def of(self, name: str) -> float:
        """The rate of one count; a dropped bucket takes its counts along."""
        counted: int = getattr(self._now, name) - getattr(self._was, name)
        return round(max(0, counted) / self._elapsed_s, 2)


def rate_per_s(was: Report, now: Report, elapsed_s: float, name: str) -> float:
    """How much one of the counts has grown per second."""
    return _Rate(was, now, elapsed_s).of(name) if elapsed_s > 0 else 0.0
