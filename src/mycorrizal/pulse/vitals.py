# -*- test-case-name: tests.pulse.test_doctor_command -*-
"""
What a node knows that may be wrong with it, or with its settings.
"""

from __future__ import annotations

from typing import Final

import attrs

from mycorrizal.mycel import BucketSettings, MycelService
from mycorrizal.nodosum import NodosumService, format_address
from mycorrizal.pulse.certificates import certificate_ends
from mycorrizal.pulse.cluster_messages import Vitals
from mycorrizal.recorder import Event, Kind
from mycorrizal.version import __version__

#: Of one kind, the last so many are told.
_TOLD_MAX: Final = 10


def vitals(nodosum: NodosumService, mycel: MycelService) -> Vitals:
    """All of it, as it is now."""
    contacts = nodosum.mesh.contacts
    events: dict[Kind, list[Event]] = {}
    for event in nodosum.recorder.recent(0):
        events.setdefault(event.kind, []).append(event)
    stalls = [float(it.fields["stall_s"]) for it in events.get(Kind.STALLED, ())]
    settings = mycel.cache.buckets()
    return Vitals(
        nodosum.me.node_id,
        __version__,
        nodosum.node.address,
        mycel.host,
        nodosum.config.tls,
        nodosum.config.single,
        nodosum.runtime.wall(),
        {node.id: node.state for node in nodosum.nodes()},
        mycel.under_replicated(),
        [(format_address(at), reason) for at, reason in contacts.refusals()],
        [format_address(at) for at in contacts.silent()],
        nodosum.rounds.problems(),
        {name: bucket.replicas for name, bucket in settings.items()},
        {
            name: mycel.cache.stats(name).evicted
            for name in settings
            if mycel.cache.stats(name).evicted
        },
        len(stalls),
        round(sum(stalls), 3),
        _texts(events.get(Kind.CONFLICT, [])),
        _texts(events.get(Kind.REFUSED, [])),
        certificates=certificate_ends(nodosum),
        buckets={bucket.name: _wanted(bucket) for bucket in mycel.config.buckets},
    )


def _wanted(bucket: BucketSettings) -> dict[str, str]:
    settings = attrs.asdict(bucket)
    return {name: str(value) for name, value in settings.items() if name != "name"}


def _texts(events: list[Event]) -> list[str]:
    return list(dict.fromkeys(event.text for event in events))[-_TOLD_MAX:]
