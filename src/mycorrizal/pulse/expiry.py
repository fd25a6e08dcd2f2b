# -*- test-case-name: tests.pulse.test_expiry -*-
"""
Which certificates of a cluster end soon, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from mycorrizal.pulse.cluster_messages import Vitals
from mycorrizal.pulse.findings import Finding

#: A certificate that has less left is worth a word: two weeks, with a week-end and
#: somebody's holidays in them.
DAYS_LEFT_MIN: Final = 14
_DAY_S: Final = 86400


def expiring(found: Sequence[Vitals]) -> Iterator[Finding]:
    """The findings about certificates that have ended, or soon will."""
    own: dict[str, tuple[float, float]] = {}
    shown: dict[str, tuple[float, float]] = {}
    above: dict[str, tuple[float, float]] = {}
    for vital in found:
        for one in vital.certificates:
            if one.name:
                place, name = above, one.name
            else:
                place = own if one.node_id == vital.node_id else shown
                name = one.node_id
            # By the clock of who is going to judge it.
            place[name] = (one.until_s, vital.wall_s)
    # Who says what it has, has it now; what others saw may be of an earlier day.
    for node_id, (until_s, now_s) in sorted({**shown, **own}.items()):
        if until_s - now_s < DAYS_LEFT_MIN * _DAY_S:
            yield Finding(
                node_id,
                f"its certificate {_ends(until_s, now_s)}",
                "put a new one in the files of --tls-cert and --tls-key on that node, "
                "which reads them again within seconds, without a restart",
            )
    for name, (until_s, now_s) in sorted(above.items()):
        if until_s - now_s < DAYS_LEFT_MIN * _DAY_S:
            yield Finding(
                "",
                f"the authority {name} {_ends(until_s, now_s)}",
                "add its successor to --tls-ca on all nodes, and of Pulse; then give "
                "each a certificate that the successor has signed",
            )


def _ends(until_s: float, now_s: float) -> str:
    when = f"{datetime.fromtimestamp(until_s, UTC):%Y-%m-%d %H:%M} UTC"
    left_s = until_s - now_s
    if left_s < 0:
        return f"expired on {when}"
    days = int(left_s // _DAY_S)
    left = f"{days} day{'s' * (days != 1)}" if days else f"{int(left_s // 3600)} h"
    return f"ends in {left}, on {when}"
