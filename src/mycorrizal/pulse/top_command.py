# -*- test-case-name: tests.pulse.test_top_command -*-
"""
``pulse top``: a cluster at work, as it happens.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import attrs
import click
import msgspec

from mycorrizal.pulse.everybody import Said, keep_asking
from mycorrizal.pulse.messages import AskStatus, Status
from mycorrizal.pulse.options import Command
from mycorrizal.pulse.render import terminal_width
from mycorrizal.pulse.screen import Keyboard, Screen
from mycorrizal.pulse.session import Session, Trouble, WrongUsage
from mycorrizal.pulse.top_figures import Picture, picture
from mycorrizal.pulse.top_render import View, page, text

#: A node waits no longer for who asks again.
INTERVAL_S_MIN: Final = 0.2
INTERVAL_S_MAX: Final = 2.0


class Top:
    """
    The live view: what was seen last, and how it is wanted.

    :param colour: Whether there may be any.
    """

    def __init__(self, screen: Screen, *, colour: bool = True) -> None:
        self._screen = screen
        self._colour = colour
        self._view = View()
        self._found: Picture | None = None

    def pressed(self, key: str) -> None:
        """A key that changes the view; it is seen at once."""
        self._view = self._view.after(key)
        self._show()

    def saw(self, found: Picture) -> None:
        """A new look at the cluster."""
        self._found = found
        self._show()

    def _show(self) -> None:
        if self._found is None:
            return
        lines = page(self._found, self._view, *self._screen.size())
        if not self._colour:
            lines = [click.unstyle(line) for line in lines]
        self._screen.show(lines)


@click.command(cls=Command)
@click.option("--once", is_flag=True, help="Print one page, and end.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(INTERVAL_S_MIN, INTERVAL_S_MAX),
    default=1.0,
    show_default=True,
    metavar="S",
    help="Seconds between two looks.",
)
@click.pass_context
def top(context: click.Context, once: bool, interval_s: float) -> None:
    """
    Watch members and buckets at work, live.

    Keys: q ends it, m shows members, l latencies, b buckets, s sorts by the next
    column. With --json each look is an object on a line of its own.
    """
    session: Session = context.obj
    if once:
        _once(session, interval_s)
        return
    if session.as_json:
        _looks(session, interval_s, _print)
        return
    screen = Screen(sys.stdin, sys.stdout)
    if not screen.usable:
        raise WrongUsage("top needs a terminal; use --once, or --json for programs")
    _live(session, interval_s, screen, colour=context.color is not False)


def _data(found: Picture) -> dict[str, Any]:
    return attrs.asdict(found)


def _print(found: Picture) -> None:
    click.echo(msgspec.json.encode(_data(found)).decode())


def _once(session: Session, interval_s: float) -> None:
    looks: list[list[Said[Status]]] = []

    def following(said: list[Said[Status]]) -> AskStatus | None:
        looks.append(said)
        return AskStatus() if len(looks) < 2 else None

    keep_asking(session, AskStatus(), Status, following, interval_s)
    found = picture(*looks)
    session.say(text(found, terminal_width()), _data(found))


def _looks(session: Session, interval_s: float, saw: Any) -> None:
    before: list[Said[Status]] = []

    def following(said: list[Said[Status]]) -> AskStatus:
        nonlocal before
        saw(picture(before, said))
        before = said
        return AskStatus()

    keep_asking(session, AskStatus(), Status, following, interval_s)


def _live(session: Session, interval_s: float, screen: Screen, *, colour: bool) -> None:
    from twisted.internet import reactor

    turning: Any = reactor
    top = Top(screen, colour=colour)
    ended = False

    def end() -> None:
        nonlocal ended
        ended = True
        turning.removeReader(keyboard)
        turning.stop()

    def pressed(key: str) -> None:
        if key in "qQ" and not ended:
            end()
        elif not ended:
            top.pressed(key)

    with screen.taken() as number:
        keyboard = Keyboard(number, pressed, end)
        turning.addReader(keyboard)
        try:
            _looks(session, interval_s, top.saw)
        except Trouble:
            # Who has ended it does not miss the answer that was under way.
            if not ended:
                raise
