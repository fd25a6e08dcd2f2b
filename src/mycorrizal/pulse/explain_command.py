# -*- test-case-name: tests.pulse.test_explain_command -*-
"""
``pulse explain``: where a value is, and why a get finds it or misses.
"""

from __future__ import annotations

import attrs
import click

from mycorrizal.pulse.cluster_messages import AskExplain, Known
from mycorrizal.pulse.everybody import everybody
from mycorrizal.pulse.explaining import explained, page
from mycorrizal.pulse.options import Command
from mycorrizal.pulse.render import terminal_width
from mycorrizal.pulse.session import Session, Trouble


@click.command(cls=Command)
@click.argument("bucket")
@click.argument("key")
@click.pass_obj
def explain(session: Session, bucket: str, key: str) -> None:
    """Say where a value is, and why a get finds it or misses."""
    found = explained(bucket, key, everybody(session, AskExplain(bucket, key), Known))
    if found is None:
        raise Trouble(
            f"no bucket {bucket!r}; `pulse cache buckets` lists what is there"
        )
    session.say(page(found, terminal_width()), attrs.asdict(found, recurse=False))
