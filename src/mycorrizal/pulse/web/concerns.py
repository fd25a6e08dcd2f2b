# -*- test-case-name: tests.pulse.web.test_concerns -*-
"""
What an operator should look at, the worst first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from mycorrizal.pulse.web.report import PeerReport, Report

#: Bad is red, warn is yellow.
BAD: Final = "bad"
WARN: Final = "warn"
#: What waits for one peer before that is worth a word.
QUEUED_BYTES: Final = 1024 * 1024
#: A bucket that has evicted and misses more often than this is too small.
MISSES_SHARE: Final = 0.5
READS_MIN: Final = 1000
LAG_MS: Final = 250.0
#: Shown at once; of more there is a count.
SHOWN_MAX: Final = 20


class Concern(msgspec.Struct, frozen=True):
    """
    One thing that is not as it should be.

    :ivar level: bad or warn.
    :ivar text: What it is.
    :ivar advice: What to do about it.
    """

    level: str
    text: str
    advice: str


def concerns(
    own: Report, others: Mapping[str, Report], lag_ms: float = 0.0
) -> list[Concern]:
    """
    What is wrong with a cluster, as one node sees it.

    :param own: Its own report.
    :param others: The last report of each other member.
    :param lag_ms: How late its reactor was lately.
    """
    reports = [own, *others.values()]
    found = [
        *_of_node(own, lag_ms),
        *_of_drained(reports),
        *_of_members(own.peers),
        *_of_one_way_links(own, others),
        *_of_copies(reports),
        *_of_versions(reports),
        *_of_buckets(reports),
    ]
    found.sort(key=lambda each: each.level != BAD)
    if len(found) > SHOWN_MAX:
        more = len(found) - SHOWN_MAX
        rest = Concern(WARN, f"{more} more warnings", "See to the first ones.")
        found = [*found[:SHOWN_MAX], rest]
    return found


def _of_node(own: Report, lag_ms: float) -> Iterator[Concern]:
    if own.leaving:
        yield Concern(WARN, f"{own.id} is leaving", "It hands over what it holds.")
    elif not own.ready:
        yield Concern(
            WARN,
            f"{own.id} is not ready",
            "It looks for others; the log names each that it can't reach.",
        )
    if lag_ms >= LAG_MS:
        yield Concern(
            WARN,
            f"{own.id}'s reactor was held up for {lag_ms:.0f} ms",
            "The log names the code; move it to a thread.",
        )


def _of_drained(reports: Iterable[Report]) -> Iterator[Concern]:
    for report in reports:
        if report.drained:
            yield Concern(
                WARN,
                f"{report.id} is drained: it is out of service",
                f"`pulse drain {report.id} --undo` brings it back.",
            )


def _of_members(peers: Iterable[PeerReport]) -> Iterator[Concern]:
    for peer in peers:
        if peer.state == "dead":
            yield Concern(
                BAD,
                f"{peer.id} at {peer.address} is dead",
                "Start it again, or forget it: its slots have passed to others.",
            )
        elif peer.state == "suspect":
            yield Concern(
                BAD,
                f"{peer.id} at {peer.address} is suspect: it is not heard",
                "It may be stopped, overloaded, or cut off.",
            )
        elif peer.state == "alive" and peer.link != "up":
            yield Concern(
                WARN,
                f"No link to {peer.id} at {peer.address}, but {peer.link}",
                "Check the firewall between the two nodes.",
            )
        if peer.queued_bytes >= QUEUED_BYTES:
            yield Concern(
                WARN,
                f"{peer.queued_bytes / 1024**2:.1f} MiB wait to go to {peer.id}",
                "It reads too slowly, or the network is too slow.",
            )


def _of_one_way_links(own: Report, others: Mapping[str, Report]) -> Iterator[Concern]:
    for name, report in sorted(others.items()):
        for peer in report.peers:
            lost = peer.state in ("alive", "suspect") and peer.link != "up"
            if lost and peer.id != own.id and peer.id in others and name < peer.id:
                yield Concern(
                    WARN,
                    f"{name} has no link to {peer.id}",
                    "Check the network between these two nodes.",
                )


def _of_copies(reports: list[Report]) -> Iterator[Concern]:
    moving = sum(report.moving for report in reports)
    missing = sum(report.missing for report in reports)
    if moving:
        yield Concern(
            WARN,
            "1 slot changes hands" if moving == 1 else f"{moving} slots change hands",
            "Seconds after nodes came or went this is over; stop no other until then.",
        )
    if missing:
        yield Concern(
            WARN,
            "1 copy is missing" if missing == 1 else f"{missing} copies are missing",
            "They are being made; if that does not end, add memory or nodes.",
        )


def _of_versions(reports: list[Report]) -> Iterator[Concern]:
    versions = Counter(report.version for report in reports)
    if len(versions) > 1:
        mix = ", ".join(f"{count} × {name}" for name, count in sorted(versions.items()))
        yield Concern(WARN, f"Versions differ: {mix}", "Finish the upgrade.")


def _of_buckets(reports: list[Report]) -> Iterator[Concern]:
    reads: Counter[str] = Counter()
    misses: Counter[str] = Counter()
    evicted: Counter[str] = Counter()
    for report in reports:
        for bucket in report.buckets:
            reads[bucket.name] += bucket.hits + bucket.misses
            misses[bucket.name] += bucket.misses
            evicted[bucket.name] += bucket.evicted
    for name in sorted(reads):
        many = reads[name] >= READS_MIN and misses[name] > MISSES_SHARE * reads[name]
        if evicted[name] and many:
            share = misses[name] / reads[name]
            yield Concern(
                WARN,
                f"Bucket {name} misses {share:.0%} of reads, and evicts values",
                "Give it more room: pulse cache alter.",
            )
