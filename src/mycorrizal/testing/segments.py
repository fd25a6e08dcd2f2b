# -*- test-case-name: tests.testing.test_tcp -*-
"""
How a stream of bytes is cut into segments on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mycorrizal.testing.network import Segmentation

#: Places at which random segmentation may cut what was sent at once.
_CUTS_MAX = 3


def cut_up(
    data: bytes, segmentation: Segmentation, draw: Callable[[], float]
) -> Sequence[bytes]:
    """
    The segments in which `data` travels.

    Single bytes are cut off only where they arrive, by the transport: an
    event for each would cost too much.

    :param draw: Returns a random float in [0, 1).
    """
    if segmentation != "random" or len(data) < 2:
        return (data,)
    cuts = sorted({1 + int(draw() * (len(data) - 1)) for _ in range(_CUTS_MAX)})
    kept = cuts[: int(draw() * (_CUTS_MAX + 1))]
    return [data[a:b] for a, b in zip([0, *kept], [*kept, len(data)], strict=True)]
