# -*- test-case-name: tests.pulse.test_debug_command -*-
"""
What all nodes say of themselves, in files for whoever is asked for help.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import click
import msgspec

from mycorrizal.pulse import event_render, render
from mycorrizal.pulse.cluster_messages import Events, FromAll, HasConfig, Vitals
from mycorrizal.pulse.diagnosis import diagnose, page
from mycorrizal.pulse.everybody import Said, sorted_out
from mycorrizal.pulse.messages import Status
from mycorrizal.version import __version__

#: How wide tables in files are.
_WIDTH: Final = 200

_ABOUT = """\
What the nodes of a mycorrizal cluster said of themselves, to `pulse debug`.

about.json   when, by way of which node, and who did not answer
nodes.txt    the nodes, as each of them sees the others
status.json  state, members, buckets and applications of each node
config.json  the settings of each node; secrets are masked
events.txt   what happened, of all nodes, in the order of the cluster's clock
events.json  the same, with all fields, as JSON on lines
vitals.json  what each node knows that may be wrong with it
doctor.txt   what `pulse doctor` makes of that

There are no keys and no values of the cache in here, and no secrets. There are
addresses, host names, labels, and the names of nodes, buckets and applications.
"""


@attrs.frozen
class Answers:
    """What was asked of all nodes, and what they said."""

    status: list[Said[Status]]
    events: list[Said[Events]]
    vitals: list[Said[Vitals]]
    config: list[Said[HasConfig]]

    @classmethod
    def of(cls, found: Sequence[FromAll]) -> Answers:
        """The answers to four questions, in this order."""
        status, events, vitals, config = found
        return cls(
            sorted_out(status, Status),
            sorted_out(events, Events),
            sorted_out(vitals, Vitals),
            sorted_out(config, HasConfig),
        )

    @property
    def asked(self) -> Status:
        """The node that asked the others; it answers itself at once."""
        return next(one.reply for one in self.status if one.reply and not one.took_ms)

    @property
    def wall_s(self) -> float:
        """When it was, by the clock of that node."""
        node_id = self.asked.node.id
        return next(
            one.reply.wall_s
            for one in self.vitals
            if one.reply and one.node_id == node_id
        )

    def silent(self) -> dict[str, str]:
        """Who did not answer something, and why."""
        every: list[Said[Any]] = [
            *self.status,
            *self.events,
            *self.vitals,
            *self.config,
        ]
        return {one.node_id: one.problem for one in every if one.reply is None}


def files(answers: Answers) -> dict[str, bytes]:
    """The files, by name."""
    asked = answers.asked
    happened = [it for one in answers.events if one.reply for it in one.reply.events]
    happened = event_render.in_order(happened)
    findings = diagnose(answers.vitals, asked.node.id)
    about = {
        "pulse": __version__,
        "cluster": asked.node.cluster,
        "asked": asked.node.id,
        "at": datetime.fromtimestamp(answers.wall_s, UTC).isoformat(),
        "nodes": len(answers.status),
        "silent": answers.silent(),
    }
    texts = {
        "README.txt": _ABOUT,
        "nodes.txt": _nodes(answers.status),
        "events.txt": "\n".join(event_render.lines(happened)),
        "doctor.txt": _printable(page(findings, len(answers.vitals))),
    }
    found = {name: _plain(text) for name, text in texts.items()}
    found["about.json"] = _json(about)
    found["status.json"] = _json(_by_node(answers.status))
    found["config.json"] = _json(_by_node(answers.config))
    found["vitals.json"] = _json(_by_node(answers.vitals))
    lines = [msgspec.json.encode(event) + b"\n" for event in happened]
    found["events.json"] = b"".join(lines)
    return found


def packed(found: dict[str, bytes], directory: str, wall_s: float) -> bytes:
    """A ``tar.gz`` of the files, all of them in a directory."""
    # The same answers make the same bytes: no time of packing is kept.
    out = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", fileobj=out, mtime=int(wall_s)) as pressed,
        tarfile.open(fileobj=pressed, mode="w") as archive,
    ):
        for name, data in sorted(found.items()):
            entry = tarfile.TarInfo(f"{directory}/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(wall_s)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _nodes(said: Sequence[Said[Status]]) -> str:
    parts: list[str] = []
    for one in said:
        text = one.problem
        if one.reply is not None:
            text = render.status(one.reply, _WIDTH)
        parts.append(f"== {render.printable(one.node_id)}\n{text}\n")
    return "\n".join(parts)


def _by_node(said: Sequence[Said[Any]]) -> dict[str, Any]:
    return {
        one.node_id: msgspec.structs.asdict(one.reply)
        for one in said
        if one.reply is not None
    }


def _json(data: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"


def _plain(text: str) -> bytes:
    return (click.unstyle(text).rstrip("\n") + "\n").encode()


def _printable(text: str) -> str:
    return "\n".join(map(render.printable, text.splitlines()))
