# -*- test-case-name: tests.test_log_lines -*-
"""
The log as JSON, one object a line, for programs that collect logs.
"""

from __future__ import annotations

import json
import math
from collections.abc import MutableMapping, Sequence
from datetime import UTC, datetime
from typing import IO, Any, Final

from twisted.logger import (
    FileLogObserver,
    LogEvent,
    LogLevel,
    formatEvent,
    textFileLogObserver,
)
from twisted.python.failure import Failure
from twisted.python.reflect import qual, safe_str

#: Characters of a text or field; the rest of a longer one is left out.
TEXT_MAX: Final = 16_384
#: Items of a field that is a list.
ITEMS_MAX: Final = 256
#: What Twisted's older log adds to its events, and is in the line already.
_LEGACY: Final = {"format", "isError", "message", "system", "time", "why", "failure"}


def json_line(event: LogEvent) -> str:
    """
    An event as a line: its time (UTC), level, namespace, text and fields, and
    its failure if there is one.

    All that is no ASCII, and all that a terminal or a program could take for
    more than text, is escaped.
    """
    level = event.get("log_level", LogLevel.info)
    at = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    line: dict[str, Any] = {
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level.name,
        "namespace": _cut(str(event.get("log_namespace"))),
        "text": _cut(formatEvent(event)),
        "fields": {
            name: _plain(value)
            for name, value in event.items()
            if not name.startswith("log_") and name not in _LEGACY
        },
    }
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        line["failure"] = {
            "type": qual(failure.type) if failure.type is not None else "",
            "message": _cut(failure.getErrorMessage()),
            "traceback": _cut(failure.getTraceback()),
        }
    return json.dumps(line, allow_nan=False).replace("\x7f", "\\u007f") + "\n"


def json_lines(out_file: IO[Any]) -> FileLogObserver:
    """An observer that writes lines of JSON to a file."""
    return FileLogObserver(out_file, json_line)


def choose_format(
    twist: MutableMapping[str, Any] | None, arguments: Sequence[str]
) -> None:
    """
    Settle how ``twist`` writes its log: as text, for people, unless it was told
    otherwise; and what it calls JSON as lines that any program can read.

    :param twist: Its options, if these are part of any.
    :param arguments: Of the command.
    """
    if twist is None:
        return
    # By itself it writes JSON where stdout is no terminal.
    if not any(argument.startswith("--log-fo") for argument in arguments):
        twist["logFormat"] = "text"
        twist["fileLogObserverFactory"] = textFileLogObserver
    elif twist.get("logFormat") == "json":
        twist["fileLogObserverFactory"] = json_lines


def _plain(value: object) -> Any:
    """What JSON has for a value."""
    if isinstance(value, (list, tuple)):
        return [_scalar(item) for item in value[:ITEMS_MAX]]
    return _scalar(value)


def _scalar(value: object) -> bool | int | float | str | None:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, (bytes, bytearray)):
        return _cut(repr(bytes(value[:TEXT_MAX]))[2:-1])
    return _cut(value if isinstance(value, str) else safe_str(value))


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX else text[:TEXT_MAX] + "…"
