# -*- test-case-name: benchmarks.tests.test_rounds -*-
"""
The turns of a row, and what several rounds say together.

All peers play once in each round, and each round begins with another peer, so
that none of them always follows the same one. Ratios are of medians; the
spread of a ratio is taken from the ratios within each round, where both sides
met the same weather.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from benchmarks.processes import Crew, MeasurementFailed
from benchmarks.rows import Bar, Peer, Row, Sample

Samples = dict[str, list[Sample]]


def play(row: Row, rounds: int, announce: Callable[[str], None]) -> Samples:
    """
    :return: the samples of each peer by its name, one for each round.
    :raises MeasurementFailed: naming the row and the peer.
    """
    samples: Samples = {peer.name: [] for peer in row.peers}
    started_s = time.monotonic()
    for number in range(rounds):
        for peer in _rotated(row.peers, number):
            samples[peer.name].append(_measure(row, peer))
        elapsed_s = time.monotonic() - started_s
        left_s = elapsed_s / (number + 1) * (rounds - number - 1)
        announce(
            f"{row.id}: round {number + 1} of {rounds},"
            f" {elapsed_s:.0f} s, {left_s:.0f} s to go"
        )
    return samples


def _measure(row: Row, peer: Peer) -> Sample:
    try:
        with Crew(row.timeout_s) as crew:
            return peer.measure(crew)
    except MeasurementFailed as error:
        raise MeasurementFailed(f"{row.id}, {row.label(peer)}: {error}") from error


def _rotated(peers: tuple[Peer, ...], by: int) -> tuple[Peer, ...]:
    by %= max(1, len(peers))
    return (*peers[by:], *peers[:by])


def spread(values: list[float]) -> float | None:
    """
    :return: half of the range, as a part of the median; None for less than two.
    """
    middle = median(values) if len(values) > 1 else 0
    return (max(values) - min(values)) / 2 / middle if middle else None


def summary(samples: list[Sample]) -> dict[str, Any]:
    """
    :return: what the rounds of one peer say together, ready for JSON.
    """
    values = [sample.value for sample in samples]
    return {
        "median": median(values),
        "spread": spread(values),
        "rounds": values,
        "operations": samples[0].operations,
        "processes": {
            name: {
                "cpu_s": median(sample.usage[name].cpu_s for sample in samples),
                "rss_bytes_max": max(
                    sample.usage[name].rss_bytes_max for sample in samples
                ),
            }
            for name in samples[0].usage
        },
    }


def comparisons(row: Row, samples: Samples) -> Iterator[dict[str, Any]]:
    """
    :return: one JSON row for each of our ways with each rival; where one side
        did not play, its figure and the ratio are None.
    """
    ways: list[Peer | None] = [*row.ours] or [None]
    for way in ways:
        if row.rivals:
            for rival in row.rivals:
                yield _comparison(row, way, rival.peer, rival.bar, samples)
        else:
            yield _comparison(row, way, None, row.bar, samples)


def _comparison(
    row: Row, way: Peer | None, peer: Peer | None, bar: Bar, samples: Samples
) -> dict[str, Any]:
    ours = summary(samples[way.name]) if way else None
    theirs = summary(samples[peer.name]) if peer else None
    ratio = ratio_spread = None
    if ours and theirs:
        ratio = ours["median"] / theirs["median"]
        pairs = zip(ours["rounds"], theirs["rounds"], strict=True)
        ratio_spread = spread([one / other for one, other in pairs])
    own = ours["median"] if ours else None
    return {
        "id": row.id,
        "way": way.name if way else None,
        "peer": peer.name if peer else None,
        "ours": own,
        "theirs": theirs["median"] if theirs else None,
        "unit": row.unit,
        "better": row.better.value,
        "ratio": ratio,
        "spread": ratio_spread if peer or not ours else ours["spread"],
        **bar.verdict(ratio if peer else own, row.better),
    }
