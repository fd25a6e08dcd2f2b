# -*- test-case-name: tests.pulse.test_doctor_command -*-
"""
What is wrong with a cluster, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mycorrizal.pulse.cluster_messages import Vitals
from mycorrizal.pulse.everybody import Said
from mycorrizal.pulse.expiry import expiring
from mycorrizal.pulse.findings import Finding
from mycorrizal.pulse.reach import names, unreachable

#: Clocks that differ by less do no harm.
SKEW_S_MAX: Final = 1.0


def diagnose(said: Sequence[Said[Vitals]], asked_id: str) -> list[Finding]:
    """
    Find what is wrong.

    :param asked_id: The node that asked the others, whose clock counts.
    """
    found = [one.reply for one in said if one.reply is not None]
    findings: list[Finding] = []
    for one in said:
        if one.reply is None:
            findings.append(
                Finding(
                    one.node_id,
                    f"it {one.problem}",
                    "see whether its process runs and is not held up, and that "
                    "nothing between the machines drops its port",
                )
            )
    for vital in found:
        findings += _connections(vital)
        findings += _settings(vital)
    findings += _clocks(said, asked_id)
    findings += unreachable(found)
    findings += expiring(found)
    findings += _together(found)
    # What several nodes see of one thing is said once.
    return list({(it.what, it.fix): it for it in findings}.values())


def _connections(vital: Vitals) -> Iterator[Finding]:
    node_id = vital.node_id
    for address, reason in vital.refusals:
        yield Finding(node_id, f"{address} refuses it: {reason}", _admission(reason))
    for sentence in vital.refused:
        yield Finding(node_id, sentence, _admission(sentence))
    for address in vital.silent:
        yield Finding(
            node_id,
            f"nobody is at {address}, which discovery names",
            "start the node there, open its port for TCP and UDP, or take the "
            "address out of --static",
        )
    for way, problem in vital.discovery:
        yield Finding(
            node_id,
            f"discovery by {way} fails: {problem}",
            "check the name with `dig`, or the URL with `curl`, on that machine; "
            "nodes that are known already stay linked",
        )


def _admission(reason: str) -> str:
    if "certificate" in reason:
        return (
            "give that node a certificate of an authority in --tls-ca that is valid "
            "and bears its name, and both nodes the same --tls; see the howto on "
            "certificates"
        )
    if "TLS" in reason:
        return "give all nodes the same --tls"
    if "alone" in reason or "--single" in reason:
        return "take --single off that node, or take its address out of --static"
    if "version" in reason:
        return "install the same version on all nodes"
    if "cluster name" in reason or "secret" in reason or "prove" in reason:
        return (
            "give all nodes the same --secret-file and --cluster-name; `pulse status` "
            "shows the fingerprint of the secret"
        )
    return "see the logs of both nodes for the time it happened"


def _settings(vital: Vitals) -> Iterator[Finding]:
    node_id = vital.node_id
    host = vital.address.rpartition(":")[0]
    if vital.tls == "off" and not host.startswith("127.") and host != "[::1]":
        yield Finding(
            node_id,
            "TLS is off, and others on the network can read what is sent",
            "start all nodes with --tls auto",
        )
    for sentence in vital.conflicts:
        if "Bucket" in sentence:
            fix = (
                "create it with the same settings everywhere, or `pulse cache alter` it"
            )
        else:
            fix = "give each node a --node-id, and a --state-dir, of its own"
        yield Finding(node_id, sentence, fix)
    for bucket, evicted in vital.crowded.items():
        yield Finding(
            node_id,
            f"bucket {bucket} is too small: {evicted:,} values went for want of room",
            "give it more with `pulse cache alter --max-entries` or --max-bytes",
        )
    if vital.stalls:
        yield Finding(
            node_id,
            f"it did not run {vital.stalls} times, for {vital.stalled_s:.1f} s in all",
            "its log names the code that held up the reactor: move that to a thread; "
            "or the machine has too little time for it",
        )


def _clocks(said: Sequence[Said[Vitals]], asked_id: str) -> Iterator[Finding]:
    walls = {one.node_id: one for one in said if one.reply is not None}
    asked = walls.get(asked_id)
    if asked is None or asked.reply is None:
        return
    for node_id, one in walls.items():
        assert one.reply is not None
        skew_s = one.reply.wall_s - asked.reply.wall_s
        if abs(skew_s) > SKEW_S_MAX + one.took_ms / 1000:
            where = "ahead of" if skew_s > 0 else "behind"
            yield Finding(
                node_id,
                f"its clock is {abs(skew_s):.1f} s {where} that of {asked_id}",
                "run an NTP client, such as chrony, on all machines",
            )


def _together(found: list[Vitals]) -> Iterator[Finding]:
    versions = sorted({vital.version for vital in found})
    if len(versions) > 1:
        yield Finding(
            "",
            f"versions differ: {', '.join(versions)}",
            "finish the upgrade: install the newest on all nodes",
        )
    states: dict[str, str] = {}
    for vital in found:
        for node_id, state in vital.members.items():
            if states.get(node_id) != "alive":
                states[node_id] = state
    for node_id, state in sorted(states.items()):
        if state == "dead":
            yield Finding(
                node_id,
                "it is dead",
                "start it again; `pulse events --level warn` shows how it went",
            )
    missing = sum(vital.missing for vital in found)
    if missing:
        yield Finding(
            "",
            f"{missing:,} copies are missing",
            "wait, and stop no node before `pulse check` says that none is missing",
        )
    yield from _buckets_apart(found)
    yield from _copies(found, sum(state == "alive" for state in states.values()))


def _buckets_apart(found: list[Vitals]) -> Iterator[Finding]:
    """Buckets that nodes would make in different ways."""
    wanted: dict[tuple[str, str], dict[str, list[str]]] = {}
    for vital in found:
        for bucket, settings in vital.buckets.items():
            for name, text in settings.items():
                who = wanted.setdefault((bucket, name), {}).setdefault(text, [])
                who.append(vital.node_id)
    for (bucket, name), texts in sorted(wanted.items()):
        if len(texts) > 1:
            each = ", ".join(f"{text} on {names(who)}" for text, who in texts.items())
            yield Finding(
                "",
                f"bucket {bucket} is set up in different ways: {name} is {each}",
                "give all nodes the same --bucket; what counts until then is what the "
                "first one made of it (`pulse cache buckets`)",
            )


def _copies(found: list[Vitals], alive: int) -> Iterator[Finding]:
    replicas: dict[str, int] = {}
    for vital in found:
        replicas.update(vital.replicas)
    for bucket, count in sorted(replicas.items()):
        if count >= alive > 1:
            yield Finding(
                "",
                f"bucket {bucket} wants {count} copies besides the first, and there "
                f"are {alive} nodes",
                f"start {count + 1 - alive} more, or lower --replicas with "
                "`pulse cache alter`",
            )
    hosts = {vital.host for vital in found}
    addresses = {vital.address.rpartition(":")[0] for vital in found}
    if len(found) > 1 and len(hosts) == 1 and len(addresses) > 1:
        yield Finding(
            "",
            f"all nodes have the host label {hosts.pop()!r}, though they are on "
            "several machines: copies of a value may share one",
            "give --host-label the machine's name, or leave it out",
        )


def page(findings: Sequence[Finding], nodes: int) -> str:
    """All findings, for people."""
    if not findings:
        return f"{nodes} node{'s' * (nodes != 1)} asked; nothing is wrong"
    lines: list[str] = []
    for number, finding in enumerate(findings, 1):
        who = f"{finding.node_id}: " if finding.node_id else ""
        lines += [f"{number}. {who}{finding.what}", f"   Fix: {finding.fix}"]
    return "\n".join(lines)
