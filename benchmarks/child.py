# -*- test-case-name: benchmarks.tests.test_processes -*-
"""
The inside of a child process.

``python -m benchmarks.child LIMIT_S MODULE:FUNCTION JSON`` calls the function
with the arguments in the JSON object. It runs until its crew ends it, or its own
time limit does.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any, NoReturn


def say(key: str, value: Any = None) -> None:
    """
    Tell the crew something: ``ready`` or ``done``.
    """
    sys.stdout.write(json.dumps({key: value}) + "\n")
    sys.stdout.flush()


def fail(reason: str) -> NoReturn:
    """
    End this process at once with a reason; the crew sees both.

    An exception would not do: reactors and event loops log it and go on.
    """
    sys.stderr.write(reason + "\n")
    sys.stderr.flush()
    os._exit(1)


def main(limit_s: str, entry: str, arguments: str) -> None:
    # Without a disposition of its own, SIGALRM ends the process wherever it is.
    signal.alarm(int(limit_s))
    module_name, _, function_name = entry.partition(":")
    # Imported by name, `say` and the entry share one module object of this file.
    function = getattr(importlib.import_module(module_name), function_name)
    function(**json.loads(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
