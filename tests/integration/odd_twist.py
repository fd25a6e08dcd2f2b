"""
``twist mycorrizal`` on a machine that is not as it should be.

    odd_twist.py AHEAD_S VERSION ARGUMENT...

Its clock is so many seconds ahead of the others', and another version is installed.
"""

from __future__ import annotations

import sys
import time
from types import ModuleType


def main() -> None:
    """Begin before anything has read the clock, or the version."""
    ahead_s, version, *arguments = sys.argv[1:]
    right = time.time

    def wrong() -> float:
        return right() + float(ahead_s)

    time.time = wrong
    installed = ModuleType("mycorrizal.version")
    vars(installed)["__version__"] = version
    sys.modules[installed.__name__] = installed
    from twisted.application.twist._twist import Twist

    Twist.main(["twist", "mycorrizal", *arguments])


main()
