# -*- test-case-name: tests.pulse.test_doctor_command -*-
"""
``pulse doctor``: what is wrong, and what to do about it.
"""

from __future__ import annotations

import sys
from typing import Final

import attrs
import click

from mycorrizal.pulse.cluster_messages import AskVitals, Vitals
from mycorrizal.pulse.diagnosis import diagnose, page
from mycorrizal.pulse.everybody import everybody
from mycorrizal.pulse.options import Command
from mycorrizal.pulse.render import folded, printable
from mycorrizal.pulse.session import EXIT_REFUSED, Session

#: Of what a finding says below its number.
_INDENT: Final = 3


@click.command(cls=Command)
@click.pass_obj
def doctor(session: Session) -> None:
    """
    Find what is wrong with the cluster, and how to mend it.

    The exit code is 1 if anything is.
    """
    said = everybody(session, AskVitals(probe=True), Vitals)
    asked = next((one.node_id for one in said if not one.took_ms and one.reply), "")
    findings = diagnose(said, asked)
    lines = map(printable, page(findings, len(said)).splitlines())
    text = "\n".join(folded(line, sys.stdout, _INDENT) for line in lines)
    session.say(text, [attrs.asdict(finding) for finding in findings])
    if findings:
        raise SystemExit(EXIT_REFUSED)
