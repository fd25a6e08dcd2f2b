# -*- test-case-name: tests.pulse -*-
"""
Pulse: the command line, to see, ask and operate a cluster.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command ``pulse``."""
    try:
        from mycorrizal.pulse.cli import run
    except ImportError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.stderr.write(
            f"pulse needs {error.name}, which is not installed; run "
            "`pip install 'mycorrizal[pulse]'`\n"
        )
        raise SystemExit(2) from None
    run()
