# -*- test-case-name: benchmarks.tests.test_rows -*-
"""
PING: how long a ping takes while a gigabyte flows over the same link.

Peers take each other for dead by their pings, so that this time bounds how
quickly a cluster can decide without being wrong.
"""

from __future__ import annotations

import attrs

from benchmarks import ours
from benchmarks.processes import Crew
from benchmarks.rows import Bar, Better, Peer, Row, Sample
from benchmarks.workloads.one_way import Load

#: One ping is sent so often.
PING_INTERVAL_S = 0.005


def ping(quick: bool) -> Row:
    load = Load(payload_bytes=1024 * 1024, warmup=10, measured=200 if quick else 1014)
    return Row(
        id="PING",
        title="ping, p99, while 1 GiB of messages of 1 MiB goes to the same peer",
        unit="ms",
        better=Better.LOWER,
        ours=(under_load(load, "off"), under_load(load, "auto")),
        bar=Bar(must=50.0),
    )


def under_load(load: Load, tls: str) -> Peer:
    def measure(crew: Crew) -> Sample:
        counts = attrs.asdict(load)
        receiver = crew.start(
            "receiver", f"{ours.__name__}:receive", load=counts, call="send", tls=tls
        )
        address = crew.expect(receiver, "ready")
        sender = crew.start(
            "sender",
            f"{ours.__name__}:send_and_ping",
            load=counts,
            address=address,
            tls=tls,
            interval_s=PING_INTERVAL_S,
        )
        crew.expect(sender, "ready")
        crew.start_usage()
        p99_ms = crew.expect(sender, "done")
        crew.expect(receiver, "done")
        return Sample(value=p99_ms, operations=load.total, usage=crew.usage())

    return Peer(
        name=f"tls {tls}",
        measure=measure,
        needs=(ours.NEEDED,),
        settings=f"Application.send of {load.payload_bytes >> 20} MiB messages,"
        f" tls={tls}, a ping each {PING_INTERVAL_S * 1000:g} ms",
    )
