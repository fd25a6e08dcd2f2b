# -*- test-case-name: tests.pulse.web.test_happenings -*-
"""
What has happened of late, as the page shows it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from mycorrizal.recorder import Recorder

#: Happenings that the page shows.
SHOWN_MAX: Final = 40


class Happening(msgspec.Struct, frozen=True):
    """
    Something that happened.

    :ivar at: Unix seconds.
    :ivar node: The node that says so.
    :ivar kind: In a word or two, as joined.
    :ivar level: ``info``, ``warn`` or ``error``.
    :ivar text: A sentence.
    """

    at: float
    node: str
    kind: str
    level: str
    text: str


def happenings_of(recorder: Recorder) -> list[Happening]:
    """The latest events of a node, the newest last."""
    return [
        Happening(it.wall_s, it.node, it.kind.value, it.level, it.text)
        for it in recorder.recent(SHOWN_MAX)
    ]
