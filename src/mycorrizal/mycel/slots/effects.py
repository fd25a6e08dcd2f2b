# -*- test-case-name: tests.mycel.slots.test_claims -*-
"""
All that claims can ask of the world.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from mycorrizal.mycel.slot_messages import Claim, Moved


@attrs.frozen
class AskClaim:
    """Ask a node to agree to a claim; tell `Claims.answered` what it says."""

    node_key: bytes
    claim: Claim


@attrs.frozen
class Began:
    """This node is primary of these slots from now on."""

    slots: int


@attrs.frozen
class Ended:
    """This node is primary of these slots no more."""

    slots: int


@attrs.frozen
class Fetchable:
    """A node holds something of slots of ours: fetch it, then `Claims.fetched`."""

    node_key: bytes


@attrs.frozen
class Tell:
    """Tell a node that it has promised to the wrong one."""

    node_key: bytes
    moved: Moved


Effect: TypeAlias = AskClaim | Began | Ended | Fetchable | Tell
Effects: TypeAlias = tuple[Effect, ...]
