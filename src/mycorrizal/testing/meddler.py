# -*- test-case-name: tests.testing.test_meddler -*-
"""
Somebody on the way between two nodes, who changes how they greet each other.

What a TCP connection begins with is in the clear; whoever can change that
could talk nodes into less than both of them can do.  So both prove afterwards
what they have said and heard (`mycorrizal.nodosum.wire.handshake`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from mycorrizal.nodosum.wire.frame import HEADER, HEADER_BYTES, encode_frame
from mycorrizal.nodosum.wire.limits import FRAME_BYTES_MIN, MAGIC, FrameType
from mycorrizal.nodosum.wire.version import VersionI, VersionR

#: Greetings that one meddler changes: nodes that were told apart for longer
#: would take each other for dead.
REWRITTEN_MAX: Final = 2
#: A key that nobody has.
_NO_KEY: Final = 0x5EED

_GREETINGS: Final[dict[int, type[VersionI] | type[VersionR]]] = {
    FrameType.VERSION_I: VersionI,
    FrameType.VERSION_R: VersionR,
}


def _keys(said: Any) -> dict[str, Any]:
    if isinstance(said, VersionI):
        return {"key_ids": (_NO_KEY, *said.key_ids[:3])}
    return {"key_id": _NO_KEY}


#: What is changed, by name: the fields of either greeting.
_CHANGES: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    "features": lambda said: {"features": said.features ^ 1},
    "frames": lambda said: {"frame_bytes_max": FRAME_BYTES_MIN},
    "keys": _keys,
    "incarnation": lambda said: {"incarnation": said.incarnation + 1},
    "versions": lambda said: {"version_max": said.version_max + 1},
    "tls": lambda said: {"tls": not said.tls},
}

#: What a meddler may change: the greeting of who dials, or of who answers.
HOW: Final = tuple(f"{what} of {whose}" for what in _CHANGES for whose in ("I", "R"))


class Meddler:
    """
    Somebody who changes the next greetings that come along.

    :param how: One of `HOW`.
    :param may: Whether to change one now.
    :ivar left: How many are still to be changed.
    """

    def __init__(self, how: str, may: Callable[[], bool] = lambda: True) -> None:
        what, _, whose = how.partition(" of ")
        self.left = REWRITTEN_MAX
        self._change = _CHANGES[what]
        self._kind = FrameType.VERSION_I if whose == "I" else FrameType.VERSION_R
        self._may = may

    def rewrite(self, connection: int, data: bytes) -> bytes:
        """What becomes of bytes that were written at once."""
        if not self.left or len(data) < HEADER_BYTES:
            return data
        _, kind, length, _ = HEADER.unpack_from(data)
        end = HEADER_BYTES + length
        if kind != self._kind or data[HEADER_BYTES : HEADER_BYTES + 4] != MAGIC:
            return data
        if len(data) < end or not self._may():
            return data
        self.left -= 1
        said = _GREETINGS[kind].decode(data[HEADER_BYTES:end])
        said = attrs.evolve(said, **self._change(said))
        return encode_frame(kind, said.encode()) + data[end:]
