# -*- test-case-name: tests.pulse.test_audit -*-
"""
Who changed what, in the log and among the events that a node keeps.
"""

from __future__ import annotations

from typing import Final, TypeVar

import attrs
from twisted.logger import Logger
from twisted.python.failure import Failure

from mycorrizal.pulse.messages import Failed
from mycorrizal.recorder import Kind, Recorder

#: Who is denied all that it asks for does not fill the log, or push what happened out
#: of the events: at most one line, and one event, in this time.
DENIED_LOG_S: Final = 1.0
DENIED_EVENT_S: Final = 60.0

T = TypeVar("T")


@attrs.define
class Seldom:
    """
    What is told at most once in a while, with how often it was left out.

    :ivar pause_s: Between two times.
    """

    pause_s: float
    _quiet_until: float = float("-inf")
    _left_out: int = 0

    def now(self, now: float) -> int | None:
        """
        It has happened.

        :return: None if it is not told; else how many were left out before.
        """
        if now < self._quiet_until:
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        self._quiet_until = now + self.pause_s
        return left_out


@attrs.frozen
class Deed:
    """
    Something that somebody asks this node to change.

    :ivar who: The client or node, with the fingerprint of its key.
    :ivar place: Where it asks from, ``HOST:PORT``.
    :ivar action: A word for it.
    :ivar resource: Of what.
    """

    who: str
    place: str
    action: str
    resource: str


class Audit:
    """
    What is told of those who change something, or may not.
    """

    _log = Logger()

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._line, self._event = Seldom(DENIED_LOG_S), Seldom(DENIED_EVENT_S)

    def begun(self, deed: Deed) -> None:
        """It is asked for, and granted."""
        self._log.info(
            "{who} at {place} asks for {what} of {resource!r}",
            who=deed.who,
            place=deed.place,
            what=deed.action,
            resource=deed.resource,
        )

    def ended(self, result: T, deed: Deed) -> T:
        """
        It is done, or has failed.

        :param result: The answer, or why there is none.
        :return: The same, so that it may stand in a chain of callbacks.
        """
        said = "done"
        if isinstance(result, Failure):
            said = f"{type(result.value).__name__}: {result.getErrorMessage()}"
        elif isinstance(result, Failed):
            said = f"{result.error}: {result.text}"
        text = f"{deed.who} at {deed.place}: {deed.action} of {deed.resource!r}: {said}"
        self._note(Kind.ADMIN, text, deed, said)
        return result

    def denied(self, deed: Deed, wanted: str, now: float) -> None:
        """
        It is not granted.

        :param wanted: What it would take.
        """
        left_out = self._line.now(now)
        if left_out is not None:
            self._log.warn(
                "Denied {who} at {place} what needs {wanted!r}{more}",
                who=deed.who,
                place=deed.place,
                wanted=wanted,
                more=_more(left_out),
            )
        left_out = self._event.now(now)
        if left_out is not None:
            text = f"Denied {deed.who} at {deed.place} what needs {wanted!r}"
            self._note(Kind.DENIED, text + _more(left_out), deed, "denied")

    def _note(self, kind: Kind, text: str, deed: Deed, result: str) -> None:
        self._recorder.note(
            kind,
            text,
            who=deed.who,
            address=deed.place,
            action=deed.action,
            resource=deed.resource,
            result=result,
        )


def _more(left_out: int) -> str:
    return f" (and {left_out} more)" if left_out else ""
