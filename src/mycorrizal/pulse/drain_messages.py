# -*- test-case-name: tests.pulse.test_drain_command -*-
"""
What Pulse asks of a node that is drained, and what the node answers.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mycorrizal.pulse.cluster_messages import Pause

_Text = Annotated[str, Meta(max_length=1024)]


class AskDrain(msgspec.Struct, tag="drain"):
    """
    Is a node drained, and how far?  Answered by `Draining`.

    :ivar action: ``begin`` or ``undo`` first; ``look`` changes nothing.
    :ivar pause_s: To wait before.
    """

    node_id: _Text
    action: Literal["begin", "undo", "look"] = "look"
    pause_s: Pause = 0.0


class Draining(msgspec.Struct, tag="draining"):
    """
    How far a node is that is drained, or was.

    :ivar done: Whether it has handed over all.
    :ivar slots: That it is primary of.
    :ivar left: How many values and deletes of which bucket are still here, and
        belong elsewhere.
    """

    node_id: str
    drained: bool
    done: bool
    slots: int
    left: dict[str, int] = {}
